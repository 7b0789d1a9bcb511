/* The walk over roots and segments, and reading chunks to check them. */
#include "server/recipe_walk.h"

#include <stdlib.h>
#include <string.h>

#include "image/recipe.h"

#define CHECK_BATCH 64

void hash_list_free(struct hash_list *l)
{
	free(l->at);
	*l = (struct hash_list){0};
}

int hash_list_add(struct hash_list *l, const struct hash *h)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 256;
		struct hash *more = reallocarray(l->at, cap, sizeof *more);

		if (!more)
			return -ENOMEM;
		l->at = more;
		l->cap = cap;
	}
	l->at[l->n++] = *h;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, HASH_BYTES);
}

void hash_list_sort(struct hash_list *l)
{
	size_t kept = 0;

	if (!l->n)
		return;
	qsort(l->at, l->n, sizeof *l->at, compare);
	for (size_t i = 1; i < l->n; i++)
		if (!hash_equal(&l->at[kept], &l->at[i]))
			l->at[++kept] = l->at[i];
	l->n = kept + 1;
}

bool hash_list_has(const struct hash_list *l, const struct hash *h)
{
	return l->n && bsearch(h, l->at, l->n, sizeof *l->at, compare);
}

void recipe_walk_clear(struct recipe_walk *w)
{
	hash_list_free(&w->structure);
	hash_list_free(&w->content);
	w->content_bytes = 0;
}

struct walk {
	struct chunk_source *source;
	const struct snapshot_disk *disk;
	const atomic_bool *stop;
	struct recipe_walk *out;
	struct recipe_root root;
	struct error *err;
};

static int on_root(void *arg, size_t index, const uint8_t *plain, size_t plain_bytes)
{
	struct walk *w = arg;

	(void)index;
	recipe_root_clear(&w->root);
	return recipe_root_decode(plain, plain_bytes, &w->root, w->err);
}

static int on_segment(void *arg, size_t index, const uint8_t *plain, size_t plain_bytes)
{
	struct walk *w = arg;
	struct recipe_segment segment = {0};
	int r;

	(void)index;
	if (w->stop && atomic_load(w->stop))
		return error_set(w->err, -ERR_CANCELLED, "ended before everything was looked at");
	r = recipe_segment_decode(plain, plain_bytes, w->disk->size_bytes, &segment, w->err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < segment.n_chunks && r == 0; i++) {
		r = hash_list_add(&w->out->content, &segment.chunks[i].hash);
		w->out->content_bytes += segment.chunks[i].plain_bytes;
	}
	recipe_segment_clear(&segment);
	return r;
}

static int walk_segments(struct walk *w)
{
	struct hash batch[CHECK_BATCH];
	int r = 0;

	for (size_t i = 0; i < w->root.n && r == 0;) {
		size_t n = 0;

		for (; n < CHECK_BATCH && i < w->root.n && r == 0; i++, n++) {
			batch[n] = w->root.entries[i].segment;
			r = hash_list_add(&w->out->structure, &batch[n]);
		}
		if (r == 0)
			r = chunk_source_get(w->source, batch, n, on_segment, w, NULL, w->err);
	}
	return r;
}

int recipe_walk(struct chunk_source *source, const struct snapshot *snapshot, const atomic_bool *stop,
		struct recipe_walk *out, struct error *err)
{
	struct walk w = {.source = source, .stop = stop, .out = out, .err = err};
	int r = 0;

	for (size_t d = 0; d < snapshot->n_disks && r == 0; d++) {
		w.disk = &snapshot->disks[d];
		for (size_t i = 0; i < w.disk->n_roots && r == 0; i++) {
			r = hash_list_add(&out->structure, &w.disk->roots[i]);
			if (r == 0)
				r = chunk_source_get(source, &w.disk->roots[i], 1, on_root, &w, NULL, err);
			if (r == 0)
				r = walk_segments(&w);
		}
	}
	recipe_root_clear(&w.root);
	if (r == -ENOMEM)
		error_set(err, r, "out of memory");
	hash_list_sort(&out->structure);
	hash_list_sort(&out->content);
	if (r < 0)
		recipe_walk_clear(out);
	return r;
}

static int on_chunk(void *arg, size_t index, const uint8_t *plain, size_t plain_bytes)
{
	struct chunk_check *c = arg;

	(void)index;
	(void)plain;
	c->done_bytes += plain_bytes;
	c->chunks++;
	return c->stop && atomic_load(c->stop) ? -ERR_CANCELLED : 0;
}

int recipe_check_chunks(struct chunk_source *source, const struct hash *hashes, size_t n, struct chunk_check *check,
			struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i += CHECK_BATCH) {
		uint64_t fetched = 0;

		r = chunk_source_get(source, hashes + i, n - i < CHECK_BATCH ? n - i : CHECK_BATCH, on_chunk, check,
				     &fetched, err);
		check->fetched_bytes += fetched;
		if (r == 0 && check->report)
			check->report(check->arg, check->done_bytes);
	}
	if (r == -ERR_CANCELLED)
		error_set(err, r, "ended before everything was looked at");
	return r;
}
