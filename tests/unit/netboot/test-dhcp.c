/* The DHCP codec and the proxy's decisions, on packets that real firmware sent and on broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "hex.h"
#include "netboot/proxy.h"
#include "packets.h"

#define OUR_ADDRESS 0x0a420001u /* 10.66.0.1 */
#define BASE "http://10.66.0.1:8067/boot/00112233445566778899aabbccddeeff"

static const uint8_t uuid[16] = {0x77, 0x77, 0x77, 0x77, 0x11, 0x11, 0x22, 0x22,
				 0x33, 0x33, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44};

/* ---- reading ---- */

static struct dhcp_request parsed(const char *hex)
{
	struct packet p = packet_of(hex);
	struct dhcp_request r;

	assert_int_equal(dhcp_parse(p.bytes, p.len, &r), 0);
	return r;
}

static void test_bios_discover(void **state)
{
	struct dhcp_request r = parsed(packet_bios_discover);

	assert_int_equal(r.message, DHCP_DISCOVER);
	assert_int_equal(r.xid, 0x58dbdd1b);
	assert_memory_equal(r.mac, "\x52\x54\x00\x66\x00\x01", 6);
	assert_string_equal(r.class_id, "PXEClient:Arch:00000:UNDI:002001");
	assert_string_equal(r.user_class, "iPXE");
	assert_true(r.ipxe);
	assert_int_equal(r.arch, DHCP_ARCH_BIOS);
	assert_true(r.has_uuid);
	assert_memory_equal(r.uuid, uuid, sizeof uuid);
	assert_int_equal(r.server_id, 0);
}

static void test_others(void **state)
{
	struct dhcp_request r = parsed(packet_bios_request);

	assert_int_equal(r.message, DHCP_REQUEST);
	assert_int_equal(r.server_id, 0x0a420002);
	r = parsed(packet_uefi_discover);
	assert_int_equal(r.arch, DHCP_ARCH_EFI_BC);
	assert_false(r.ipxe);
	assert_string_equal(r.user_class, "");
	r = parsed(packet_uefi_pxe_request);
	assert_int_equal(r.message, DHCP_REQUEST);
	assert_int_equal(r.ciaddr >> 8, 0x0a4200);
	r = parsed(packet_ipxe_discover);
	assert_int_equal(r.arch, DHCP_ARCH_EFI_BC);
	assert_true(r.ipxe);
	r = parsed(packet_http_discover);
	assert_int_equal(r.arch, DHCP_ARCH_HTTP_X64);
	assert_memory_equal(r.class_id, "HTTPClient", 10);
}

static void test_cut_and_broken(void **state)
{
	struct packet p = packet_of(packet_uefi_discover);
	struct dhcp_request r;

	for (size_t n = 0; n < 240; n++)
		assert_int_equal(dhcp_parse(p.bytes, n, &r), -ERR_FORMAT);
	p.bytes[0] = 2; /* a reply */
	assert_int_equal(dhcp_parse(p.bytes, p.len, &r), -ERR_FORMAT);
	p = packet_of(packet_uefi_discover);
	p.bytes[2] = 16; /* InfiniBand's length */
	assert_int_equal(dhcp_parse(p.bytes, p.len, &r), -ERR_FORMAT);
	p = packet_of(packet_uefi_discover);
	p.bytes[236] ^= 1; /* cookie */
	assert_int_equal(dhcp_parse(p.bytes, p.len, &r), -ERR_FORMAT);
	p = packet_of(packet_uefi_discover);
	p.bytes[241] = 255; /* the first option is longer than the packet may hold */
	assert_int_equal(dhcp_parse(p.bytes, 300, &r), -ERR_FORMAT);
	p = packet_of(packet_uefi_discover);
	assert_int_equal(dhcp_parse(p.bytes, 241, &r), -ERR_FORMAT); /* an option without its length */
}

/* A small request: fixed part, cookie and the options given. */
static struct packet request_with(const void *options, size_t len)
{
	struct packet p = packet_of(packet_uefi_discover);

	memcpy(p.bytes + 240, options, len);
	p.len = 240 + len;
	return p;
}

static void test_fragments_and_overload(void **state)
{
	/* Option 60 in two pieces (RFC 3396), the rest in file and sname (option 52 = 3). */
	static const char options[] = "\x35\x01\x01\x3c\x04PXEC\x34\x01\x03\x3c\x05lient\xff";
	struct packet p = request_with(options, sizeof options - 1);
	struct dhcp_request r;

	memcpy(p.bytes + 108, "\x5d\x02\x00\x09\xff", 5); /* file: option 93 */
	memcpy(p.bytes + 44, "\x4d\x05\x04iPXE\xff", 8);  /* sname: option 77 with RFC 3004's length */
	assert_int_equal(dhcp_parse(p.bytes, p.len, &r), 0);
	assert_string_equal(r.class_id, "PXEClient");
	assert_int_equal(r.arch, DHCP_ARCH_EFI_X64);
	assert_string_equal(r.user_class, "iPXE");
	assert_true(r.ipxe);
}

static void test_class_tells_arch(void **state)
{
	static const char options[] = "\x35\x01\x01\x3c\x14PXEClient:Arch:00006\xff";
	struct packet p = request_with(options, sizeof options - 1);
	struct dhcp_request r;

	assert_int_equal(dhcp_parse(p.bytes, p.len, &r), 0);
	assert_int_equal(r.arch, DHCP_ARCH_EFI_IA32);
	p = request_with("\x35\x01\x01\x3c\x09PXEClient", 14); /* and no end option */
	assert_int_equal(dhcp_parse(p.bytes, p.len, &r), 0);
	assert_int_equal(r.arch, DHCP_ARCH_NONE);
	p = request_with("\x3c\x09PXEClient\xff", 12); /* no message type: BOOTP */
	assert_int_equal(dhcp_parse(p.bytes, p.len, &r), -ERR_FORMAT);
}

static void test_joined_too_long(void **state)
{
	uint8_t options[520] = {0x35, 1, 1};
	size_t at = 3;

	for (int i = 0; i < 2; i++) {
		options[at++] = 60;
		options[at++] = 200;
		memset(options + at, 'x', 200);
		at += 200;
	}
	struct packet p = request_with(options, at);
	struct dhcp_request r;

	assert_int_equal(dhcp_parse(p.bytes, p.len, &r), -ERR_FORMAT);
}

/* ---- deciding ---- */

struct fixture {
	struct armed armed;
	struct proxy_answer answer;
};

static void arm(struct armed *armed, const char *host, const char *mac)
{
	struct netboot_arming a = {.base = BASE, .nonce = "00112233445566778899aabbccddeeff"};

	snprintf(a.host, sizeof a.host, "%s", host);
	assert_int_equal(netboot_mac_parse(mac, a.mac), 0);
	assert_int_equal(armed_set(armed, &a), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	arm(&f->armed, "bios", "52:54:00:66:00:01");
	arm(&f->armed, "uefi", "52:54:00:66:00:02");
	arm(&f->armed, "sb", "52:54:00:66:00:03");
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	armed_free(&f->armed);
	free(f);
	return 0;
}

static struct proxy_answer *decide(struct fixture *f, enum proxy_service service, const struct packet *p)
{
	struct proxy_ask ask = {.service = service,
				.packet = p->bytes,
				.len = p->len,
				.our_address = OUR_ADDRESS,
				.from_address = service == PROXY_ON_PXE ? 0x0a420032 : 0,
				.from_port = service == PROXY_ON_PXE ? 4011 : 68};

	proxy_decide(&f->armed, &ask, &f->answer);
	return &f->answer;
}

/* The value of an option of an answer, and its length. */
static const uint8_t *option(const struct proxy_answer *a, uint8_t code, size_t *len)
{
	struct cursor c = cursor_of(a->packet + 240, a->len - 240);

	while (cursor_left(&c)) {
		uint8_t got = cursor_u8(&c);

		if (got == 0)
			continue;
		if (got == 255)
			break;
		*len = cursor_u8(&c);
		const uint8_t *data = cursor_take(&c, *len);

		assert_non_null(data);
		if (got == code)
			return data;
	}
	return NULL;
}

static void assert_option(const struct proxy_answer *a, uint8_t code, const void *want, size_t want_len)
{
	size_t len;
	const uint8_t *data = option(a, code, &len);

	assert_non_null(data);
	assert_int_equal(len, want_len);
	assert_memory_equal(data, want, len);
}

static void assert_offer(const struct proxy_answer *a, const char *file)
{
	static const uint8_t full_uuid[17] = {0,    0x77, 0x77, 0x77, 0x77, 0x11, 0x11, 0x22, 0x22,
					      0x33, 0x33, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44};
	static const uint8_t zero[4];

	assert_true(a->send);
	assert_true(a->len >= 300);
	assert_int_equal(a->packet[0], 2);
	assert_memory_equal(a->packet + 16, zero, 4);		   /* yiaddr: we lease nothing */
	assert_int_equal(bytes_be32(a->packet + 20), OUR_ADDRESS); /* siaddr */
	assert_string_equal((const char *)a->packet + 108, file);
	assert_option(a, 53, "\x02", 1);
	assert_option(a, 54, "\x0a\x42\x00\x01", 4);
	assert_option(a, 97, full_uuid, sizeof full_uuid);
	assert_int_equal(a->to_address, 0xffffffff);
	assert_int_equal(a->to_port, 68);
	assert_true(a->has_event);
	assert_int_equal(a->event.kind, NETBOOT_OFFER);
}

static void test_offers(void **state)
{
	struct packet p = packet_of(packet_bios_discover);
	const struct proxy_answer *a = decide(*state, PROXY_ON_DHCP, &p);
	size_t len;

	assert_offer(a, "lpxelinux.0");
	assert_int_equal(bytes_be32(a->packet + 4), 0x58dbdd1b);
	assert_memory_equal(a->packet + 28, "\x52\x54\x00\x66\x00\x01", 6);
	assert_option(a, 60, "PXEClient", 9);
	assert_option(a, 43, "\x06\x01\x08\xff", 4);
	assert_string_equal(a->event.text, "bios asked for a loader (BIOS)");

	p = packet_of(packet_uefi_discover);
	a = decide(*state, PROXY_ON_DHCP, &p);
	assert_offer(a, "snponly.efi");
	assert_option(a, 60, "PXEClient", 9);

	p = packet_of(packet_ipxe_discover);
	a = decide(*state, PROXY_ON_DHCP, &p);
	assert_offer(a, BASE "/boot.ipxe");

	p = packet_of(packet_http_discover);
	a = decide(*state, PROXY_ON_DHCP, &p);
	assert_offer(a, "");
	assert_option(a, 60, "HTTPClient", 10);
	assert_option(a, 67, BASE "/uefi.img", strlen(BASE "/uefi.img"));
	assert_null(option(a, 43, &len));
}

static void test_long_address(void **state)
{
	struct fixture *f = *state;
	struct packet p = packet_of(packet_ipxe_discover);
	struct netboot_arming a = {.host = "uefi", .mac = {0x52, 0x54, 0, 0x66, 0, 2}};
	char want[300];

	memset(a.base, 'a', NETBOOT_BASE_MAX);
	snprintf(want, sizeof want, "%s/boot.ipxe", a.base);
	assert_int_equal(armed_set(&f->armed, &a), 0);
	decide(f, PROXY_ON_DHCP, &p);
	assert_offer(&f->answer, ""); /* does not fit the header */
	assert_option(&f->answer, 67, want, strlen(want));
}

static void test_port_4011(void **state)
{
	struct packet p = packet_of(packet_uefi_pxe_request);
	const struct proxy_answer *a = decide(*state, PROXY_ON_PXE, &p);

	assert_true(a->send);
	assert_option(a, 53, "\x05", 1);
	assert_string_equal((const char *)a->packet + 108, "snponly.efi");
	assert_int_equal(a->to_address, 0x0a420032);
	assert_int_equal(a->to_port, 4011);
	/* A boot server's answer names the item that was asked for. */
	static const char options[] =
		"\x35\x01\x08\x3c\x09PXEClient\x2b\x07\x47\x04\x80\x01\x00\x02\xff\x5d\x02\x00\x00\xff";

	p = request_with(options, sizeof options - 1);
	a = decide(*state, PROXY_ON_PXE, &p);
	assert_true(a->send);
	assert_option(a, 43, "\x06\x01\x08\x47\x04\x80\x01\x00\x02\xff", 10);
}

static void test_silence(void **state)
{
	struct fixture *f = *state;
	struct packet p = packet_of(packet_bios_request);

	/* The choice between DHCP servers is not our business. */
	decide(f, PROXY_ON_DHCP, &p);
	assert_false(f->answer.send);
	assert_false(f->answer.has_event);
	/* No DISCOVER on port 4011. */
	p = packet_of(packet_uefi_discover);
	decide(f, PROXY_ON_PXE, &p);
	assert_false(f->answer.send);
	/* An ordinary DHCP client of an armed host (its own system asks for an address). */
	p = request_with("\x35\x01\x01\xff", 4);
	decide(f, PROXY_ON_DHCP, &p);
	assert_false(f->answer.send);
	assert_false(f->answer.has_event);
	/* Nonsense. */
	p.len = 17;
	decide(f, PROXY_ON_DHCP, &p);
	assert_false(f->answer.send);
}

static void test_stranger(void **state)
{
	static const char *const all[] = {packet_bios_discover, packet_uefi_discover, packet_ipxe_discover,
					  packet_http_discover, packet_uefi_pxe_request};
	struct fixture *f = *state;

	armed_free(&f->armed);
	arm(&f->armed, "other", "52:54:00:66:00:09");
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		struct packet p = packet_of(all[i]);

		decide(f, i == 4 ? PROXY_ON_PXE : PROXY_ON_DHCP, &p);
		assert_false(f->answer.send);
		assert_true(f->answer.has_event);
		assert_int_equal(f->answer.event.kind, NETBOOT_STRANGER);
	}
}

static void test_unsupported(void **state)
{
	static const uint8_t archs[] = {6, 10, 11, 15, 18, 19, 27};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof archs; i++) {
		char options[] = "\x35\x01\x01\x3c\x09PXEClient\x5d\x02\x00\x00\xff";
		options[17] = (char)archs[i];
		struct packet p = request_with(options, sizeof options - 1);

		decide(f, PROXY_ON_DHCP, &p);
		assert_false(f->answer.send);
		assert_true(f->answer.has_event);
		assert_int_equal(f->answer.event.kind, NETBOOT_ERROR);
		assert_non_null(strstr(f->answer.event.text, "uefi cannot be booted"));
	}
}

static void test_relayed(void **state)
{
	struct packet p = packet_of(packet_uefi_discover);
	const struct proxy_answer *a;

	bytes_put_be32(p.bytes + 24, 0x0a050001); /* giaddr: a relay in another subnet */
	a = decide(*state, PROXY_ON_DHCP, &p);
	assert_true(a->send);
	assert_int_equal(a->to_address, 0x0a050001);
	assert_int_equal(a->to_port, 67);
	assert_int_equal(bytes_be32(a->packet + 24), 0x0a050001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bios_discover),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_cut_and_broken),
		cmocka_unit_test(test_fragments_and_overload),
		cmocka_unit_test(test_class_tells_arch),
		cmocka_unit_test(test_joined_too_long),
		cmocka_unit_test_setup_teardown(test_offers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_address, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_port_4011, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stranger, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unsupported, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_relayed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
