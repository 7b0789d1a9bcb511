/* Captured packets as bytes. */
#ifndef TEST_NETBOOT_HEX_H
#define TEST_NETBOOT_HEX_H

#include <assert.h>
#include <string.h>

#include "base/text.h"
#include "netboot/dhcp.h"

struct packet {
	uint8_t bytes[DHCP_PACKET_MAX];
	size_t len;
};

static inline struct packet packet_of(const char *hex)
{
	struct packet p = {.len = strlen(hex) / 2};

	assert(p.len <= sizeof p.bytes && text_unhex(hex, p.bytes, p.len) == 0);
	return p;
}

#endif
