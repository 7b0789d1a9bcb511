/* The armed hosts, by MAC. A few hundred at most: a plain array. Not thread-safe. */
#ifndef G4L_NETBOOT_ARMED_H
#define G4L_NETBOOT_ARMED_H

#include "netboot/netboot.h"

/* Zero-initialise; armed_free() when done. */
struct armed {
	struct netboot_arming *items;
	size_t count, capacity;
};

/* Adds a copy, or replaces the arming of the same MAC. 0 or -ENOMEM. */
int armed_set(struct armed *t, const struct netboot_arming *arming);
/* True when it was there. */
bool armed_remove(struct armed *t, const uint8_t mac[NETBOOT_MAC_BYTES]);
/* NULL when the MAC is not armed. Valid until the table changes. */
const struct netboot_arming *armed_find(const struct armed *t, const uint8_t mac[NETBOOT_MAC_BYTES]);
/* Forgets all. */
void armed_free(struct armed *t);

#endif
