/*
 * The postmaster's environment and files.
 */
#include "postgres.h"

#include <sys/stat.h>

#include "call/credential/surroundings.h"
#include "storage/fd.h"

/* A web identity token or a container's authorization. */
#define MAX_TOKEN (64 * 1024)

const char *
smrt_surroundings_env(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || value[strspn(value, " \t")] == '\0' ? NULL : value;
}

bool
smrt_surroundings_env_true(const char *name)
{
	const char *value = smrt_surroundings_env(name);

	return value != NULL && pg_strcasecmp(value, "true") == 0;
}

SmrtSpan
smrt_surroundings_file(const char *path, size_t max, StringInfo why)
{
	FILE	   *file = AllocateFile(path, "r");
	struct stat status;
	char	   *data = NULL;
	size_t		len = 0;

	if (file == NULL)
	{
		appendStringInfo(why, "could not open \"%s\": %s", path,
						 strerror(errno));
		return smrt_span(NULL);
	}
	if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode))
		appendStringInfo(why, "\"%s\" is no file", path);
	else
	{
		data = palloc(max + 1);
		len = fread(data, 1, max + 1, file);
		if (ferror(file))
			appendStringInfo(why, "could not read \"%s\"", path);
		else if (len > max)
			appendStringInfo(why, "\"%s\" has more than %zu bytes", path, max);
		else
		{
			FreeFile(file);
			data[len] = '\0';
			return smrt_span_of(data, len);
		}
	}
	FreeFile(file);
	return smrt_span(NULL);
}

SmrtSpan
smrt_surroundings_token(const char *path, StringInfo why)
{
	SmrtSpan	token = smrt_surroundings_file(path, MAX_TOKEN, why);

	while (token.len > 0 && strchr(" \t\r\n", token.data[token.len - 1]))
		token.len--;
	if (!smrt_span_absent(token) && token.len == 0)
	{
		appendStringInfo(why, "\"%s\" is empty", path);
		return smrt_span(NULL);
	}
	for (size_t i = 0; i < token.len; i++)
		if (token.data[i] < ' ' || token.data[i] > '~')
		{
			appendStringInfo(why, "\"%s\" has a line break or another character that no header may hold",
							 path);
			return smrt_span(NULL);
		}
	return token;
}
