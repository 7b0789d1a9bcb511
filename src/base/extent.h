/* Extents: stretches of bytes, and ordered lists of them. */
#ifndef G4L_BASE_EXTENT_H
#define G4L_BASE_EXTENT_H

#include <stddef.h>
#include <stdint.h>

struct extent {
	uint64_t offset; /* bytes */
	uint64_t length; /* bytes, > 0 */
};

/* A growable list. Zero-initialise; extents_free() when done. */
struct extents {
	struct extent *at;
	size_t n;
	size_t cap;
};

void extents_free(struct extents *list);
/* Adds a stretch at the end, merged with the last one where it touches or overlaps it. length 0 is
 * ignored. Offsets must not fall below the last extent's offset. 0, -ENOMEM, -EINVAL (out of order),
 * or -ERANGE when offset + length overflows. */
int extents_add(struct extents *list, uint64_t offset, uint64_t length);
/* Sorts and merges a list that was filled by hand or out of order. */
void extents_normalise(struct extents *list);
/* Adds without any order; call extents_normalise() afterwards. 0, -ENOMEM or -ERANGE. */
int extents_add_unordered(struct extents *list, uint64_t offset, uint64_t length);
/* The sum of all lengths. */
uint64_t extents_total(const struct extents *list);

#endif
