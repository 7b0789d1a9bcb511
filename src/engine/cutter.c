/* Cutting at clusters by their hash; cutter.h says why. Pure: the same bytes in the same units give the same chunks. */
#include "engine/cutter.h"

#include <xxhash.h>

#include "base/bytes.h"

/* Clusters of at least this size are looked at in parts of it: finer cuts cost nothing, and content moves by whole
 * clusters. */
#define UNIT_MAX_BYTES 4096u
#define UNIT_MIN_BYTES 512u

_Static_assert(CUTTER_MAX_BYTES <= CHUNK_MAX_BYTES, "a chunk that was cut must be one");

uint32_t cutter_unit_bytes(uint32_t cluster_bytes)
{
	if (cluster_bytes < UNIT_MIN_BYTES || cluster_bytes > UNIT_MAX_BYTES || (cluster_bytes & (cluster_bytes - 1)))
		return UNIT_MAX_BYTES;
	return cluster_bytes;
}

/* Adds one unit that is not zero, and cuts behind it where its hash or the chunk's size wants it. */
static void add_unit(struct batch *b, const uint8_t *at, uint64_t disk_offset, uint32_t length, uint32_t every)
{
	if (length > CUTTER_MAX_BYTES - b->open_bytes)
		batch_end_chunk(b);
	batch_add(b, at, disk_offset, length);
	if (b->open_bytes == CUTTER_MAX_BYTES ||
	    (b->open_bytes >= CUTTER_MIN_BYTES && XXH3_64bits(at, length) % every == 0))
		batch_end_chunk(b);
}

void cutter_cut(struct batch *b, const struct batch_run *runs, size_t n_runs, uint64_t origin, uint32_t unit_bytes)
{
	/* Behind the minimum a cut is due every so many units, so that the average comes out right. */
	uint32_t every = (CUTTER_AVERAGE_BYTES - CUTTER_MIN_BYTES) / unit_bytes;

	batch_end_chunk(b);
	for (size_t i = 0; i < n_runs; i++) {
		const struct batch_run *r = &runs[i];

		for (uint64_t done = 0; done < r->length;) {
			uint64_t offset = r->disk_offset + done, left = r->length - done;
			/* Unsigned wrap-around is right here: origin may lie behind the first bytes of a region. */
			uint32_t length = unit_bytes - (uint32_t)((offset - origin) & (unit_bytes - 1));

			if (length > left)
				length = (uint32_t)left;
			if (bytes_are_zero(r->at + done, length))
				batch_add_zeros(b, offset, length);
			else
				add_unit(b, r->at + done, offset, length, every);
			done += length;
		}
	}
	batch_end_chunk(b);
}
