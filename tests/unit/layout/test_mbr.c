/* Disks without a table, master boot records, and chains of extended ones, sound and hostile. */
#include <string.h>

#include "base/bytes.h"
#include "check.h"

#define S 512ull
#define DISK_SECTORS 20000ull

static struct disk *new_disk(void)
{
	struct error err = {0};
	struct disk *d;

	assert_int_equal(disk_open_memory(DISK_SECTORS * S, 512, &d, &err), 0);
	return d;
}

static void put(struct disk *d, uint64_t at, const void *p, size_t n)
{
	struct error err = {0};

	assert_int_equal(disk_write(d, p, n, at, &err), 0);
}

static void sign(struct disk *d, uint64_t sector)
{
	put(d, sector * S + 510, "\x55\xaa", 2);
}

static void put_entry(struct disk *d, uint64_t sector, unsigned i, uint8_t flags, uint8_t type, uint32_t first,
		      uint32_t n)
{
	uint8_t e[16] = {flags, 0, 0, 0, type};

	bytes_put_le32(e + 8, first);
	bytes_put_le32(e + 12, n);
	put(d, sector * S + 446 + 16 * i, e, sizeof e);
	sign(d, sector);
}

static void put_fat_boot_sector(struct disk *d)
{
	uint8_t s[64] = {0xeb, 0x3c, 0x90, 'm', 'k', 'f', 's', '.', 'f', 'a', 't'};

	bytes_put_le16(s + 11, 512);
	s[13] = 4;
	bytes_put_le16(s + 14, 1);
	s[16] = 2;
	s[21] = 0xf8;
	put(d, 0, s, sizeof s);
	sign(d, 0);
}

static void test_no_table(void **state)
{
	static const char signature_only[] = "not a table";
	struct disk *d = new_disk();

	check_whole(d, false, "");
	put(d, 0, signature_only, sizeof signature_only);
	check_whole(d, false, "");
	sign(d, 0);
	check_whole(d, false, "");
	disk_close(d);
}

static void test_tiny_disk(void **state)
{
	struct error err = {0};
	struct disk *d;

	assert_int_equal(disk_open_memory(100, 512, &d, &err), 0);
	check_whole(d, false, "");
	disk_close(d);
	assert_int_equal(disk_open_memory(700, 512, &d, &err), 0);
	check_whole(d, false, "");
	disk_close(d);
}

static void test_bare_file_systems(void **state)
{
	struct disk *d = new_disk();

	put_fat_boot_sector(d);
	check_whole(d, false, "");
	/* Boot code reaches into the place of the entries; NTFS has text there. */
	put(d, 446, "A disk read error occurred, press Ctrl+Alt+Del to restart...", 60);
	check_whole(d, false, "");
	put(d, 0, "\xeb\x52\x90NTFS    ", 11);
	check_whole(d, false, "");
	disk_close(d);
}

static void test_both_table_and_file_system(void **state)
{
	struct disk *d = new_disk();

	put_fat_boot_sector(d);
	put_entry(d, 0, 0, 0x80, 0x0c, 2048, 4096);
	check_whole(d, true, "both a partition table and the boot sector");
	disk_close(d);
}

static void test_primaries(void **state)
{
	struct disk *d = new_disk();
	struct layout l;

	put(d, 440, "\x78\x56\x34\x12", 4);
	put_entry(d, 0, 0, 0x80, 0x07, 2048, 4096);
	put_entry(d, 0, 2, 0, 0x83, 8192, 1000); /* entry 2 is empty, numbers stay */
	read_layout(d, &l);
	assert_int_equal(l.table, LAYOUT_MBR);
	assert_string_equal(l.disk_id, "0x12345678");
	assert_false(l.damaged);
	assert_int_equal(l.n, 5);
	check_region(&l.regions[0], REGION_TABLE, 0, 0, 2048 * S);
	check_region(&l.regions[1], REGION_PARTITION, 1, 2048 * S, 4096 * S);
	assert_string_equal(l.regions[1].type, "0x07");
	assert_int_equal(l.regions[1].attributes, 0x80);
	check_region(&l.regions[2], REGION_GAP, 0, 6144 * S, 2048 * S);
	check_region(&l.regions[3], REGION_PARTITION, 3, 8192 * S, 1000 * S);
	check_region(&l.regions[4], REGION_GAP, 0, 9192 * S, (DISK_SECTORS - 9192) * S);
	layout_free(&l);
	disk_close(d);
}

static void test_primaries_up_to_the_end(void **state)
{
	struct disk *d = new_disk();
	struct layout l;

	put_entry(d, 0, 1, 0, 0x83, 1, DISK_SECTORS - 1);
	read_layout(d, &l);
	assert_int_equal(l.n, 2);
	check_region(&l.regions[1], REGION_PARTITION, 2, S, (DISK_SECTORS - 1) * S);
	layout_free(&l);
	put_entry(d, 0, 1, 0, 0x83, 1, DISK_SECTORS);
	check_whole(d, true, "beyond the end");
	put_entry(d, 0, 1, 0, 0x83, UINT32_MAX, UINT32_MAX);
	check_whole(d, true, "beyond the end");
	disk_close(d);
}

static void test_bad_primaries(void **state)
{
	struct disk *d = new_disk();

	put_entry(d, 0, 0, 0, 0x83, 2048, 4096);
	put_entry(d, 0, 1, 0, 0x83, 6143, 10);
	check_whole(d, true, "overlap");
	put_entry(d, 0, 1, 0x13, 0x83, 6144, 10);
	check_whole(d, true, "flags 0x13");
	put_entry(d, 0, 1, 0, 0x83, 0, 10);
	check_whole(d, true, "starts in the MBR");
	disk_close(d);
}

/* An extended partition 2 at 4096 with 12000 sectors behind a primary; logical ones are for the tests to add. */
static struct disk *new_extended(void)
{
	struct disk *d = new_disk();

	put_entry(d, 0, 0, 0, 0x83, 2048, 2048);
	put_entry(d, 0, 1, 0, 0x05, 4096, 12000);
	return d;
}

static void test_logical(void **state)
{
	struct disk *d = new_extended();
	struct layout l;

	put_entry(d, 4096, 0, 0, 0x83, 63, 1000); /* 4159 to 5159 */
	put_entry(d, 4096, 1, 0, 0x05, 2000, 3000);
	put_entry(d, 6096, 0, 0, 0x82, 2048, 500); /* 8144 to 8644 */
	put_entry(d, 6096, 1, 0, 0x05, 1100, 500);
	put_entry(d, 5196, 0, 0, 0x07, 1, 100); /* lies before the one in front of it in the chain */
	read_layout(d, &l);
	assert_false(l.damaged);
	assert_int_equal(l.n, 11);
	check_region(&l.regions[1], REGION_PARTITION, 1, 2048 * S, 2048 * S);
	check_region(&l.regions[2], REGION_TABLE, 0, 4096 * S, 63 * S);
	check_region(&l.regions[3], REGION_PARTITION, 5, 4159 * S, 1000 * S);
	check_region(&l.regions[4], REGION_GAP, 0, 5159 * S, 37 * S);
	check_region(&l.regions[5], REGION_TABLE, 0, 5196 * S, S);
	check_region(&l.regions[6], REGION_PARTITION, 7, 5197 * S, 100 * S);
	check_region(&l.regions[7], REGION_GAP, 0, 5297 * S, 799 * S);
	check_region(&l.regions[8], REGION_TABLE, 0, 6096 * S, 2048 * S); /* the whole track */
	check_region(&l.regions[9], REGION_PARTITION, 6, 8144 * S, 500 * S);
	assert_string_equal(l.regions[9].type, "0x82");
	layout_free(&l);
	disk_close(d);
}

static void test_empty_extended(void **state)
{
	struct disk *d = new_extended();
	struct layout l;

	sign(d, 4096);
	read_layout(d, &l);
	assert_false(l.damaged);
	assert_int_equal(l.n, 4);
	check_region(&l.regions[2], REGION_TABLE, 0, 4096 * S, 2048 * S);
	layout_free(&l);
	disk_close(d);
}

static void test_broken_chains(void **state)
{
	struct disk *d = new_extended();

	check_whole(d, true, "no extended boot record at sector 4096");
	put_entry(d, 4096, 0, 0, 0x83, 63, 1000);
	put_entry(d, 4096, 1, 0, 0x05, 2000, 1000);
	check_whole(d, true, "no extended boot record at sector 6096");
	put_entry(d, 6096, 1, 0, 0x05, 2000, 1000);
	check_whole(d, true, "loop");
	put_entry(d, 6096, 1, 0, 0x05, 0, 1000);
	check_whole(d, true, "loop");
	put_entry(d, 6096, 1, 0, 0x05, 12000, 1000);
	check_whole(d, true, "leaves the extended partition");
	put_entry(d, 6096, 1, 0, 0, 0, 0);
	put_entry(d, 6096, 0, 0, 0x83, 1, 10000);
	check_whole(d, true, "leaves the extended partition");
	put_entry(d, 6096, 0, 0, 0x83, UINT32_MAX, 1);
	check_whole(d, true, "leaves the extended partition");
	put_entry(d, 6096, 0, 0, 0x83, 1, 10);
	put_entry(d, 4096, 0, 0, 0x83, 63, 2000); /* over the second record */
	check_whole(d, true, "overlap");
	put_entry(d, 4096, 0, 0, 0x83, 63, 1000);
	put_entry(d, 6096, 1, 0, 0x05, 3000, 10);
	put_entry(d, 6096, 2, 0, 0x0f, 4000, 10);
	check_whole(d, true, "two successors");
	disk_close(d);
}

static void test_two_extended(void **state)
{
	struct disk *d = new_extended();

	put_entry(d, 4096, 0, 0, 0x83, 63, 1000);
	put_entry(d, 0, 2, 0, 0x0f, 17000, 1000);
	sign(d, 17000);
	check_whole(d, true, "two extended partitions");
	disk_close(d);
}

static void test_endless_chain(void **state)
{
	struct error err = {0};
	struct layout l;
	struct disk *d;

	/* 300 records, each a sector behind the other. */
	assert_int_equal(disk_open_memory(2000 * S, 512, &d, &err), 0);
	put_entry(d, 0, 0, 0, 0x05, 10, 1900);
	for (uint32_t i = 0; i < 255; i++)
		put_entry(d, 10 + i, 1, 0, 0x05, i + 1, 1);
	sign(d, 265);
	read_layout(d, &l);
	assert_false(l.damaged);
	layout_free(&l);
	put_entry(d, 265, 1, 0, 0x05, 256, 1);
	sign(d, 266);
	check_whole(d, true, "more than 256");
	disk_close(d);
}

static void test_unreadable(void **state)
{
	struct disk_faults faults = {.fail_read_at = 0, .fail_read_bytes = 1};
	struct error err = {0};
	struct layout l;
	struct disk *d;

	assert_int_equal(disk_wrap_faults(new_disk(), &faults, &d, &err), 0);
	assert_int_equal(layout_read(d, &l, &err), -EIO);
	assert_null(l.regions);
	disk_close(d);
	faults.fail_read_at = 4096 * S;
	assert_int_equal(disk_wrap_faults(new_extended(), &faults, &d, &err), 0);
	assert_int_equal(layout_read(d, &l, &err), -EIO);
	disk_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_table),	  cmocka_unit_test(test_tiny_disk),
		cmocka_unit_test(test_bare_file_systems), cmocka_unit_test(test_both_table_and_file_system),
		cmocka_unit_test(test_primaries),	  cmocka_unit_test(test_primaries_up_to_the_end),
		cmocka_unit_test(test_bad_primaries),	  cmocka_unit_test(test_logical),
		cmocka_unit_test(test_empty_extended),	  cmocka_unit_test(test_broken_chains),
		cmocka_unit_test(test_two_extended),	  cmocka_unit_test(test_endless_chain),
		cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
