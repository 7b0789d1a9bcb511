/*
 * Recipes: which extents of a disk are made of which bytes of which chunks. A recipe is a list of segments, each for
 * one window of RECIPE_WINDOW_BYTES of the disk; each segment is stored as a chunk, so that windows which
 * did not change cost nothing in the next snapshot. Root chunks list the segments. A recipe does not care how chunks
 * were cut.
 */
#ifndef G4L_IMAGE_RECIPE_H
#define G4L_IMAGE_RECIPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"

#define RECIPE_WINDOW_BYTES (64ull << 20)
#define RECIPE_ZERO UINT32_MAX /* as a chunk index: the extent reads as zeros */
/* A segment must fit a chunk; a window too fragmented for that is split into several segments with ascending extents.
 */
#define RECIPE_MAX_SEGMENT_BYTES (1u << 20)

struct recipe_chunk {
	struct hash hash;
	uint32_t plain_bytes;
};

struct recipe_extent {
	uint64_t disk_offset;  /* bytes from the start of the disk, inside the segment's window */
	uint32_t length;       /* bytes, > 0, never across the window's end */
	uint32_t chunk;	       /* index into the segment's chunks, or RECIPE_ZERO */
	uint32_t chunk_offset; /* where in the chunk's plain bytes; 0 for zeros */
};

struct recipe_segment {
	uint64_t window; /* number of the window: disk offset / RECIPE_WINDOW_BYTES */
	struct recipe_chunk *chunks;
	size_t n_chunks;
	struct recipe_extent *extents; /* ascending by disk_offset, without overlaps */
	size_t n_extents;
};

/* Frees what the segment points to. */
void recipe_segment_clear(struct recipe_segment *s);
/* The size that recipe_segment_encode() would give. */
size_t recipe_segment_bytes(size_t n_chunks, size_t n_extents);
/* Appends the encoded segment. 0, -ENOMEM, or -EINVAL when it breaks a rule above. */
int recipe_segment_encode(const struct recipe_segment *s, struct buf *out, struct error *err);
/* Parses and checks every rule: order, window, chunk indices, chunk_offset + length ≤ plain_bytes. disk_bytes bounds
 * the offsets. 0; -ERR_DAMAGED, -ERR_VERSION, -ENOMEM. */
int recipe_segment_decode(const void *bytes, size_t len, uint64_t disk_bytes, struct recipe_segment *out,
			  struct error *err);

/* A root chunk: a list of segments in order of the disk. */
struct recipe_root_entry {
	uint64_t window;
	struct hash segment;
};
struct recipe_root {
	struct recipe_root_entry *entries;
	size_t n;
};
void recipe_root_clear(struct recipe_root *r);
/* How many entries fit a root chunk. */
#define RECIPE_ROOT_MAX_ENTRIES 16384
int recipe_root_encode(const struct recipe_root *r, struct buf *out, struct error *err);
int recipe_root_decode(const void *bytes, size_t len, struct recipe_root *out, struct error *err);

#endif
