/* Disks in memory and in files, the choke point, and the wrappers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "disk/disk.h"

#define IMAGE_BYTES (3u * 1024 * 1024 + 777) /* no multiple of anything */

static char folder[] = "/var/tmp/g4l-disk-XXXXXX"; /* a file system that knows O_DIRECT, unlike most /tmp */
static char image[64];

static int set_up(void **state)
{
	FILE *f;

	if (!mkdtemp(folder))
		return -1;
	snprintf(image, sizeof image, "%s/image", folder);
	f = fopen(image, "w");
	if (!f)
		return -1;
	for (uint32_t i = 0; i < IMAGE_BYTES; i++)
		fputc((int)(i * 2654435761u >> 24), f);
	return fclose(f);
}

static int tear_down(void **state)
{
	unlink(image);
	return rmdir(folder);
}

static unsigned count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_ranges(void **state)
{
	struct error err = {0};
	struct disk *d;
	char b[16] = "";

	assert_int_equal(disk_open_memory(1000, 0, &d, &err), 0);
	assert_int_equal(d->sector_bytes, 512);
	assert_int_equal(disk_read(d, b, 16, 984, &err), 0);
	assert_int_equal(disk_read(d, b, 16, 985, &err), -ERANGE);
	assert_non_null(strstr(err.text, "1000"));
	assert_int_equal(disk_read(d, b, 1, UINT64_MAX, &err), -ERANGE);
	assert_int_equal(disk_write(d, b, 2, 999, &err), -ERANGE);
	assert_int_equal(disk_write(d, b, 2, UINT64_MAX - 1, &err), -ERANGE);
	assert_int_equal(disk_discard(d, 999, 2, &err), -ERANGE);
	assert_int_equal(disk_read(d, b, 0, 1000, &err), 0);
	assert_int_equal(d->read_bytes, 16);
	assert_int_equal(disk_write(d, "hello", 5, 995, &err), 0);
	assert_int_equal(d->written_bytes, 5);
	assert_int_equal(disk_read(d, b, 5, 995, &err), 0);
	assert_memory_equal(b, "hello", 5);
	assert_int_equal(disk_discard(d, 995, 5, &err), 0);
	disk_close(d);
	disk_close(NULL);
}

static void test_bytes_are_read_only(void **state)
{
	static const char content[] = "0123456789";
	struct error err = {0};
	struct disk *d;
	char b[4];

	assert_int_equal(disk_open_bytes(content, 10, 4096, &d, &err), 0);
	assert_int_equal(d->sector_bytes, 4096);
	assert_int_equal(d->fd, -1);
	assert_int_equal(disk_read(d, b, 4, 6, &err), 0);
	assert_memory_equal(b, "6789", 4);
	assert_int_equal(disk_write(d, b, 1, 0, &err), -EROFS);
	assert_int_equal(disk_discard(d, 0, 1, &err), -EROFS);
	assert_int_equal(disk_flush(d, &err), 0);
	disk_close(d);
}

static void test_guard(void **state)
{
	struct error err = {0};
	struct disk *m, *d;
	char b[4];

	assert_int_equal(disk_open_memory(100, 0, &m, &err), 0);
	assert_int_equal(disk_write(m, "abcd", 4, 0, &err), 0);
	assert_int_equal(disk_wrap_read_only(m, &d, &err), 0);
	assert_int_equal(disk_read(d, b, 4, 0, &err), 0);
	assert_memory_equal(b, "abcd", 4);
	assert_int_equal(disk_write(d, "x", 1, 0, &err), -EROFS);
	assert_int_equal(disk_discard(d, 0, 4, &err), -EROFS);
	/* Not even past the choke point. */
	assert_int_equal(d->ops->write(d, "x", 1, 0, &err), -EROFS);
	assert_int_equal(d->ops->discard(d, 0, 1, &err), -EROFS);
	assert_int_equal(disk_read(m, b, 4, 0, &err), 0);
	assert_memory_equal(b, "abcd", 4);
	disk_close(d);
}

static void test_fault_ranges(void **state)
{
	struct disk_faults faults = {
		.fail_read_at = 100, .fail_read_bytes = 10, .fail_write_at = 200, .fail_write_bytes = 1};
	struct error err = {0};
	struct disk *m, *d;
	char b[64] = {0};

	assert_int_equal(disk_open_memory(1000, 0, &m, &err), 0);
	assert_int_equal(disk_wrap_faults(m, &faults, &d, &err), 0);
	assert_int_equal(disk_read(d, b, 50, 50, &err), 0);
	assert_int_equal(disk_read(d, b, 51, 50, &err), -EIO);
	assert_int_equal(disk_read(d, b, 1, 109, &err), -EIO);
	assert_int_equal(disk_read(d, b, 1, 110, &err), 0);
	assert_int_equal(disk_write(d, b, 10, 100, &err), 0);
	assert_int_equal(disk_write(d, b, 1, 200, &err), -EIO);
	assert_int_equal(disk_write(d, b, 10, 195, &err), -EIO);
	assert_int_equal(disk_write(d, b, 1, 201, &err), 0);
	disk_close(d);
}

static void test_fault_counts(void **state)
{
	struct disk_faults faults = {
		.fail_nth_read = 2, .fail_nth_write = 3, .corrupt_nth_write = 2, .full_after_bytes = 40};
	struct error err = {0};
	struct disk *m, *d;
	char b[8], zeros[8] = {0};
	unsigned differing = 0;

	assert_int_equal(disk_open_memory(1000, 0, &m, &err), 0);
	assert_int_equal(disk_wrap_faults(m, &faults, &d, &err), 0);
	assert_int_equal(disk_write(d, "12345678", 8, 0, &err), 0);
	assert_int_equal(disk_write(d, zeros, 8, 8, &err), 0);
	assert_int_equal(disk_write(d, zeros, 8, 16, &err), -EIO);
	assert_int_equal(disk_write(d, zeros, 8, 24, &err), 0);
	assert_int_equal(disk_write(d, zeros, 8, 32, &err), 0);
	assert_int_equal(disk_write(d, zeros, 8, 40, &err), -ENOSPC);
	assert_int_equal(disk_read(d, b, 8, 0, &err), 0);
	assert_memory_equal(b, "12345678", 8);
	assert_int_equal(disk_read(d, b, 8, 8, &err), -EIO);
	assert_int_equal(disk_read(d, b, 8, 8, &err), 0);
	for (unsigned i = 0; i < 8; i++)
		differing += b[i] ? (unsigned)__builtin_popcount((uint8_t)b[i]) : 0;
	assert_int_equal(differing, 1);
	disk_close(d);
}

/* Random requests against a copy in memory, with and without O_DIRECT. */
static void check_random_access(unsigned flags)
{
	struct error err = {0};
	uint8_t *shadow = malloc(IMAGE_BYTES), *b = malloc(IMAGE_BYTES + 64);
	unsigned seed = 12345, fds = count_fds();
	struct disk *d;

	assert_int_equal(disk_open_file(image, flags | DISK_WRITE, 0, &d, &err), 0);
	assert_int_equal(d->size_bytes, IMAGE_BYTES);
	assert_string_equal(d->identity.bus, "file");
	assert_int_equal(disk_read(d, shadow, IMAGE_BYTES, 0, &err), 0);
	for (unsigned round = 0; round < 400; round++) {
		uint64_t offset = (uint64_t)rand_r(&seed) % IMAGE_BYTES;
		size_t len = (size_t)rand_r(&seed) % (round % 5 ? 20000 : 2500000);
		uint8_t *at = b + rand_r(&seed) % 64;

		if (round & 1) { /* aligned as direct requests want it */
			offset &= ~(uint64_t)511;
			len &= ~(size_t)511;
			at = round & 2 ? at : (uint8_t *)(((uintptr_t)b + 63) & ~(uintptr_t)63);
		}
		if (len > IMAGE_BYTES - offset)
			len = IMAGE_BYTES - offset;
		if (round % 3 == 0) {
			memset(at, (int)round, len);
			assert_int_equal(disk_write(d, at, len, offset, &err), 0);
			memcpy(shadow + offset, at, len);
		} else {
			assert_int_equal(disk_read(d, at, len, offset, &err), 0);
			assert_memory_equal(at, shadow + offset, len);
		}
		if (round % 50 == 0)
			disk_drop_cache(d, offset, len);
	}
	assert_int_equal(disk_flush(d, &err), 0);
	disk_drop_cache(d, 0, d->size_bytes);
	assert_int_equal(disk_read(d, b, IMAGE_BYTES, 0, &err), 0);
	assert_memory_equal(b, shadow, IMAGE_BYTES);
	disk_close(d);
	assert_int_equal(count_fds(), fds);
	free(shadow);
	free(b);
}

static void test_file_buffered(void **state)
{
	check_random_access(0);
}

static void test_file_direct(void **state)
{
	check_random_access(DISK_DIRECT);
}

static void test_file_discard(void **state)
{
	struct error err = {0};
	struct stat before, after;
	uint8_t b[512];
	struct disk *d;

	assert_int_equal(disk_open_file(image, DISK_WRITE, 0, &d, &err), 0);
	memset(b, 7, sizeof b);
	assert_int_equal(disk_write(d, b, sizeof b, 512, &err), 0);
	assert_int_equal(disk_write(d, b, sizeof b, 2 << 20, &err), 0);
	assert_int_equal(stat(image, &before), 0);
	assert_int_equal(disk_discard(d, 1000, (2 << 20) - 1000, &err), 0);
	assert_int_equal(stat(image, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	/* What lies outside, or in a sector that is hit only partly, stays. */
	assert_int_equal(disk_read(d, b, sizeof b, 512, &err), 0);
	assert_int_equal(b[0], 7);
	assert_int_equal(b[511], 7);
	assert_int_equal(disk_read(d, b, sizeof b, 2 << 20, &err), 0);
	assert_int_equal(b[0], 7);
	disk_close(d);
}

static void test_file_open_errors(void **state)
{
	struct error err = {0};
	char path[128];
	struct disk *d;
	unsigned fds = count_fds();

	snprintf(path, sizeof path, "%s/missing", folder);
	assert_int_equal(disk_open_file(path, DISK_WRITE, 0, &d, &err), -ENOENT);
	assert_int_equal(access(path, F_OK), -1);
	assert_null(d);
	assert_int_equal(disk_open_file(folder, 0, 0, &d, &err), -EINVAL);
	assert_int_equal(disk_open_file("/dev/null", 0, 0, &d, &err), -EINVAL);
	assert_int_equal(disk_open_file(image, 0, 1000, &d, &err), -EINVAL);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(disk_open_file(path, 0, 0, &d, &err), -EINVAL);
	assert_non_null(strstr(err.text, "size 0"));
	unlink(path);
	assert_int_equal(count_fds(), fds);
}

static void test_file_read_only(void **state)
{
	struct error err = {0};
	struct disk *d;

	assert_int_equal(disk_open_file(image, 0, 4096, &d, &err), 0);
	assert_int_equal(d->sector_bytes, 4096);
	assert_int_equal(disk_write(d, "x", 1, 0, &err), -EROFS);
	assert_int_not_equal(d->ops->write(d, "x", 1, 0, &err), 0);
	disk_close(d);
}

static void test_file_cut_meanwhile(void **state)
{
	struct error err = {0};
	struct disk *d;
	uint8_t b[100];

	assert_int_equal(disk_open_file(image, 0, 0, &d, &err), 0);
	assert_int_equal(truncate(image, 1000), 0);
	assert_int_equal(disk_read(d, b, 100, 950, &err), -EIO);
	disk_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_bytes_are_read_only),
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_fault_ranges),
		cmocka_unit_test(test_fault_counts),
		cmocka_unit_test(test_file_buffered),
		cmocka_unit_test(test_file_direct),
		cmocka_unit_test(test_file_discard),
		cmocka_unit_test(test_file_open_errors),
		cmocka_unit_test(test_file_read_only),
		cmocka_unit_test(test_file_cut_meanwhile), /* last: it spoils the image */
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
