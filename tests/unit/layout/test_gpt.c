/* GUID partition tables: sound, damaged in every place that matters, and moved to disks of other sizes. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "check.h"
#include "layout/gpt.h"
#include "layout/gpt_move.h"

#define ARRAY_BYTES (128 * 128)
#define PARTITIONS 3

/* A disk with its table: sectors of s bytes, n of them. */
struct box {
	struct disk *d;
	uint32_t s;
	uint64_t n, array_sectors;
	uint8_t array[ARRAY_BYTES];
};

static void put(struct box *b, uint64_t at, const void *p, size_t n)
{
	struct error err = {0};

	assert_int_equal(disk_write(b->d, p, n, at, &err), 0);
}

static void flip(struct box *b, uint64_t at)
{
	struct error err = {0};
	uint8_t byte;

	assert_int_equal(disk_read(b->d, &byte, 1, at, &err), 0);
	byte ^= 1;
	put(b, at, &byte, 1);
}

static void put_header(struct box *b, uint64_t lba, uint64_t alternate, uint64_t array_lba, uint32_t n_entries,
		       uint32_t entry_bytes)
{
	uint8_t h[92] = "EFI PART";

	bytes_put_le32(h + 8, 0x10000);
	bytes_put_le32(h + 12, sizeof h);
	bytes_put_le64(h + 24, lba);
	bytes_put_le64(h + 32, alternate);
	bytes_put_le64(h + 40, 2 + b->array_sectors);
	bytes_put_le64(h + 48, b->n - b->array_sectors - 2);
	memset(h + 56, 0x11, 16);
	bytes_put_le64(h + 72, array_lba);
	bytes_put_le32(h + 80, n_entries);
	bytes_put_le32(h + 84, entry_bytes);
	bytes_put_le32(h + 88, gpt_crc32(b->array, sizeof b->array));
	bytes_put_le32(h + 16, gpt_crc32(h, sizeof h));
	put(b, lba * b->s, h, sizeof h);
}

static void put_entry(struct box *b, unsigned i, uint64_t first, uint64_t last, const char *name)
{
	uint8_t *e = b->array + 128 * i;

	memset(e, 0, 128);
	memset(e, 0xa0 + (int)i, 16);
	memset(e + 16, 0xb0 + (int)i, 16);
	bytes_put_le64(e + 32, first);
	bytes_put_le64(e + 40, last);
	bytes_put_le64(e + 48, 4);
	for (unsigned k = 0; name[k]; k++)
		e[56 + 2 * k] = (uint8_t)name[k];
}

static void put_tables(struct box *b)
{
	put(b, 2ull * b->s, b->array, sizeof b->array);
	put(b, (b->n - 1 - b->array_sectors) * b->s, b->array, sizeof b->array);
	put_header(b, 1, b->n - 1, 2, 128, 128);
	put_header(b, b->n - 1, 1, b->n - 1 - b->array_sectors, 128, 128);
}

static void put_protective(struct box *b)
{
	uint8_t mbr[512] = {0};

	mbr[450] = 0xee;
	bytes_put_le32(mbr + 454, 1);
	bytes_put_le32(mbr + 458, (uint32_t)(b->n - 1));
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
	put(b, 0, mbr, sizeof mbr);
}

/* Partitions 1, 2 and 5: 1 and 2 touch, 5 lies before both. */
static struct box *new_box(uint32_t sector_bytes, uint64_t n)
{
	struct box *b = calloc(1, sizeof *b);
	struct error err = {0};

	assert_non_null(b);
	b->s = sector_bytes;
	b->n = n;
	b->array_sectors = ARRAY_BYTES / sector_bytes;
	assert_int_equal(disk_open_memory(n * sector_bytes + 100, sector_bytes, &b->d, &err), 0);
	put_entry(b, 0, 300, 399, "one");
	put_entry(b, 1, 400, 400, "two");
	put_entry(b, 4, 200, 249, "three");
	put_tables(b);
	put_protective(b);
	return b;
}

static void free_box(struct box *b)
{
	disk_close(b->d);
	free(b);
}

/* That the layout is the box's, as far as partitions go. */
static void check_partitions(struct box *b, bool damaged, const char *note)
{
	struct layout l;
	unsigned found = 0;

	read_layout(b->d, &l);
	if (l.damaged != damaged || !strstr(l.note, note))
		fail_msg("damaged %d, note \"%s\" instead of \"%s\"", l.damaged, l.note, note);
	assert_int_equal(l.table, LAYOUT_GPT);
	for (size_t i = 0; i < l.n; i++) {
		const struct region *r = &l.regions[i];

		if (r->role != REGION_PARTITION)
			continue;
		found++;
		if (r->number == 5)
			check_region(r, REGION_PARTITION, 5, 200ull * b->s, 50ull * b->s);
		else if (r->number == 1)
			check_region(r, REGION_PARTITION, 1, 300ull * b->s, 100ull * b->s);
		else
			check_region(r, REGION_PARTITION, 2, 400ull * b->s, b->s);
	}
	assert_int_equal(found, PARTITIONS);
	layout_free(&l);
}

static void check_sound(uint32_t sector_bytes)
{
	struct box *b = new_box(sector_bytes, 1000);
	uint64_t s = sector_bytes, usable_end = 1000 - b->array_sectors - 1;
	struct layout l;

	check_partitions(b, false, "");
	read_layout(b->d, &l);
	assert_int_equal(l.sector_bytes, sector_bytes);
	assert_int_equal(l.n, 8);
	check_region(&l.regions[0], REGION_TABLE, 0, 0, 200 * s);
	check_region(&l.regions[1], REGION_PARTITION, 5, 200 * s, 50 * s);
	check_region(&l.regions[2], REGION_GAP, 0, 250 * s, 50 * s);
	check_region(&l.regions[5], REGION_GAP, 0, 401 * s, (usable_end - 401) * s);
	check_region(&l.regions[6], REGION_TABLE, 0, usable_end * s, (1000 - usable_end) * s);
	check_region(&l.regions[7], REGION_GAP, 0, 1000 * s, 100); /* the rest that is no sector */
	assert_string_equal(l.regions[3].label, "one");
	assert_string_equal(l.regions[3].type, "A0A0A0A0-A0A0-A0A0-A0A0-A0A0A0A0A0A0");
	assert_string_equal(l.regions[3].uuid, "B0B0B0B0-B0B0-B0B0-B0B0-B0B0B0B0B0B0");
	assert_int_equal(l.regions[3].attributes, 4);
	assert_string_equal(l.disk_id, "11111111-1111-1111-1111-111111111111");
	layout_free(&l);
	free_box(b);
}

static void test_sound(void **state)
{
	check_sound(512);
	check_sound(4096);
}

static void test_damaged_primary(void **state)
{
	/* signature, a field, the array */
	static const uint32_t places[] = {512, 512 + 60, 1024 + 500};

	for (unsigned i = 0; i < 3; i++) {
		struct box *b = new_box(512, 1000);

		flip(b, places[i]);
		check_partitions(b, true, "backup is used");
		free_box(b);
	}
}

static void test_damaged_backup(void **state)
{
	struct box *b = new_box(512, 1000);

	flip(b, 999 * 512 + 60);
	check_partitions(b, true, "backup of the GPT is damaged");
	flip(b, 512);
	check_whole(b->d, true, "neither copy is sound");
	free_box(b);
}

static void test_unreadable_primary(void **state)
{
	struct disk_faults faults = {.fail_read_at = 1024, .fail_read_bytes = 1};
	struct box *b = new_box(512, 1000);
	struct error err = {0};

	assert_int_equal(disk_wrap_faults(b->d, &faults, &b->d, &err), 0);
	check_partitions(b, true, "backup is used");
	free_box(b);
}

static void test_different_backup(void **state)
{
	struct box *b = new_box(512, 1000);

	put_entry(b, 0, 300, 390, "one");
	put(b, (b->n - 1 - b->array_sectors) * b->s, b->array, sizeof b->array);
	put_header(b, b->n - 1, 1, b->n - 1 - b->array_sectors, 128, 128);
	check_partitions(b, true, "differs");
	free_box(b);
}

static void test_protective_missing(void **state)
{
	struct box *b = new_box(512, 1000);
	uint8_t zeros[512] = {0};

	put(b, 0, zeros, sizeof zeros);
	check_partitions(b, true, "protective MBR");
	/* A sector with something else in it: the GPT may be a left-over. */
	put(b, 0, "XFSB", 4);
	check_whole(b->d, false, "");
	free_box(b);
}

static void test_hybrid(void **state)
{
	struct box *b = new_box(512, 1000);
	uint8_t e[16] = {0x80, 0, 0, 0, 0x07};

	bytes_put_le32(e + 8, 300);
	bytes_put_le32(e + 12, 100);
	put(b, 446 + 16, e, sizeof e);
	check_partitions(b, false, "");
	free_box(b);
}

static void test_bad_entries(void **state)
{
	static const struct {
		uint64_t first, last;
		const char *note;
	} cases[] = {
		{390, 405, "overlap"},	  {300, 400, "overlap"},      {300, 967, "usable range"},
		{20, 30, "usable range"}, {500, 499, "usable range"}, {300, UINT64_MAX, "usable range"},
		{0, 0, "usable range"},
	};

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct box *b = new_box(512, 1000);

		put_entry(b, 0, cases[i].first, cases[i].last, "bad");
		put_tables(b);
		check_whole(b->d, true, cases[i].note);
		free_box(b);
	}
}

static void test_bad_headers(void **state)
{
	struct box *b = new_box(512, 1000);

	put_header(b, 1, 999, 2, UINT32_MAX, 128);
	check_partitions(b, true, "4294967295 entries");
	put_header(b, 1, 999, 2, 128, 129);
	check_partitions(b, true, "entries of 129 bytes");
	put_header(b, 1, 999, 2, 128, 0);
	check_partitions(b, true, "entries of 0 bytes");
	put_header(b, 1, 999, 2, 0, 128);
	check_partitions(b, true, "0 entries");
	put_header(b, 1, 999, 1, 128, 128);
	check_partitions(b, true, "out of place");
	put_header(b, 1, 999, UINT64_MAX, 128, 128);
	check_partitions(b, true, "out of place");
	put_header(b, 1, 999, 3, 128, 128);
	check_partitions(b, true, "out of place");
	free_box(b);
}

/* The same bytes on a disk that ends earlier or later. */
static struct disk *resized(struct box *b, uint64_t n)
{
	uint8_t *bytes = calloc(1, (size_t)b->d->size_bytes);
	struct error err = {0};
	struct disk *d;

	assert_int_equal(disk_read(b->d, bytes, (size_t)b->d->size_bytes, 0, &err), 0);
	assert_int_equal(disk_open_memory(n * b->s, b->s, &d, &err), 0);
	assert_int_equal(disk_write(d, bytes,
				    (size_t)(d->size_bytes < b->d->size_bytes ? d->size_bytes : b->d->size_bytes), 0,
				    &err),
			 0);
	free(bytes);
	disk_close(b->d);
	b->d = d;
	return d;
}

static void test_truncated_disk(void **state)
{
	struct box *b = new_box(512, 1000);

	resized(b, 990);
	check_partitions(b, true, "backup of the GPT is damaged");
	resized(b, 500);
	check_partitions(b, true, "smaller than its GPT says");
	resized(b, 401);
	check_partitions(b, true, "smaller");
	resized(b, 400);
	check_whole(b->d, true, "partition 2 does not lie on the disk");
	resized(b, 20);
	check_whole(b->d, true, "neither copy");
	free_box(b);
}

static void test_grown_disk(void **state)
{
	struct box *b = new_box(512, 1000);
	struct layout l;

	resized(b, 2000);
	check_partitions(b, false, "grown");
	read_layout(b->d, &l);
	assert_int_equal(l.n, 8);
	check_region(&l.regions[6], REGION_TABLE, 0, 967 * 512, 33 * 512);
	check_region(&l.regions[7], REGION_GAP, 0, 1000 * 512, 1000 * 512);
	layout_free(&l);
	free_box(b);
}

/* An image of a disk with sectors of 4096 bytes tells nobody so. */
static void test_other_sector_size(void **state)
{
	struct box *b = new_box(4096, 1000);
	struct layout l;

	b->d->sector_bytes = 512;
	check_partitions(b, false, "sectors of 4096 bytes");
	read_layout(b->d, &l);
	assert_int_equal(l.sector_bytes, 4096);
	layout_free(&l);
	free_box(b);
}

static void check_fits(struct box *b, uint64_t n)
{
	struct error err = {0};
	struct layout l;
	struct gpt primary, backup;
	uint8_t mbr[512];

	resized(b, n);
	assert_int_equal(layout_gpt_fit(b->d, 1000ull * b->s, &err), 0);
	check_partitions(b, false, "");
	read_layout(b->d, &l);
	assert_string_equal(l.note, "");
	assert_int_equal(l.regions[l.n - 1].role, REGION_TABLE);
	layout_free(&l);
	assert_int_equal(gpt_load(b->d, b->s, 1, &primary, &err), 1);
	assert_int_equal(gpt_load(b->d, b->s, n - 1, &backup, &err), 1);
	assert_int_equal(primary.alternate_lba, n - 1);
	assert_int_equal(backup.alternate_lba, 1);
	assert_int_equal(primary.last_usable, n - 2 - b->array_sectors);
	assert_int_equal(backup.last_usable, primary.last_usable);
	gpt_free(&primary);
	gpt_free(&backup);
	assert_int_equal(disk_read(b->d, mbr, sizeof mbr, 0, &err), 0);
	assert_int_equal(bytes_le32(mbr + 458), n - 1);
}

static void test_fit(void **state)
{
	struct box *b = new_box(512, 1000);

	check_fits(b, 5000);
	free_box(b);
	b = new_box(4096, 1000);
	check_fits(b, 1001);
	free_box(b);
	b = new_box(512, 1000);
	check_fits(b, 434); /* the last partition ends at sector 400 */
	free_box(b);
	/* From the backup alone. */
	b = new_box(512, 1000);
	flip(b, 512);
	check_fits(b, 3000);
	free_box(b);
}

static void check_unchanged(struct box *b, uint64_t snapshot_bytes, int expected)
{
	uint8_t *before = malloc((size_t)b->d->size_bytes), *after = malloc((size_t)b->d->size_bytes);
	struct error err = {0};

	assert_int_equal(disk_read(b->d, before, (size_t)b->d->size_bytes, 0, &err), 0);
	assert_int_equal(layout_gpt_fit(b->d, snapshot_bytes, &err), expected);
	assert_int_equal(disk_read(b->d, after, (size_t)b->d->size_bytes, 0, &err), 0);
	assert_memory_equal(before, after, (size_t)b->d->size_bytes);
	free(before);
	free(after);
}

static void test_fit_leaves_alone(void **state)
{
	struct box *b = new_box(512, 1000);
	uint8_t zeros[512] = {0};

	check_unchanged(b, b->d->size_bytes, 0);
	resized(b, 433);
	check_unchanged(b, 1000 * 512, -ERR_REFUSED);
	resized(b, 36);
	check_unchanged(b, 1000 * 512, -ERR_REFUSED);
	resized(b, 2000);
	flip(b, 512);
	check_unchanged(b, 1000 * 512, -ERR_FORMAT);
	put(b, 0, zeros, sizeof zeros);
	check_unchanged(b, 1000 * 512, 0);
	free_box(b);
}

/* Wherever the writes stop, one sound copy is found. */
static void test_fit_interrupted(void **state)
{
	for (uint64_t stop = 1; stop <= 5; stop++) {
		struct disk_faults faults = {.fail_nth_write = stop};
		struct box *b = new_box(512, 1000);
		struct error err = {0};
		struct disk *faulty;

		resized(b, 3000);
		assert_int_equal(disk_wrap_faults(b->d, &faults, &faulty, &err), 0);
		b->d = faulty;
		assert_int_equal(layout_gpt_fit(b->d, 1000 * 512, &err), -EIO);
		check_partitions(b, false, "");
		assert_int_equal(layout_gpt_fit(b->d, 1000 * 512, &err), 0);
		check_partitions(b, false, "");
		free_box(b);
	}
}

/* One flipped bit in any write is found by reading back. */
static void test_fit_read_back(void **state)
{
	for (uint64_t nth = 1; nth <= 5; nth++) {
		struct disk_faults faults = {.corrupt_nth_write = nth};
		struct box *b = new_box(512, 1000);
		struct error err = {0};
		struct disk *faulty;

		resized(b, 3000);
		assert_int_equal(disk_wrap_faults(b->d, &faults, &faulty, &err), 0);
		b->d = faulty;
		assert_int_equal(layout_gpt_fit(b->d, 1000 * 512, &err), -ERR_DAMAGED);
		assert_non_null(strstr(err.text, "was written there"));
		free_box(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_damaged_primary),
		cmocka_unit_test(test_damaged_backup),
		cmocka_unit_test(test_unreadable_primary),
		cmocka_unit_test(test_different_backup),
		cmocka_unit_test(test_protective_missing),
		cmocka_unit_test(test_hybrid),
		cmocka_unit_test(test_bad_entries),
		cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_truncated_disk),
		cmocka_unit_test(test_grown_disk),
		cmocka_unit_test(test_other_sector_size),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_fit_leaves_alone),
		cmocka_unit_test(test_fit_interrupted),
		cmocka_unit_test(test_fit_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
