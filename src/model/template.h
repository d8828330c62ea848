/*
 * Text with placeholders for arguments, for the prompts of language models.
 */
#ifndef SMRT_MODEL_TEMPLATE_H
#define SMRT_MODEL_TEMPLATE_H

#include "aws/buffer.h"
#include "model/model.h"

/*
 * "{name}" stands for the argument of that name, "{1}" for the first; "{{" and
 * "}}" are braces.  In the current memory context; NULL, with problem palloc'ed, for
 * what is no such text or names an argument that is not there.
 */
extern SmrtTemplate *smrt_template_parse(const SmrtModel *model,
										 const char *text, char **problem);

/* Adds text in which braces are braces. */
extern void smrt_template_add_text(SmrtTemplate *template, const char *text);

/*
 * Appends the text, with the arguments in their places, as a JSON string in
 * UTF-8.  No argument can end that string.
 */
extern void smrt_template_write(const SmrtTemplate *template,
								const SmrtModel *model, const Datum *values,
								const bool *nulls, SmrtBuf *body);

#endif							/* SMRT_MODEL_TEMPLATE_H */
