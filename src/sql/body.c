/*
 * The body of a sagemaker_response, or of another answer that has columns body
 * and content_type, decoded.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "pg/compat.h"
#include "pg/json.h"
#include "pg/report.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/jsonb.h"

/* How much of a body that is not JSON is shown. */
#define SHOWN_BYTES 80

PG_FUNCTION_INFO_V1(sagemaker_body_text);
PG_FUNCTION_INFO_V1(sagemaker_body_json);

static bytea *body_of(HeapTupleHeader response);
static int	charset_of(HeapTupleHeader response);
static char *charset_parameter(char *type);

/* The body as text, in the charset that its content type names, else UTF-8. */
Datum
sagemaker_body_text(PG_FUNCTION_ARGS)
{
	HeapTupleHeader response = PG_GETARG_HEAPTUPLEHEADER(0);
	bytea	   *body = body_of(response);
	char	   *text;
	int			charset;
	int			len;

	if (body == NULL)
		PG_RETURN_NULL();
	len = VARSIZE_ANY_EXHDR(body);
	charset = charset_of(response);
	if (!pg_verify_mbstr(charset, VARDATA_ANY(body), len, true))
		ereport(ERROR,
				(errcode(SMRT_ERRCODE_BAD_REPLY),
				 errmsg("the body is not text in %s",
						pg_encoding_to_char(charset)),
				 errdetail("It has %d bytes and begins with: %s", len,
						   smrt_report_text(smrt_span_of(VARDATA_ANY(body), len),
											SHOWN_BYTES)),
				 errhint("The bytes themselves are in the column \"body\".")));
	text = pg_any_to_server(VARDATA_ANY(body), len, charset);
	if (text != VARDATA_ANY(body))
		len = strlen(text);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(text, len));
}

/* JSON is UTF-8 by its definition (RFC 8259), whatever the content type. */
Datum
sagemaker_body_json(PG_FUNCTION_ARGS)
{
	bytea	   *body = body_of(PG_GETARG_HEAPTUPLEHEADER(0));
	SmrtSpan	span;
	char	   *problem;

	if (body == NULL)
		PG_RETURN_NULL();
	span = smrt_span_of(VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body));
	problem = smrt_json_problem(span, PG_UTF8);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(SMRT_ERRCODE_BAD_REPLY),
				 errmsg("the body is not JSON: %s", problem),
				 errdetail("It has %zu bytes and begins with: %s",
						   span.len, smrt_report_text(span, SHOWN_BYTES))));
	return DirectFunctionCall1(jsonb_in,
							   CStringGetDatum(pg_any_to_server(pnstrdup(span.data, span.len),
																span.len, PG_UTF8)));
}

static bytea *
body_of(HeapTupleHeader response)
{
	bool		is_null;
	Datum		body = GetAttributeByName(response, "body", &is_null);

	return is_null ? NULL : DatumGetByteaPP(body);
}

/* An encoding's number; a charset that cannot be converted is taken for UTF-8. */
static int
charset_of(HeapTupleHeader response)
{
	bool		is_null;
	Datum		content_type = GetAttributeByName(response, "content_type",
												  &is_null);
	char	   *type;
	char	   *parameter;
	NameData	name;
	int			encoding;

	if (is_null)
		return PG_UTF8;
	type = asc_tolower(VARDATA_ANY(DatumGetTextPP(content_type)),
					   VARSIZE_ANY_EXHDR(DatumGetTextPP(content_type)));
	parameter = charset_parameter(type);
	if (parameter == NULL)
		return PG_UTF8;
	if (*parameter == '"')
		parameter++;
	parameter[strcspn(parameter, "\"; ")] = '\0';
	namestrcpy(&name, parameter);
	encoding = DatumGetInt32(DirectFunctionCall1(PG_char_to_encoding,
												 NameGetDatum(&name)));
	if (encoding < 0 || (encoding != GetDatabaseEncoding() &&
						 !OidIsValid(FindDefaultConversionProc(encoding,
															   GetDatabaseEncoding()))))
		return PG_UTF8;
	return encoding;
}

/* Where the value of a media type's charset begins; NULL: it has none. */
static char *
charset_parameter(char *type)
{
	for (char *c = strchr(type, ';'); c != NULL; c = strchr(c, ';'))
	{
		c++;
		c += strspn(c, " \t");
		if (strncmp(c, "charset=", strlen("charset=")) == 0)
			return c + strlen("charset=");
	}
	return NULL;
}
