/* Armings that are fit for loaders, the menus' texts, and the control lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netboot/control.h"
#include "netboot/menu.h"
#include "netboot/wake.h"

#define BASE "http://10.66.0.1:8067/boot/00112233445566778899aabbccddeeff"
#define CMDLINE "g4l.server=https://10.66.0.1:8066 g4l.token=ab12 g4l.mac=52:54:00:66:00:01"

static const struct netboot_arming good = {.host = "john",
					   .mac = {0x52, 0x54, 0, 0x66, 0, 1},
					   .nonce = "00112233445566778899aabbccddeeff",
					   .base = BASE,
					   .cmdline = CMDLINE};

static void test_pxelinux(void **state)
{
	struct buf out = {0};

	assert_int_equal(menu_pxelinux(&good, &out, NULL), 0);
	buf_put_u8(&out, 0);
	assert_string_equal((char *)out.data, "DEFAULT g4l\n"
					      "PROMPT 0\n"
					      "NOESCAPE 1\n"
					      "ONERROR disk\n"
					      "SAY ghost4linux: john boots from the network\n"
					      "LABEL g4l\n"
					      "  KERNEL " BASE "/linux\n"
					      "  INITRD " BASE "/initrd\n"
					      "  APPEND console=ttyS0,115200 console=tty0 " CMDLINE "\n"
					      "LABEL disk\n"
					      "  LOCALBOOT 0\n");
	buf_free(&out);
}

static void test_ipxe(void **state)
{
	struct buf out = {0};

	assert_int_equal(menu_ipxe(&good, &out, NULL), 0);
	buf_put_u8(&out, 0);
	assert_memory_equal(out.data, "#!ipxe\n", 7);
	assert_non_null(strstr((char *)out.data, "\nkernel --name linux " BASE "/linux initrd=initrd "
						 "console=ttyS0,115200 console=tty0 " CMDLINE " || goto failed\n"));
	assert_non_null(strstr((char *)out.data, "\ninitrd --name initrd " BASE "/initrd || goto failed\n"));
	buf_free(&out);
}

static void test_grub(void **state)
{
	struct buf out = {0};
	struct error err = {0};

	assert_int_equal(menu_grub(&good, "/linux", "/initrd", &out, NULL), 0);
	buf_put_u8(&out, 0);
	assert_non_null(strstr((char *)out.data, "if linux '/linux' 'console=ttyS0,115200' 'console=tty0' "
						 "'g4l.server=https://10.66.0.1:8066' 'g4l.token=ab12' "
						 "'g4l.mac=52:54:00:66:00:01'; then\n"));
	assert_non_null(strstr((char *)out.data, "if initrd '/initrd'; then\n"));
	buf_free(&out);
	assert_int_equal(menu_grub(&good, "/li'nux", "/initrd", &out, &err), -ERR_USAGE);
	assert_int_equal(menu_grub(&good, "/linux", "initrd", &out, &err), -ERR_USAGE);
	assert_null(out.data);
}

/* No menu is made of it, nor can it be armed. */
static void assert_refused(const struct netboot_arming *a)
{
	struct buf out = {0};
	struct error err = {0};

	assert_int_equal(netboot_check(a, &err), -ERR_USAGE);
	assert_true(err.text[0]);
	assert_int_equal(menu_pxelinux(a, &out, NULL), -ERR_USAGE);
	assert_int_equal(menu_ipxe(a, &out, NULL), -ERR_USAGE);
	assert_int_equal(menu_grub(a, "/linux", "/initrd", &out, NULL), -ERR_USAGE);
	assert_null(out.data);
}

static void test_refusals(void **state)
{
	static const char bad[] = "\n\r\t\"'`$\\;&|<>#(){}\x01\x7f\xc3";
	struct netboot_arming a;

	for (const char *c = bad; *c; c++) {
		a = good;
		snprintf(a.cmdline, sizeof a.cmdline, "x=%cy", *c);
		assert_refused(&a);
		a = good;
		a.base[strlen(a.base) - 3] = *c;
		assert_refused(&a);
		a = good;
		a.host[1] = *c;
		assert_refused(&a);
	}
	a = good;
	memset(a.cmdline, 'x', sizeof a.cmdline); /* no end */
	assert_refused(&a);
	a = good;
	a.base[10] = ' ';
	assert_refused(&a);
	a = good;
	memcpy(a.base, "https", 5);
	assert_refused(&a);
	a = good;
	strcpy(a.base, "http://");
	assert_refused(&a);
	strcpy(a.base, "http:///boot");
	assert_refused(&a);
	strcpy(a.base, "http://10.0.0.1");
	assert_refused(&a);
	strcpy(a.base, "http://10.0.0.1/boot/");
	assert_refused(&a);
	strcpy(a.base, "http://h/");
	memset(a.base + 9, 'a', NETBOOT_BASE_MAX);
	assert_refused(&a);
	a = good;
	a.nonce[3] = 'G';
	assert_refused(&a);
	a = good;
	a.mac[0] |= 1; /* a group, not a NIC */
	assert_refused(&a);
	a = good;
	memset(a.mac, 0, sizeof a.mac);
	assert_refused(&a);
}

static void test_mac(void **state)
{
	uint8_t mac[6];
	char text[NETBOOT_MAC_TEXT];

	assert_int_equal(netboot_mac_parse("aA:bb:0c:dd-ee:ff", mac), 0);
	assert_string_equal(netboot_mac_format(mac, text), "aa:bb:0c:dd:ee:ff");
	assert_int_equal(netboot_mac_parse("aa:bb:cc:dd:ee:f", mac), -EINVAL);
	assert_int_equal(netboot_mac_parse("aa:bb:cc:dd:ee:ff0", mac), -EINVAL);
	assert_int_equal(netboot_mac_parse("aa:bb:cc:dd:ee:gg", mac), -EINVAL);
	assert_int_equal(netboot_mac_parse("aabbccddeeff00112", mac), -EINVAL);
	assert_int_equal(netboot_mac_parse("", mac), -EINVAL);
}

static void test_wake_packet(void **state)
{
	static const uint8_t mac[6] = {1, 2, 3, 4, 5, 6};
	uint8_t p[WAKE_PACKET_MAX];

	assert_int_equal(wake_packet(mac, NULL, 0, p), 102);
	assert_memory_equal(p, "\xff\xff\xff\xff\xff\xff", 6);
	for (int i = 0; i < 16; i++)
		assert_memory_equal(p + 6 + 6 * i, mac, 6);
	assert_int_equal(wake_packet(mac, (const uint8_t *)"secret", 6, p), 108);
	assert_memory_equal(p + 102, "secret", 6);
	assert_int_equal(wake_packet(mac, (const uint8_t *)"pass", 4, p), 106);
	assert_int_equal(wake_packet(mac, (const uint8_t *)"pass5", 5, p), -EINVAL);
}

/* ---- control lines ---- */

static void test_control_round_trip(void **state)
{
	struct netboot_event event = {.kind = NETBOOT_LOADER,
				      .has_mac = true,
				      .mac = {2, 3, 4, 5, 6, 7},
				      .text = "john \"quoted\"\n\xc3\xa9"};
	struct netboot_event got;
	struct control_message m;
	struct buf out = {0};

	control_put_arm(&out, &good);
	assert_int_equal(control_parse_message((char *)out.data, out.len - 1, &m), 0);
	assert_int_equal(m.kind, CONTROL_ARM);
	assert_memory_equal(&m.arming, &good, sizeof good);
	out.len = 0;
	control_put_disarm(&out, good.mac);
	assert_int_equal(control_parse_message((char *)out.data, out.len - 1, &m), 0);
	assert_int_equal(m.kind, CONTROL_DISARM);
	assert_memory_equal(m.arming.mac, good.mac, 6);
	out.len = 0;
	control_put_start(&out);
	assert_int_equal(control_parse_message((char *)out.data, out.len - 1, &m), 0);
	assert_int_equal(m.kind, CONTROL_START);
	out.len = 0;
	control_put_event(&out, &event);
	assert_null(memchr(out.data, '\n', out.len - 1));
	assert_int_equal(control_parse_event((char *)out.data, out.len - 1, &got), 0);
	assert_memory_equal(&got, &event, sizeof got);
	assert_false(out.failed);
	buf_free(&out);
}

static void test_control_nonsense(void **state)
{
	static const char *const bad[] = {"",
					  "{}",
					  "[]",
					  "{",
					  "null",
					  "{\"arm\":1}",
					  "{\"arm\":{}}",
					  "{\"disarm\":{\"mac\":\"x\"}}",
					  "{\"disarm\":{\"mac\":7}}",
					  "{\"event\":\"no such\",\"text\":\"\"}",
					  "{\"event\":\"ready\"}"};
	struct control_message m;
	struct netboot_event e;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(control_parse_message(bad[i], strlen(bad[i]), &m), -ERR_FORMAT);
		assert_int_equal(control_parse_event(bad[i], strlen(bad[i]), &e), -ERR_FORMAT);
	}
}

static void test_control_lines(void **state)
{
	struct control_lines lines = {0};
	char big[CONTROL_LINE_MAX];
	int pair[2];
	size_t len;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(control_lines_fill(&lines, pair[0]), 0);
	assert_int_equal(write(pair[1], "one\ntw", 6), 6);
	assert_int_equal(control_lines_fill(&lines, pair[0]), 1);
	assert_memory_equal(control_lines_next(&lines, &len), "one", 3);
	assert_int_equal(len, 3);
	assert_null(control_lines_next(&lines, &len));
	assert_int_equal(write(pair[1], "o\n\n", 3), 3);
	assert_int_equal(control_lines_fill(&lines, pair[0]), 1);
	assert_memory_equal(control_lines_next(&lines, &len), "two", 3);
	assert_non_null(control_lines_next(&lines, &len));
	assert_int_equal(len, 0);
	assert_null(control_lines_next(&lines, &len));
	memset(big, 'x', sizeof big);
	assert_int_equal(write(pair[1], big, sizeof big), sizeof big);
	assert_int_equal(control_lines_fill(&lines, pair[0]), 1);
	assert_null(control_lines_next(&lines, &len));
	assert_int_equal(control_lines_fill(&lines, pair[0]), -EMSGSIZE);
	close(pair[1]);
	control_lines_free(&lines);
	assert_int_equal(control_lines_fill(&lines, pair[0]), -EPIPE);
	control_lines_free(&lines);
	close(pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pxelinux),
		cmocka_unit_test(test_ipxe),
		cmocka_unit_test(test_grub),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_wake_packet),
		cmocka_unit_test(test_control_round_trip),
		cmocka_unit_test(test_control_nonsense),
		cmocka_unit_test(test_control_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
