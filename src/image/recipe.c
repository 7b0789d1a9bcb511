/*
 * The bytes of recipes: segments and roots. Every rule of recipe.h is checked in both directions, so that no program
 * writes what another one would have to refuse. Integers are little-endian.
 */
#include "image/recipe.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "image/chunk.h"

/* Segment, version 1:
 *   0  4  "G4RS"          16  4  n_chunks
 *   4  2  version         20  4  n_extents
 *   6  2  zero            24  n_chunks × 36: hash (32), plain_bytes u32
 *   8  8  window              n_extents × 16: offset from the window's start u32, length u32, chunk u32, chunk_offset
 * u32
 */
#define SEGMENT_HEADER_BYTES 24
#define SEGMENT_CHUNK_BYTES (HASH_BYTES + 4)
#define SEGMENT_EXTENT_BYTES 16
/* Root, version 1:
 *   0  4  "G4RR"           8  4  n
 *   4  2  version         12  4  zero
 *   6  2  zero            16  n × 40: window u64, segment's hash (32)
 */
#define ROOT_HEADER_BYTES 16
#define ROOT_ENTRY_BYTES (8 + HASH_BYTES)
#define VERSION 1

_Static_assert(RECIPE_WINDOW_BYTES <= UINT32_MAX, "offsets in a window have 32 bits");
_Static_assert(RECIPE_MAX_SEGMENT_BYTES <= CHUNK_MAX_BYTES, "a segment is a chunk");
_Static_assert(ROOT_HEADER_BYTES + RECIPE_ROOT_MAX_ENTRIES * ROOT_ENTRY_BYTES <= CHUNK_MAX_BYTES, "a root is a chunk");

void recipe_segment_clear(struct recipe_segment *s)
{
	free(s->chunks);
	free(s->extents);
	*s = (struct recipe_segment){0};
}

size_t recipe_segment_bytes(size_t n_chunks, size_t n_extents)
{
	return SEGMENT_HEADER_BYTES + n_chunks * SEGMENT_CHUNK_BYTES + n_extents * SEGMENT_EXTENT_BYTES;
}

/* Checks the rules that concern one extent. `from` is where the one before ended. NULL, or what is wrong. */
static const char *extent_fault(const struct recipe_segment *s, const struct recipe_extent *e, uint64_t from,
				uint64_t disk_bytes)
{
	uint64_t window_start, in_window;

	if (s->window > UINT64_MAX / RECIPE_WINDOW_BYTES)
		return "its window lies beyond every disk";
	window_start = s->window * RECIPE_WINDOW_BYTES;
	if (!e->length)
		return "an extent is empty";
	if (e->disk_offset < window_start)
		return "an extent begins before its window";
	in_window = e->disk_offset - window_start;
	if (in_window >= RECIPE_WINDOW_BYTES || e->length > RECIPE_WINDOW_BYTES - in_window)
		return "an extent leaves its window";
	if (e->disk_offset > disk_bytes || e->length > disk_bytes - e->disk_offset)
		return "an extent leaves the disk";
	if (e->disk_offset < from)
		return "extents overlap or are out of order";
	if (e->chunk == RECIPE_ZERO)
		return e->chunk_offset ? "an extent of zeros has a chunk offset" : NULL;
	if (e->chunk >= s->n_chunks)
		return "an extent names a chunk that the segment does not have";
	if (e->chunk_offset > s->chunks[e->chunk].plain_bytes ||
	    e->length > s->chunks[e->chunk].plain_bytes - e->chunk_offset)
		return "an extent reaches beyond its chunk";
	return NULL;
}

/* NULL, or what is wrong with the segment. */
static const char *segment_fault(const struct recipe_segment *s, uint64_t disk_bytes)
{
	uint64_t from = 0;

	for (size_t i = 0; i < s->n_chunks; i++)
		if (!s->chunks[i].plain_bytes || s->chunks[i].plain_bytes > CHUNK_MAX_BYTES)
			return "a chunk has an impossible size";
	for (size_t i = 0; i < s->n_extents; i++) {
		const struct recipe_extent *e = &s->extents[i];
		const char *fault = extent_fault(s, e, from, disk_bytes);

		if (fault)
			return fault;
		from = e->disk_offset + e->length;
	}
	return NULL;
}

int recipe_segment_encode(const struct recipe_segment *s, struct buf *out, struct error *err)
{
	const char *fault = NULL;
	uint8_t *p;
	size_t bytes;

	if (s->n_chunks > RECIPE_MAX_SEGMENT_BYTES || s->n_extents > RECIPE_MAX_SEGMENT_BYTES)
		fault = "it has too many parts";
	bytes = fault ? 0 : recipe_segment_bytes(s->n_chunks, s->n_extents);
	if (!fault && bytes > RECIPE_MAX_SEGMENT_BYTES)
		fault = "it does not fit a chunk";
	if (!fault)
		fault = segment_fault(s, UINT64_MAX);
	if (fault)
		return error_set(err, -EINVAL, "a recipe segment cannot be written: %s", fault);
	p = buf_add(out, bytes);
	if (!p)
		return error_set(err, -ENOMEM, "out of memory for a recipe segment");
	memcpy(p, "G4RS", 4);
	bytes_put_le16(p + 4, VERSION);
	bytes_put_le16(p + 6, 0);
	bytes_put_le64(p + 8, s->window);
	bytes_put_le32(p + 16, (uint32_t)s->n_chunks);
	bytes_put_le32(p + 20, (uint32_t)s->n_extents);
	p += SEGMENT_HEADER_BYTES;
	for (size_t i = 0; i < s->n_chunks; i++, p += SEGMENT_CHUNK_BYTES) {
		memcpy(p, s->chunks[i].hash.bytes, HASH_BYTES);
		bytes_put_le32(p + HASH_BYTES, s->chunks[i].plain_bytes);
	}
	for (size_t i = 0; i < s->n_extents; i++, p += SEGMENT_EXTENT_BYTES) {
		const struct recipe_extent *e = &s->extents[i];

		bytes_put_le32(p, (uint32_t)(e->disk_offset - s->window * RECIPE_WINDOW_BYTES));
		bytes_put_le32(p + 4, e->length);
		bytes_put_le32(p + 8, e->chunk);
		bytes_put_le32(p + 12, e->chunk_offset);
	}
	return 0;
}

/* Takes magic, version and the reserved field. */
static int parse_head(struct cursor *c, const char *magic, const char *what, struct error *err)
{
	const uint8_t *found = cursor_take(c, 4);
	uint16_t version = cursor_le16(c), zero = cursor_le16(c);

	if (c->failed || memcmp(found, magic, 4) != 0)
		return error_set(err, -ERR_DAMAGED, "these bytes are not %s", what);
	if (version > VERSION)
		return error_set(err, -ERR_VERSION, "%s has version %u; this program understands %u: use a newer one",
				 what, version, VERSION);
	if (version != VERSION || zero)
		return error_set(err, -ERR_DAMAGED, "%s has a damaged header", what);
	return 0;
}

/* Reads the parts of a segment whose counts are known to fit the bytes that are left. */
static int parse_parts(struct cursor *c, struct recipe_segment *out)
{
	uint64_t start = out->window * RECIPE_WINDOW_BYTES;

	out->chunks = calloc(out->n_chunks ? out->n_chunks : 1, sizeof *out->chunks);
	out->extents = calloc(out->n_extents ? out->n_extents : 1, sizeof *out->extents);
	if (!out->chunks || !out->extents)
		return -ENOMEM;
	for (size_t i = 0; i < out->n_chunks; i++) {
		const uint8_t *hash = cursor_take(c, HASH_BYTES);

		if (hash)
			memcpy(out->chunks[i].hash.bytes, hash, HASH_BYTES);
		out->chunks[i].plain_bytes = cursor_le32(c);
	}
	for (size_t i = 0; i < out->n_extents; i++) {
		struct recipe_extent *e = &out->extents[i];

		e->disk_offset = start + cursor_le32(c);
		e->length = cursor_le32(c);
		e->chunk = cursor_le32(c);
		e->chunk_offset = cursor_le32(c);
	}
	return 0;
}

int recipe_segment_decode(const void *bytes, size_t len, uint64_t disk_bytes, struct recipe_segment *out,
			  struct error *err)
{
	struct cursor c = cursor_of(bytes, len);
	const char *fault;
	int rc;

	*out = (struct recipe_segment){0};
	rc = parse_head(&c, "G4RS", "a recipe segment", err);
	if (rc < 0)
		return rc;
	out->window = cursor_le64(&c);
	out->n_chunks = cursor_le32(&c);
	out->n_extents = cursor_le32(&c);
	if (c.failed || len > RECIPE_MAX_SEGMENT_BYTES || out->n_chunks > len / SEGMENT_CHUNK_BYTES ||
	    out->n_extents > len / SEGMENT_EXTENT_BYTES || len != recipe_segment_bytes(out->n_chunks, out->n_extents) ||
	    out->window > disk_bytes / RECIPE_WINDOW_BYTES) {
		*out = (struct recipe_segment){0};
		return error_set(err, -ERR_DAMAGED, "a recipe segment is damaged: its counts do not fit its size");
	}
	rc = parse_parts(&c, out);
	if (rc < 0) {
		recipe_segment_clear(out);
		return error_set(err, rc, "out of memory for a recipe segment");
	}
	fault = segment_fault(out, disk_bytes);
	if (fault) {
		recipe_segment_clear(out);
		return error_set(err, -ERR_DAMAGED, "a recipe segment is damaged: %s", fault);
	}
	return 0;
}

void recipe_root_clear(struct recipe_root *r)
{
	free(r->entries);
	*r = (struct recipe_root){0};
}

/* Windows must not fall; several segments of one window stand side by side. */
static bool root_in_order(const struct recipe_root *r)
{
	for (size_t i = 1; i < r->n; i++)
		if (r->entries[i].window < r->entries[i - 1].window)
			return false;
	return true;
}

int recipe_root_encode(const struct recipe_root *r, struct buf *out, struct error *err)
{
	uint8_t *p;

	if (r->n > RECIPE_ROOT_MAX_ENTRIES || !root_in_order(r))
		return error_set(err, -EINVAL,
				 "a recipe's root cannot be written: it has too many entries or they are out of order");
	p = buf_add(out, ROOT_HEADER_BYTES + r->n * ROOT_ENTRY_BYTES);
	if (!p)
		return error_set(err, -ENOMEM, "out of memory for a recipe's root");
	memcpy(p, "G4RR", 4);
	bytes_put_le16(p + 4, VERSION);
	bytes_put_le16(p + 6, 0);
	bytes_put_le32(p + 8, (uint32_t)r->n);
	bytes_put_le32(p + 12, 0);
	p += ROOT_HEADER_BYTES;
	for (size_t i = 0; i < r->n; i++, p += ROOT_ENTRY_BYTES) {
		bytes_put_le64(p, r->entries[i].window);
		memcpy(p + 8, r->entries[i].segment.bytes, HASH_BYTES);
	}
	return 0;
}

int recipe_root_decode(const void *bytes, size_t len, struct recipe_root *out, struct error *err)
{
	struct cursor c = cursor_of(bytes, len);
	uint32_t n, zero;
	int rc;

	*out = (struct recipe_root){0};
	rc = parse_head(&c, "G4RR", "a recipe's root", err);
	if (rc < 0)
		return rc;
	n = cursor_le32(&c);
	zero = cursor_le32(&c);
	if (c.failed || zero || n > RECIPE_ROOT_MAX_ENTRIES || cursor_left(&c) != (size_t)n * ROOT_ENTRY_BYTES)
		return error_set(err, -ERR_DAMAGED, "a recipe's root is damaged: its count does not fit its size");
	out->entries = calloc(n ? n : 1, sizeof *out->entries);
	if (!out->entries)
		return error_set(err, -ENOMEM, "out of memory for a recipe's root");
	out->n = n;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *hash;

		out->entries[i].window = cursor_le64(&c);
		hash = cursor_take(&c, HASH_BYTES);
		if (hash)
			memcpy(out->entries[i].segment.bytes, hash, HASH_BYTES);
	}
	if (!root_in_order(out)) {
		recipe_root_clear(out);
		return error_set(err, -ERR_DAMAGED, "a recipe's root is damaged: its windows are out of order");
	}
	return 0;
}
