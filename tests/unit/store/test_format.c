/* doc/FORMAT.md against the code: the second reader, which was written from the page, restores what the first one
 * wrote. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "fixture.h"

static void second_reader_agrees(void **state)
{
	struct fixture_backup b = {.host = "john", .time = 1000, .first = 3, .n = 40};
	const char *script = getenv("READ_STORE");
	char *folder = fixture_store(), *out = fixture_folder(), *command = NULL, *disk = NULL;
	uint8_t *expected = malloc(CHUNK_MAX_BYTES), *got = malloc(CHUNK_MAX_BYTES);
	struct store *s = fixture_open(folder);
	struct error err = {0};
	int fd;

	if (!script || system("command -v python3 zstd >/dev/null") != 0)
		exit(77);
	assert_done(fixture_run(s, &b, &err), err);
	store_close(s);
	assert_true(asprintf(&disk, "%s/disk", out) > 0);
	assert_true(asprintf(&command, "python3 %s %s john %s 0 %s", script, folder, b.id, disk) > 0);
	assert_int_equal(system(command), 0);
	fd = open(disk, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t i = 0; i < b.n; i++) {
		size_t n = fixture_chunk(b.first + i, expected);

		assert_int_equal(io_pread_full(fd, got, n, i / 16 * RECIPE_WINDOW_BYTES + (i % 16 << 20)), 0);
		assert_memory_equal(got, expected, n);
	}
	close(fd);
	free(expected);
	free(got);
	free(command);
	free(disk);
	fixture_remove(folder);
	fixture_remove(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(second_reader_agrees)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
