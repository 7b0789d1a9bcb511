/* The choke point above the readers: bounds of reads, and every way in which a reader's map can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "fs/fs.h"

#define REGION 65536u

/* What the made-up reader says. */
struct script {
	struct fs_info info;
	struct extent extents[4];
	size_t n, at;
	int open_code, last_code;
};

static struct script script;
static int closed;

static int script_probe(const struct fs_view *v)
{
	return 1;
}

static int script_open(const struct fs_view *v, void **fs, struct fs_info *info, struct error *err)
{
	*info = script.info;
	script.at = 0;
	*fs = &script;
	if (script.open_code == 0)
		error_set(err, -EIO, "something was tried and went wrong");
	return script.open_code ? error_set(err, script.open_code, "made up") : 0;
}

static int script_next(void *fs, struct extent *e, struct error *err)
{
	if (script.at == script.n)
		return script.last_code ? error_set(err, script.last_code, "made up") : 0;
	*e = script.extents[script.at++];
	return 1;
}

static void script_close(void *fs)
{
	closed++;
}

static const struct fs_reader reader = {
	.name = "script", .probe = script_probe, .open = script_open, .next_used = script_next, .close = script_close};

static struct script good(void)
{
	return (struct script){
		.info = {.cluster_bytes = 512, .size_bytes = REGION, .used_bytes = 2048, .metadata_bytes = 512},
		.extents = {{0, 512}, {512, 512}, {REGION - 1024, 1024}},
		.n = 3,
	};
}

static int map(struct extents *used)
{
	struct fs_view view = {.start = 4096, .length = REGION};
	struct error err = {0};
	struct fs_info info;
	int rc;

	assert_int_equal(disk_open_memory(REGION + 8192, 512, &view.disk, NULL), 0);
	closed = 0;
	rc = fs_used_map_by(&reader, &view, used, &info, &err);
	assert_int_equal(closed, script.open_code ? 0 : 1);
	assert_int_equal(err.code, rc);
	assert_string_equal(info.kind, "script");
	if (rc)
		assert_int_equal(used->n, 0);
	disk_close(view.disk);
	return rc;
}

static void test_good_map(void **state)
{
	struct extents used;

	script = good();
	assert_int_equal(map(&used), 0);
	assert_int_equal(used.n, 2); /* the first two touch */
	assert_int_equal(used.at[0].length, 1024);
	extents_free(&used);
}

static void test_bad_maps(void **state)
{
	struct extents used;

#define BAD(change, code)                                                                                              \
	do {                                                                                                           \
		script = good();                                                                                       \
		change;                                                                                                \
		assert_int_equal(map(&used), code);                                                                    \
	} while (0)
	BAD(script.extents[1].offset = 511, -ERR_FORMAT);
	BAD(script.extents[1].length = 0, -ERR_FORMAT);
	BAD(script.extents[2].offset += 512, -ERR_FORMAT);
	BAD(script.extents[2].length = UINT64_MAX, -ERR_FORMAT);
	BAD(script.extents[2].offset = UINT64_MAX - 100, -ERR_FORMAT);
	BAD(script.extents[2].offset = 100, -ERR_FORMAT);
	BAD(script.extents[0].offset = 4096, -ERR_FORMAT); /* only the order is wrong */
	BAD(script.n = 2, -ERR_FORMAT);
	BAD(script.info.used_bytes++, -ERR_FORMAT);
	BAD(script.info.metadata_bytes = 2049, -ERR_FORMAT);
	BAD(script.info.cluster_bytes = 0, -ERR_FORMAT);
	BAD(script.info.cluster_bytes = 256, -ERR_FORMAT);
	BAD(script.info.cluster_bytes = 768, -ERR_FORMAT);
	BAD(script.info.cluster_bytes = 4 << 20, -ERR_FORMAT);
	BAD(script.info.size_bytes = REGION + 1, -ERR_FORMAT);
	BAD(script.info.cluster_offset = REGION + 1, -ERR_FORMAT);
	BAD(script.open_code = -EIO, -EIO);
	BAD(script.last_code = -EIO, -EIO);
	BAD(script.last_code = -ERR_FORMAT, -ERR_FORMAT);
#undef BAD
}

static void test_view_read(void **state)
{
	struct fs_view view = {.start = 1024, .length = 2048};
	uint8_t buf[4096];

	assert_int_equal(disk_open_memory(8192, 512, &view.disk, NULL), 0);
	assert_int_equal(disk_write(view.disk, "here", 4, 1024, NULL), 0);
	assert_int_equal(fs_view_read(&view, buf, 4, 0, NULL), 0);
	assert_memory_equal(buf, "here", 4);
	assert_int_equal(fs_view_read(&view, buf, 2048, 0, NULL), 0);
	assert_int_equal(fs_view_read(&view, buf, 0, 2048, NULL), 0);
	assert_int_equal(fs_view_read(&view, buf, 2049, 0, NULL), -ERANGE);
	assert_int_equal(fs_view_read(&view, buf, 1, 2048, NULL), -ERANGE);
	assert_int_equal(fs_view_read(&view, buf, 2, 2047, NULL), -ERANGE);
	assert_int_equal(fs_view_read(&view, buf, 1, UINT64_MAX, NULL), -ERANGE);
	view.length = UINT64_MAX;
	assert_int_equal(fs_view_read(&view, buf, 1, UINT64_MAX - 100, NULL), -ERANGE);
	disk_close(view.disk);
}

static void test_nobody_knows(void **state)
{
	struct fs_view view = {.length = REGION};
	struct error err = {0};
	struct extents used;
	struct fs_info info;

	assert_int_equal(disk_open_memory(REGION, 512, &view.disk, NULL), 0);
	assert_null(fs_probe(&view));
	assert_int_equal(fs_used_map(&view, &used, &info, &err), -ENOENT);
	assert_string_equal(info.kind, "");
	view.length = 0;
	assert_int_equal(fs_used_map(&view, &used, &info, &err), -ENOENT);
	disk_close(view.disk);
}

/* Two readers that both know the region: what is left of one file system in another. */
static void test_two_know(void **state)
{
	static const uint8_t fat[] = {0xeb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 1, 0, 2, 0, 2, 0, 0, 0xf8, 1, 0},
			     end[] = {0x55, 0xaa}, ext[] = {0x53, 0xef};
	struct fs_view view = {.length = REGION};

	assert_int_equal(disk_open_memory(REGION, 512, &view.disk, NULL), 0);
	assert_int_equal(disk_write(view.disk, fat, sizeof fat, 0, NULL), 0);
	assert_int_equal(disk_write(view.disk, "\1", 1, 32, NULL), 0);
	assert_int_equal(disk_write(view.disk, end, 2, 510, NULL), 0);
	assert_string_equal(fs_probe(&view)->name, "fat");
	assert_int_equal(disk_write(view.disk, ext, 2, 1024 + 56, NULL), 0);
	assert_null(fs_probe(&view));
	assert_int_equal(disk_write(view.disk, "\0", 1, 0, NULL), 0);
	assert_string_equal(fs_probe(&view)->name, "ext");
	disk_close(view.disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_map),     cmocka_unit_test(test_bad_maps), cmocka_unit_test(test_view_read),
		cmocka_unit_test(test_nobody_knows), cmocka_unit_test(test_two_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
