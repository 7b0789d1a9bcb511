/*
 * The ext reader on two small volumes that mke2fs makes, one without checksums, with single fields of its superblock
 * and descriptors changed: each lie ends in a refusal. Whole volumes of all kinds are in tests/images.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "fs/fs.h"

#define SUPER 1024u
#define DESCRIPTORS 2048u
#define IMAGE_MAX (16u << 20)

/* 3 groups of 256 blocks of 1 KiB, no journal; the second volume with checksums. */
static struct buf image, checked;

static int make_one(const char *options, struct buf *to)
{
	char path[] = "/tmp/g4l-test-ext.XXXXXX", command[300];
	int fd = mkstemp(path), rc;

	if (fd < 0)
		return -1;
	snprintf(command, sizeof command, "PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F %s -b 1024 -g 256 -N 64 %s 700 >&2",
		 options, path);
	rc = ftruncate(fd, 700 << 10) || system(command) || io_read_file(path, IMAGE_MAX, to, NULL) < 0;
	close(fd);
	unlink(path);
	return rc;
}

static int make_image(void **state)
{
	return make_one("-t ext2", &image) ||
	       make_one("-t ext4 -O ^has_journal,^resize_inode,^flex_bg,^64bit,metadata_csum", &checked);
}

static int free_image(void **state)
{
	buf_free(&image);
	buf_free(&checked);
	return 0;
}

static int map_bytes(const uint8_t *bytes, size_t len, const struct disk_faults *faults, struct fs_info *info,
		     struct error *err)
{
	struct fs_view view = {.length = len};
	struct extents used;
	struct disk *disk;
	int rc;

	assert_int_equal(disk_open_bytes(bytes, len, 512, &disk, NULL), 0);
	view.disk = disk;
	if (faults)
		assert_int_equal(disk_wrap_faults(disk, faults, &view.disk, NULL), 0);
	rc = fs_used_map(&view, &used, info, err);
	assert_int_equal(rc, err->code);
	assert_int_equal(rc ? 0 : info->used_bytes, extents_total(&used));
	extents_free(&used);
	disk_close(view.disk);
	return rc;
}

/* The volume with one field changed must give this code, and these words in the reason. */
static void expect_of(const struct buf *volume, size_t at, unsigned bytes, uint64_t value, int code, const char *words)
{
	uint8_t *copy = malloc(volume->len);
	struct error err = {0};
	struct fs_info info;
	int rc;

	assert_non_null(copy);
	memcpy(copy, volume->data, volume->len);
	for (unsigned i = 0; i < bytes; i++)
		copy[at + i] = (uint8_t)(value >> 8 * i);
	rc = map_bytes(copy, volume->len, NULL, &info, &err);
	free(copy);
	if (rc != code || !strstr(err.text, words))
		fail_msg("byte %zu: %d instead of %d, \"%s\" instead of \"%s\"", at, rc, code, err.text, words);
}

static void expect(size_t at, unsigned bytes, uint64_t value, int code, const char *words)
{
	expect_of(&image, at, bytes, value, code, words);
}

static void test_good(void **state)
{
	struct error err = {0};
	struct fs_info info;

	assert_int_equal(map_bytes(image.data, image.len, NULL, &info, &err), 0);
	assert_string_equal(info.kind, "ext2");
	assert_int_equal(info.cluster_bytes, 1024);
	assert_int_equal(info.size_bytes, 700 << 10);
	assert_true(info.metadata_bytes < info.used_bytes);
	assert_true(info.used_bytes < info.size_bytes / 2);
}

static void test_superblock(void **state)
{
	expect(SUPER + 56, 2, 0xef52, -ENOENT, "no reader");
	expect(SUPER + 24, 4, 7, -ERR_FORMAT, "block size code");
	expect(SUPER + 24, 4, UINT32_MAX, -ENOENT, "no reader");
	expect(SUPER + 24, 4, 1, -ERR_FORMAT, "in a region of");
	expect(SUPER + 4, 4, 701, -ERR_FORMAT, "in a region of");
	expect(SUPER + 4, 4, UINT32_MAX, -ERR_FORMAT, "in a region of");
	expect(SUPER + 4, 4, 0, -ERR_FORMAT, "in a region of");
	expect(SUPER + 20, 4, 0, -ERR_FORMAT, "begins at block 0");
	expect(SUPER + 20, 4, 2, -ERR_FORMAT, "begins at block 2");
	expect(SUPER + 32, 4, 0, -ERR_FORMAT, "groups of 0");
	expect(SUPER + 32, 4, 8, -ERR_FORMAT, "groups of 8");
	expect(SUPER + 32, 4, 260, -ERR_FORMAT, "groups of 260");
	expect(SUPER + 32, 4, 16384, -ERR_FORMAT, "groups of 16384");
	expect(SUPER + 40, 4, 0, -ERR_FORMAT, "");
	expect(SUPER + 40, 4, UINT32_MAX, -ERR_FORMAT, "");
	expect(SUPER + 58, 2, 0, -ERR_FORMAT, "not unmounted cleanly");
	expect(SUPER + 58, 2, 3, -ERR_FORMAT, "having errors");
	expect(SUPER + 96, 4, 0x6, -ERR_FORMAT, "needs recovery");
	expect(SUPER + 96, 4, 0x8, -ERR_FORMAT, "external journal");
	expect(SUPER + 96, 4, 0x80000000, -ERR_FORMAT, "");
	expect(SUPER + 100, 4, 0x80000000, -ERR_FORMAT, "newer than libext2fs");
	expect(SUPER + 12, 4, 17, -ERR_FORMAT, "but counts 17");
}

/* A journal that is somewhere else does not matter as long as nothing is to be replayed. */
static void test_external_journal(void **state)
{
	uint8_t *copy = malloc(image.len);
	struct error err = {0};
	struct fs_info info;

	assert_non_null(copy);
	memcpy(copy, image.data, image.len);
	copy[SUPER + 92] |= 4;
	bytes_put_le32(copy + SUPER + 228, 0x801);
	assert_int_equal(map_bytes(copy, image.len, NULL, &info, &err), 0);
	assert_string_equal(info.kind, "ext3");
	copy[SUPER + 96] |= 4;
	assert_int_equal(map_bytes(copy, image.len, NULL, &info, &err), -ERR_FORMAT);
	free(copy);
}

static void test_descriptors(void **state)
{
	for (unsigned field = 0; field < 12; field += 4) {
		expect(DESCRIPTORS + field, 4, 0, -ERR_FORMAT, "at block 0");
		expect(DESCRIPTORS + field, 4, 700, -ERR_FORMAT, "at block 700");
		expect(DESCRIPTORS + field, 4, UINT32_MAX, -ERR_FORMAT, "at block");
		expect(DESCRIPTORS + field, 4, 1, -ERR_FORMAT, "share blocks");
		expect(DESCRIPTORS + 32 + field, 4, 600, -ERR_FORMAT, "");
	}
	expect(DESCRIPTORS + 12, 2, 5, -ERR_FORMAT, "but counts 5");
	expect(DESCRIPTORS + 8, 4, 699, -ERR_FORMAT, "an inode table");
}

static void test_bitmaps(void **state)
{
	size_t at = bytes_le32(image.data + DESCRIPTORS + 32) * (size_t)1024; /* of the second group */

	expect(at, 1, image.data[at] & 0xfe, -ERR_FORMAT, "lacks its own structures");
	assert_int_equal(image.data[at + 31], 0); /* the group's last clusters are free */
	expect(at + 31, 1, 0x80, -ERR_FORMAT, "free clusters but counts");
	at = bytes_le32(image.data + DESCRIPTORS + 64) * (size_t)1024; /* the third group has 187 blocks */
	assert_int_equal(image.data[at + 23], 0xf8);
	expect(at + 23, 1, 0, 0, ""); /* bits beyond the end do not matter */
	expect(at + 23, 1, 0x04, -ERR_FORMAT, "free clusters but counts");
}

/* What nothing but a checksum can tell. */
static void test_checksums(void **state)
{
	const uint8_t *group = checked.data + DESCRIPTORS;
	size_t at = bytes_le32(group + 64) * (size_t)1024; /* the bitmap of the third group, which has 187 blocks */
	struct error err = {0};
	struct fs_info info;

	assert_int_equal(map_bytes(checked.data, checked.len, NULL, &info, &err), 0);
	assert_string_equal(info.kind, "ext4");
	expect_of(&checked, SUPER + 0x48, 1, 0x77, -ERR_FORMAT, "hecksum");
	for (unsigned n = 0; n < 3; n++) /* the count of folders, which nothing else is held against */
		expect_of(&checked, DESCRIPTORS + 32 * n + 16, 2, 9, -ERR_FORMAT, "hecksum");
	assert_int_equal(checked.data[at + 23], 0xf8);
	expect_of(&checked, at + 23, 1, 0, -ERR_FORMAT, "bitmap of group 2 of ext has a wrong checksum");
	/* The second group's bitmap was never written: what stands there does not matter. */
	assert_int_equal(bytes_le16(group + 32 + 18) & 2, 2);
	at = bytes_le32(group + 32) * (size_t)1024;
	expect_of(&checked, at, 8, UINT64_C(0x123456789abcdef0), 0, "");
}

static void test_broken_disk(void **state)
{
	int failed = 0;

	for (uint64_t n = 1; n < 60; n++) {
		const struct disk_faults broken = {.fail_nth_read = n};
		struct error err = {0};
		struct fs_info info;
		int rc = map_bytes(image.data, image.len, &broken, &info, &err);

		assert_true(rc == 0 || rc == -EIO || rc == -ENOENT);
		failed += rc == -EIO;
	}
	assert_true(failed > 5);
}

static void test_cut_short(void **state)
{
	for (size_t n = 1; n < image.len; n += n < 8192 ? 97 : 7919) {
		uint8_t *copy = malloc(n);
		struct error err = {0};
		struct fs_info info;

		assert_non_null(copy);
		memcpy(copy, image.data, n);
		assert_int_not_equal(map_bytes(copy, n, NULL, &info, &err), 0);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_superblock),
		cmocka_unit_test(test_external_journal),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_bitmaps),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_broken_disk),
		cmocka_unit_test(test_cut_short),
	};

	return cmocka_run_group_tests(tests, make_image, free_image);
}
