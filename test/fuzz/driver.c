/*
 * Runs a fuzzer where there is no libFuzzer: inputs are the files of the corpus,
 * changed at random.  It takes those of libFuzzer's arguments that run.sh gives:
 * -runs, -seed, -max_len; folders; and ignores others.
 */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <stdio.h>

#include "fuzz.h"

#define MAX_FILES 4096
#define MAX_LEN 4096

typedef struct Input
{
	uint8_t		data[MAX_LEN];
	size_t		size;
} Input;

static Input files[MAX_FILES];
static size_t n_files;
static uint64_t state;

static void read_folder(const char *folder);
static void change(Input *input);
static size_t below(size_t n);

int
main(int argc, char **argv)
{
	long		runs = 0;
	long		seed = 1;

	for (int i = 1; i < argc; i++)
		if (sscanf(argv[i], "-runs=%ld", &runs) != 1 &&
			sscanf(argv[i], "-seed=%ld", &seed) != 1 && argv[i][0] != '-')
			read_folder(argv[i]);
	state = (uint64_t) seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	for (size_t i = 0; i < n_files; i++)
		LLVMFuzzerTestOneInput(files[i].data, files[i].size);
	for (long run = 0; run < runs && n_files > 0; run++)
	{
		Input		input = files[below(n_files)];

		for (size_t n = 1 + below(6); n > 0; n--)
			change(&input);
		LLVMFuzzerTestOneInput(input.data, input.size);
	}
	return n_files == 0;
}

static void
read_folder(const char *folder)
{
	DIR		   *entries = opendir(folder);
	struct dirent *entry;

	while (entries != NULL && n_files < MAX_FILES &&
		   (entry = readdir(entries)) != NULL)
	{
		char		path[4096];
		FILE	   *file;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (entry->d_name[0] == '.' || (file = fopen(path, "rb")) == NULL)
			continue;
		files[n_files].size = fread(files[n_files].data, 1, MAX_LEN, file);
		n_files++;
		fclose(file);
	}
	if (entries != NULL)
		closedir(entries);
}

static void
change(Input *input)
{
	const Input *other = &files[below(n_files)];
	size_t		at = below(input->size + 1);
	size_t		n = below(8) + 1;

	switch (below(5))
	{
		case 0:					/* a bit */
			if (at < input->size)
				input->data[at] ^= (uint8_t) (1 << below(8));
			break;
		case 1:					/* a byte */
			if (at < input->size)
				input->data[at] = (uint8_t) below(256);
			break;
		case 2:					/* some bytes less */
			if (n > input->size - at)
				n = input->size - at;
			memmove(input->data + at, input->data + at + n, input->size - at - n);
			input->size -= n;
			break;
		case 3:					/* some bytes more */
			if (n > MAX_LEN - input->size)
				n = MAX_LEN - input->size;
			memmove(input->data + at + n, input->data + at, input->size - at);
			for (size_t i = 0; i < n; i++)
				input->data[at + i] = (uint8_t) below(256);
			input->size += n;
			break;
		default:				/* the end of another one */
			n = below(other->size + 1);
			if (other->size - n > MAX_LEN - at)
				n = other->size - (MAX_LEN - at);
			memcpy(input->data + at, other->data + n, other->size - n);
			input->size = at + other->size - n;
	}
}

/* xorshift64* */
static size_t
below(size_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (size_t) (state * UINT64_C(0x2545f4914f6cdd1d) >> 33) % n;
}
