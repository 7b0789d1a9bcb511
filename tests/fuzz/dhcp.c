/*
 * Packets to the proxy: the first byte chooses the port, the rest is the packet; the MAC in it is armed, so that the
 * whole way to the answer is walked. What is answered must itself be well-formed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "netboot/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_answer(const struct proxy_answer *a)
{
	struct cursor c = cursor_of(a->packet, a->len);
	uint8_t code = 0;

	require(a->len >= 300 && a->len <= DHCP_PACKET_MAX && a->packet[0] == 2);
	require(memchr(a->packet + 108, 0, 128) != NULL);
	cursor_take(&c, 240);
	while (cursor_left(&c)) {
		code = cursor_u8(&c);
		if (code == 255)
			break;
		cursor_take(&c, code ? cursor_u8(&c) : 0);
	}
	require(!c.failed && code == 255);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct netboot_arming item = {.host = "john",
					     .base = "http://10.66.0.1:8067/boot/00112233445566778899aabbccddeeff"};
	struct armed armed = {.items = &item, .count = 1, .capacity = 1};
	struct proxy_answer answer;
	struct proxy_ask ask = {.our_address = 0x0a420001, .from_address = 0x0a420032, .from_port = 4011};
	struct dhcp_request r;

	if (size < 1)
		return 0;
	ask.service = data[0] & 1 ? PROXY_ON_PXE : PROXY_ON_DHCP;
	ask.packet = data + 1;
	ask.len = size - 1;
	armed.count = 0;
	proxy_decide(&armed, &ask, &answer);
	require(!answer.send);
	if (dhcp_parse(ask.packet, ask.len, &r) == 0)
		memcpy(item.mac, r.mac, sizeof item.mac);
	armed.count = 1;
	proxy_decide(&armed, &ask, &answer);
	if (answer.send)
		check_answer(&answer);
	return 0;
}
