/* The list of disks, from made-up /sys trees that show what real kernels show. */
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
#include "disk/disk.h"

static char root[] = "/tmp/g4l-sys-XXXXXX";

static void put(const char *path, const void *content, size_t len)
{
	char full[512], parent[512];

	snprintf(full, sizeof full, "%s/%s", root, path);
	snprintf(parent, sizeof parent, "%s", full);
	*strrchr(parent, '/') = '\0';
	assert_int_equal(io_make_dirs(parent, 0755, NULL), 0);
	assert_int_equal(io_replace_file(full, content, len, 0644, NULL), 0);
}

static void put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

/* A disk of n sectors under /sys/devices/where, linked into /sys/block. */
static void put_disk(const char *name, const char *where, const char *device, const char *sectors, const char *dev)
{
	char path[512], target[512];

	snprintf(path, sizeof path, "sys/devices/%s/%s/block/%s/size", where, device, name);
	put_text(path, sectors);
	snprintf(path, sizeof path, "sys/devices/%s/%s/block/%s/dev", where, device, name);
	put_text(path, dev);
	snprintf(path, sizeof path, "%s/sys/devices/%s/%s/block/%s/device", root, where, device, name);
	assert_int_equal(symlink("../..", path), 0);
	snprintf(path, sizeof path, "%s/sys/block", root);
	assert_int_equal(io_make_dirs(path, 0755, NULL), 0);
	snprintf(path, sizeof path, "%s/sys/block/%s", root, name);
	snprintf(target, sizeof target, "../devices/%s/%s/block/%s", where, device, name);
	assert_int_equal(symlink(target, path), 0);
}

static void put_virtual(const char *name, const char *sectors)
{
	char path[512];

	snprintf(path, sizeof path, "sys/block/%s/size", name);
	put_text(path, sectors);
}

#define ATA "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0"
#define USB "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0"
#define NVME "pci0000:00/0000:00:1d.0/0000:02:00.0/nvme"

static int set_up(void **state)
{
	if (!mkdtemp(root))
		return -1;
	put_disk("sda", ATA, "0:0:0:0", "1953525168\n", "8:0\n");
	put_text("sys/devices/" ATA "/0:0:0:0/vendor", "ATA     \n");
	put_text("sys/devices/" ATA "/0:0:0:0/model", "Samsung SSD 860 \n");
	put_text("sys/devices/" ATA "/0:0:0:0/wwid", "naa.5002538e40a1b2c3\n");
	put("sys/devices/" ATA "/0:0:0:0/vpd_pg80", "\0\x80\0\x14     S3Z9NB0K123456X", 24);
	put_text("sys/devices/" ATA "/0:0:0:0/block/sda/queue/logical_block_size", "512\n");
	put_text("sys/devices/" ATA "/0:0:0:0/block/sda/sda1/partition", "1\n");
	put_text("sys/devices/" ATA "/0:0:0:0/block/sda/sda1/dev", "8:1\n");
	put_text("sys/devices/" ATA "/0:0:0:0/block/sda/sda2/partition", "2\n");
	put_text("sys/devices/" ATA "/0:0:0:0/block/sda/sda2/dev", "8:2\n");
	put_disk("sdb", USB, "6:0:0:0", "60000000\n", "8:16\n");
	put_text("sys/devices/" USB "/6:0:0:0/vendor", "Kingston\n");
	put_text("sys/devices/" USB "/6:0:0:0/model", "DataTraveler\n");
	put_text("sys/devices/" USB "/6:0:0:0/block/sdb/removable", "1\n");
	put_text("sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/serial", "E0D55EA5\n");
	put_disk("sdc", USB, "6:0:0:1", "0\n", "8:32\n"); /* a card reader without a card */
	put_disk("nvme0n1", NVME, "nvme0", "4000\n", "259:0\n");
	put_text("sys/devices/" NVME "/nvme0/model", "WD_BLACK SN850X\n");
	put_text("sys/devices/" NVME "/nvme0/serial", "22345X800123      \n");
	put_text("sys/devices/" NVME "/nvme0/block/nvme0n1/wwid", "eui.e8238fa6bf530001001b444a49b1c2d3\n");
	put_text("sys/devices/" NVME "/nvme0/block/nvme0n1/queue/logical_block_size", "4096\n");
	put_disk("nvme0c0n1", NVME, "nvme0", "4000\n", "259:7\n");
	put_text("sys/devices/" NVME "/nvme0/block/nvme0c0n1/hidden", "1\n");
	put_disk("vda", "pci0000:00/0000:00:04.0/virtio1", "x", "2048\n", "254:0\n");
	put_text("sys/devices/pci0000:00/0000:00:04.0/virtio1/x/block/vda/serial", "disk-0\n");
	put_text("sys/devices/pci0000:00/0000:00:04.0/virtio1/x/block/vda/holders/dm-0", "");
	put_disk("cciss!c0d0", "pci0000:00/cciss0", "c", "8192\n", "104:0\n");
	put_virtual("loop0", "100\n");
	put_virtual("ram0", "100\n");
	put_virtual("zram0", "100\n");
	put_virtual("sr0", "100\n");
	put_virtual("fd0", "100\n");
	put_virtual("dm-0", "100\n");
	put_virtual("md127", "100\n");
	put_virtual("mmcblk0boot0", "100\n");
	put_text("proc/self/mountinfo",
		 "22 1 8:17 / / rw - ext4 /dev/sdb1 rw\n30 22 8:2 / /home rw - ext4 /dev/sda2 rw\n");
	put_text("proc/swaps", "Filename\tType\tSize\n");
	return 0;
}

static int tear_down(void **state)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command);
}

static const struct disk_found *find(const struct disk_found *list, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].identity.path, path))
			return &list[i];
	fail_msg("%s is not listed", path);
	return NULL;
}

static void test_list(void **state)
{
	struct disk_found *list;
	const struct disk_found *f;
	struct error err = {0};
	size_t n;

	assert_int_equal(disk_list(root, &list, &n, &err), 0);
	assert_int_equal(n, 5);
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(list[i - 1].identity.path, list[i].identity.path) < 0);

	f = find(list, n, "/dev/sda");
	assert_true(f->size_bytes == 1953525168ull * 512);
	assert_int_equal(f->sector_bytes, 512);
	assert_string_equal(f->identity.model, "Samsung SSD 860");
	assert_string_equal(f->identity.serial, "S3Z9NB0K123456X");
	assert_string_equal(f->identity.wwn, "0x5002538e40a1b2c3");
	assert_string_equal(f->identity.bus, "sata");
	assert_true(f->boot_medium); /* sda2 is mounted, by number */
	assert_false(f->removable);

	f = find(list, n, "/dev/sdb");
	assert_string_equal(f->identity.model, "Kingston DataTraveler");
	assert_string_equal(f->identity.serial, "E0D55EA5");
	assert_string_equal(f->identity.bus, "usb");
	assert_string_equal(f->identity.wwn, "");
	assert_true(f->removable);
	assert_false(f->boot_medium); /* it has no partition sdb1 */

	f = find(list, n, "/dev/nvme0n1");
	assert_string_equal(f->identity.model, "WD_BLACK SN850X");
	assert_string_equal(f->identity.serial, "22345X800123");
	assert_string_equal(f->identity.wwn, "eui.e8238fa6bf530001001b444a49b1c2d3");
	assert_int_equal(f->sector_bytes, 4096);
	assert_true(f->size_bytes == 4000 * 512);
	assert_false(f->boot_medium);

	f = find(list, n, "/dev/vda");
	assert_string_equal(f->identity.serial, "disk-0");
	assert_string_equal(f->identity.bus, "virtio");
	assert_true(f->boot_medium); /* a device-mapper device holds it */
	find(list, n, "/dev/cciss/c0d0");
	free(list);
}

static void test_swap_is_use(void **state)
{
	struct disk_found *list;
	struct error err = {0};
	size_t n;

	put_text("proc/self/mountinfo", "22 1 0:28 / / rw - btrfs /dev/nvme0n1 rw\n");
	put_text("proc/swaps", "Filename\tType\tSize\n/dev/sda1 partition 100\n");
	assert_int_equal(disk_list(root, &list, &n, &err), 0);
	assert_true(find(list, n, "/dev/sda")->boot_medium);
	/* A file system that shows no device number of its own is found by name. */
	assert_true(find(list, n, "/dev/nvme0n1")->boot_medium);
	assert_false(find(list, n, "/dev/sdb")->boot_medium);
	free(list);
}

static void test_no_sys(void **state)
{
	struct disk_found *list;
	struct error err = {0};
	size_t n;

	assert_int_equal(disk_list("/nowhere", &list, &n, &err), -ENOENT);
	assert_null(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_swap_is_use),
		cmocka_unit_test(test_no_sys),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
