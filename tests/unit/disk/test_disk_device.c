/* Block devices, on a loop device. Needs root and a free loop device; skipped otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "disk/disk.h"

#define IMAGE_BYTES (8u << 20)

static char image[] = "/var/tmp/g4l-loop-XXXXXX";
static char device[32];
static int loop_fd = -1;

static int set_up_loop(void)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), file = mkstemp(image), n, off = 0;
	struct loop_config config = {.fd = (uint32_t)file, .block_size = 4096};

	if (control < 0 || file < 0 || ftruncate(file, IMAGE_BYTES) < 0)
		return -1;
	for (unsigned tries = 0; tries < 10 && loop_fd < 0; tries++) {
		n = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(device, sizeof device, "/dev/loop%d", n);
		loop_fd = n < 0 ? -1 : open(device, O_RDWR | O_CLOEXEC);
		if (loop_fd >= 0 && ioctl(loop_fd, LOOP_CONFIGURE, &config) < 0) {
			close(loop_fd); /* somebody was faster */
			loop_fd = -1;
		}
	}
	close(control);
	close(file);
	/* A loop device remembers what its last user set. */
	return loop_fd < 0 ? -1 : ioctl(loop_fd, BLKROSET, &off);
}

static void tear_down_loop(void)
{
	if (loop_fd >= 0)
		ioctl(loop_fd, LOOP_CLR_FD);
	unlink(image);
}

static int is_read_only(void)
{
	int ro = -1;

	assert_int_equal(ioctl(loop_fd, BLKROGET, &ro), 0);
	return ro;
}

static void test_read_only_while_open(void **state)
{
	struct error err = {0};
	struct disk *d;
	uint8_t b[4096];

	assert_int_equal(is_read_only(), 0);
	assert_int_equal(disk_open_file(device, 0, 0, &d, &err), 0);
	assert_int_equal(d->size_bytes, IMAGE_BYTES);
	assert_int_equal(d->sector_bytes, 4096);
	assert_int_equal(is_read_only(), 1);
	assert_int_equal(pwrite(loop_fd, "x", 1, 0), -1); /* nobody else gets to write either */
	assert_int_equal(errno, EPERM);
	assert_int_equal(disk_read(d, b, sizeof b, IMAGE_BYTES - sizeof b, &err), 0);
	disk_close(d);
	assert_int_equal(is_read_only(), 0);
}

static void test_found_read_only(void **state)
{
	struct error err = {0};
	struct disk *d;
	int on = 1, off = 0;

	assert_int_equal(ioctl(loop_fd, BLKROSET, &on), 0);
	assert_int_equal(disk_open_file(device, DISK_WRITE, 0, &d, &err), -EROFS);
	assert_int_equal(disk_open_file(device, 0, 0, &d, &err), 0);
	disk_close(d);
	assert_int_equal(is_read_only(), 1); /* as it was found */
	assert_int_equal(ioctl(loop_fd, BLKROSET, &off), 0);
}

static void test_in_use(void **state)
{
	struct error err = {0};
	struct disk *d;
	int claim = open(device, O_RDWR | O_EXCL | O_CLOEXEC);

	assert_true(claim >= 0);
	assert_int_equal(disk_open_file(device, DISK_WRITE | DISK_EXCLUSIVE, 0, &d, &err), -EBUSY);
	assert_non_null(strstr(err.text, "in use"));
	assert_int_equal(disk_open_file(device, DISK_EXCLUSIVE, 0, &d, &err), -EBUSY);
	assert_int_equal(is_read_only(), 0);
	/* Reading what is in use must not take the right to write away from its user. */
	assert_int_equal(disk_open_file(device, 0, 0, &d, &err), 0);
	assert_int_equal(is_read_only(), 0);
	disk_close(d);
	close(claim);
	assert_int_equal(disk_open_file(device, DISK_WRITE | DISK_EXCLUSIVE, 0, &d, &err), 0);
	assert_int_equal(open(device, O_RDWR | O_EXCL), -1);
	disk_close(d);
}

static void test_direct(void **state)
{
	struct error err = {0};
	uint8_t *shadow = calloc(1, IMAGE_BYTES), *b = malloc(IMAGE_BYTES);
	unsigned seed = 99;
	struct disk *d;

	assert_int_equal(disk_open_file(device, DISK_WRITE | DISK_DIRECT, 0, &d, &err), 0);
	for (unsigned round = 0; round < 200; round++) {
		unsigned grain = round % 4 == 0 ? 1 : round % 4 == 1 ? 512 : 4096;
		uint64_t offset = (uint64_t)rand_r(&seed) % (IMAGE_BYTES / grain) * grain;
		size_t len = (size_t)rand_r(&seed) % (100000 / grain + 1) * grain;

		if (len > IMAGE_BYTES - offset)
			len = IMAGE_BYTES - offset;
		memset(b, (int)round + 1, len);
		memcpy(shadow + offset, b, len);
		assert_int_equal(disk_write(d, b, len, offset, &err), 0);
	}
	assert_int_equal(disk_flush(d, &err), 0);
	disk_drop_cache(d, 0, IMAGE_BYTES);
	assert_int_equal(disk_read(d, b, IMAGE_BYTES, 0, &err), 0);
	assert_memory_equal(b, shadow, IMAGE_BYTES);
	assert_int_equal(disk_discard(d, 0, IMAGE_BYTES, &err), 0);
	disk_close(d);
	free(shadow);
	free(b);
}

static void test_sector_size_is_the_devices(void **state)
{
	struct error err = {0};
	struct disk *d;

	assert_int_equal(disk_open_file(device, 0, 512, &d, &err), -EINVAL);
	assert_int_equal(is_read_only(), 0);
	assert_int_equal(disk_open_file(device, 0, 4096, &d, &err), 0);
	disk_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_only_while_open),
		cmocka_unit_test(test_found_read_only),
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_sector_size_is_the_devices),
	};
	int rc;

	if (set_up_loop() < 0) {
		tear_down_loop();
		puts("no loop device to be had, skipped");
		return 77;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	tear_down_loop();
	return rc;
}
