/*
 * Feeds every file of a folder to a fuzz target, and then the same files cut short and with single
 * bytes changed, so that the corpora are ordinary tests without libFuzzer.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly this size, so that a sanitizer sees reads beyond it. */
static void feed(const uint8_t *data, size_t size)
{
	uint8_t *copy = calloc(1, size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void feed_variants(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	size_t step = size / 64 + 1;

	if (!copy)
		abort();
	feed(data, size);
	for (size_t n = 0; n < size; n += step) {
		feed(data, n);
		memcpy(copy, data, size);
		copy[n] ^= (uint8_t)(1u << (n & 7));
		feed(copy, size);
		copy[n] = 0xff;
		feed(copy, size);
	}
	free(copy);
}

int main(int argc, char **argv)
{
	size_t files = 0;

	feed((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		const struct dirent *e;

		if (!dir) {
			fprintf(stderr, "cannot open the corpus folder %s\n", argv[i]);
			return 1;
		}
		while ((e = readdir(dir))) {
			struct buf b = {0};
			struct error err = {0};
			char path[4096];

			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
			if (io_read_file(path, 64u << 20, &b, &err) < 0) {
				fprintf(stderr, "%s\n", err.text);
				return 1;
			}
			feed_variants(b.data, b.len);
			buf_free(&b);
			files++;
		}
		closedir(dir);
	}
	printf("%zu files replayed\n", files);
	return files ? 0 : 1;
}
