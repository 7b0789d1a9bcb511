/* The table of armed hosts. See armed.h. */
#include "netboot/armed.h"

#include <stdlib.h>
#include <string.h>

static struct netboot_arming *find(const struct armed *t, const uint8_t mac[NETBOOT_MAC_BYTES])
{
	for (size_t i = 0; i < t->count; i++) {
		if (!memcmp(t->items[i].mac, mac, NETBOOT_MAC_BYTES))
			return &t->items[i];
	}
	return NULL;
}

const struct netboot_arming *armed_find(const struct armed *t, const uint8_t mac[NETBOOT_MAC_BYTES])
{
	return find(t, mac);
}

int armed_set(struct armed *t, const struct netboot_arming *arming)
{
	struct netboot_arming *item = find(t, arming->mac);

	if (!item && t->count == t->capacity) {
		size_t capacity = t->capacity ? 2 * t->capacity : 16;
		struct netboot_arming *items = reallocarray(t->items, capacity, sizeof *items);

		if (!items)
			return -ENOMEM;
		t->items = items;
		t->capacity = capacity;
	}
	if (!item)
		item = &t->items[t->count++];
	*item = *arming;
	return 0;
}

bool armed_remove(struct armed *t, const uint8_t mac[NETBOOT_MAC_BYTES])
{
	struct netboot_arming *item = find(t, mac);

	if (!item)
		return false;
	*item = t->items[--t->count];
	return true;
}

void armed_free(struct armed *t)
{
	free(t->items);
	*t = (struct armed){0};
}
