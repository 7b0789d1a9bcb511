/*
 * The local index: which chunk lies where in which pack. A cache in SQLite that can be rebuilt from the packs at any
 * time; it is never the only place that knows something. Several threads and processes may use one at once.
 */
#ifndef G4L_STORE_INDEX_H
#define G4L_STORE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "store/pack.h"

struct store_index;

/* Where one copy of a chunk lies. */
struct store_place {
	bool found;
	struct pack_id pack;
	uint32_t offset, body_bytes, plain_bytes;
	uint8_t method;
};

struct store_index_pack {
	struct pack_id id;
	uint64_t pack_bytes;
};

struct store_index_totals {
	uint64_t packs, chunks, plain_bytes, pack_bytes;
};

/* Opens the file, making it when it is missing; an index of another store or another version, and a damaged one, is
 * emptied. 0; -ERR_DAMAGED when it cannot be used even so: delete the file. */
int store_index_open(const char *path, const char *store_id, struct store_index **out, struct error *err);
void store_index_close(struct store_index *x);
/* Empties an index, also one that is damaged, also while other processes have it open. */
int store_index_reset(struct store_index *x, struct error *err);

/* All lookups: 0; -ERR_DAMAGED when the index itself is damaged; -errno. */
/* plain_bytes[i]: the size of chunk i, 0 when no pack has it. */
int store_index_sizes(struct store_index *x, const struct hash *hashes, size_t n, uint32_t *plain_bytes,
		      struct error *err);
/* places[i]: one place of chunk i. */
int store_index_places(struct store_index *x, const struct hash *hashes, size_t n, struct store_place *places,
		       struct error *err);
/* Every place of one chunk, at most max; *n of them. */
int store_index_copies(struct store_index *x, const struct hash *hash, struct store_place *places, size_t max,
		       size_t *n, struct error *err);
/* All packs, ascending by id. The caller frees *list. */
int store_index_packs(struct store_index *x, struct store_index_pack **list, size_t *n, struct error *err);
int store_index_totals(struct store_index *x, struct store_index_totals *out, struct error *err);

/* Adds a pack that is durable, in one transaction. One that is known already stays as it is: packs never change. */
int store_index_add(struct store_index *x, const struct pack_index *pack, struct error *err);
/* Forgets packs, in one transaction. */
int store_index_remove(struct store_index *x, const struct pack_id *ids, size_t n, struct error *err);

#endif
