/*
 * The text of one element in an XML document that AWS wrote: enough for its
 * Query protocol (STS) and its XML errors, and no more.
 */
#ifndef SMRT_AWS_XML_H
#define SMRT_AWS_XML_H

#include "aws/span.h"

/*
 * What stands between the first <element> and the next </element>, entities
 * left as they are; absent when there is no such pair.
 */
extern SmrtSpan smrt_xml_text(SmrtSpan document, const char *element);

#endif							/* SMRT_AWS_XML_H */
