/*
 * Wake-on-LAN. The magic packet is six bytes 0xff, sixteen times the MAC and, where the NIC wants one, a
 * SecureOn password of four or six bytes (AMD, "Magic Packet Technology", white paper 20213).
 */
#ifndef G4L_NETBOOT_WAKE_H
#define G4L_NETBOOT_WAKE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "netboot/netboot.h"

#define WAKE_PACKET_MAX 108

/* Builds the payload. password NULL and password_bytes 0 for none, else 4 or 6 bytes.
 * Returns its length (102, 106 or 108), or -EINVAL for another password length. */
int wake_packet(const uint8_t mac[NETBOOT_MAC_BYTES], const uint8_t *password, size_t password_bytes,
		uint8_t to[WAKE_PACKET_MAX]);

/* Sends one magic packet out of one interface: by UDP to 255.255.255.255 port 9, and, where we may open a packet
 * socket, as Ethernet type 0x0842 to the broadcast address. 0 when at least one of the two went out; a NIC that
 * sleeps does not answer, so callers repeat it until the host shows itself. -ERR_USAGE: no such interface. */
int wake_send(const char *interface, const uint8_t mac[NETBOOT_MAC_BYTES], const uint8_t *password,
	      size_t password_bytes, struct error *err);

/* Sends one by UDP port 9 to an address, for instance another subnet's directed broadcast "10.2.255.255". */
int wake_send_to(const char *address, const uint8_t mac[NETBOOT_MAC_BYTES], const uint8_t *password,
		 size_t password_bytes, struct error *err);

#endif
