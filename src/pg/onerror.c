/*
 * The setting sagemaker_rt.on_error.  It counts only for the role that set it: a
 * caller must not turn the failed check of a SECURITY DEFINER function into NULL.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pg/onerror.h"
#include "pg/ownsetting.h"

const char *const smrt_on_error_words[] = {
	[SMRT_ON_ERROR_ERROR] = "error",
	[SMRT_ON_ERROR_NULL] = "null",
	[SMRT_ON_ERROR_WARNING] = "warning",
	[SMRT_ON_ERROR_COUNT] = NULL,
};

SmrtOnError
smrt_on_error_setting(void)
{
	const char *word = smrt_ownsetting_of_role(SMRT_OWN_ON_ERROR, GetUserId());

	if (word == NULL)
		word = smrt_ownsetting_configured(SMRT_OWN_ON_ERROR);
	for (int i = 0; i < SMRT_ON_ERROR_COUNT; i++)
		if (strcmp(smrt_on_error_words[i], word) == 0)
			return i;
	return SMRT_ON_ERROR_ERROR;
}
