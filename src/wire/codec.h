/*
 * The binary bodies and the error answers of the agent's protocol (doc/PROTOCOL.md, section 1), for both ends.
 * Pure functions: nothing here does I/O or trusts what it parses. JSON bodies are in wire/message.h.
 */
#ifndef G4L_WIRE_CODEC_H
#define G4L_WIRE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "image/chunk.h"

#define WIRE_PROTOCOL 1
#define WIRE_MAX_BODY_BYTES (16u << 20) /* of a request, and of an answer to get */
#define WIRE_MAX_JSON_BYTES (1u << 20)	/* of a JSON body, either way */
#define WIRE_MAX_HASHES 4096		/* in one have or get */
#define WIRE_TOKEN_BYTES 32		/* boot tokens and sessions; twice that in hex */
#define WIRE_TOKEN_HEX_BYTES (2 * WIRE_TOKEN_BYTES + 1)
#define WIRE_NONCE_BYTES 16
#define WIRE_NONCE_HEX_BYTES (2 * WIRE_NONCE_BYTES + 1)

/*
 * A frame's head:
 *   0  hash (32)    32 plain_bytes u32    36 body_bytes u32    40 method u8    41 zero (3)
 */
#define WIRE_FRAME_HEAD_BYTES 44
#define WIRE_METHOD_ERROR 255 /* as chunk_frame.method: the body is a sentence about a chunk that cannot be given */
#define WIRE_MAX_SENTENCE_BYTES 1000
/* The most bytes that one frame can have. */
#define WIRE_MAX_FRAME_BYTES (WIRE_FRAME_HEAD_BYTES + CHUNK_MAX_BODY_BYTES)

/* Looks at a body as a list of hashes. *hashes points into the body. 0; -ERR_FORMAT when it is empty, not a multiple of
 * 32 bytes, or longer than WIRE_MAX_HASHES. */
int wire_hashes_view(const void *body, size_t len, const struct hash **hashes, size_t *n, struct error *err);

/* The answer to have: one byte a hash. encode appends; decode wants exactly n bytes of 0 or 1, else -ERR_FORMAT. */
int wire_present_encode(const bool *present, size_t n, struct buf *out);
int wire_present_decode(const void *body, size_t len, bool *present, size_t n, struct error *err);

/* Writes a frame's head; the body follows it on the wire. */
void wire_frame_head(const struct chunk_frame *frame, uint8_t head[WIRE_FRAME_HEAD_BYTES]);
/* Appends a whole frame. 0 or -ENOMEM. */
int wire_frame_encode(const struct chunk_frame *frame, struct buf *out);
/* Appends a frame that says why a chunk cannot be given; the sentence is cut at WIRE_MAX_SENTENCE_BYTES. 0 or -ENOMEM.
 */
int wire_frame_encode_error(const struct hash *hash, const char *sentence, struct buf *out);

/* Takes the next frame off a cursor; its body points into the cursor's bytes. with_errors: frames of WIRE_METHOD_ERROR
 * are fine too (answers to get). The content is not checked against the hash: chunk_decode() does. 1: a frame; 0:
 * nothing is left; -EAGAIN: the bytes so far are the beginning of a frame (c is not moved): an error for a body that is
 * complete, "wait for more" in a stream; -ERR_FORMAT: this is no frame. */
int wire_frame_next(struct cursor *c, bool with_errors, struct chunk_frame *frame, struct error *err);

/* What an answer other than 200 means. */
struct wire_status {
	unsigned status;  /* of HTTP */
	const char *name; /* "code" of the body */
	int code;	  /* negative, as in struct error */
	bool later;	  /* the agent tries again, within its limit */
};
/* The answer for a failure: codes without one of their own give 500 "failed". Never NULL. */
const struct wire_status *wire_status_of_code(int code);
/* The meaning of an answer; name is "" or NULL where the body did not say. An unknown status of 5xx is "failed", others
 * "format". Never NULL. */
const struct wire_status *wire_status_of_answer(unsigned status, const char *name);

/* Appends {"error": …, "code": …} for err. 0 or -ENOMEM. */
int wire_error_encode(const struct error *err, struct buf *out);
/* Makes an error of an answer other than 200, whatever its body is. Returns its meaning. */
const struct wire_status *wire_error_decode(unsigned status, const void *body, size_t len, struct error *err);

#endif
