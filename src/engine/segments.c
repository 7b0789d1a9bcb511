/* Turns pieces that are grouped to chunks into extents in order of the disk. Knows nothing of how they were cut. */
#include "engine/segments.h"

#include <errno.h>
#include <stdlib.h>

void segments_free(struct segments *s)
{
	free(s->extents);
	free(s->chunks);
	hash_map_free(&s->map);
	*s = (struct segments){0};
}

static int reserve(void **list, size_t *cap, size_t wanted, size_t member_bytes)
{
	void *p;

	if (wanted <= *cap)
		return 0;
	p = realloc(*list, wanted * member_bytes);
	if (!p)
		return -ENOMEM;
	*list = p;
	*cap = wanted;
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct recipe_extent *x = a, *y = b;

	return (x->disk_offset > y->disk_offset) - (x->disk_offset < y->disk_offset);
}

/* Fills extents, with `chunk` being the index in the batch for now, in order of the disk. */
static int collect(struct segments *s, const struct batch *b)
{
	size_t n = 0, zeros = b->n_zeros;

	/* A stretch of zeros is at most a window long, so its length fits 32 bits. */
	if (reserve((void **)&s->extents, &s->extents_cap, b->n_pieces + zeros, sizeof *s->extents) < 0)
		return -ENOMEM;
	for (size_t c = 0; c < b->n_chunks; c++) {
		const struct batch_chunk *chunk = &b->chunks[c];
		uint32_t at = 0;

		for (size_t i = 0; i < chunk->n_pieces; i++) {
			const struct piece *p = &b->pieces[chunk->first_piece + i];

			s->extents[n++] = (struct recipe_extent){p->disk_offset, p->length, (uint32_t)c, at};
			at += p->length;
		}
	}
	for (size_t i = 0; i < zeros; i++)
		s->extents[n++] =
			(struct recipe_extent){b->zeros[i].offset, (uint32_t)b->zeros[i].length, RECIPE_ZERO, 0};
	s->n_extents = n;
	qsort(s->extents, n, sizeof *s->extents, by_offset);
	return 0;
}

/* Hands over the extents from `first` to before `end`, whose chunks have been collected. */
static int emit(struct segments *s, uint64_t window, size_t first, size_t end, segment_fn *fn, void *arg,
		struct error *err)
{
	struct recipe_segment segment = {.window = window,
					 .chunks = s->chunks,
					 .n_chunks = s->n_chunks,
					 .extents = s->extents + first,
					 .n_extents = end - first};
	struct buf bytes = {0};
	int rc = recipe_segment_encode(&segment, &bytes, err);

	if (rc == 0)
		rc = fn(arg, bytes.data, bytes.len, err);
	buf_free(&bytes);
	s->n_chunks = 0;
	hash_map_reset(&s->map);
	return rc;
}

/* Replaces an extent's index in the batch by the one in the segment that is being made. */
static int name_chunk(struct segments *s, const struct batch *b, struct recipe_extent *e)
{
	const struct batch_chunk *c;
	uint32_t *index;
	bool added;

	if (e->chunk == RECIPE_ZERO)
		return 0;
	c = &b->chunks[e->chunk];
	index = hash_map_add(&s->map, &c->hash, (uint32_t)s->n_chunks, &added);
	if (!index)
		return -ENOMEM;
	if (added)
		s->chunks[s->n_chunks++] = (struct recipe_chunk){c->hash, c->plain_bytes};
	e->chunk = *index;
	return 0;
}

int segments_make(struct segments *s, uint64_t window, const struct batch *b, segment_fn *fn, void *arg,
		  struct error *err)
{
	size_t first = 0;

	if (collect(s, b) < 0 || reserve((void **)&s->chunks, &s->chunks_cap, b->n_chunks + 1, sizeof *s->chunks) < 0)
		return error_set(err, -ENOMEM, "out of memory for a recipe");
	s->n_chunks = 0;
	hash_map_reset(&s->map);
	for (size_t i = 0; i < s->n_extents; i++) {
		/* Room for this extent and one more chunk must be left. */
		if (recipe_segment_bytes(s->n_chunks + 1, i - first + 1) > RECIPE_MAX_SEGMENT_BYTES) {
			int rc = emit(s, window, first, i, fn, arg, err);

			if (rc < 0)
				return rc;
			first = i;
		}
		if (name_chunk(s, b, &s->extents[i]) < 0)
			return error_set(err, -ENOMEM, "out of memory for a recipe");
	}
	return s->n_extents ? emit(s, window, first, s->n_extents, fn, arg, err) : 0;
}
