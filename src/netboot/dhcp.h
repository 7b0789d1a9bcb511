/*
 * The DHCP packets of booting machines: reading what firmware and loaders ask, and writing a proxy's answer.
 * Pure functions over bytes; no sockets, no clock. RFC 951, 2131, 2132 (options), 3396 (long options), 4578 (PXE
 * options 93, 94 and 97), Intel's PXE 2.1 (option 43), UEFI 2.x "HTTP Boot", iPXE (options 77 and 175).
 */
#ifndef G4L_NETBOOT_DHCP_H
#define G4L_NETBOOT_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DHCP_PACKET_MAX 1472 /* what fits an Ethernet frame with UDP over IPv4 */
#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68
#define DHCP_PXE_PORT 4011

enum dhcp_message { DHCP_DISCOVER = 1, DHCP_OFFER = 2, DHCP_REQUEST = 3, DHCP_ACK = 5, DHCP_INFORM = 8 };

/* Option 93, RFC 4578 and IANA's list of processor architecture types. */
enum dhcp_arch {
	DHCP_ARCH_BIOS = 0,
	DHCP_ARCH_EFI_IA32 = 6,
	DHCP_ARCH_EFI_BC = 7, /* x86-64 in practice */
	DHCP_ARCH_EFI_X64 = 9,
	DHCP_ARCH_EFI_ARM32 = 10,
	DHCP_ARCH_EFI_ARM64 = 11,
	DHCP_ARCH_HTTP_IA32 = 15,
	DHCP_ARCH_HTTP_X64 = 16,
	DHCP_ARCH_HTTP_ARM32 = 18,
	DHCP_ARCH_HTTP_ARM64 = 19,
	DHCP_ARCH_NONE = -1, /* neither option 93 nor option 60 says */
};

/* What a client asked. Addresses are in host byte order. */
struct dhcp_request {
	uint32_t xid;
	uint16_t flags;
	uint32_t ciaddr, giaddr;
	uint8_t mac[6];
	uint8_t message;     /* option 53: enum dhcp_message or another */
	char class_id[64];   /* option 60, made printable; "" without it */
	char user_class[32]; /* option 77, made printable, with or without RFC 3004's lengths */
	int arch;	     /* enum dhcp_arch or another number */
	uint32_t server_id;  /* option 54, 0 without it */
	bool ipxe;	     /* iPXE asks: user class "iPXE" or option 175 */
	bool has_uuid;
	uint8_t uuid[16];   /* option 97, as the client sent it (SMBIOS byte order) */
	bool has_boot_item; /* option 43, sub-option 71: the boot server type and layer of a request on port 4011 */
	uint8_t boot_item[4];
};

/* Reads a request of a client on Ethernet. 0, or -ERR_FORMAT: not a DHCP request, or broken. Unknown options and
 * values are passed over. */
int dhcp_parse(const uint8_t *bytes, size_t len, struct dhcp_request *request);

/* What a proxy answers. */
struct dhcp_reply {
	enum dhcp_message message; /* DHCP_OFFER or DHCP_ACK */
	uint32_t server;	   /* our address: options 54 and siaddr */
	const char *class_id;	   /* option 60: "PXEClient" or "HTTPClient" */
	const char *boot_file;	   /* a file name for TFTP, or an address */
	bool boot_file_option; /* in option 67 (HTTP Boot reads only that); else in the header's file field if it fits
				*/
	bool pxe_options;      /* option 43: fetch the boot file from here, look for no boot server */
};

/* Writes the answer to a request: xid, flags, MAC, UUID and boot item are the request's; yiaddr is 0: a proxy leases
 * nothing. Returns its length (at least 300), or -ENOSPC when the boot file is longer than 255 bytes. */
int dhcp_format(const struct dhcp_request *request, const struct dhcp_reply *reply, uint8_t to[DHCP_PACKET_MAX]);

#endif
