/*
 * Values as JSON: arrays and composites with all that is in them.
 */
#ifndef SMRT_MODEL_JSONVALUE_H
#define SMRT_MODEL_JSONVALUE_H

#include "aws/buffer.h"
#include "model/model.h"

/*
 * Appends a value in UTF-8.  nulls says what is written for a NULL, also of an
 * element or member; what JSON has no number for is null.
 */
extern void smrt_jsonvalue_write(const SmrtModelArgument *argument, Datum value,
								 bool is_null, SmrtNulls nulls, SmrtBuf *body);

/* Appends text of the database's encoding as a JSON string. */
extern void smrt_jsonvalue_string(const char *text, SmrtBuf *body);

/* Appends it as characters of such a string, without its quotes. */
extern void smrt_jsonvalue_text(const char *text, SmrtBuf *body);

/*
 * Appends a value as such characters: a string's own, the JSON of anything else,
 * and none for a NULL, unless nulls gives it a word.
 */
extern void smrt_jsonvalue_characters(const SmrtModelArgument *argument,
									  Datum value, bool is_null,
									  SmrtNulls nulls, SmrtBuf *body);

#endif							/* SMRT_MODEL_JSONVALUE_H */
