/* From a batch whose chunks have names to the segments of the recipe. */
#ifndef G4L_ENGINE_SEGMENTS_H
#define G4L_ENGINE_SEGMENTS_H

#include "engine/batch.h"
#include "engine/hash_set.h"

/* Memory that is used over and over; one a worker. Zero-initialise; segments_free() when done. */
struct segments {
	struct recipe_extent *extents;
	size_t n_extents, extents_cap;
	struct recipe_chunk *chunks; /* of the segment that is being made */
	size_t n_chunks, chunks_cap;
	struct hash_map map; /* from a chunk's name to its index in chunks */
};
void segments_free(struct segments *s);

/* Gets one encoded segment at a time, in order of the disk; bytes live during the call. */
typedef int segment_fn(void *arg, const void *bytes, size_t len, struct error *err);
/* Makes the segments of a window from its batch, usually one. 0, -ENOMEM, or what fn gives. */
int segments_make(struct segments *s, uint64_t window, const struct batch *b, segment_fn *fn, void *arg,
		  struct error *err);

#endif
