/* A set of hashes with open addressing. Hashes are evenly spread by nature, so their own bytes are the table's hash. */
#include <stdlib.h>

#include "base/bytes.h"
#include "store/room.h"

#define MIN_SIZE 1024u

void store_set_clear(struct store_set *set)
{
	free(set->at);
	*set = (struct store_set){0};
}

static bool is_zero(const struct hash *h)
{
	return bytes_are_zero(h->bytes, HASH_BYTES);
}

static size_t place_of(const struct hash *at, size_t size, const struct hash *hash)
{
	size_t i = bytes_le64(hash->bytes) & (size - 1);

	while (!is_zero(&at[i]) && !hash_equal(&at[i], hash))
		i = (i + 1) & (size - 1);
	return i;
}

bool store_set_has(const struct store_set *set, const struct hash *hash)
{
	if (is_zero(hash))
		return set->has_zero;
	return set->size && !is_zero(&set->at[place_of(set->at, set->size, hash)]);
}

static int grow(struct store_set *set)
{
	size_t size = set->size ? 2 * set->size : MIN_SIZE;
	struct hash *at = calloc(size, sizeof *at);

	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < set->size; i++)
		if (!is_zero(&set->at[i]))
			at[place_of(at, size, &set->at[i])] = set->at[i];
	free(set->at);
	set->at = at;
	set->size = size;
	return 0;
}

int store_set_add(struct store_set *set, const struct hash *hash)
{
	size_t i;

	if (is_zero(hash)) {
		if (set->has_zero)
			return 1;
		set->has_zero = true;
		return 0;
	}
	if (4 * (set->n + 1) > 3 * set->size && grow(set) < 0)
		return -ENOMEM;
	i = place_of(set->at, set->size, hash);
	if (!is_zero(&set->at[i]))
		return 1;
	set->at[i] = *hash;
	set->n++;
	return 0;
}
