/*
 * What a DHCP proxy says: a packet and the table of armed hosts in, an answer or silence out. Pure: no sockets, no
 * clock. Hosts that are not armed are never answered.
 */
#ifndef G4L_NETBOOT_PROXY_H
#define G4L_NETBOOT_PROXY_H

#include "netboot/armed.h"
#include "netboot/dhcp.h"

/* Loaders in the TFTP folder. */
#define PROXY_LOADER_BIOS "lpxelinux.0"
#define PROXY_LOADER_EFI "snponly.efi"

enum proxy_service {
	PROXY_ON_DHCP, /* port 67: answers DISCOVER with an OFFER; the rest is the site's DHCP server's */
	PROXY_ON_PXE,  /* port 4011: answers REQUEST and INFORM with an ACK */
};

struct proxy_ask {
	enum proxy_service service;
	const uint8_t *packet;
	size_t len;
	uint32_t our_address; /* on the interface that it came in by; addresses are in host byte order */
	uint32_t from_address;
	uint16_t from_port;
};

struct proxy_answer {
	bool send;
	uint8_t packet[DHCP_PACKET_MAX];
	size_t len;
	uint32_t to_address;
	uint16_t to_port;
	/* What to tell the server: NETBOOT_OFFER, NETBOOT_ERROR (an armed host that we cannot boot) or
	 * NETBOOT_STRANGER. The caller keeps repetitions apart by mac and xid. */
	bool has_event;
	struct netboot_event event;
	uint32_t xid;
};

/* Fills *answer; send and has_event are false where there is nothing to say. */
void proxy_decide(const struct armed *armed, const struct proxy_ask *ask, struct proxy_answer *answer);

#endif
