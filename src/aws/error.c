/*
 * The error text of the pure floor.
 */
#include <stdarg.h>
#include <stdio.h>

#include "aws/error.h"

bool
smrt_error_set(SmrtError *error, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return false;
}
