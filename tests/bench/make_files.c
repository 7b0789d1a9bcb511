/*
 * Fills a folder with files for benchmarks: text-like, binary-like, incompressible, and many small ones; the same seed
 * gives the same files. Usage: make-files FOLDER MEBIBYTES SMALL_FILES [SEED]
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define BLOCK_BYTES (1u << 20)

static uint64_t next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s * 0x2545f4914f6cdd1du;
}

/* Words of a made-up language, a few of them much more often than others. */
static void fill_text(uint8_t *p, size_t n, uint64_t *s)
{
	size_t at = 0;

	while (at < n) {
		uint64_t r = next(s), word = (r >> 32) % 20000, len;

		word = word * word / 20000;
		len = 2 + word % 9;
		for (uint64_t i = 0; i < len && at < n; i++, word = word * 31 + 7)
			p[at++] = (uint8_t)('a' + word % 23);
		if (at < n)
			p[at++] = r % 12 ? ' ' : '\n';
	}
}

/* Records of 64 bytes: counters, flags, small numbers, a little noise; as programs and databases look. */
static void fill_binary(uint8_t *p, size_t n, uint64_t *s)
{
	uint64_t counter = next(s) & 0xffffff;

	for (size_t at = 0; at < n; at += 64) {
		uint64_t record[8] = {counter++, 0, next(s) & 0xff00ff,	  0x4141000000000000u | (counter >> 4),
				      next(s),	 7, next(s) & 0xffffffff, counter * 48};

		memcpy(p + at, record, n - at < 64 ? n - at : 64);
	}
}

static void fill_noise(uint8_t *p, size_t n, uint64_t *s)
{
	for (size_t at = 0; at < n; at += 8) {
		uint64_t v = next(s);

		memcpy(p + at, &v, n - at < 8 ? n - at : 8);
	}
}

static int write_file(const char *path, uint64_t bytes, unsigned kind, uint64_t *s)
{
	static void (*const fill[])(uint8_t *, size_t, uint64_t *) = {fill_text, fill_binary, fill_noise};
	static uint8_t block[BLOCK_BYTES];
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644), rc = fd < 0 ? -errno : 0;

	for (uint64_t done = 0; rc == 0 && done < bytes;) {
		size_t n = bytes - done < BLOCK_BYTES ? bytes - done : BLOCK_BYTES;

		fill[kind](block, n, s);
		rc = io_write_full(fd, block, n);
		done += n;
	}
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(-rc));
	return rc;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 0) : 1, s = seed * 0x9e3779b97f4a7c15u + 1;
	uint64_t left = argc > 2 ? strtoull(argv[2], NULL, 10) << 20 : 0;
	unsigned small = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	char path[4096];

	if (argc < 4) {
		fprintf(stderr, "usage: make-files FOLDER MEBIBYTES SMALL_FILES [SEED]\n");
		return 2;
	}
	for (unsigned i = 0; i < small; i++) {
		uint64_t bytes = 500 + next(&s) % 30000;

		snprintf(path, sizeof path, "%s/small-%02u", argv[1], i / 200);
		if (i % 200 == 0 && mkdir(path, 0755) < 0 && errno != EEXIST)
			return 1;
		snprintf(path, sizeof path, "%s/small-%02u/file-%05u", argv[1], i / 200, i);
		if (bytes > left)
			break;
		if (write_file(path, bytes, (unsigned)(next(&s) % 5 / 2), &s) < 0)
			return 1;
		left -= bytes;
	}
	for (unsigned i = 0; left > 0; i++) {
		uint64_t bytes = (64u << 10) + next(&s) % (20u << 20);

		if (bytes > left)
			bytes = left;
		snprintf(path, sizeof path, "%s/file-%04u", argv[1], i);
		if (write_file(path, bytes, (unsigned)(next(&s) % 3), &s) < 0)
			return 1;
		left -= bytes;
	}
	return 0;
}
