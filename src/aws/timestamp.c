/*
 * Time stamps.
 *
 * Own calendar arithmetic instead of gmtime() and timegm(): the latter is not
 * in C11, strptime() obeys the locale, and neither is safe with hostile text.
 * Years are counted from March, so that a leap day is the last of its year.
 */
#include "aws/timestamp.h"

#define SECONDS_PER_DAY 86400
#define ISO_LEN 19				/* YYYY-MM-DDTHH:MM:SS */
#define DAYS_PER_ERA 146097		/* of 400 years, when the calendar repeats */
#define DAYS_TO_1970 719468		/* from 0000-03-01 */
#define SECONDS_TO_10000 INT64_C(253402300800)

typedef struct Civil
{
	int			year;
	int			month;			/* 1..12 */
	int			day;			/* 1..31 */
	int			hour;
	int			minute;
	int			second;
} Civil;

static void civil_of_days(int days, Civil *civil);
static int	days_of_civil(const Civil *civil);
static int64_t seconds_of_civil(const Civil *civil);
static void put_digits(char *out, int width, int value);
static bool parse_form(const char *form, SmrtSpan text, Civil *civil);
static bool parse_item(char item, SmrtSpan *rest, Civil *civil);
static bool take_digits(SmrtSpan *rest, size_t width, int *value);
static bool take_name(SmrtSpan *rest, const char *const *names, size_t len,
					  int *index);
static bool civil_valid(const Civil *civil);

static const char *const weekdays[] = {
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
	"Saturday", NULL
};

static const char *const months[] = {
	"January", "February", "March", "April", "May", "June", "July", "August",
	"September", "October", "November", "December", NULL
};

/*
 * a and A are the short and the long weekday, d and e the day filled up with a
 * zero or a blank, b the month, m its number, Y and y the year with four or two digits, H, M
 * and S the time, Z the word GMT; any other character stands for itself.
 */
static const char *const http_forms[] = {
	"a, d b Y H:M:S Z",			/* IMF-fixdate */
	"A, d-b-y H:M:S Z",			/* RFC 850 */
	"a b e H:M:S Y"				/* asctime() */
};

bool
smrt_timestamp_format(int64_t seconds, char out[SMRT_TIMESTAMP_LEN + 1])
{
	Civil		civil;
	int			rest;

	if (seconds < 0 || seconds >= SECONDS_TO_10000)
		return false;
	civil_of_days((int) (seconds / SECONDS_PER_DAY), &civil);
	rest = (int) (seconds % SECONDS_PER_DAY);

	put_digits(out, 4, civil.year);
	put_digits(out + 4, 2, civil.month);
	put_digits(out + 6, 2, civil.day);
	out[8] = 'T';
	put_digits(out + 9, 2, rest / 3600);
	put_digits(out + 11, 2, rest / 60 % 60);
	put_digits(out + 13, 2, rest % 60);
	out[15] = 'Z';
	out[16] = '\0';
	return true;
}

bool
smrt_timestamp_parse_http(SmrtSpan text, int64_t *seconds)
{
	for (size_t i = 0; i < sizeof(http_forms) / sizeof(http_forms[0]); i++)
	{
		Civil		civil;

		if (!parse_form(http_forms[i], text, &civil) || !civil_valid(&civil))
			continue;
		*seconds = seconds_of_civil(&civil);
		return true;
	}
	return false;
}

bool
smrt_timestamp_parse_iso(SmrtSpan text, int64_t *seconds)
{
	Civil		civil;
	Civil		offset = {0};
	SmrtSpan	rest;
	int			sign;

	if (text.len <= ISO_LEN ||
		!parse_form("Y-m-dTH:M:S", smrt_span_of(text.data, ISO_LEN), &civil) ||
		!civil_valid(&civil))
		return false;
	rest = smrt_span_of(text.data + ISO_LEN, text.len - ISO_LEN);
	if (rest.data[0] == '.')
	{
		size_t		n = 1;

		while (n < rest.len && rest.data[n] >= '0' && rest.data[n] <= '9')
			n++;
		rest = smrt_span_of(rest.data + n, rest.len - n);
	}
	if (rest.len == 0)
		return false;
	sign = rest.data[0] == '+' ? 1 : rest.data[0] == '-' ? -1 : 0;
	if (sign == 0 ? !smrt_span_equal(rest, smrt_span("Z")) :
		!parse_form("H:M", smrt_span_of(rest.data + 1, rest.len - 1), &offset))
		return false;
	*seconds = seconds_of_civil(&civil) -
		sign * (offset.hour * 3600 + offset.minute * 60);
	return true;
}

static int64_t
seconds_of_civil(const Civil *civil)
{
	return (int64_t) days_of_civil(civil) * SECONDS_PER_DAY +
		civil->hour * 3600 + civil->minute * 60 + civil->second;
}

/* Howard Hinnant's civil_from_days(), for days that are not negative. */
static void
civil_of_days(int days, Civil *civil)
{
	int			shifted = days + DAYS_TO_1970;
	int			era = shifted / DAYS_PER_ERA;
	int			doe = shifted % DAYS_PER_ERA;	/* day of the era */
	int			yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int			doy = doe - (365 * yoe + yoe / 4 - yoe / 100);	/* from March */
	int			mp = (5 * doy + 2) / 153;	/* month, March being 0 */

	civil->day = doy - (153 * mp + 2) / 5 + 1;
	civil->month = mp < 10 ? mp + 3 : mp - 9;
	civil->year = yoe + era * 400 + (civil->month <= 2);
}

/* The inverse; the year is not negative, the result may be. */
static int
days_of_civil(const Civil *civil)
{
	int			year = civil->year + 400 - (civil->month <= 2); /* never < 0 */
	int			mp = civil->month > 2 ? civil->month - 3 : civil->month + 9;
	int			yoe = year % 400;
	int			doy = (153 * mp + 2) / 5 + civil->day - 1;

	return (year / 400 - 1) * DAYS_PER_ERA + yoe * 365 + yoe / 4 - yoe / 100 +
		doy - DAYS_TO_1970;
}

static void
put_digits(char *out, int width, int value)
{
	for (int i = width - 1; i >= 0; i--)
	{
		out[i] = (char) ('0' + value % 10);
		value /= 10;
	}
}

/* The whole text must be of this form. */
static bool
parse_form(const char *form, SmrtSpan text, Civil *civil)
{
	SmrtSpan	rest = text;

	memset(civil, 0, sizeof(*civil));
	for (; *form; form++)
	{
		if (!parse_item(*form, &rest, civil))
			return false;
	}
	return rest.len == 0;
}

/* Takes one item of a form off the front of rest. */
static bool
parse_item(char item, SmrtSpan *rest, Civil *civil)
{
	static const char *const gmt[] = {"GMT", NULL};
	int			weekday;		/* may be wrong: nothing is computed from it */
	bool		found;

	switch (item)
	{
		case 'a':
			return take_name(rest, weekdays, 3, &weekday);
		case 'A':
			return take_name(rest, weekdays, 0, &weekday);
		case 'b':
			found = take_name(rest, months, 3, &civil->month);
			civil->month++;
			return found;
		case 'm':
			return take_digits(rest, 2, &civil->month);
		case 'e':
			if (rest->len > 0 && rest->data[0] == ' ')
			{
				*rest = smrt_span_of(rest->data + 1, rest->len - 1);
				return take_digits(rest, 1, &civil->day);
			}
			return take_digits(rest, 2, &civil->day);
		case 'd':
			return take_digits(rest, 2, &civil->day);
		case 'Y':
			return take_digits(rest, 4, &civil->year);
		case 'y':
			found = take_digits(rest, 2, &civil->year);
			civil->year += civil->year < 70 ? 2000 : 1900;
			return found;
		case 'H':
			return take_digits(rest, 2, &civil->hour);
		case 'M':
			return take_digits(rest, 2, &civil->minute);
		case 'S':
			return take_digits(rest, 2, &civil->second);
		case 'Z':
			return take_name(rest, gmt, 0, &weekday);
	}
	if (rest->len == 0 || rest->data[0] != item)
		return false;
	*rest = smrt_span_of(rest->data + 1, rest->len - 1);
	return true;
}

static bool
take_digits(SmrtSpan *rest, size_t width, int *value)
{
	if (rest->len < width)
		return false;
	*value = 0;
	for (size_t i = 0; i < width; i++)
	{
		char		c = rest->data[i];

		if (c < '0' || c > '9')
			return false;
		*value = *value * 10 + (c - '0');
	}
	*rest = smrt_span_of(rest->data + width, rest->len - width);
	return true;
}

/* Takes one of the names, or its first len letters unless len is 0. */
static bool
take_name(SmrtSpan *rest, const char *const *names, size_t len, int *index)
{
	for (int i = 0; names[i] != NULL; i++)
	{
		size_t		n = len ? len : strlen(names[i]);

		if (!smrt_span_starts_with(*rest, smrt_span_of(names[i], n)))
			continue;
		*rest = smrt_span_of(rest->data + n, rest->len - n);
		*index = i;
		return true;
	}
	return false;
}

static bool
civil_valid(const Civil *civil)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = civil->year % 4 == 0 &&
		(civil->year % 100 != 0 || civil->year % 400 == 0);
	int			last;

	if (civil->month < 1 || civil->month > 12)
		return false;
	last = lengths[civil->month - 1] + (civil->month == 2 && leap);
	/* 60: a leap second, which counts as the second after it. */
	return civil->day >= 1 && civil->day <= last &&
		civil->hour <= 23 && civil->minute <= 59 && civil->second <= 60;
}
