/* The NTFS reader on volumes made byte by byte: exact maps, files in pieces, and every lie ends in a refusal. */
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
#include "ntfs_make.h"

/* An image and what the reader says about it. */
struct run {
	uint8_t *image;
	size_t len;
	struct extents used;
	struct fs_info info;
	struct error err;
};

static const struct ntfs_make plain = {.cluster_bytes = 512, .sectors = 1024};
static const struct ntfs_make pieces = {
	.cluster_bytes = 512, .sectors = 8192, .mft_in_pieces = true, .bitmap_in_pieces = true};

static int map_with(struct run *r, const struct disk_faults *faults)
{
	struct fs_view view = {.length = r->len};
	struct disk *bytes;
	int rc;

	assert_int_equal(disk_open_bytes(r->image, r->len, 512, &bytes, NULL), 0);
	view.disk = bytes;
	if (faults)
		assert_int_equal(disk_wrap_faults(bytes, faults, &view.disk, NULL), 0);
	error_clear(&r->err);
	extents_free(&r->used);
	rc = fs_used_map(&view, &r->used, &r->info, &r->err);
	assert_int_equal(rc, r->err.code);
	disk_close(view.disk);
	return rc;
}

static int map(struct run *r)
{
	return map_with(r, NULL);
}

static struct run make(const struct ntfs_make *how)
{
	struct run r = {0};

	r.image = ntfs_make(how, &r.len);
	return r;
}

static void done(struct run *r)
{
	extents_free(&r->used);
	free(r->image);
}

/* Maps; the code must be this, and the reason must hold these words. */
static void expect(struct run *r, int code, const char *words)
{
	int rc = map(r);

	if (rc != code || (words && !strstr(r->err.text, words)))
		fail_msg("%d instead of %d, \"%s\" instead of \"%s\"", rc, code, r->err.text, words ? words : "");
	assert_string_equal(r->info.kind, code == -ENOENT ? "" : "ntfs");
}

static void expect_extents(const struct run *r, const struct extent *want, size_t n)
{
	for (size_t i = 0; i < n && i < r->used.n; i++) {
		if (r->used.at[i].offset != want[i].offset || r->used.at[i].length != want[i].length)
			fail_msg("extent %zu: %zu + %zu instead of %zu + %zu", i, (size_t)r->used.at[i].offset,
				 (size_t)r->used.at[i].length, (size_t)want[i].offset, (size_t)want[i].length);
	}
	assert_int_equal(r->used.n, n);
}

static void test_plain(void **state)
{
	const struct extent want[] = {{0, 8192},
				      {MAKE_MFT_AT, 32768},
				      {MAKE_MIRROR_AT, 4096},
				      {MAKE_LOG_AT, MAKE_LOG_BYTES},
				      {MAKE_BITMAP_AT, 512},
				      {MAKE_DATA_AT, 12288},
				      {1024 * 512, 512}};
	struct run r = make(&plain);

	expect(&r, 0, NULL);
	expect_extents(&r, want, sizeof want / sizeof *want);
	assert_string_equal(r.info.label, "Maß💾");
	assert_string_equal(r.info.uuid, "1122334455667788");
	assert_string_equal(r.info.note, "");
	assert_int_equal(r.info.cluster_bytes, 512);
	assert_int_equal(r.info.cluster_offset, 0);
	assert_int_equal(r.info.size_bytes, 1025 * 512);
	assert_int_equal(r.info.used_bytes, extents_total(&r.used));
	assert_int_equal(r.info.metadata_bytes, r.info.used_bytes - 12288);
	done(&r);
}

static void test_cluster_sizes(void **state)
{
	for (uint32_t unit = 512; unit <= 4096; unit *= 2) {
		struct ntfs_make how = {.cluster_bytes = unit, .sectors = 2055}; /* leaves a part of a cluster */
		struct run r = make(&how);
		const struct extent *last;

		expect(&r, 0, NULL);
		assert_int_equal(r.info.cluster_bytes, unit);
		last = &r.used.at[r.used.n - 1];
		assert_int_equal(last->offset, 2055 * 512 / unit * unit);
		assert_int_equal(last->offset + last->length, 2056 * 512);
		done(&r);
	}
}

/* The second half of $MFT through an attribute list, the second half of $Bitmap through a record in there. */
static void test_pieces(void **state)
{
	struct ntfs_make how = pieces;

	for (int outside = 0; outside < 2; outside++) {
		struct run r;

		how.list_outside = outside;
		r = make(&how);
		ntfs_make_mark(&how, r.image, 3 << 20, 1024, true);
		expect(&r, 0, NULL);
		assert_int_equal(r.used.at[r.used.n - 2].offset, 3 << 20);
		assert_int_equal(r.used.at[r.used.n - 2].length, 1024);
		assert_int_equal(r.info.metadata_bytes, r.info.used_bytes - 12288 - 1024);
		done(&r);
	}
}

static void test_bits_beyond_the_end(void **state)
{
	struct ntfs_make how = {.cluster_bytes = 512, .sectors = 1021};
	struct run r = make(&how);

	r.image[MAKE_BITMAP_AT + 127] |= 0xe0; /* clusters 1021 to 1023 are not there */
	r.image[MAKE_BITMAP_AT + 128] = 0xff;
	expect(&r, 0, NULL);
	assert_int_equal(r.used.at[r.used.n - 1].offset, 1021 * 512);
	assert_int_equal(r.used.at[r.used.n - 1].length, 512);
	r.image[MAKE_BITMAP_AT + 127] |= 0x10; /* the last one */
	expect(&r, 0, NULL);
	assert_int_equal(r.used.at[r.used.n - 1].offset, 1020 * 512);
	assert_int_equal(r.used.at[r.used.n - 1].length, 1024);
	done(&r);
}

static void test_initialised_size(void **state)
{
	struct ntfs_make how = plain;
	struct run r;

	how.bitmap_initialised = 100; /* clusters 0 to 799: all of the system files, and the data */
	r = make(&how);
	ntfs_make_mark(&how, r.image, 810 * 512, 512, true); /* in bytes that were never written */
	expect(&r, 0, NULL);
	assert_int_equal(r.used.at[r.used.n - 1].offset, 1024 * 512);
	assert_int_equal(r.used.at[r.used.n - 2].offset, MAKE_DATA_AT);
	done(&r);
	how.bitmap_initialised = 10;
	r = make(&how);
	expect(&r, -ERR_FORMAT, "lacks a system file's clusters");
	done(&r);
	how.bitmap_initialised = 127;
	r = make(&how);
	bytes_put_le64(r.image + ntfs_make_record_at(&how, 6) + 56 + 48, 127);
	expect(&r, -ERR_FORMAT, "has 127 bytes for 1024 clusters");
	done(&r);
	how.sectors = 1021; /* the last byte stands for five clusters only */
	r = make(&how);
	bytes_put_le64(r.image + ntfs_make_record_at(&how, 6) + 56 + 48, 127);
	expect(&r, -ERR_FORMAT, "has 127 bytes for 1021 clusters");
	done(&r);
}

/* A bitmap of 66 KiB: more than is held in memory at once. */
static void test_long_bitmap(void **state)
{
	struct ntfs_make how = {.cluster_bytes = 512, .sectors = 66 * 1024 * 8};
	const uint64_t at = 530000 * UINT64_C(512);
	struct run r = make(&how);

	ntfs_make_mark(&how, r.image, at, 1024, true);
	expect(&r, 0, NULL);
	assert_int_equal(r.used.at[r.used.n - 2].offset, at);
	assert_int_equal(r.used.at[r.used.n - 2].length, 1024);
	assert_int_equal(r.used.at[0].offset, 0);
	done(&r);
}

static void test_region_sizes(void **state)
{
	struct ntfs_make how = plain;
	struct run r;

	how.region_sectors = 1024; /* no room for the backup boot sector: the last sector there is, is taken */
	r = make(&how);
	expect(&r, 0, NULL);
	assert_int_equal(r.used.at[r.used.n - 1].offset, 1023 * 512 < MAKE_DATA_AT ? 0 : MAKE_DATA_AT);
	assert_int_equal(r.info.size_bytes, 1024 * 512);
	done(&r);
	how.region_sectors = 3000;
	r = make(&how);
	expect(&r, 0, NULL);
	assert_int_equal(r.used.at[r.used.n - 2].offset, 1024 * 512);
	assert_int_equal(r.used.at[r.used.n - 1].offset, 2999 * 512);
	assert_int_equal(r.used.at[r.used.n - 1].length, 512);
	done(&r);
	how.region_sectors = 1023;
	r = make(&how);
	expect(&r, -ERR_FORMAT, "sectors of 512 bytes in a region of");
	done(&r);
}

static void test_log(void **state)
{
	static const struct {
		enum ntfs_make_log log;
		int code;
		const char *words;
	} cases[] = {
		{MAKE_LOG_CLOSED, 0, NULL},
		{MAKE_LOG_OPEN, -ERR_FORMAT, "not unmounted cleanly"},
		{MAKE_LOG_REOPENED, -ERR_FORMAT, "not unmounted cleanly"},
		{MAKE_LOG_DAMAGED, -ERR_FORMAT, "no restart page"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ntfs_make how = plain;
		struct run r;

		how.log = cases[i].log;
		r = make(&how);
		expect(&r, cases[i].code, cases[i].words);
		done(&r);
	}
}

static void test_state(void **state)
{
	static const char *const sleeping[] = {"HIBR", "hibr", "RSTR"};
	const struct disk_faults unreadable = {.fail_read_at = MAKE_HIBERFIL_AT, .fail_read_bytes = 512};
	struct ntfs_make how = plain;
	struct run r;

	how.dirty = true;
	r = make(&how);
	expect(&r, -ERR_FORMAT, "the volume is marked dirty");
	assert_string_equal(r.info.note, "the volume is marked dirty");
	done(&r);
	how.dirty = false;
	for (size_t i = 0; i < 3; i++) {
		how.hiberfil = sleeping[i];
		r = make(&how);
		expect(&r, -ERR_FORMAT, "Windows is hibernated");
		assert_non_null(strstr(r.info.note, "Fast Startup"));
		done(&r);
	}
	how.hiberfil = "wake";
	r = make(&how);
	expect(&r, 0, NULL);
	assert_string_equal(r.info.note, "");
	/* What cannot be told is not taken for a volume that was closed. */
	assert_int_equal(map_with(&r, &unreadable), -ERR_FORMAT);
	assert_non_null(strstr(r.info.note, "could not be told"));
	/* A name that is left of a file that is gone is nothing. */
	bytes_put_le16(r.image + ntfs_make_record_at(&how, 25) + 22, 0);
	expect(&r, 0, NULL);
	assert_string_equal(r.info.note, "");
	done(&r);
}

static void test_mirror(void **state)
{
	const struct disk_faults broken = {.fail_read_at = MAKE_MFT_AT, .fail_read_bytes = 512};
	struct run r = make(&plain);

	memset(r.image + MAKE_MFT_AT, 0, 512);
	expect(&r, 0, NULL);
	assert_non_null(strstr(r.info.note, "mirror was used"));
	memset(r.image + MAKE_MIRROR_AT, 0, 512);
	expect(&r, -ERR_FORMAT, "file record 0 has no signature");
	done(&r);
	r = make(&plain);
	assert_int_equal(map_with(&r, &broken), 0);
	assert_non_null(strstr(r.info.note, "mirror was used"));
	bytes_put_le32(r.image + MAKE_MFT_AT + 44, 3); /* says it is another record */
	expect(&r, 0, NULL);
	assert_non_null(strstr(r.info.note, "mirror was used"));
	done(&r);
}

static void test_broken_disk(void **state)
{
	static const uint64_t places[] = {MAKE_MFT_AT + 6 * 1024, MAKE_BITMAP_AT, MAKE_LOG_AT, MAKE_MFT_AT + 3 * 1024};
	struct run r = make(&plain);

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		const struct disk_faults broken = {.fail_read_at = places[i], .fail_read_bytes = 512};

		assert_int_equal(map_with(&r, &broken), -EIO);
	}
	for (uint64_t n = 1; n < 200; n++) {
		const struct disk_faults broken = {.fail_nth_read = n};
		int rc = map_with(&r, &broken);

		assert_true(rc == -EIO || rc == -ENOENT || rc == 0 ||
			    (rc == -ERR_FORMAT && strstr(r.info.note, "could not be told")));
		assert_true(rc == 0 || r.used.n == 0);
	}
	done(&r);
}

/* The bitmap must know the system files' own clusters. */
static void test_cross_check(void **state)
{
	static const uint64_t places[] = {0,
					  7680,
					  MAKE_MFT_AT,
					  MAKE_MFT_AT + 15 * 1024,
					  MAKE_MFT_PART_AT,
					  MAKE_MFT_PART_AT + 15 * 1024,
					  MAKE_MIRROR_AT,
					  MAKE_LOG_AT,
					  MAKE_LOG_AT + 8192,
					  MAKE_BITMAP_AT,
					  MAKE_BITMAP_PART_AT,
					  MAKE_LIST_AT,
					  MAKE_LIST_AT + 4096,
					  MAKE_LOG_AT + MAKE_LOG_BYTES - 512};
	struct ntfs_make how = pieces;
	struct run r;

	how.list_outside = true;
	r = make(&how);
	expect(&r, 0, NULL);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		ntfs_make_mark(&how, r.image, places[i], 512, false);
		expect(&r, -ERR_FORMAT, "lacks a system file's clusters");
		ntfs_make_mark(&how, r.image, places[i], 512, true);
	}
	ntfs_make_mark(&how, r.image, MAKE_DATA_AT, 512, false);
	expect(&r, 0, NULL);
	done(&r);
	/* Nothing is marked behind the last of them. */
	r = make(&plain);
	ntfs_make_mark(&plain, r.image, MAKE_DATA_AT, 12288, false);
	expect(&r, 0, NULL);
	ntfs_make_mark(&plain, r.image, MAKE_BITMAP_AT, 512, false);
	expect(&r, -ERR_FORMAT, "lacks a system file's clusters");
	done(&r);
}

/* What stood in a sector's last two bytes counts, not the signature that is there on the disk. */
static void test_fix_ups(void **state)
{
	struct run r = make(&plain);
	uint8_t *record = r.image + ntfs_make_record_at(&plain, 3), *a = record + 472;
	uint8_t *kept = record + bytes_le16(record + 4) + 2; /* of the first sector */

	/* The volume's information moves to where its flags are at byte 510. */
	memcpy(a, record + 56 + bytes_le32(record + 60), 24);
	bytes_put_le32(record + 60, 472 - 56);
	bytes_put_le32(a + 4, 40);
	bytes_put_le16(a + 20, 28);
	bytes_put_le32(a + 40, UINT32_MAX);
	bytes_put_le32(record + 24, 520);
	assert_int_equal(record[510], 7);
	bytes_put_le16(kept, 0);
	expect(&r, 0, NULL);
	bytes_put_le16(kept, 1);
	expect(&r, -ERR_FORMAT, "the volume is marked dirty");
	done(&r);
}

static void test_runlists(void **state)
{
	static const struct {
		uint8_t pairs[16];
		const char *words;
	} cases[] = {
		{{0x11, 1, 0x7f, 0x11, 1, 1}, "instead of"},  /* one run too many */
		{{0x21, 1, 0xff, 0x03, 0}, ""},		      /* elsewhere: lacks its own clusters */
		{{0x21, 2, 0xff, 0x03, 0}, "on a volume of"}, /* beyond the end */
		{{0x21, 1, 0x00, 0x04, 0}, "on a volume of"}, /* at the end */
		{{0x11, 1, 0x80, 0}, "on a volume of"},	      /* before the start */
		{{0x11, 0x80, 1, 0}, "a run of"},	      /* negative length */
		{{0x18, 255, 255, 255, 255, 255, 255, 255, 127, 1, 0}, "a run of"},
		{{0x78, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1}, ""}, /* no end within */
		{{0x18, 1, 0, 0, 0, 0, 0, 0, 64, 1, 0}, "a run of"},
		{{0x91, 1, 1, 0}, "size code"},
		{{0x10, 1, 0}, "size code"},
		{{0x01, 1, 0}, "hole"},
		{{0x11, 1, 0x20, 0}, "share clusters"}, /* $MFT's first cluster */
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ntfs_make how = plain;
		struct run r;

		how.bitmap_pairs = cases[i].pairs;
		r = make(&how);
		expect(&r, -ERR_FORMAT, cases[i].words);
		done(&r);
	}
}

/* One changed field of a record each; offsets count from the record's start, its only attribute stands at 56. */
static void test_records(void **state)
{
	static const struct {
		unsigned record, at, bytes;
		uint64_t value;
		const char *words;
	} cases[] = {
		{6, 0, 4, 0x44414142, "no signature"}, /* BAAD */
		{6, 510, 2, 0x1234, "written half"},
		{6, 1022, 2, 0x1234, "written half"},
		{6, 4, 2, 1000, "sector signatures"},
		{6, 6, 2, 4, "sector signatures"},
		{6, 6, 2, 0, "sector signatures"},
		{6, 20, 2, 2000, "claims bytes"},
		{6, 24, 4, 1025, "claims bytes"},
		{6, 24, 4, 60, "attribute of"}, /* no end mark */
		{6, 22, 2, 0, "not in use"},
		{6, 32, 8, 9, "only a part of another"},
		{6, 44, 4, 7, "says it is record 7"},
		{6, 56 + 4, 4, 4, "attribute of 4 bytes"},
		{6, 56 + 4, 4, 0x7ffffff8, "attribute of"},
		{6, 56 + 9, 1, 255, "name leaves"},
		{6, 56 + 10, 2, 500, NULL},
		{6, 56 + 12, 2, 1, "compressed"},
		{6, 56 + 16, 8, 1, "a gap"},
		{6, 56 + 24, 8, 5, "instead of"},
		{6, 56 + 32, 2, 3000, "leaves its record"},
		{6, 56 + 32, 2, 80, ""},
		{6, 56 + 40, 8, 4096, "clusters"},
		{6, 56 + 48, 8, 127, "claims 127 bytes"},
		{6, 56 + 48, 8, 1024, "claims"},
		{6, 56 + 56, 8, 129, "claims"},
		{1, 22, 2, 0, "not in use"},
		{2, 0, 4, 0, "no signature"},
		{3, 0, 4, 0, "no signature"},
		{5, 0, 4, 0, NULL},
		{7, 0, 4, 0, "no signature"},
		{4, 22, 2, 0, "not in use"},
		{7, 22, 2, 0, "not in use"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct run r = make(&plain);
		uint8_t *field = r.image + ntfs_make_record_at(&plain, cases[i].record) + cases[i].at;

		for (unsigned n = 0; n < cases[i].bytes; n++)
			field[n] = (uint8_t)(cases[i].value >> 8 * n);
		if (cases[i].at == 56 + 10)
			expect(&r, 0, NULL); /* the place of a name that is not there does not matter */
		else
			expect(&r, -ERR_FORMAT, cases[i].words);
		done(&r);
	}
}

/* Attribute lists that lie. The list of $Bitmap is resident: header at 56, entries at 56 + 24 and 56 + 56. */
static void test_attribute_lists(void **state)
{
	static const struct {
		unsigned record, at, bytes;
		uint64_t value;
		const char *words;
	} cases[] = {
		{6, 56 + 24 + 4, 2, 8, "is damaged"},
		{6, 56 + 24 + 4, 2, 0, "is damaged"},
		{6, 56 + 56 + 4, 2, 40, "is damaged"},
		{6, 56 + 56 + 8, 8, 2, "lacks an attribute"},
		{6, 56 + 56 + 16, 6, 23, "no signature"},
		{6, 56 + 56 + 16, 6, 999, "beyond the end of $MFT"},
		{6, 56 + 56 + 16, 6, 7, "does not belong"},
		{6, 56 + 56 + 24, 2, 9, "lacks an attribute"},
		{24, 32, 8, 7, "does not belong"},
		{24, 22, 2, 0, "not in use"},
		{24, 56 + 16, 8, 5, "lacks an attribute"},
		{15, 32, 8, 7, NULL},
		{0, 56 + 56 + 16, 6, 20, NULL}, /* $MFT's second part described in that part */
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct run r = make(&pieces);
		uint8_t *field = r.image + ntfs_make_record_at(&pieces, cases[i].record) + cases[i].at;

		for (unsigned n = 0; n < cases[i].bytes; n++)
			field[n] = (uint8_t)(cases[i].value >> 8 * n);
		memcpy(r.image + MAKE_MIRROR_AT, r.image + MAKE_MFT_AT, 4096);
		expect(&r, -ERR_FORMAT, cases[i].words);
		done(&r);
	}
}

static void test_boot_sector(void **state)
{
	static const struct {
		unsigned at, bytes;
		uint64_t value;
		int code;
	} cases[] = {
		{3, 8, 0x2d5346562d455646, -ENOENT}, /* BitLocker */
		{11, 2, 0, -ERR_FORMAT},
		{11, 2, 256, -ERR_FORMAT},
		{11, 2, 513, -ERR_FORMAT},
		{11, 2, 8192, -ERR_FORMAT},
		{13, 1, 0, -ERR_FORMAT},
		{13, 1, 3, -ERR_FORMAT},
		{13, 1, 0x80, -ERR_FORMAT},
		{13, 1, 0xf3, -ERR_FORMAT},
		{13, 1, 0x81, -ERR_FORMAT},
		{16, 1, 2, -ERR_FORMAT},
		{19, 2, 1, -ERR_FORMAT},
		{22, 2, 1, -ERR_FORMAT},
		{32, 4, 1, -ERR_FORMAT},
		{40, 8, 0, -ERR_FORMAT},
		{40, 8, 1027, -ERR_FORMAT},
		{40, 8, UINT64_MAX, -ERR_FORMAT},
		{40, 8, UINT64_C(1) << 55, -ERR_FORMAT},
		{48, 8, 0, -ERR_FORMAT},
		{48, 8, 1023, -ERR_FORMAT},
		{48, 8, UINT64_MAX, -ERR_FORMAT},
		{48, 8, 33, -ERR_FORMAT},
		{56, 8, 0, -ERR_FORMAT},
		{56, 8, 1024, -ERR_FORMAT},
		{56, 8, 190, -ERR_FORMAT},
		{64, 1, 0, -ERR_FORMAT},
		{64, 1, 3, -ERR_FORMAT},
		{64, 1, 0x80, -ERR_FORMAT},
		{64, 1, 0xf4, -ERR_FORMAT},
		{68, 1, 0, -ERR_FORMAT},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct run r = make(&plain);

		for (unsigned n = 0; n < cases[i].bytes; n++)
			r.image[cases[i].at + n] = (uint8_t)(cases[i].value >> 8 * n);
		expect(&r, cases[i].code, "");
		done(&r);
	}
}

/* Cut anywhere: no map, and no reading beyond the end (a sanitizer would tell). */
static void test_cut_short(void **state)
{
	struct run r = make(&plain);
	uint8_t *whole = r.image;
	size_t len = r.len;

	for (size_t n = 1; n < len - 512; n += n < 2048 ? 97 : 7919) {
		r.image = malloc(n);
		assert_non_null(r.image);
		memcpy(r.image, whole, n);
		r.len = n;
		assert_int_not_equal(map(&r), 0);
		free(r.image);
	}
	r.image = whole;
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_cluster_sizes),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_bits_beyond_the_end),
		cmocka_unit_test(test_initialised_size),
		cmocka_unit_test(test_long_bitmap),
		cmocka_unit_test(test_region_sizes),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_mirror),
		cmocka_unit_test(test_broken_disk),
		cmocka_unit_test(test_cross_check),
		cmocka_unit_test(test_fix_ups),
		cmocka_unit_test(test_runlists),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_attribute_lists),
		cmocka_unit_test(test_boot_sector),
		cmocka_unit_test(test_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
