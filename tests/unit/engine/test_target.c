/* Which disk a restore may overwrite: the one that was told, the same one, or the only one; everything else is a
 * refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"

#define GIB (1ull << 30)

static struct disk_found disk(const char *path, const char *serial, const char *wwn, uint64_t size)
{
	struct disk_found f = {.size_bytes = size, .sector_bytes = 512};

	snprintf(f.identity.path, sizeof f.identity.path, "%s", path);
	snprintf(f.identity.serial, sizeof f.identity.serial, "%s", serial);
	snprintf(f.identity.wwn, sizeof f.identity.wwn, "%s", wwn);
	return f;
}

/* Expects a choice, or a refusal that names every disk (chosen -1). */
static void check(const struct snapshot_disk *s, const struct disk_found *found, size_t n, const char *wanted,
		  bool single, int chosen)
{
	struct error err = {0};
	size_t which = 99;
	int rc = target_choose(s, found, n, wanted, single, &which, &err);

	if (chosen >= 0) {
		assert_int_equal(rc, 0);
		assert_int_equal(which, chosen);
		return;
	}
	assert_int_equal(rc, -ERR_REFUSED);
	assert_int_equal(which, 99);
	for (size_t i = 0; i < n; i++)
		assert_non_null(strstr(err.text, found[i].identity.path));
}

static void test_choices(void **state)
{
	struct snapshot_disk s = {.serial = "S1", .wwn = "0x5000A", .size_bytes = 100 * GIB, .sector_bytes = 512};
	struct snapshot_disk unknown = {.size_bytes = 100 * GIB, .sector_bytes = 512};
	struct disk_found f[4] = {disk("/dev/sda", "S9", "0x5000b", 500 * GIB),
				  disk("/dev/sdb", "S1", "0x5000a", 100 * GIB),
				  disk("/dev/sdc", "S1", "0x5000c", 200 * GIB), disk("/dev/sdd", "S1", "", 200 * GIB)};
	struct disk_found g;

	check(&s, f, 4, NULL, true, 1); /* by WWN, in whatever case it is written */
	check(&s, f, 1, NULL, false, -1);
	check(&s, f, 1, NULL, true, 0); /* the only one */
	check(&s, f, 0, NULL, true, -1);
	check(&s, f + 2, 2, NULL, true, 1); /* by serial; the other one has it too, but another WWN */
	check(&s, f + 2, 1, NULL, false, -1);
	check(&unknown, f, 2, NULL, true, -1); /* two, and nothing tells them apart */
	check(&unknown, f, 2, "/dev/sda", false, 0);
	check(&unknown, f, 4, "S1", false, -1); /* three have it */
	check(&unknown, f, 4, "0x5000C", false, 2);
	check(&unknown, f, 4, "/dev/sdx", true, -1);
	check(&unknown, f, 1, "", true, -1);
	f[3].identity.serial[0] = f[0].identity.serial[0] = '\0';
	check(&unknown, f, 4, "", true, -1); /* an empty name is no disk's name */
	g = f[1];
	g.size_bytes--;
	check(&s, &g, 1, NULL, true, -1); /* too small, whatever it is called */
	check(&s, &g, 1, "/dev/sdb", true, -1);
	g = f[1];
	g.sector_bytes = 4096;
	check(&s, &g, 1, NULL, true, -1);
	g = f[1];
	g.boot_medium = true;
	check(&s, &g, 1, NULL, true, -1);
	f[0] = f[1];
	strcpy(f[0].identity.path, "/dev/sda");
	check(&s, f, 2, NULL, true, -1); /* the same WWN twice */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_choices)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
