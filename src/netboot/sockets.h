/* The UDP sockets of the boot service: opened with privileges, used without. */
#ifndef G4L_NETBOOT_SOCKETS_H
#define G4L_NETBOOT_SOCKETS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* The first IPv4 address of an interface. 0, or -ERR_USAGE with the sentence in err. */
int sockets_address(const char *interface, struct in_addr *address, struct error *err);

/*
 * A non-blocking, close-on-exec UDP socket that may broadcast. any: hears everything on the interface, and only there,
 * as a DHCP server needs it to hear broadcasts. Else it is bound to the address alone: where a server has two NICs on
 * one network, packets for an address may well come in by the other one, because both answer ARP for it. An fd (64 or
 * higher, out of the way of the numbers that a child gets them under), or a negative code.
 */
int sockets_udp(const char *interface, const struct in_addr *address, bool any, uint16_t port, struct error *err);

#endif
