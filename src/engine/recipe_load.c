/* Fetching and sorting recipes; recipe_load.h says what for. Whatever came from a store is checked before it is used.
 */
#include "engine/recipe_load.h"

#include <errno.h>
#include <stdlib.h>

/* Of plain bytes in one call of get(), so that an answer fits every source. */
#define FETCH_BYTES (8u << 20)
#define FETCH_CHUNKS 512

struct kept {
	uint8_t *bytes;
	size_t len;
};

static int keep(void *arg, size_t index, const uint8_t *plain, size_t plain_bytes)
{
	struct kept *k = arg;

	k->bytes = malloc(plain_bytes);
	if (!k->bytes)
		return -ENOMEM;
	memcpy(k->bytes, plain, plain_bytes);
	k->len = plain_bytes;
	return 0;
}

/* One chunk as bytes of the caller's. */
static int fetch_one(struct chunk_source *source, const struct hash *h, struct kept *k, uint64_t *fetched,
		     struct error *err)
{
	uint64_t bytes = 0;
	int rc;

	*k = (struct kept){0};
	rc = chunk_source_get(source, h, 1, keep, k, &bytes, err);
	if (rc < 0)
		free(k->bytes);
	*fetched += bytes;
	return rc;
}

static int add_root(struct chunk_source *source, const struct hash *h, struct recipe_list *out, struct error *err)
{
	struct recipe_root root;
	struct recipe_root_entry *entries;
	struct kept k;
	int rc = fetch_one(source, h, &k, &out->fetched_bytes, err);

	if (rc < 0)
		return rc;
	rc = recipe_root_decode(k.bytes, k.len, &root, err);
	free(k.bytes);
	if (rc < 0)
		return rc;
	if (root.n && out->n && root.entries[0].window < out->entries[out->n - 1].window) {
		recipe_root_clear(&root);
		return error_set(err, -ERR_DAMAGED, "a recipe is damaged: its roots are out of order");
	}
	entries = realloc(out->entries, (out->n + root.n + 1) * sizeof *entries);
	if (entries) {
		out->entries = entries;
		memcpy(entries + out->n, root.entries, root.n * sizeof *entries);
		out->n += root.n;
	} else {
		rc = error_set(err, -ENOMEM, "out of memory for a recipe");
	}
	recipe_root_clear(&root);
	return rc;
}

int recipe_list_load(struct chunk_source *source, const struct snapshot_disk *disk, struct recipe_list *out,
		     struct error *err)
{
	int rc = 0;

	*out = (struct recipe_list){0};
	for (size_t i = 0; rc == 0 && i < disk->n_roots; i++)
		rc = add_root(source, &disk->roots[i], out, err);
	if (rc < 0)
		recipe_list_free(out);
	return rc;
}

void recipe_list_free(struct recipe_list *l)
{
	free(l->entries);
	*l = (struct recipe_list){0};
}

/* Tries to take a whole chunk from extent i on, in order of the disk with zeros between. How many extents it took, or
 * 0. taken: marks of extents that belong to a span already. */
static size_t take_run(struct span_list *l, size_t i, bool *taken, size_t n_ordered)
{
	const struct recipe_segment *s = &l->segment;
	uint32_t chunk = s->extents[i].chunk, want = 0;
	size_t n = 0;

	for (size_t at = i; at < s->n_extents; at++) {
		const struct recipe_extent *e = &s->extents[at];

		if (e->chunk == RECIPE_ZERO)
			continue;
		if (e->chunk != chunk || e->chunk_offset != want || taken[at])
			return 0;
		l->order[n_ordered + n++] = (uint32_t)at;
		want += e->length;
		if (want == s->chunks[chunk].plain_bytes)
			break;
	}
	if (want != s->chunks[chunk].plain_bytes)
		return 0;
	for (size_t k = 0; k < n; k++)
		taken[l->order[n_ordered + k]] = true;
	return n;
}

static void add_span(struct span_list *l, size_t first, size_t n, bool whole)
{
	struct span *s = &l->spans[l->n++];

	*s = (struct span){.first = first, .n = n, .whole = whole};
	s->chunk = l->segment.extents[l->order[first]].chunk;
	for (size_t i = 0; i < n; i++)
		s->bytes += span_extent(l, s, i)->length;
}

static int by_chunk(const void *a, const void *b, void *arg)
{
	const struct recipe_extent *all = arg, *x = &all[*(const uint32_t *)a], *y = &all[*(const uint32_t *)b];

	if (x->chunk != y->chunk)
		return x->chunk < y->chunk ? -1 : 1;
	return (x->chunk_offset > y->chunk_offset) - (x->chunk_offset < y->chunk_offset);
}

/* Makes spans of the extents in order[first, end), which lie scattered: those of one chunk that follow on each other
 * without a hole are whole, the others stand alone. */
static void sort_rest(struct span_list *l, size_t first, size_t end)
{
	const struct recipe_segment *s = &l->segment;

	qsort_r(l->order + first, end - first, sizeof *l->order, by_chunk, s->extents);
	for (size_t at = first, next; at < end; at = next) {
		uint32_t chunk = s->extents[l->order[at]].chunk, want = 0;
		bool whole = true;

		for (next = at; next < end && s->extents[l->order[next]].chunk == chunk; next++) {
			whole &= s->extents[l->order[next]].chunk_offset == want;
			want += s->extents[l->order[next]].length;
		}
		if (whole && want == s->chunks[chunk].plain_bytes)
			add_span(l, at, next - at, true);
		else
			for (size_t i = at; i < next; i++)
				add_span(l, i, 1, false);
	}
}

static int sort_spans(struct span_list *l)
{
	const struct recipe_segment *s = &l->segment;
	bool *taken = calloc(s->n_extents + 1, sizeof *taken);
	size_t n = 0, rest;

	l->order = calloc(s->n_extents + 1, sizeof *l->order);
	l->spans = calloc(s->n_extents + 1, sizeof *l->spans);
	if (!taken || !l->order || !l->spans) {
		free(taken);
		return -ENOMEM;
	}
	for (size_t i = 0; i < s->n_extents; i++) {
		size_t took = 0;

		if (taken[i])
			continue;
		if (s->extents[i].chunk == RECIPE_ZERO) {
			l->order[n] = (uint32_t)i;
			took = 1;
			taken[i] = true;
		} else if (s->extents[i].chunk_offset == 0) {
			took = take_run(l, i, taken, n);
		}
		if (took)
			add_span(l, n, took, s->extents[i].chunk != RECIPE_ZERO);
		n += took;
	}
	rest = n;
	for (size_t i = 0; i < s->n_extents; i++)
		if (!taken[i])
			l->order[n++] = (uint32_t)i;
	free(taken);
	sort_rest(l, rest, n);
	return 0;
}

int span_list_load(struct chunk_source *source, const struct recipe_root_entry *entry, uint64_t disk_bytes,
		   struct span_list *out, uint64_t *fetched, struct error *err)
{
	struct kept k;
	int rc;

	*out = (struct span_list){0};
	rc = fetch_one(source, &entry->segment, &k, fetched, err);
	if (rc < 0)
		return rc;
	rc = recipe_segment_decode(k.bytes, k.len, disk_bytes, &out->segment, err);
	free(k.bytes);
	if (rc < 0)
		return rc;
	if (out->segment.window != entry->window) {
		span_list_free(out);
		return error_set(err, -ERR_DAMAGED,
				 "a recipe is damaged: a segment belongs to another place of the disk");
	}
	if (sort_spans(out) < 0) {
		span_list_free(out);
		return error_set(err, -ENOMEM, "out of memory for a recipe");
	}
	return 0;
}

void span_list_free(struct span_list *l)
{
	recipe_segment_clear(&l->segment);
	free(l->order);
	free(l->spans);
	*l = (struct span_list){0};
}

struct fetching {
	const struct recipe_segment *segment;
	const uint32_t *chunks; /* of this call */
	chunk_got_fn *got;
	void *arg;
	bool wrong_size;
};

static int got_one(void *arg, size_t index, const uint8_t *plain, size_t plain_bytes)
{
	struct fetching *f = arg;

	if (plain_bytes != f->segment->chunks[f->chunks[index]].plain_bytes) {
		f->wrong_size = true;
		return -ERR_DAMAGED;
	}
	return f->got(f->arg, f->chunks[index], plain, plain_bytes);
}

int span_fetch(struct chunk_source *source, const struct recipe_segment *segment, const uint32_t *chunks, size_t n,
	       chunk_got_fn *got, void *arg, uint64_t *fetched, struct error *err)
{
	struct hash hashes[FETCH_CHUNKS];
	int rc = 0;

	for (size_t done = 0; rc == 0 && done < n;) {
		struct fetching f = {segment, chunks + done, got, arg, false};
		uint64_t plain = 0, bytes = 0;
		size_t k = 0;

		while (k < FETCH_CHUNKS && done + k < n && plain < FETCH_BYTES) {
			hashes[k] = segment->chunks[chunks[done + k]].hash;
			plain += segment->chunks[chunks[done + k++]].plain_bytes;
		}
		rc = chunk_source_get(source, hashes, k, got_one, &f, &bytes, err);
		if (f.wrong_size)
			rc = error_set(err, -ERR_DAMAGED, "a recipe is damaged: a chunk has another size than it says");
		*fetched += bytes;
		done += k;
	}
	return rc;
}
