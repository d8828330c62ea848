/*
 * Runs a fuzzer's target over its corpus with each allocation failing in turn,
 * src/aws's and libcrypto's: no crash, no leak, and no property that is wrong
 * while memory lasts.  Arguments: folders.  Prints how many failed.
 */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <stdio.h>

#include <openssl/crypto.h>

#include "fuzz.h"

#define MAX_LEN 65536

/* What src/aws is compiled with in place of the C library's. */
extern void *exhausted_calloc(size_t n, size_t size);
extern void *exhausted_realloc(void *ptr, size_t size);

static long fail_at;			/* 0: none */
static long n_allocations;
static bool ran_out;

static long run_file(const char *path);
static bool fails(void);
static void *crypto_malloc(size_t size, const char *file, int line);
static void *crypto_realloc(void *ptr, size_t size, const char *file, int line);
static void crypto_free(void *ptr, const char *file, int line);

int
main(int argc, char **argv)
{
	long		n_failed = 0;
	long		n_files = 0;

	if (!CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free))
		return 2;
	for (int i = 1; i < argc; i++)
	{
		DIR		   *entries = opendir(argv[i]);
		struct dirent *entry;

		while (entries != NULL && (entry = readdir(entries)) != NULL)
		{
			char		path[4096];

			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
			n_failed += run_file(path);
			n_files++;
		}
		if (entries != NULL)
			closedir(entries);
	}
	printf("%ld allocations failed over %ld inputs, crashes 0\n", n_failed, n_files);
	return n_files == 0;
}

bool
memory_ran_out(void)
{
	return ran_out;
}

/* How many of its allocations there are to fail. */
static long
run_file(const char *path)
{
	static uint8_t data[MAX_LEN];
	FILE	   *file = fopen(path, "rb");
	size_t		size = file ? fread(data, 1, MAX_LEN, file) : 0;

	if (file != NULL)
		fclose(file);
	/* Once with all: libcrypto keeps what it loads. */
	fail_at = 0;
	ran_out = false;
	LLVMFuzzerTestOneInput(data, size);
	do
	{
		fail_at++;
		n_allocations = 0;
		ran_out = false;
		LLVMFuzzerTestOneInput(data, size);
	} while (ran_out);
	return fail_at - 1;
}

static bool
fails(void)
{
	if (++n_allocations != fail_at)
		return false;
	ran_out = true;
	return true;
}

void *
exhausted_calloc(size_t n, size_t size)
{
	return fails() ? NULL : calloc(n, size);
}

void *
exhausted_realloc(void *ptr, size_t size)
{
	return fails() ? NULL : realloc(ptr, size);
}

static void *
crypto_malloc(size_t size, const char *file, int line)
{
	(void) file;
	(void) line;
	return fails() ? NULL : malloc(size);
}

static void *
crypto_realloc(void *ptr, size_t size, const char *file, int line)
{
	(void) file;
	(void) line;
	return fails() ? NULL : realloc(ptr, size);
}

static void
crypto_free(void *ptr, const char *file, int line)
{
	(void) file;
	(void) line;
	free(ptr);
}
