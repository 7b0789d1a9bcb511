/* The agent's parts that need neither a server nor root: the boot's words, facts, the screen, the shared state, disks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot_args.h"
#include "agent/disks.h"
#include "agent/facts.h"
#include "agent/live.h"
#include "agent/net.h"
#include "agent/screen.h"
#include "base/io.h"

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void boot_args_are_strict(void **state)
{
	static const char good[] = "BOOT_IMAGE=linux quiet g4l.server=https://10.0.0.1:7420 g4l.pin=" HEX64
				   " g4l.token=" HEX64 " g4l.mac=AA:bb:cc:dd:ee:0F g4l.new=1 console=ttyS0\n";
	static const char *const bad[] = {
		"quiet",
		"g4l.server=http://10.0.0.1:1 g4l.pin=" HEX64 " g4l.token=" HEX64 " g4l.mac=aa:bb:cc:dd:ee:ff",
		"g4l.server=https://10.0.0.1:1 g4l.pin=00 g4l.token=" HEX64 " g4l.mac=aa:bb:cc:dd:ee:ff",
		"g4l.server=https://10.0.0.1:1 g4l.pin=" HEX64 " g4l.token=" HEX64 "0 g4l.mac=aa:bb:cc:dd:ee:ff",
		"g4l.server=https://10.0.0.1:1 g4l.pin=" HEX64 " g4l.token=" HEX64 " g4l.mac=aa:bb:cc:dd:ee",
		"g4l.server=https://10.0.0.1:1 g4l.pin=" HEX64 " g4l.token=" HEX64 " g4l.mac=aa:bb-cc:dd:ee:ff",
		"g4l.server=https://10.0.0.1:1 g4l.pin=" HEX64 " g4l.token=" HEX64,
		"g4l.server=https://10.0.0.1:1 g4l.token=" HEX64 " g4l.mac=aa:bb:cc:dd:ee:ff",
	};
	struct boot_args a;
	struct error err = {0};

	assert_int_equal(boot_args_parse(good, &a, &err), 0);
	assert_string_equal(a.server, "https://10.0.0.1:7420");
	assert_string_equal(a.pin, HEX64);
	assert_string_equal(a.mac, "aa:bb:cc:dd:ee:0f");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(boot_args_parse(bad[i], &a, &err), -ERR_USAGE);
		assert_non_null(strstr(err.text, "g4l."));
	}
}

/* A made-up sysfs and procfs. */
static void put_file(const char *root, const char *path, const void *bytes, size_t n)
{
	char full[400];
	FILE *f;

	snprintf(full, sizeof full, "%s/%s", root, path);
	*strrchr(full, '/') = '\0';
	assert_int_equal(io_make_dirs(full, 0755, NULL), 0);
	full[strlen(full)] = '/';
	f = fopen(full, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void put_text(const char *root, const char *path, const char *text)
{
	put_file(root, path, text, strlen(text));
}

static int make_root(void **state)
{
	char *root = strdup("/tmp/g4l-agent-test-XXXXXX");

	*state = root;
	return mkdtemp(root) ? 0 : -1;
}

static int drop_root(void **state)
{
	char command[200];

	snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
	free(*state);
	return system(command);
}

static void facts_of_a_pc(void **state)
{
	const char *root = *state;
	static const uint8_t on[5] = {6, 0, 0, 0, 1}, off[5] = {6, 0, 0, 0, 0};
	struct wire_hello h;
	struct error err = {0};
	char *json;

	put_text(root, "sys/class/dmi/id/product_uuid", "4c4c4544-0042-1234\n");
	put_text(root, "sys/class/dmi/id/sys_vendor", "Dell Inc.  \n");
	put_text(root, "sys/class/dmi/id/product_name", "OptiPlex \xff\n");
	put_text(root, "proc/meminfo", "MemTotal:        1048576 kB\nMemFree: 1 kB\n");
	put_text(root, "sys/class/net/eth0/address", "aa:bb:cc:dd:ee:01\n");
	put_text(root, "sys/class/net/eth0/device/x", "");
	put_text(root, "sys/class/net/eth1/address", "aa:bb:cc:dd:ee:02\n");
	put_text(root, "sys/class/net/eth1/device/x", "");
	put_text(root, "sys/class/net/lo/address", "00:00:00:00:00:00\n");
	assert_int_equal(facts_gather(root, "aa:bb:cc:dd:ee:02", &h, &err), 0);
	assert_string_equal(h.firmware, "bios");
	assert_false(h.secure_boot);
	assert_string_equal(h.uuid, "4c4c4544-0042-1234");
	assert_string_equal(h.product, "Dell Inc. OptiPlex ?");
	assert_int_equal(h.memory_bytes, 1u << 30);
	assert_int_equal(h.n_macs, 2);
	assert_string_equal(h.macs[0], "aa:bb:cc:dd:ee:02");
	assert_int_equal(strlen(h.nonce), 32);
	assert_true(h.cpus >= 1);
	json = facts_json(&h);
	assert_non_null(strstr(json, "OptiPlex"));
	assert_null(strstr(json, "nonce"));
	free(json);
	wire_hello_clear(&h);

	put_file(root, "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", off, sizeof off);
	assert_int_equal(facts_gather(root, "aa:bb:cc:dd:ee:02", &h, &err), 0);
	assert_string_equal(h.firmware, "uefi");
	assert_false(h.secure_boot);
	wire_hello_clear(&h);
	put_file(root, "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", on, sizeof on);
	assert_int_equal(facts_gather(root, "aa:bb:cc:dd:ee:02", &h, &err), 0);
	assert_true(h.secure_boot);
	wire_hello_clear(&h);
}

static void nics_by_mac_and_without_driver(void **state)
{
	const char *root = *state;
	char name[32], cards[2][NET_CARD_BYTES];

	put_text(root, "sys/class/net/enp3s0/address", "aa:bb:cc:dd:ee:01\n");
	put_text(root, "sys/bus/pci/devices/0000:03:00.0/class", "0x020000\n");
	put_text(root, "sys/bus/pci/devices/0000:03:00.0/vendor", "0x8086\n");
	put_text(root, "sys/bus/pci/devices/0000:03:00.0/device", "0x15f3\n");
	put_text(root, "sys/bus/pci/devices/0000:04:00.0/class", "0x020000\n");
	put_text(root, "sys/bus/pci/devices/0000:04:00.0/driver", "");
	put_text(root, "sys/bus/pci/devices/0000:05:00.0/class", "0x010601\n");
	assert_int_equal(net_find(root, "AA:bb:cc:dd:ee:01", name, sizeof name), 0);
	assert_string_equal(name, "enp3s0");
	assert_int_equal(net_find(root, "aa:bb:cc:dd:ee:02", name, sizeof name), -ENODEV);
	assert_int_equal(net_cards_without_driver(root, cards, 2), 1);
	assert_string_equal(cards[0], "8086:15f3 (0000:03:00.0)");
}

static void screen_shows_all(void **state)
{
	char text[SCREEN_TEXT_BYTES], line[300];
	struct progress p = {.phase = "reading",
			     .done_bytes = 512ull << 20,
			     .total_bytes = 1ull << 30,
			     .new_bytes = 100ull << 20,
			     .stored_bytes = 50ull << 20,
			     .region = "partition 2 (ntfs)"};
	struct live_view v;
	struct live l;

	live_init(&l);
	LIVE_SET(&l, title, "backup of %s", "john");
	LIVE_SET(&l, machine, "Dell OptiPlex");
	LIVE_SET(&l, step, "waiting for the network cable's link · %u s left", 57u);
	live_copy(&l, &v);
	screen_format(&v, text);
	assert_non_null(strstr(text, "backup of john"));
	assert_non_null(strstr(text, "57 s left"));
	assert_null(strstr(text, "█"));

	assert_int_equal(live_progress(&l, &p), 0);
	live_waiting(&l, "the server does not answer", 90);
	live_log(&l, LOG_LEVEL_INFO, "a line\033[2J");
	live_copy(&l, &v);
	assert_ptr_equal(v.p.phase, v.phase);
	screen_format(&v, text);
	assert_non_null(strstr(text, "partition 2 (ntfs)"));
	assert_non_null(strstr(text, " 50 %"));
	assert_non_null(strstr(text, "512 MiB of 1.0 GiB"));
	assert_non_null(strstr(text, "! the server does not answer; trying again, 1m 30s left"));
	/* Nothing that comes from elsewhere can move the cursor. */
	assert_non_null(strstr(text, "a line?[2J"));
	assert_null(strchr(text, '\033'));
	screen_line(&v, line, sizeof line);
	assert_non_null(strstr(line, "reading"));
	{
		uint32_t essence = live_essence(&v);

		live_waiting(&l, "the server does not answer", 8);
		live_copy(&l, &v);
		assert_non_null(strstr(v.trouble, ", 8."));
		live_waiting(&l, "the store is full", 8);
		live_copy(&l, &v);
		assert_int_not_equal(live_essence(&v), essence);
	}
	live_waiting(&l, NULL, 0);
	live_copy(&l, &v);
	assert_string_equal(v.trouble, "");
	live_stop(&l, -ERR_CANCELLED);
	live_stop(&l, -EIO);
	assert_int_equal(live_progress(&l, &p), -ERR_CANCELLED);
	live_clear(&l);
}

static void log_is_kept_until_sent(void **state)
{
	struct wire_log first, rest;
	struct live l;
	char line[20];

	live_init(&l);
	for (int i = 0; i < LIVE_LOG_LINES + 5; i++) {
		snprintf(line, sizeof line, "line %d", i);
		live_log(&l, LOG_LEVEL_INFO, line);
	}
	assert_int_equal(l.dropped, 5);
	live_take_log(&l, &first);
	assert_int_equal(first.n, WIRE_MAX_LOG_LINES);
	/* The server is told about what it will never see. */
	assert_non_null(strstr(first.lines[0].text, "older lines are lost"));
	assert_string_equal(first.lines[1].text, "line 5");
	assert_int_equal(l.dropped, 0);
	live_return_log(&l, &first);
	assert_int_equal(first.n, 0);
	live_log(&l, LOG_LEVEL_INFO, "last");
	live_take_log(&l, &first);
	assert_non_null(strstr(first.lines[0].text, "older lines are lost"));
	assert_string_equal(first.lines[1].text, "line 6");
	wire_log_clear(&first);
	live_take_log(&l, &rest);
	assert_string_equal(rest.lines[rest.n - 1].text, "last");
	wire_log_clear(&rest);
	live_take_log(&l, &rest);
	assert_int_equal(rest.n, 0);
	wire_log_clear(&rest);
	live_clear(&l);
}

static struct disk_found made_up(const char *path, const char *serial, const char *wwn, uint64_t gib)
{
	struct disk_found d = {.size_bytes = gib << 30, .sector_bytes = 512};

	snprintf(d.identity.path, sizeof d.identity.path, "%s", path);
	snprintf(d.identity.serial, sizeof d.identity.serial, "%s", serial);
	snprintf(d.identity.wwn, sizeof d.identity.wwn, "%s", wwn);
	return d;
}

static void sources_are_what_is_fixed_and_free(void **state)
{
	struct disk_found d[4] = {made_up("/dev/sda", "A", "0x1", 10), made_up("/dev/sdb", "B", "", 10),
				  made_up("/dev/sdc", "C", "", 10), made_up("/dev/sdd", "A", "0x4", 10)};
	struct error err = {0};
	size_t chosen[4], n;

	d[1].removable = true;
	d[2].boot_medium = true;
	assert_int_equal(disks_choose_sources(d, 4, "", chosen, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(chosen[1], 3);
	assert_int_equal(disks_choose_sources(d, 4, "0x4", chosen, &n, &err), 0);
	assert_int_equal(chosen[0], 3);
	/* A removable one only when it is named. */
	assert_int_equal(disks_choose_sources(d, 4, "/dev/sdb", chosen, &n, &err), 0);
	assert_int_equal(disks_choose_sources(d, 4, "/dev/sdc", chosen, &n, &err), -ERR_REFUSED);
	assert_int_equal(disks_choose_sources(d, 4, "A", chosen, &n, &err), -ERR_REFUSED);
	assert_int_equal(disks_choose_sources(d, 4, "/dev/sdx", chosen, &n, &err), -ERR_REFUSED);
	assert_non_null(strstr(err.text, "/dev/sdd (serial A, 10.0 GiB)"));
	assert_int_equal(disks_choose_sources(d + 1, 1, "", chosen, &n, &err), -ENODEV);
}

static void targets_are_never_guessed(void **state)
{
	struct disk_found d[3] = {made_up("/dev/sda", "A", "0x1", 10), made_up("/dev/sdb", "B", "", 10),
				  made_up("/dev/sdc", "C", "", 10)};
	struct snapshot_disk was[2] = {
		{.path = "/dev/sda", .serial = "B", .size_bytes = 10ull << 30, .sector_bytes = 512},
		{.path = "/dev/sdb", .serial = "B", .size_bytes = 10ull << 30, .sector_bytes = 512}};
	struct snapshot s = {.id = "x", .disks = was, .n_disks = 1};
	struct error err = {0};
	size_t chosen[2];

	/* By identity, not by path. */
	assert_int_equal(disks_choose_targets(&s, d, 3, "", false, chosen, &err), 0);
	assert_int_equal(chosen[0], 1);
	/* Two disks of the snapshot cannot go to one disk. */
	s.n_disks = 2;
	assert_int_equal(disks_choose_targets(&s, d, 3, "", false, chosen, &err), -ERR_REFUSED);
	assert_int_equal(disks_choose_targets(&s, d, 3, "/dev/sda", false, chosen, &err), -ERR_REFUSED);
	s.n_disks = 1;
	/* What is in use is not taken, even when it fits. */
	d[1].boot_medium = true;
	assert_int_equal(disks_choose_targets(&s, d, 3, "", false, chosen, &err), -ERR_REFUSED);
	assert_int_equal(disks_choose_targets(&s, d, 3, "/dev/sdb", false, chosen, &err), -ERR_REFUSED);
	d[1].boot_medium = false;
	/* Nothing fits: the only one, and only when that is allowed. */
	strcpy(was[0].serial, "Z");
	assert_int_equal(disks_choose_targets(&s, d, 3, "", true, chosen, &err), -ERR_REFUSED);
	assert_int_equal(disks_choose_targets(&s, d, 1, "", false, chosen, &err), -ERR_REFUSED);
	assert_int_equal(disks_choose_targets(&s, d, 1, "", true, chosen, &err), 0);
	/* What is in use is none of them, and the choice is the other one's place in the whole list. */
	d[0].boot_medium = true;
	assert_int_equal(disks_choose_targets(&s, d, 2, "", true, chosen, &err), 0);
	assert_int_equal(chosen[0], 1);
	d[0].boot_medium = false;
	/* A removable one only when it is named, whatever it is called. */
	strcpy(was[0].serial, "B");
	d[1].removable = true;
	assert_int_equal(disks_choose_targets(&s, d, 3, "", false, chosen, &err), -ERR_REFUSED);
	assert_int_equal(disks_choose_targets(&s, d, 3, "/dev/sdb", false, chosen, &err), 0);
	assert_int_equal(chosen[0], 1);
	d[0].removable = true;
	strcpy(was[0].serial, "C");
	assert_int_equal(disks_choose_targets(&s, d, 3, "", false, chosen, &err), 0);
	assert_int_equal(chosen[0], 2);
	s.n_disks = 0;
	assert_int_equal(disks_choose_targets(&s, d, 1, "", true, chosen, &err), -ERR_DAMAGED);
}

/* A disk that is another one than when the choice was made. */
static void exchanged_disk_is_refused(void **state)
{
	char path[64], *paths[1] = {path};
	struct disk_found *found;
	struct error err = {0};
	struct disk *disk;

	snprintf(path, sizeof path, "%s/disk", (const char *)*state);
	put_text(*state, "disk", "");
	assert_int_equal(truncate(path, 8192), 0);
	assert_int_equal(disks_of_files(paths, 1, &found, &err), 0);
	assert_int_equal(disks_open(found, 0, &disk, &err), 0);
	disk_close(disk);
	assert_int_equal(truncate(path, 4096), 0);
	assert_int_equal(disks_open(found, DISK_WRITE, &disk, &err), -ERR_REFUSED);
	assert_non_null(strstr(err.text, path));
	free(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boot_args_are_strict),
		cmocka_unit_test_setup_teardown(facts_of_a_pc, make_root, drop_root),
		cmocka_unit_test_setup_teardown(nics_by_mac_and_without_driver, make_root, drop_root),
		cmocka_unit_test(screen_shows_all),
		cmocka_unit_test(log_is_kept_until_sent),
		cmocka_unit_test(sources_are_what_is_fixed_and_free),
		cmocka_unit_test(targets_are_never_guessed),
		cmocka_unit_test_setup_teardown(exchanged_disk_is_refused, make_root, drop_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
