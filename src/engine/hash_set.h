/* Sets of hashes with a number each. hash_map is for one thread; claims is shared by the workers of a backup. */
#ifndef G4L_ENGINE_HASH_SET_H
#define G4L_ENGINE_HASH_SET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

struct hash_slot {
	struct hash hash;
	uint32_t value;
	uint32_t used;
};
/* Zero-initialise; hash_map_free() when done. */
struct hash_map {
	struct hash_slot *slots;
	size_t n, cap; /* cap: 0 or a power of two */
};
void hash_map_free(struct hash_map *m);
/* Empties it and keeps its memory. */
void hash_map_reset(struct hash_map *m);
/* Finds the hash or adds it with `value`. Returns its slot's value field and whether it was added; NULL when memory is
 * out. Valid until the next call on m. */
uint32_t *hash_map_add(struct hash_map *m, const struct hash *h, uint32_t value, bool *added);
/* Takes a hash out, if it is there. */
void hash_map_remove(struct hash_map *m, const struct hash *h);

/*
 * Chunks that a worker is about to ask for and put. Who claims a hash asks the sink and puts the chunk if it is
 * missing; who finds it claimed leaves it to the other. A claim is released only when the sink has the chunk, so no
 * chunk is put twice.
 */
struct claims {
	pthread_mutex_t lock;
	struct hash_map map;
	struct hash *done; /* a ring: claims that were released but are remembered for a while */
	size_t n_done, next_done;
};
/* How many claims are remembered after their release: chunks that come again soon are not even asked for. */
#define CLAIMS_REMEMBERED 32768
int claims_init(struct claims *c); /* 0 or -ENOMEM; claims_free() in both cases */
void claims_free(struct claims *c);
/* 1: claimed now; 0: another one has it, or the sink has the chunk already; -ENOMEM. */
int claims_take(struct claims *c, const struct hash *h);
/* The sink has these chunks: they are remembered, and the oldest remembered ones forgotten. */
void claims_release(struct claims *c, const struct hash *hashes, size_t n);
/* How many claims are held. */
size_t claims_held(struct claims *c);

#endif
