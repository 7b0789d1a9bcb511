/* Tables made by sgdisk and sfdisk: our partitions are those that sfdisk lists, and sgdisk accepts what we moved. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "layout/gpt_move.h"

static char image[] = "/tmp/g4l-layout-XXXXXX";
static char device[64]; /* what tools work on: the image, or a loop device with larger sectors over it */

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *fmt, ...)
{
	const char *hurry = getenv("G4L_HURRY"); /* hurry.c */
	char command[3000];
	int rc = snprintf(command, sizeof command, hurry ? "export LD_PRELOAD='%s'; " : "", hurry);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command + rc, sizeof command - (size_t)rc, fmt, ap);
	va_end(ap);
	rc = system(command);
	return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

static void new_image(const char *size)
{
	assert_int_equal(run("rm -f %s; truncate -s %s %s", image, size, image), 0);
	strcpy(device, image);
}

/* From now on with sectors of 4096 bytes. False where there are no loop devices. */
static bool attach(void)
{
	char command[200];
	FILE *f;

	snprintf(command, sizeof command, "losetup -b 4096 -f --show %s 2>/dev/null", image);
	f = popen(command, "r");
	if (!f || !fgets(device, sizeof device, f) || !strchr(device, '\n'))
		strcpy(device, image);
	if (f)
		pclose(f);
	device[strcspn(device, "\n")] = '\0';
	return strcmp(device, image) != 0;
}

static void detach(void)
{
	if (strcmp(device, image))
		assert_int_equal(run("losetup -d %s", device), 0);
	strcpy(device, image);
}

static struct disk *open_image(unsigned flags, uint32_t sector_bytes)
{
	struct error err = {0};
	struct disk *d;

	if (disk_open_file(device, flags, sector_bytes, &d, &err) < 0)
		fail_msg("%s", err.text);
	return d;
}

static uint64_t number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static bool is_extended(const char *type)
{
	return !strcmp(type, "5") || !strcmp(type, "f") || !strcmp(type, "85");
}

/* The region that sfdisk's partition p is, compared. */
static void check_partition(const struct layout *l, const json_t *p, uint64_t sector_bytes, bool gpt)
{
	const char *node = json_string_value(json_object_get(p, "node"));
	const char *type = json_string_value(json_object_get(p, "type"));
	const char *name = json_string_value(json_object_get(p, "name"));
	/* "/tmp/image1", "/dev/loop0p1": with a "p" where the device's name ends with a digit */
	unsigned n = (unsigned)strtoul(node + strlen(device) + (node[strlen(device)] == 'p'), NULL, 10);
	char expected[16];
	size_t i = 0;

	while (i < l->n && !(l->regions[i].role == REGION_PARTITION && l->regions[i].number == n))
		i++;
	if (i == l->n)
		fail_msg("partition %u was not found", n);
	check_region(&l->regions[i], REGION_PARTITION, n, number(p, "start") * sector_bytes,
		     number(p, "size") * sector_bytes);
	snprintf(expected, sizeof expected, "0x%02lx", strtoul(type, NULL, 16));
	assert_string_equal(l->regions[i].type, gpt ? type : expected);
	assert_string_equal(l->regions[i].label, name ? name : "");
	if (gpt)
		assert_string_equal(l->regions[i].uuid, json_string_value(json_object_get(p, "uuid")));
	else
		assert_int_equal(l->regions[i].attributes, json_is_true(json_object_get(p, "bootable")) ? 0x80 : 0);
}

static void check_against_sfdisk(uint32_t sector_bytes)
{
	struct disk *d = open_image(0, sector_bytes);
	unsigned expected = 0, found = 0;
	json_t *root, *table, *p;
	char command[200];
	struct layout l;
	size_t i;
	FILE *f;
	bool gpt;

	snprintf(command, sizeof command, "sfdisk --json %s 2>/dev/null", device);
	f = popen(command, "r");
	assert_non_null(f);
	root = json_loadf(f, 0, NULL);
	pclose(f);
	assert_non_null(root);
	table = json_object_get(root, "partitiontable");
	gpt = !strcmp(json_string_value(json_object_get(table, "label")), "gpt");
	read_layout(d, &l);
	assert_false(l.damaged);
	assert_int_equal(l.table, gpt ? LAYOUT_GPT : LAYOUT_MBR);
	assert_string_equal(l.disk_id, json_string_value(json_object_get(table, "id")));
	json_array_foreach(json_object_get(table, "partitions"), i, p)
	{
		if (!gpt && is_extended(json_string_value(json_object_get(p, "type"))))
			continue;
		check_partition(&l, p, sector_bytes, gpt);
		expected++;
	}
	for (i = 0; i < l.n; i++)
		found += l.regions[i].role == REGION_PARTITION;
	assert_true(expected > 0);
	assert_int_equal(found, expected);
	json_decref(root);
	layout_free(&l);
	disk_close(d);
}

static void test_sgdisk(void **state)
{
	new_image("200M");
	assert_int_equal(run("sgdisk -n 1:0:+20M -t 1:ef00 -c 1:'EFI System' -n 2:0:+16M -t 2:0c01 -n 7:0:+50M -c "
			     "7:'Größe 盘 😀' "
			     "-A 7:set:60 -n 3:0:+1M %s >/dev/null",
			     image),
			 0);
	check_against_sfdisk(512);
	assert_int_equal(run("sgdisk -d 1 %s >/dev/null", image), 0);
	check_against_sfdisk(512);
	/* A hybrid MBR, an array of 256 entries. */
	assert_int_equal(run("sgdisk -h 2:7 -S 256 -n 200:0:+1M %s >/dev/null", image), 0);
	check_against_sfdisk(512);
	/* The primary array elsewhere. */
	assert_int_equal(run("sgdisk -j 1000 %s >/dev/null", image), 0);
	check_against_sfdisk(512);
}

static void check_sfdisk_gpt(uint32_t sector_bytes)
{
	assert_int_equal(
		run("printf 'label: gpt\\nsize=10MiB,type=U,name=boot\\nsize=100MiB\\n\\n' | sfdisk -q %s 2>/dev/null",
		    device),
		0);
	check_against_sfdisk(sector_bytes);
}

static void check_sfdisk_dos(uint32_t sector_bytes)
{
	assert_int_equal(
		run("printf 'label: dos\\nsize=10MiB,type=7,bootable\\nsize=5MiB\\nsize=200MiB,type=f\\n"
		    "size=20MiB,type=83\\nsize=20MiB,type=82\\nsize=30MiB,type=b\\n' | sfdisk -q %s 2>/dev/null",
		    device),
		0);
	check_against_sfdisk(sector_bytes);
	/* Now one logical partition fewer, and a new one in the hole: the chain is out of order. */
	assert_int_equal(run("sfdisk -q --delete %s 6 2>/dev/null", device), 0);
	check_against_sfdisk(sector_bytes);
	assert_int_equal(run("printf 'size=10MiB,type=83\\n' | sfdisk -q -a %s 2>/dev/null", device), 0);
	check_against_sfdisk(sector_bytes);
}

static void test_sfdisk(void **state)
{
	new_image("300M");
	check_sfdisk_gpt(512);
	new_image("300M");
	check_sfdisk_dos(512);
}

static void test_sfdisk_4096(void **state)
{
	new_image("300M");
	if (!attach())
		skip();
	check_sfdisk_gpt(4096);
	assert_int_equal(run("wipefs -qa %s", device), 0);
	check_sfdisk_dos(4096);
	detach();
}

static void test_empty_tables(void **state)
{
	struct layout l;
	struct disk *d;

	new_image("10M");
	assert_int_equal(run("sgdisk -o %s >/dev/null", image), 0);
	d = open_image(0, 0);
	read_layout(d, &l);
	assert_int_equal(l.table, LAYOUT_GPT);
	assert_int_equal(l.n, 3);
	check_region(&l.regions[0], REGION_TABLE, 0, 0, 34 * 512);
	check_region(&l.regions[2], REGION_TABLE, 0, (10 << 20) - 33 * 512, 33 * 512);
	layout_free(&l);
	disk_close(d);
}

static void check_bare(const char *make, const char *type)
{
	struct region whole = {0};
	char name[32];
	struct disk *d;

	new_image("64M");
	assert_int_equal(run("%s %s >/dev/null 2>&1", make, image), 0);
	d = open_image(0, 0);
	check_whole(d, false, "");
	whole.length = d->size_bytes;
	layout_identify(d, &whole, name, sizeof name);
	assert_string_equal(name, type);
	disk_close(d);
}

static void test_bare_file_systems(void **state)
{
	check_bare("mkfs.fat -F 16", "vfat");
	check_bare("mkfs.fat -F 32 -s 1", "vfat");
	check_bare("mkfs.ext4 -q", "ext4");
	check_bare("mkswap", "swap");
	if (!run("command -v mkfs.ntfs >/dev/null"))
		check_bare("mkfs.ntfs -F -q", "ntfs");
}

static void test_identify(void **state)
{
	struct region r = {.start = 1 << 20, .length = 8 << 20};
	struct error err = {0};
	char name[32];
	struct disk *d, *m;

	new_image("20M");
	assert_int_equal(run("mkfs.ext2 -q -E offset=1048576 %s 8M >/dev/null 2>&1", image), 0);
	d = open_image(0, 0);
	layout_identify(d, &r, name, sizeof name);
	assert_string_equal(name, "ext2");
	r.start += 512;
	layout_identify(d, &r, name, sizeof name);
	assert_string_equal(name, "");
	r.start = UINT64_MAX;
	layout_identify(d, &r, name, sizeof name);
	assert_string_equal(name, "");
	disk_close(d);
	assert_int_equal(disk_open_memory(1 << 20, 0, &m, &err), 0);
	layout_identify(m, &(struct region){.length = 1 << 20}, name, sizeof name);
	assert_string_equal(name, "");
	disk_close(m);
}

static bool sgdisk_is_content(void)
{
	return !run("sgdisk -v %s 2>&1 | grep -q 'No problems found'", image);
}

static void check_fit(const char *options, const char *spoil)
{
	struct error err = {0};
	struct disk *d;

	new_image("64M");
	assert_int_equal(run("sgdisk %s -n 1:0:+20M -n 2:0:0 %s >/dev/null", options, image), 0);
	if (*spoil)
		assert_int_equal(run("%s%s", spoil, image), 0);
	assert_int_equal(run("truncate -s 96M %s", image), 0);
	/* Without its primary sgdisk finds nothing, and nothing wrong with that. */
	if (!*spoil)
		assert_false(sgdisk_is_content());
	d = open_image(DISK_WRITE, 0);
	if (layout_gpt_fit(d, 64 << 20, &err) < 0)
		fail_msg("%s", err.text);
	disk_close(d);
	assert_true(sgdisk_is_content());
	check_against_sfdisk(512);
	/* The new space can be used. */
	assert_int_equal(run("printf size=31M | sfdisk -q -a %s 2>/dev/null", image), 0);
	assert_true(sgdisk_is_content());
}

static void test_fit(void **state)
{
	check_fit("", "");
	check_fit("", "dd if=/dev/zero bs=512 seek=1 count=10 conv=notrunc status=none of=");
	check_fit("-o -S 256", "");
}

static void test_fit_4096(void **state)
{
	struct error err = {0};
	struct disk *d;

	new_image("64M");
	if (!attach())
		skip();
	assert_int_equal(run("printf 'label: gpt\\nsize=10MiB\\n\\n' | sfdisk -q %s 2>/dev/null", device), 0);
	detach();
	assert_int_equal(run("truncate -s 96M %s", image), 0);
	d = open_image(DISK_WRITE, 4096);
	assert_int_equal(layout_gpt_fit(d, 64 << 20, &err), 0);
	disk_close(d);
	assert_true(attach());
	assert_int_equal(run("sgdisk -v %s 2>&1 | grep -q 'No problems found'", device), 0);
	check_against_sfdisk(4096);
	detach();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sgdisk),
		cmocka_unit_test(test_sfdisk),
		cmocka_unit_test(test_sfdisk_4096),
		cmocka_unit_test(test_empty_tables),
		cmocka_unit_test(test_bare_file_systems),
		cmocka_unit_test(test_identify),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_fit_4096),
	};
	char path[4096];
	int rc;

	snprintf(path, sizeof path, "%s:/usr/sbin:/sbin", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
	setenv("PATH", path, 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	if (run("command -v sgdisk sfdisk mkfs.fat mkfs.ext4 mkswap >/dev/null")) {
		puts("needs sgdisk, sfdisk, mkfs.fat, mkfs.ext4 and mkswap, skipped");
		return 77;
	}
	if (close(mkstemp(image)) < 0)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	if (*device)
		detach(); /* where a test failed in between */
	unlink(image);
	return rc;
}
