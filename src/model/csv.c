/*
 * The CSV reader.  It looks at each byte once and allocates nothing.
 */
#include "postgres.h"

#include "model/csv.h"

static size_t end_of(SmrtSpan text, char stop);

bool
smrt_csv_record(SmrtSpan *rest, SmrtSpan *record)
{
	size_t		len;

	if (rest->len == 0)
		return false;
	len = end_of(*rest, '\n');
	*record = smrt_span_of(rest->data, len);
	if (record->len > 0 && record->data[record->len - 1] == '\r')
		record->len--;
	if (len < rest->len)
		len++;
	*rest = smrt_span_of(rest->data + len, rest->len - len);
	return true;
}

SmrtSpan
smrt_csv_field(SmrtSpan *record, bool *more)
{
	size_t		len = end_of(*record, ',');
	SmrtSpan	field = smrt_span_of(record->data, len);

	*more = len < record->len;
	if (*more)
		len++;
	*record = smrt_span_of(record->data + len, record->len - len);
	return field;
}

size_t
smrt_csv_value(SmrtSpan field, char *out)
{
	size_t		n = 0;

	while (field.len > 0 && (field.data[0] == ' ' || field.data[0] == '\t'))
		field = smrt_span_of(field.data + 1, field.len - 1);
	while (field.len > 0 && (field.data[field.len - 1] == ' ' ||
							 field.data[field.len - 1] == '\t'))
		field.len--;
	if (field.len < 2 || field.data[0] != '"' ||
		field.data[field.len - 1] != '"')
	{
		if (field.len > 0)
			memcpy(out, field.data, field.len);
		return field.len;
	}
	for (size_t i = 1; i + 1 < field.len; i++)
	{
		out[n++] = field.data[i];
		if (field.data[i] == '"' && field.data[i + 1] == '"' &&
			i + 2 < field.len)
			i++;
	}
	return n;
}

/* Where stop stands outside quotes, or the length. */
static size_t
end_of(SmrtSpan text, char stop)
{
	bool		quoted = false;

	for (size_t i = 0; i < text.len; i++)
	{
		if (text.data[i] == '"')
			quoted = !quoted;
		else if (text.data[i] == stop && !quoted)
			return i;
	}
	return text.len;
}
