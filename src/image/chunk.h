/*
 * Chunks: the unit of storage and deduplication. A chunk is up to CHUNK_MAX_BYTES of content, named by the
 * SHA-256 of its plain bytes. In packs and on the wire it travels as a frame: compressed with zstd, or plain
 * where compression does not help.
 */
#ifndef G4L_IMAGE_CHUNK_H
#define G4L_IMAGE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

#define CHUNK_MAX_BYTES (1u << 20)
/* The most bytes that a frame's body can have; a body is never larger than the plain content. */
#define CHUNK_MAX_BODY_BYTES CHUNK_MAX_BYTES

enum chunk_method {
	CHUNK_PLAIN = 0,
	CHUNK_ZSTD = 1, /* one zstd frame (RFC 8878) without a dictionary */
};

/* One chunk as it is stored and sent. The body belongs to whoever made the struct. */
struct chunk_frame {
	struct hash hash;
	uint32_t plain_bytes; /* 1 to CHUNK_MAX_BYTES */
	uint32_t body_bytes;  /* 1 to plain_bytes */
	uint8_t method;	      /* enum chunk_method */
	const uint8_t *body;
};

/* A compressor with its working memory; one a thread. level: zstd's, 1 is the default. NULL when memory is out. */
struct chunk_coder;
struct chunk_coder *chunk_coder_new(int level);
void chunk_coder_free(struct chunk_coder *c);

/* Fills a frame for plain bytes whose hash is known. body: room for plain_bytes bytes, at least as long as *frame
 * lives; the frame's body points there, or at `plain` itself where it does not compress. 0, or -EINVAL for a bad
 * length. */
int chunk_encode(struct chunk_coder *c, const struct hash *hash, const void *plain, size_t plain_bytes, uint8_t *body,
		 struct chunk_frame *frame);

/* Unpacks a frame into plain (room for frame->plain_bytes) and checks length and hash. 0; -ERR_DAMAGED. */
int chunk_decode(struct chunk_coder *c, const struct chunk_frame *frame, uint8_t *plain, struct error *err);

#endif
