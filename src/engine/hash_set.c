/* Open addressing by a hash's own first bytes; hash_set.h says what for. */
#include "engine/hash_set.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"

void hash_map_free(struct hash_map *m)
{
	free(m->slots);
	*m = (struct hash_map){0};
}

void hash_map_reset(struct hash_map *m)
{
	if (m->n)
		memset(m->slots, 0, m->cap * sizeof *m->slots);
	m->n = 0;
}

static size_t home_of(const struct hash_map *m, const struct hash *h)
{
	return bytes_le64(h->bytes) & (m->cap - 1);
}

/* The slot that holds the hash or the free one where it belongs. */
static struct hash_slot *slot_of(const struct hash_map *m, const struct hash *h)
{
	size_t at = home_of(m, h);

	while (m->slots[at].used && !hash_equal(&m->slots[at].hash, h))
		at = (at + 1) & (m->cap - 1);
	return &m->slots[at];
}

static int grow(struct hash_map *m)
{
	struct hash_map more = {.cap = m->cap ? 2 * m->cap : 1024, .n = m->n};

	if (4 * (m->n + 1) <= 3 * m->cap)
		return 0;
	more.slots = calloc(more.cap, sizeof *more.slots);
	if (!more.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].used)
			*slot_of(&more, &m->slots[i].hash) = m->slots[i];
	free(m->slots);
	*m = more;
	return 0;
}

uint32_t *hash_map_add(struct hash_map *m, const struct hash *h, uint32_t value, bool *added)
{
	struct hash_slot *s;

	if (grow(m) < 0)
		return NULL;
	s = slot_of(m, h);
	*added = !s->used;
	if (*added) {
		*s = (struct hash_slot){*h, value, 1};
		m->n++;
	}
	return &s->value;
}

void hash_map_remove(struct hash_map *m, const struct hash *h)
{
	struct hash_slot *hole = m->cap ? slot_of(m, h) : NULL;
	size_t at;

	if (!hole || !hole->used)
		return;
	m->n--;
	/* Moves back whatever was displaced over the hole, so that no search ends too early. */
	at = (size_t)(hole - m->slots);
	for (;;) {
		size_t next = at, home;

		m->slots[at].used = 0;
		do {
			next = (next + 1) & (m->cap - 1);
			if (!m->slots[next].used)
				return;
			home = home_of(m, &m->slots[next].hash);
		} while (((next - home) & (m->cap - 1)) < ((next - at) & (m->cap - 1)));
		m->slots[at] = m->slots[next];
		at = next;
	}
}

int claims_init(struct claims *c)
{
	*c = (struct claims){.done = malloc(CLAIMS_REMEMBERED * sizeof *c->done)};
	pthread_mutex_init(&c->lock, NULL);
	return c->done ? 0 : -ENOMEM;
}

void claims_free(struct claims *c)
{
	hash_map_free(&c->map);
	free(c->done);
	pthread_mutex_destroy(&c->lock);
}

int claims_take(struct claims *c, const struct hash *h)
{
	bool added = false;
	const void *slot;

	pthread_mutex_lock(&c->lock);
	slot = hash_map_add(&c->map, h, 0, &added);
	pthread_mutex_unlock(&c->lock);
	if (!slot)
		return -ENOMEM;
	return added;
}

void claims_release(struct claims *c, const struct hash *hashes, size_t n)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < n; i++) {
		if (c->n_done == CLAIMS_REMEMBERED)
			hash_map_remove(&c->map, &c->done[c->next_done]);
		else
			c->n_done++;
		c->done[c->next_done] = hashes[i];
		c->next_done = (c->next_done + 1) % CLAIMS_REMEMBERED;
	}
	pthread_mutex_unlock(&c->lock);
}

size_t claims_held(struct claims *c)
{
	size_t n;

	pthread_mutex_lock(&c->lock);
	n = c->map.n;
	pthread_mutex_unlock(&c->lock);
	return n;
}
