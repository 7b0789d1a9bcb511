/*
 * From a snapshot down to its chunks: roots, segments, chunks. Commit, prune and check all see a snapshot through this
 * one walk, so that they agree on what it needs. Every rule of recipe.h and the order of windows is checked on the way.
 */
#include <stdlib.h>
#include <string.h>

#include "store/room.h"

#define BATCH 256 /* segments fetched with one call */

struct walker {
	const struct store_walk *w;
	const struct snapshot_disk *disk;
	struct error *err;
	/* Of the batch at hand. */
	const struct recipe_root_entry *entries;
	uint64_t first[BATCH], end[BATCH]; /* what each segment covers; equal when it is empty or was known */
	size_t fetched[BATCH];		   /* which entry each hash that is asked for belongs to */
	/* Of the disk so far. */
	uint64_t last_window, covered_to;
	bool any_window;
};

static int got_segment(void *arg, size_t number, const uint8_t *plain, size_t plain_bytes)
{
	struct walker *k = arg;
	size_t i = k->fetched[number];
	struct recipe_segment s;
	int r = recipe_segment_decode(plain, plain_bytes, k->disk->size_bytes, &s, k->err);

	if (r < 0)
		return r;
	if (s.window != k->entries[i].window)
		r = error_set(k->err, -ERR_DAMAGED, "a recipe's root and its segment name different windows");
	if (r == 0 && s.n_extents) {
		const struct recipe_extent *last = &s.extents[s.n_extents - 1];

		k->first[i] = s.extents[0].disk_offset;
		k->end[i] = last->disk_offset + last->length;
	}
	if (r == 0)
		r = k->w->need(k->w->arg, s.chunks, s.n_chunks, k->err);
	if (r == 0 && k->w->walked)
		r = k->w->walked(k->w->arg, &k->entries[i].segment, k->err);
	recipe_segment_clear(&s);
	return r;
}

static int need_one(struct walker *k, const struct hash *hash)
{
	struct recipe_chunk c = {.hash = *hash};

	return k->w->need(k->w->arg, &c, 1, k->err);
}

/* The windows ascend, and segments that share one follow each other without overlap. */
static int check_order(struct walker *k, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (k->any_window && k->entries[i].window < k->last_window)
			return error_set(k->err, -ERR_DAMAGED, "a recipe's windows are out of order");
		if (k->first[i] != k->end[i] && k->first[i] < k->covered_to)
			return error_set(k->err, -ERR_DAMAGED, "a recipe's segments overlap");
		if (k->first[i] != k->end[i])
			k->covered_to = k->end[i];
		k->last_window = k->entries[i].window;
		k->any_window = true;
	}
	return 0;
}

static int walk_batch(struct walker *k, const struct recipe_root_entry *entries, size_t n)
{
	struct hash hashes[BATCH];
	size_t wanted = 0;
	int r = 0;

	k->entries = entries;
	for (size_t i = 0; i < n && r == 0; i++) {
		k->first[i] = k->end[i] = 0;
		if (k->w->known && k->w->known(k->w->arg, &entries[i].segment))
			continue;
		k->fetched[wanted] = i;
		hashes[wanted++] = entries[i].segment;
		r = need_one(k, &entries[i].segment);
	}
	if (r == 0)
		r = store_fetch(k->w->store, hashes, wanted, got_segment, k, NULL, k->err);
	return r < 0 ? r : check_order(k, n);
}

static int walk_root(struct walker *k, const struct hash *hash)
{
	struct recipe_root root = {0};
	struct buf bytes = {0};
	int r = need_one(k, hash);

	if (r == 0)
		r = store_fetch_one(k->w->store, hash, &bytes, k->err);
	if (r == 0)
		r = recipe_root_decode(bytes.data, bytes.len, &root, k->err);
	buf_free(&bytes);
	if (r < 0)
		return r;
	for (size_t i = 0; i < root.n && r == 0; i += BATCH)
		r = walk_batch(k, root.entries + i, root.n - i < BATCH ? root.n - i : BATCH);
	recipe_root_clear(&root);
	return r;
}

int store_walk_snapshot(const struct store_walk *w, const struct snapshot *snapshot, struct error *err)
{
	struct walker *k = calloc(1, sizeof *k);
	struct error ignored;
	int r = 0;

	if (!k)
		return error_errno(err, ENOMEM, "cannot read a recipe");
	for (size_t d = 0; d < snapshot->n_disks && r == 0; d++) {
		*k = (struct walker){.w = w, .disk = &snapshot->disks[d], .err = err ? err : &ignored};
		for (size_t i = 0; i < k->disk->n_roots && r == 0; i++)
			r = walk_root(k, &k->disk->roots[i]);
		if (r < 0)
			error_prefix(err, "the recipe of disk %zu (%s)", d + 1, k->disk->path);
	}
	free(k);
	return r;
}

struct need_check {
	struct store *store;
	uint32_t *sizes;
	struct hash *hashes;
	size_t cap;
};

static int reserve(struct need_check *c, size_t n)
{
	uint32_t *sizes;
	struct hash *hashes;

	if (n <= c->cap)
		return 0;
	sizes = realloc(c->sizes, n * sizeof *sizes);
	if (sizes)
		c->sizes = sizes;
	hashes = realloc(c->hashes, n * sizeof *hashes);
	if (hashes)
		c->hashes = hashes;
	if (!sizes || !hashes)
		return -ENOMEM;
	c->cap = n;
	return 0;
}

/* Every chunk is there, with the size that the recipe counts on. Roots and segments show it by being read. */
static int check_need(void *arg, const struct recipe_chunk *chunks, size_t n, struct error *err)
{
	struct need_check *c = arg;
	char hex[HASH_HEX_BYTES];
	int r;

	if (n == 0 || chunks[0].plain_bytes == 0)
		return 0;
	if (reserve(c, n) < 0)
		return error_errno(err, ENOMEM, "cannot check a recipe");
	for (size_t i = 0; i < n; i++)
		c->hashes[i] = chunks[i].hash;
	r = store_find_sizes(c->store, c->hashes, n, c->sizes, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		hash_format(&chunks[i].hash, hex);
		if (c->sizes[i] == 0)
			r = error_set(err, -ERR_DAMAGED, "it needs chunk %s, which is missing from the store", hex);
		else if (c->sizes[i] != chunks[i].plain_bytes)
			r = error_set(err, -ERR_DAMAGED, "it counts on %u bytes of chunk %s, which has %u",
				      chunks[i].plain_bytes, hex, c->sizes[i]);
	}
	return r;
}

int store_check_needs(struct store *s, const struct snapshot *snapshot, struct error *err)
{
	struct need_check c = {.store = s};
	struct store_walk w = {.store = s, .need = check_need, .arg = &c};
	int r = store_walk_snapshot(&w, snapshot, err);

	if (r == -ERR_DAMAGED) { /* the index may have been in the middle of being made anew by another process */
		r = store_catch_up(s, err);
		if (r == 0)
			r = store_walk_snapshot(&w, snapshot, err);
	}
	free(c.sizes);
	free(c.hashes);
	return r;
}
