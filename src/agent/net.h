/* The network of the boot image: the NIC that booted, its link, an address by DHCP. */
#ifndef G4L_AGENT_NET_H
#define G4L_AGENT_NET_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/live.h"
#include "base/error.h"

/* The interface with this MAC (lower case). 0; -ENODEV. root: normally "/"; tests give a made-up tree. */
int net_find(const char *root, const char *mac, char *name, size_t name_bytes);

/* Network cards on the PCI bus that no driver has: "8086:15f3 04:00.0", at most max. Returns how many there are. */
#define NET_CARD_BYTES 40
size_t net_cards_without_driver(const char *root, char (*cards)[NET_CARD_BYTES], size_t max);

/* Waits for the NIC with this MAC, its link and an address, with a countdown in live. 0; -ENODEV, -ENOLINK or
 * -ERR_UNREACHABLE with a sentence after 60 seconds; the code of live->stop. */
int net_start(struct live *live, const char *mac, struct error *err);

#endif
