/*
 * Walking a snapshot's recipe: which chunks it needs, and whether they are whole. Reads only, through a source that
 * checks every chunk against its hash.
 */
#ifndef G4L_SERVER_RECIPE_WALK_H
#define G4L_SERVER_RECIPE_WALK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/progress.h"
#include "image/chunk_io.h"
#include "image/snapshot.h"

/* A growable list of hashes; zero-initialise. */
struct hash_list {
	struct hash *at;
	size_t n, cap;
};
void hash_list_free(struct hash_list *l);
/* 0 or -ENOMEM. */
int hash_list_add(struct hash_list *l, const struct hash *h);
/* Ascending, each once. */
void hash_list_sort(struct hash_list *l);
/* In a sorted list. */
bool hash_list_has(const struct hash_list *l, const struct hash *h);

/* What the walk found. Zero-initialise; recipe_walk_clear(). */
struct recipe_walk {
	struct hash_list structure; /* roots and segments; sorted */
	struct hash_list content;   /* chunks of content; sorted */
	uint64_t content_bytes;	    /* plain, each chunk of a segment counted once a segment */
};
void recipe_walk_clear(struct recipe_walk *w);

/* Reads and decodes every root and segment of every disk. stop: ends it with -ERR_CANCELLED once true; may be NULL.
 * 0; -ERR_DAMAGED: missing, wrong, or breaking a rule of the format; … */
int recipe_walk(struct chunk_source *source, const struct snapshot *snapshot, const atomic_bool *stop,
		struct recipe_walk *out, struct error *err);

/* Reads chunks and so has them checked. done_bytes: plain bytes, added to as it goes; may be NULL. */
struct chunk_check {
	const atomic_bool *stop;
	void (*report)(void *arg, uint64_t done_bytes); /* after each batch; may be NULL */
	void *arg;
	uint64_t done_bytes, fetched_bytes, chunks;
};
int recipe_check_chunks(struct chunk_source *source, const struct hash *hashes, size_t n, struct chunk_check *check,
			struct error *err);

#endif
