/*
 * Keys as text.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "model/valuetext.h"
#include "queue/key.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static const char *value_text(Oid type, Datum value);

ArrayType *
smrt_key_to_text(const SmrtBoundTable *binding, const Datum *values,
				 const bool *nulls)
{
	Datum	   *texts = palloc(binding->n_keys * sizeof(Datum));

	for (int i = 0; i < binding->n_keys; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("key column \"%s\" is null", binding->keys[i].name)));
		texts[i] = CStringGetTextDatum(value_text(binding->keys[i].type,
												  values[i]));
	}
	return construct_array(texts, binding->n_keys, TEXTOID, -1, false,
						   TYPALIGN_INT);
}

static const char *
value_text(Oid type, Datum value)
{
	SmrtModelArgument part = smrt_value_part(type);
	char		buffer[SMRT_VALUE_TEXT_SIZE];
	const char *text = smrt_value_number(part.type, value, buffer);

	if (text == NULL)
		text = smrt_value_time(part.type, value, buffer);
	return text != NULL ? pstrdup(text) : smrt_value_text(&part, value);
}

void
smrt_key_from_text(const SmrtBoundTable *binding, ArrayType *key, Datum *values)
{
	Datum	   *texts;
	bool	   *nulls;
	int			n;

	deconstruct_array(key, TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls, &n);
	if (n != binding->n_keys)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a key of table %s has %d values, not %d",
						binding->relation_name, binding->n_keys, n)));
	for (int i = 0; i < n; i++)
	{
		const SmrtColumn *column = &binding->keys[i];
		Oid			input;
		Oid			ioparam;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("key column \"%s\" is null", column->name)));
		getTypeInputInfo(column->type, &input, &ioparam);
		values[i] = OidInputFunctionCall(input, TextDatumGetCString(texts[i]),
										 ioparam, column->typmod);
	}
}
