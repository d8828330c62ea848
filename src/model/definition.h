/*
 * The body of a model function: an endpoint's name, or a JSON object of options.
 */
#ifndef SMRT_MODEL_DEFINITION_H
#define SMRT_MODEL_DEFINITION_H

#include "model/model.h"

/*
 * Fills in what the body says, on top of the defaults that are there.  Raises
 * 22023 with the option's name for what it does not know or cannot read.
 */
extern void smrt_definition_read(const char *body, SmrtModel *model);

/* What it says of these two, on top of the defaults that are there; no error. */
extern void smrt_definition_glance(const char *body, SmrtGlance *glance);

/* A format's word in such an object. */
extern const char *smrt_definition_format(SmrtRowFormat format);

#endif							/* SMRT_MODEL_DEFINITION_H */
