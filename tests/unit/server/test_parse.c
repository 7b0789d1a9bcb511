/* Configuration, paths, ranges and bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "server/api_parse.h"
#include "server/boot_image.h"
#include "server/config.h"

static void defaults(void **state)
{
	struct config c;

	assert_int_equal(config_parse("", "x", &c, NULL), 0);
	assert_string_equal(c.store, "/var/lib/ghost4linux/store");
	assert_string_equal(c.boot_dir, "/var/lib/ghost4linux/boot");
	assert_int_equal(c.https_port, 8443);
	assert_int_equal(c.boot_timeout_s, 600);
	assert_int_equal(config_load("/nowhere/at/all.conf", true, &c, NULL), 0);
	assert_int_equal(c.http_port, 8080);
	assert_int_equal(config_load("/nowhere/at/all.conf", false, &c, NULL), -ENOENT);
}

static void values(void **state)
{
	struct config c;
	struct error err = {0};

	assert_int_equal(config_parse("# a comment\n[server]\nstore = /srv/store\nstate_dir=/srv/state\n[limits]\n"
				      "boot_timeout = 15m\nwake_interval=90s\n[network]\nhttps_port = 0\n",
				      "x", &c, &err),
			 0);
	assert_string_equal(c.store, "/srv/store");
	assert_string_equal(c.boot_dir, "/srv/state/boot");
	assert_int_equal(c.boot_timeout_s, 900);
	assert_int_equal(c.wake_interval_s, 90);
	assert_int_equal(c.https_port, 0);
}

static void errors_name_the_line(void **state)
{
	static const struct {
		const char *text, *line, *word;
	} cases[] = {
		{"[server]\n\nstroe = /x\n", "line 3", "stroe"},
		{"[server]\nstore = /x\nstore = /y\n", "line 3", "twice"},
		{"store = /x\n", "line 1", "unknown key"},
		{"[limits]\nboot_timeout = soon\n", "line 2", "soon"},
		{"[limits]\nboot_timeout = 0\n", "line 2", "between"},
		{"[network]\nhttps_port = 70000\n", "line 2", "between"},
		{"[network]\nhttps_port = -1\n", "line 2", "-1"},
		{"[boot]\nnetboot = magic\n", "line 2", "builtin"},
		{"[boot]\nnetboot = none builtin\n", "line 2", "builtin"},
		{"[server]\nstate_dir = here\n", "line 2", "absolute"},
		{"[server]\nrubbish\n", "line 2", "key"},
		{"[server\n", "line 1", "section"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct error err = {0};
		struct config c;

		assert_int_equal(config_parse(cases[i].text, "ghost.conf", &c, &err), -ERR_USAGE);
		assert_non_null(strstr(err.text, cases[i].line));
		assert_non_null(strstr(err.text, cases[i].word));
	}
}

static void admin_paths(void **state)
{
	struct admin_path p;

	assert_int_equal(api_admin_path("/api/v1/hosts", &p, NULL), 0);
	assert_int_equal(p.route, ADMIN_HOSTS);
	assert_int_equal(api_admin_path("/api/v1/hosts/john", &p, NULL), 0);
	assert_int_equal(p.route, ADMIN_HOST);
	assert_string_equal(p.host, "john");
	assert_int_equal(api_admin_path("/api/v1/hosts/john/screen", &p, NULL), 0);
	assert_int_equal(p.route, ADMIN_SCREEN);
	assert_int_equal(api_admin_path("/api/v1/jobs/12/cancel", &p, NULL), 0);
	assert_int_equal(p.route, ADMIN_JOB_CANCEL);
	assert_int_equal(p.job, 12);
	assert_int_equal(api_admin_path("/api/v1/jobs/12/log", &p, NULL), 0);
	assert_int_equal(p.route, ADMIN_JOB_LOG);
	assert_int_equal(api_admin_path("/api/v1/jobs/0", &p, NULL), -ERR_USAGE);
	assert_int_equal(api_admin_path("/api/v1/jobs/99999999999999999999", &p, NULL), -ERR_USAGE);
	assert_int_equal(api_admin_path("/api/v1/jobs/-1", &p, NULL), -ERR_USAGE);
	assert_int_equal(api_admin_path("/api/v1/jobs/1/steal", &p, NULL), -ENOENT);
	assert_int_equal(api_admin_path("/api/v1/hosts/../etc", &p, NULL), -ERR_USAGE);
	assert_int_equal(api_admin_path("/api/v1/", &p, NULL), -ENOENT);
	assert_int_equal(api_admin_path("/", &p, NULL), -ENOENT);
}

static void boot_paths(void **state)
{
	struct boot_path p;

	assert_int_equal(api_boot_path("/boot/00112233445566778899aabbccddeeff/linux", &p), 0);
	assert_string_equal(p.nonce, "00112233445566778899aabbccddeeff");
	assert_string_equal(p.object, "linux");
	assert_int_equal(api_boot_path("/boot/00112233445566778899aabbccddeeff", &p), -ENOENT);
	assert_int_equal(api_boot_path("/boot/00112233445566778899aabbccddeeff/", &p), -ENOENT);
	assert_int_equal(api_boot_path("/boot/00112233445566778899aabbccddeeff/a/b", &p), -ENOENT);
	assert_int_equal(api_boot_path("/boot/xx112233445566778899aabbccddeeff/linux", &p), -ENOENT);
	assert_int_equal(api_boot_path("/boot/00/linux", &p), -ENOENT);
	assert_int_equal(api_boot_path("/api/v1/hosts", &p), -ENOENT);
}

static void ranges(void **state)
{
	uint64_t b = 0, n = 0;

	assert_int_equal(api_range(NULL, 100, &b, &n), 1);
	assert_int_equal(api_range("bytes=0-0", 100, &b, &n), 0);
	assert_int_equal(b, 0);
	assert_int_equal(n, 1);
	assert_int_equal(api_range("bytes=10-19", 100, &b, &n), 0);
	assert_int_equal(b, 10);
	assert_int_equal(n, 10);
	assert_int_equal(api_range("bytes=90-", 100, &b, &n), 0);
	assert_int_equal(n, 10);
	assert_int_equal(api_range("bytes=90-18446744073709551615", 100, &b, &n), 0);
	assert_int_equal(n, 10);
	assert_int_equal(api_range("bytes=-7", 100, &b, &n), 0);
	assert_int_equal(b, 93);
	assert_int_equal(n, 7);
	assert_int_equal(api_range("bytes=-700", 100, &b, &n), 0);
	assert_int_equal(b, 0);
	assert_int_equal(n, 100);
	assert_int_equal(api_range("bytes=100-", 100, &b, &n), -ERANGE);
	assert_int_equal(api_range("bytes=-0", 100, &b, &n), -ERANGE);
	assert_int_equal(api_range("bytes=0-", 0, &b, &n), -ERANGE);
	assert_int_equal(api_range("bytes=5-4", 100, &b, &n), 1);
	assert_int_equal(api_range("bytes=0-1,4-5", 100, &b, &n), 1);
	assert_int_equal(api_range("lines=0-1", 100, &b, &n), 1);
	assert_int_equal(api_range("bytes=x-", 100, &b, &n), 1);
}

static int host_body(const char *text, struct host *h)
{
	return api_host_body(text, strlen(text), h, NULL);
}

static void host_bodies(void **state)
{
	struct host h;

	assert_int_equal(host_body("{\"name\":\"john\",\"macs\":[\"AA-BB-CC-DD-EE-0F\",\"525400112233\"]}", &h), 0);
	assert_string_equal(h.macs[0], "aa:bb:cc:dd:ee:0f");
	assert_string_equal(h.macs[1], "52:54:00:11:22:33");
	assert_string_equal(h.after, "poweroff");
	assert_int_equal(host_body("{\"name\":\"john\",\"macs\":[]}", &h), -ERR_USAGE);
	assert_int_equal(host_body("{\"name\":\"john\"}", &h), -ERR_USAGE);
	assert_int_equal(host_body("{\"name\":\"../x\",\"macs\":[\"525400112233\"]}", &h), -ERR_USAGE);
	assert_int_equal(host_body("{\"name\":\"john\",\"macs\":[\"01:00:5e:00:00:01\"]}", &h), -ERR_USAGE);
	assert_int_equal(host_body("{\"name\":\"john\",\"macs\":[\"00:00:00:00:00:00\"]}", &h), -ERR_USAGE);
	assert_int_equal(host_body("{\"name\":\"john\",\"macs\":[\"525400112233\",\"52:54:00:11:22:33\"]}", &h),
			 -ERR_USAGE);
	assert_int_equal(host_body("{\"name\":\"john\",\"macs\":[\"525400112233\"],\"after\":\"explode\"}", &h),
			 -ERR_USAGE);
	assert_int_equal(host_body("[]", &h), -ERR_USAGE);
	assert_int_equal(host_body("", &h), -ERR_USAGE);
}

static int job_body(const char *text, struct job_request *q)
{
	return api_job_body(text, strlen(text), q, NULL);
}

static void job_bodies(void **state)
{
	struct job_request q;

	assert_int_equal(
		job_body("{\"kind\":\"backup\",\"host\":\"john\",\"tags\":[\"a\",\"b\"],\"snapshot\":null}", &q), 0);
	assert_string_equal(q.tags, "[\"a\",\"b\"]");
	assert_int_equal(job_body("{\"kind\":\"restore\",\"host\":\"john\",\"yes\":true,\"from\":\"paul\"}", &q), 0);
	assert_string_equal(q.from, "paul");
	assert_int_equal(job_body("{\"kind\":\"restore\",\"host\":\"john\"}", &q), -ERR_REFUSED);
	assert_int_equal(job_body("{\"kind\":\"restore\",\"host\":\"john\",\"yes\":false}", &q), -ERR_REFUSED);
	assert_int_equal(job_body("{\"kind\":\"restore\",\"host\":\"john\",\"yes\":\"yes\"}", &q), -ERR_USAGE);
	assert_int_equal(job_body("{\"kind\":\"wipe\",\"host\":\"john\"}", &q), -ERR_USAGE);
	assert_int_equal(job_body("{\"kind\":\"backup\"}", &q), -ERR_USAGE);
	assert_int_equal(job_body("{\"kind\":\"backup\",\"host\":\"john\",\"snapshot\":\"abc\"}", &q), -ERR_USAGE);
	assert_int_equal(job_body("{\"kind\":\"backup\",\"host\":\"john\",\"tags\":[\"a b\"]}", &q), -ERR_USAGE);
	assert_int_equal(job_body("{\"kind\":\"verify\",\"host\":\"john\",\"disk\":\"/dev/sda\"}", &q), -ERR_USAGE);
	assert_int_equal(job_body("{\"kind\":\"verify\",\"host\":\"john\",\"snapshot\":\"../../x\"}", &q), -ERR_USAGE);
}

static void manifests(void **state)
{
	static const char good[] =
		"{\"kernel\":\"6.1\",\"linux\":{\"file\":\"linux\",\"bytes\":5},\"initrd\":{\"file\":\"initrd\","
		"\"bytes\":6},\"uefi_img\":{\"file\":\"uefi.img\",\"bytes\":100,\"grub_cfg_offset\":40,"
		"\"grub_cfg_bytes\":60}}";
	char bad[sizeof good];
	struct boot_image b;

	assert_int_equal(boot_image_parse(good, strlen(good), "/d", &b, NULL), 0);
	assert_string_equal(b.initrd.path, "/d/initrd");
	assert_int_equal(b.grub_cfg_offset, 40);
	/* The place ends behind the file. */
	memcpy(bad, good, sizeof good);
	*strstr(bad, "40") = '9';
	assert_int_equal(boot_image_parse(bad, strlen(bad), "/d", &b, NULL), -ERR_FORMAT);
	/* A name that leads out of the folder. */
	memcpy(bad, good, sizeof good);
	memcpy(strstr(bad, "\"linux\",\"b"), "\"../ux\"", 7);
	assert_int_equal(boot_image_parse(bad, strlen(bad), "/d", &b, NULL), -ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),    cmocka_unit_test(values),     cmocka_unit_test(errors_name_the_line),
		cmocka_unit_test(admin_paths), cmocka_unit_test(boot_paths), cmocka_unit_test(ranges),
		cmocka_unit_test(host_bodies), cmocka_unit_test(job_bodies), cmocka_unit_test(manifests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
