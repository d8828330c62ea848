/*
 * Reading arguments: each is detoasted once.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "model/argument.h"
#include "utils/jsonb.h"

static SmrtSpan utf8(char *text, size_t len);
static void warn_of_bytea(SmrtSpan body, bool *warned);

SmrtSpan
smrt_argument_text(Datum value, bool is_null)
{
	text	   *argument;

	if (is_null)
		return smrt_span(NULL);
	argument = DatumGetTextPP(value);
	return smrt_span_of(VARDATA_ANY(argument), VARSIZE_ANY_EXHDR(argument));
}

SmrtSpan
smrt_argument_body(Oid type, Datum value, bool *warned_of_bytea)
{
	SmrtSpan	body;

	if (type == JSONBOID)
	{
		Jsonb	   *jsonb = DatumGetJsonbP(value);
		char	   *text = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));

		return utf8(text, strlen(text));
	}
	/* The others are bytes behind a length. */
	body = smrt_argument_text(value, false);
	if (type == BYTEAOID)
		return body;
	body = utf8((char *) body.data, body.len);
	if (type == TEXTOID)
		warn_of_bytea(body, warned_of_bytea);
	return body;
}

SmrtSpan
smrt_argument_content_type(Oid type)
{
	return smrt_span(type == JSONOID || type == JSONBOID ?
					 "application/json" : NULL);
}

static SmrtSpan
utf8(char *text, size_t len)
{
	char	   *converted = (char *) pg_server_to_any(text, (int) len, PG_UTF8);

	return smrt_span_of(converted, converted == text ? len : strlen(converted));
}

/* Bytes that came as text are the commonest slip: say so once a statement. */
static void
warn_of_bytea(SmrtSpan body, bool *warned)
{
	if (*warned || !smrt_span_starts_with(body, smrt_span("\\x")))
		return;
	*warned = true;
	ereport(NOTICE,
			(errmsg("a body of type text begins with \"\\x\""),
			 errdetail("It is sent as these characters, not as the bytes that they may stand for."),
			 errhint("Cast it to bytea if bytes are meant.")));
}
