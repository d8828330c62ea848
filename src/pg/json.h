/*
 * Reading JSON that came from outside with PostgreSQL's own parser, without
 * raising an error over what is no JSON.
 */
#ifndef SMRT_PG_JSON_H
#define SMRT_PG_JSON_H

#include "aws/span.h"
#include "utils/jsonb.h"

typedef struct SmrtJsonMember
{
	const char *name;			/* compared without case */
	char	   *value;			/* the scalar as text, palloc'ed; NULL: absent,
								 * null, or no scalar */
} SmrtJsonMember;

/*
 * Fills the members of the object that text is; nested objects are passed
 * over.  False, with nothing filled in, when text is not a JSON object, is not
 * UTF-8, or is nested deeper than the stack allows.
 */
extern bool smrt_json_members(SmrtSpan text, SmrtJsonMember *members,
							  int n_members);

/*
 * What is wrong with text, of that encoding, as JSON, palloc'ed; NULL when nothing
 * is.  Raises 54001 when it is nested deeper than the stack allows.
 */
extern char *smrt_json_problem(SmrtSpan text, int encoding);

/* A string, number or Boolean as text, palloc'ed; NULL: null, or it has parts. */
extern char *smrt_json_scalar(const JsonbValue *value);

/* Any value as JSON, palloc'ed. */
extern char *smrt_json_text(JsonbValue *value);

/*
 * The first value that a jsonpath, in lax mode, leads to, or NULL; in the current
 * memory context.
 */
extern JsonbValue *smrt_json_find(Jsonb *jsonb, const char *path);

/* What the outermost value is: a scalar, or all of it, which stays where it is. */
extern JsonbValue smrt_json_root(Jsonb *jsonb);

#endif							/* SMRT_PG_JSON_H */
