/*
 * The seam between cutters and those who store: a batch is memory with the used bytes of one window of a disk, and
 * pieces of it grouped to chunks. A cutter decides which pieces make a chunk, in any order and from anywhere in the
 * memory; it calls batch_add(), batch_end_chunk() and batch_add_zeros(). Everything behind works for every cutter.
 */
#ifndef G4L_ENGINE_BATCH_H
#define G4L_ENGINE_BATCH_H

#include "base/extent.h"
#include "image/chunk.h"
#include "image/recipe.h"

struct piece {
	const uint8_t *at; /* in the batch's memory */
	uint64_t disk_offset;
	uint32_t length;
};
struct batch_chunk {
	struct hash hash;
	size_t first_piece, n_pieces; /* its content in order */
	uint32_t plain_bytes;
};
/* A stretch of the disk that has been read into memory. */
struct batch_run {
	const uint8_t *at;
	uint64_t disk_offset, length;
};
struct batch {
	struct piece *pieces;
	size_t n_pieces, pieces_cap;
	struct batch_chunk *chunks;
	size_t n_chunks, chunks_cap;
	struct extent *zeros; /* stretches of the disk that read as zeros */
	size_t n_zeros, zeros_cap;
	uint32_t open_bytes; /* of the chunk that is being filled */
	uint8_t *scratch;    /* CHUNK_MAX_BYTES, for chunks whose pieces lie apart */
	int rc;		     /* -ENOMEM when something could not be added; then nothing more is */
};

/* 0 or -ENOMEM. batch_free() also after a failure. */
int batch_init(struct batch *b);
void batch_free(struct batch *b);
/* Empties it and keeps its memory. */
void batch_reset(struct batch *b);

/* Adds bytes to the open chunk. It must not grow beyond CHUNK_MAX_BYTES. */
void batch_add(struct batch *b, const uint8_t *at, uint64_t disk_offset, uint32_t length);
/* Closes the open chunk, if it holds anything, and hashes it. */
void batch_end_chunk(struct batch *b);
void batch_add_zeros(struct batch *b, uint64_t disk_offset, uint64_t length);

/* The plain bytes of a chunk: in place where its pieces touch, else gathered in `scratch` (CHUNK_MAX_BYTES). */
const uint8_t *batch_plain(const struct batch *b, const struct batch_chunk *c, uint8_t *scratch);

#endif
