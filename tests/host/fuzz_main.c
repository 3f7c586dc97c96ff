/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzz target as a unit test, without clang: it links, it takes its seeds
 * (tests/fuzz/corpus/NAME/), and some inputs that are the same each time.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MADE_UP		200
#define LENGTH_MAX	2048
#define SEED_MAX	(1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In a block of its own size, so that reads beyond it are seen. */
static void give(const uint8_t *bytes, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);

	if (!data)
		abort();
	if (size)
		memcpy(data, bytes, size);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
}

static void give_file(const char *folder, const char *name)
{
	static uint8_t bytes[SEED_MAX];
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "rb");
	if (!f)
		abort();
	give(bytes, fread(bytes, 1, sizeof(bytes), f));
	fclose(f);
}

static unsigned give_seeds(const char *target)
{
	char folder[256];
	struct dirent *e;
	unsigned count = 0;
	DIR *d;

	snprintf(folder, sizeof(folder), "tests/fuzz/corpus/%s", target);
	d = opendir(folder);
	if (!d)
		return 0;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			give_file(folder, e->d_name);
			count++;
		}
	closedir(d);
	return count;
}

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void give_made_up(void)
{
	static uint8_t bytes[LENGTH_MAX];
	uint64_t state = 0x9e3779b97f4a7c15;

	for (unsigned i = 0; i < MADE_UP; i++) {
		size_t size = next(&state) % (i % 2 ? 64 : LENGTH_MAX);

		for (size_t k = 0; k < size; k++)
			bytes[k] = (uint8_t)(next(&state) >> 32);
		give(bytes, size);
	}
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	unsigned seeds;

	if (!slash)
		return 2;
	give(NULL, 0);
	seeds = give_seeds(slash + 1);
	give_made_up();
	printf("[       OK ] %s: %u seeds, %u made-up inputs\n", slash + 1, seeds, MADE_UP + 1);
	return 0;
}
