/* The FAT reader on volumes made byte by byte: exact maps of all three types, and every lie ends in a refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fs/fs.h"

#define SECTOR 512u
#define FREE 0u
#define BAD 0x0ffffff7u
#define LAST 0x0fffffffu

/*
 * What stands on every volume: cluster 2 is the root folder of FAT32, else the file A; 3 is the folder SUB, whose file
 * C goes through 5, 7 and 6; 8 is bad; the last cluster is the file B; half a cluster follows it.
 */
struct volume {
	unsigned bits;
	uint32_t unit, clusters; /* unit: bytes of a cluster */
	uint8_t *image;
	size_t len;
	size_t fat_at, fat_bytes, root_at, data_at;
	struct extents used;
	struct fs_info info;
	struct error err;
};

static uint32_t last_of(const struct volume *v)
{
	return v->clusters + 1;
}

static size_t cluster_at(const struct volume *v, uint32_t n)
{
	return v->data_at + (size_t)(n - 2) * v->unit;
}

/* One entry of one copy of the table; all 32 bits of FAT32. */
static void set_in(struct volume *v, unsigned copy, uint32_t n, uint32_t value)
{
	uint8_t *table = v->image + v->fat_at + copy * v->fat_bytes, *p = table + n + n / 2;
	unsigned shift = n & 1 ? 4 : 0;

	if (v->bits == 32)
		bytes_put_le32(table + 4 * (size_t)n, value);
	else if (v->bits == 16)
		bytes_put_le16(table + 2 * (size_t)n, (uint16_t)value);
	else
		bytes_put_le16(p, (uint16_t)((bytes_le16(p) & ~(0xfffu << shift)) | (value & 0xfff) << shift));
}

static void set(struct volume *v, uint32_t n, uint32_t value)
{
	set_in(v, 0, n, value);
	set_in(v, 1, n, value);
}

/* Entry n of the folder at this byte. */
static uint8_t *entry(struct volume *v, size_t folder, unsigned n, const char *name, uint8_t attributes,
		      uint32_t cluster)
{
	uint8_t *e = v->image + folder + 32 * (size_t)n;

	memcpy(e, name, 11);
	e[11] = attributes;
	bytes_put_le16(e + 20, (uint16_t)(v->bits == 32 ? cluster >> 16 : 0x77)); /* no cluster number elsewhere */
	bytes_put_le16(e + 26, (uint16_t)cluster);
	return e;
}

static void make_boot(struct volume *v, uint32_t reserved, uint32_t sectors)
{
	uint8_t *b = v->image, *extra = b + (v->bits == 32 ? 64 : 36);

	b[0] = 0xeb;
	bytes_put_le16(b + 11, SECTOR);
	b[13] = (uint8_t)(v->unit / SECTOR);
	bytes_put_le16(b + 14, (uint16_t)reserved);
	b[16] = 2;
	bytes_put_le16(b + 17, v->bits == 32 ? 0 : 16);
	b[21] = 0xf8;
	bytes_put_le32(b + 32, sectors);
	if (v->bits == 32) {
		bytes_put_le32(b + 36, (uint32_t)(v->fat_bytes / SECTOR));
		bytes_put_le32(b + 44, 2);
	} else {
		bytes_put_le16(b + 22, (uint16_t)(v->fat_bytes / SECTOR));
	}
	extra[2] = 0x29;
	bytes_put_le32(extra + 3, 0x1234abcd);
	memcpy(extra + 7, "IN BOOT    ", 11);
	b[510] = 0x55;
	b[511] = 0xaa;
}

static struct volume make_units(unsigned bits, uint32_t clusters, uint32_t unit)
{
	struct volume v = {.bits = bits, .unit = unit, .clusters = clusters};
	uint32_t reserved = bits == 32 ? 8 : 1;
	size_t folder;

	v.fat_at = reserved * SECTOR;
	v.fat_bytes = ((clusters + 2) * (size_t)bits / 8 + SECTOR) / SECTOR * SECTOR;
	v.root_at = v.fat_at + 2 * v.fat_bytes;
	v.data_at = v.root_at + (bits == 32 ? 0 : SECTOR);
	v.len = v.data_at + (size_t)clusters * unit + unit / 2 / SECTOR * SECTOR;
	v.image = calloc(1, v.len);
	assert_non_null(v.image);
	make_boot(&v, reserved, (uint32_t)(v.len / SECTOR));
	set(&v, 0, 0x0ffffff8);
	set(&v, 1, LAST);
	set(&v, 2, LAST);
	set(&v, 3, LAST);
	set(&v, 5, 7);
	set(&v, 7, 6);
	set(&v, 6, LAST);
	set(&v, 8, BAD);
	set(&v, last_of(&v), LAST);
	folder = bits == 32 ? v.data_at : v.root_at;
	entry(&v, folder, 0, "IN THE ROOT", 0x08, 0);
	entry(&v, folder, 1, "SUB        ", 0x10, 3);
	entry(&v, folder, 2, "B          ", 0, last_of(&v));
	entry(&v, folder, 3, "\xe5GONE      ", 0, 9);
	if (bits != 32)
		entry(&v, folder, 4, "A          ", 0, 2);
	entry(&v, cluster_at(&v, 3), 0, ".          ", 0x10, 3);
	entry(&v, cluster_at(&v, 3), 1, "..         ", 0x10, 0);
	entry(&v, cluster_at(&v, 3), 2, "C          ", 0, 5);
	entry(&v, cluster_at(&v, 3), 4, "BEHIND END ", 0, 9);
	return v;
}

static struct volume make(unsigned bits)
{
	return make_units(bits, bits == 16 ? 4100 : 200, 1024);
}

static void done(struct volume *v)
{
	extents_free(&v->used);
	free(v->image);
}

static int map_with(struct volume *v, const struct disk_faults *faults)
{
	struct fs_view view = {.length = v->len};
	struct disk *bytes;
	int rc;

	assert_int_equal(disk_open_bytes(v->image, v->len, SECTOR, &bytes, NULL), 0);
	view.disk = bytes;
	if (faults)
		assert_int_equal(disk_wrap_faults(bytes, faults, &view.disk, NULL), 0);
	error_clear(&v->err);
	extents_free(&v->used);
	rc = fs_used_map(&view, &v->used, &v->info, &v->err);
	assert_int_equal(rc, v->err.code);
	disk_close(view.disk);
	return rc;
}

/* Maps; the code must be this, and the reason must hold these words. */
static void expect(struct volume *v, int code, const char *words)
{
	int rc = map_with(v, NULL);

	if (rc != code || !strstr(v->err.text, words))
		fail_msg("FAT%u: %d instead of %d, \"%s\" instead of \"%s\"", v->bits, rc, code, v->err.text, words);
}

static void refuse(struct volume *v, const char *words)
{
	expect(v, -ERR_FORMAT, words);
	done(v);
}

static void expect_plain_map(struct volume *v)
{
	const struct extent want[] = {{0, cluster_at(v, 4)},
				      {cluster_at(v, 5), 3 * v->unit},
				      {cluster_at(v, last_of(v)), v->unit + v->unit / 2}};

	expect(v, 0, "");
	assert_int_equal(v->used.n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(v->used.at[i].offset, want[i].offset);
		assert_int_equal(v->used.at[i].length, want[i].length);
	}
}

static const unsigned types[] = {12, 16, 32};

static void test_plain(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		struct volume v = make(types[i]);
		char kind[8];

		expect_plain_map(&v);
		snprintf(kind, sizeof kind, "fat%u", types[i]);
		assert_string_equal(v.info.kind, kind);
		assert_string_equal(v.info.label, "IN THE ROOT");
		assert_string_equal(v.info.uuid, "1234-ABCD");
		assert_string_equal(v.info.note, "Clusters that are marked bad were left out.");
		assert_int_equal(v.info.cluster_bytes, 1024);
		assert_int_equal(v.info.cluster_offset, v.data_at);
		assert_int_equal(v.info.size_bytes, v.len);
		assert_int_equal(v.info.metadata_bytes, v.data_at + 512 + (types[i] == 32 ? 2048 : 1024));
		done(&v);
	}
}

/* The upper four bits of an entry of FAT32 belong to nobody. */
static void test_reserved_bits(void **state)
{
	struct volume v = make(32);

	set(&v, 4, 0xf0000000);
	set(&v, 5, 0xa0000007);
	set(&v, 6, 0x5fffffff);
	set(&v, 8, 0x1ffffff7);
	set(&v, 9, 0x10000000);
	expect_plain_map(&v);
	set(&v, 0, 0x1ffffff8); /* but a table of FAT16 would have something there */
	refuse(&v, "does not begin as");
}

static void test_types_change_by_clusters(void **state)
{
	static const struct {
		uint32_t clusters;
		unsigned bits, code;
	} cases[] = {{4084, 12, 0}, {4085, 16, 0}, {65524, 16, 0}, {65525, 16, 1}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct volume v = make_units(cases[i].bits, cases[i].clusters, 512);

		expect(&v, cases[i].code ? -ERR_FORMAT : 0, cases[i].code ? "boot sector of a smaller one" : "");
		assert_int_equal(v.info.kind[3], cases[i].code ? '3' : '1');
		assert_int_equal(v.info.kind[4], cases[i].bits == 12 || cases[i].code ? '2' : '6');
		done(&v);
	}
}

/* A volume that was not unmounted is mapped, and the note says so. */
static void test_notes(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		struct volume v = make(types[i]);

		set(&v, 8, FREE);
		expect(&v, 0, "");
		assert_string_equal(v.info.note, "");
		v.image[types[i] == 32 ? 65 : 37] = 1;
		expect(&v, 0, "");
		assert_non_null(strstr(v.info.note, "marked dirty"));
		v.image[types[i] == 32 ? 65 : 37] = 0;
		if (types[i] != 12) {
			set(&v, 1, types[i] == 32 ? 0x07ffffff : 0x7fff);
			expect(&v, 0, "");
			assert_non_null(strstr(v.info.note, "marked dirty"));
			assert_null(strstr(v.info.note, "disk errors"));
			set(&v, 1, types[i] == 32 ? 0x0bffffff : 0xbfff);
			expect(&v, 0, "");
			assert_null(strstr(v.info.note, "marked dirty"));
			assert_non_null(strstr(v.info.note, "disk errors"));
		}
		done(&v);
	}
}

static void test_tables_that_lie(void **state)
{
	const struct {
		uint32_t n, value, n2, value2;
		const char *words;
	} cases[] = {
		{0, 0x0fffff00, 0, 0x0fffff00, "does not begin as"},
		{20, 1, 20, 1, "the successor 1, which does not exist"},
		{20, 0x0ffffff0, 20, 0x0ffffff0, "does not exist"},
		{20, 21, 20, 21, "leads to cluster 21, which is free or bad"},
		{20, 8, 20, 8, "leads to cluster 8, which is free or bad"},
		{20, 5, 20, 5, "two files share cluster 5"},
		{20, 7, 20, 7, "two chains of clusters meet in cluster 7"},
		{20, 22, 21, 22, "two chains of clusters meet in cluster 22"},
		{3, 3, 3, 3, "share cluster 3"}, /* a folder that never ends */
		{6, 5, 6, 5, "share cluster 5"},
		{5, FREE, 5, FREE, "begins in cluster 5, which is not in use"},
		{3, BAD, 3, BAD, "begins in cluster 3, which is not in use"},
	};

	for (size_t t = 0; t < 3; t++) {
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			struct volume v = make(types[t]);

			set(&v, cases[i].n, cases[i].value);
			set(&v, cases[i].n2, cases[i].value2);
			refuse(&v, cases[i].words);
		}
	}
}

/* The last cluster is a successor like any other, and the number behind it is none. */
static void test_borders(void **state)
{
	for (size_t t = 0; t < 3; t++) {
		struct volume v = make(types[t]);

		entry(&v, types[t] == 32 ? v.data_at : v.root_at, 2, "B          ", 0, 20);
		set(&v, 20, last_of(&v));
		expect(&v, 0, "");
		assert_int_equal(v.info.used_bytes, extents_total(&v.used));
		set(&v, last_of(&v), last_of(&v) + 1);
		expect(&v, -ERR_FORMAT, "does not exist");
		set(&v, last_of(&v), FREE);
		expect(&v, -ERR_FORMAT, "free or bad");
		set(&v, 20, LAST);
		set(&v, last_of(&v) + 1, 20); /* an entry of no cluster does not matter */
		expect(&v, 0, "");
		done(&v);
	}
}

static void test_copies_must_agree(void **state)
{
	for (size_t t = 0; t < 3; t++) {
		struct volume v = make(types[t]);

		set_in(&v, 1, 30, LAST);
		refuse(&v, "copies of the allocation table differ");
	}
}

static void test_folders_that_lie(void **state)
{
	for (size_t t = 0; t < 3; t++) {
		struct volume v = make(types[t]);
		size_t root = types[t] == 32 ? v.data_at : v.root_at;

		entry(&v, root, 5, "TWICE      ", 0, 5);
		expect(&v, types[t] == 32 ? 0 : -ERR_FORMAT, types[t] == 32 ? "" : "two files share cluster 5");
		entry(&v, root, 4, "HERE TOO   ", 0, 5); /* where FAT32 has its end mark */
		expect(&v, -ERR_FORMAT, "two files share cluster 5");
		entry(&v, root, 4, "FREE       ", 0, 10);
		expect(&v, -ERR_FORMAT, "begins in cluster 10, which is not in use");
		entry(&v, root, 4, "BEYOND     ", 0, last_of(&v) + 1);
		expect(&v, -ERR_FORMAT, "which is not in use");
		entry(&v, root, 4, "EMPTY      ", 0, 0);
		entry(&v, root, 5, "EMPTY TOO  ", 0, 0);
		expect(&v, 0, "");
		entry(&v, root, 4, "A PIECE    ", 0x0f, 10); /* of a long name */
		expect(&v, 0, "");
		/* FAT32 has two more bytes of the cluster's number. */
		bytes_put_le16(entry(&v, root, 4, "UPPER HALF ", 0, 0) + 20, 1);
		expect(&v, types[t] == 32 ? -ERR_FORMAT : 0, types[t] == 32 ? "begins in cluster 65536" : "");
		done(&v);
	}
}

static void test_boot_sectors(void **state)
{
	static const struct {
		unsigned type, at, bytes;
		uint32_t value;
		int code;
		const char *words;
	} cases[] = {
		{16, 510, 2, 0, -ENOENT, "no reader"},
		{16, 0, 1, 0x33, -ENOENT, "no reader"},
		{16, 11, 2, 513, -ENOENT, "no reader"},
		{16, 13, 1, 3, -ENOENT, "no reader"},
		{16, 14, 2, 0, -ENOENT, "no reader"},
		{16, 16, 1, 0, -ENOENT, "no reader"},
		{16, 21, 1, 1, -ENOENT, "no reader"},
		{16, 22, 2, 16, -ERR_FORMAT, "too small for"},
		{16, 17, 2, 0, -ERR_FORMAT, "no root folder"},
		{16, 32, 4, UINT32_MAX, -ERR_FORMAT, "its region has"},
		{16, 32, 4, 36, -ERR_FORMAT, "no clusters"},
		{16, 14, 2, UINT16_MAX, -ERR_FORMAT, "no clusters"},
		{32, 36, 4, UINT32_MAX, -ERR_FORMAT, "no clusters"},
		{32, 42, 2, 1, -ERR_FORMAT, "makes no sense"},
		{32, 44, 4, 0, -ERR_FORMAT, "makes no sense"},
		{32, 44, 4, 202, -ERR_FORMAT, "makes no sense"},
		{32, 44, 4, 201, -ERR_FORMAT, "begins in cluster"}, /* a file's content is no folder */
		{32, 17, 2, 16, -ERR_FORMAT, "makes no sense"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct volume v = make(cases[i].type);

		memset(v.image + cluster_at(&v, last_of(&v)), 0x21, v.unit);
		for (unsigned n = 0; n < cases[i].bytes; n++)
			v.image[cases[i].at + n] = (uint8_t)(cases[i].value >> 8 * n);
		expect(&v, cases[i].code, cases[i].words);
		done(&v);
	}
}

static void test_broken_disk(void **state)
{
	for (size_t t = 0; t < 3; t++) {
		struct volume v = make(types[t]);
		int failed = 0;

		for (uint64_t n = 1; n < 40; n++) {
			const struct disk_faults broken = {.fail_nth_read = n};
			int rc = map_with(&v, &broken);

			assert_true(rc == 0 || rc == -EIO || rc == -ENOENT);
			assert_true(rc == 0 || v.used.n == 0);
			failed += rc == -EIO;
		}
		assert_true(failed > 3);
		done(&v);
	}
}

/* Cut anywhere: no map, and no reading beyond the end (a sanitizer would tell). */
static void test_cut_short(void **state)
{
	for (size_t t = 0; t < 3; t++) {
		struct volume v = make(types[t]);
		uint8_t *whole = v.image;
		size_t len = v.len;

		for (v.len = 1; v.len < len; v.len += v.len < 2048 ? 97 : 7919) {
			v.image = malloc(v.len);
			assert_non_null(v.image);
			memcpy(v.image, whole, v.len);
			assert_int_not_equal(map_with(&v, NULL), 0);
			free(v.image);
		}
		v.image = whole;
		done(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_reserved_bits),
		cmocka_unit_test(test_types_change_by_clusters),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_tables_that_lie),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_copies_must_agree),
		cmocka_unit_test(test_folders_that_lie),
		cmocka_unit_test(test_boot_sectors),
		cmocka_unit_test(test_broken_disk),
		cmocka_unit_test(test_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
