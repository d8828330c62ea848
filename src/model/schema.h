/*
 * What a language model may answer: a JSON schema that follows from the result
 * type.
 */
#ifndef SMRT_MODEL_SCHEMA_H
#define SMRT_MODEL_SCHEMA_H

#include "aws/error.h"
#include "lib/stringinfo.h"
#include "model/model.h"
#include "utils/jsonb.h"

/*
 * Of the columns that are not bound, in the current memory context.  NULL: the
 * answer is text, whatever it says.  A result that has no names of its own is the
 * member "answer" of an object, since most containers want an object.  Raises 0A000
 * for a type that has no schema.
 */
extern SmrtSchema *smrt_schema_make(const SmrtModel *model);

/* Whether any JSON fits. */
extern bool smrt_schema_is_open(const SmrtSchema *schema);

/* As a JSON schema, in the database's encoding. */
extern void smrt_schema_write(const SmrtSchema *schema, StringInfo json);

/*
 * Whether a value fits; if not, error says why.  Gives the part of it that is the
 * result.
 */
extern JsonbValue *smrt_schema_read(const SmrtSchema *schema,
									JsonbValue *value, SmrtError *error);

#endif							/* SMRT_MODEL_SCHEMA_H */
