/* A snapshot's recipe as restore and verify walk it: the list of segments, and one segment at a time sorted into spans.
 */
#ifndef G4L_ENGINE_RECIPE_LOAD_H
#define G4L_ENGINE_RECIPE_LOAD_H

#include "image/chunk_io.h"
#include "image/recipe.h"

struct recipe_list {
	struct recipe_root_entry *entries; /* windows do not fall */
	size_t n;
	uint64_t fetched_bytes;
};
/* Fetches all roots of a disk. 0; -ERR_DAMAGED; what the source gives. recipe_list_free() after success. */
int recipe_list_load(struct chunk_source *source, const struct snapshot_disk *disk, struct recipe_list *out,
		     struct error *err);
void recipe_list_free(struct recipe_list *l);

/* Extents of a segment that belong together. whole: they are all of one chunk, in order, so that the chunk's name tells
 * whether a disk holds them; otherwise it is one extent by itself. */
struct span {
	size_t first, n; /* in order[] */
	uint32_t chunk;	 /* RECIPE_ZERO: one extent of zeros */
	bool whole;
	uint64_t bytes;
};
struct span_list {
	struct recipe_segment segment;
	uint32_t *order; /* indices of extents */
	struct span *spans;
	size_t n;
};
/* Fetches a segment and sorts it. 0; -ERR_DAMAGED …. span_list_free() after success. fetched: is added to. */
int span_list_load(struct chunk_source *source, const struct recipe_root_entry *entry, uint64_t disk_bytes,
		   struct span_list *out, uint64_t *fetched, struct error *err);
void span_list_free(struct span_list *l);

/* The i-th extent of a span. */
static inline const struct recipe_extent *span_extent(const struct span_list *l, const struct span *s, size_t i)
{
	return &l->segment.extents[l->order[s->first + i]];
}

/* Fetches the chunks with the given indices of a segment, in calls that a source can bear. got() gets the index of the
 * chunk in the segment. A chunk that has another size than the recipe says is damage. */
int span_fetch(struct chunk_source *source, const struct recipe_segment *segment, const uint32_t *chunks, size_t n,
	       chunk_got_fn *got, void *arg, uint64_t *fetched, struct error *err);

#endif
