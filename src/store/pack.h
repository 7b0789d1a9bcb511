/*
 * The bytes of a pack file (doc/FORMAT.md, "Packs"): a header, chunk frames one after the other, an index, a footer.
 * A pure codec: it neither reads nor writes files, and it trusts no byte of what it parses.
 */
#ifndef G4L_STORE_PACK_H
#define G4L_STORE_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "image/chunk.h"

#define PACK_VERSION 1u
#define PACK_ID_BYTES 16
#define PACK_NAME_BYTES 48 /* "packs/ab/" + 32 hex digits and the terminating zero */

#define PACK_HEADER_BYTES 32u
#define PACK_FRAME_HEADER_BYTES 44u
#define PACK_ENTRY_BYTES 48u
#define PACK_FOOTER_BYTES 96u

#define PACK_MAX_BYTES (1ull << 30)   /* a reader refuses larger ones; writers stay near PACK_TARGET_BYTES */
#define PACK_TARGET_BYTES (64u << 20) /* header and frames of a full pack are at most this long */
#define PACK_MAX_ENTRIES 65536u

struct pack_id {
	uint8_t bytes[PACK_ID_BYTES];
};

/* One line of a pack's index. */
struct pack_entry {
	struct hash hash;
	uint32_t offset; /* of the frame's header, from the start of the pack */
	uint32_t body_bytes, plain_bytes;
	uint8_t method;
};

struct pack_footer {
	struct pack_id id;
	uint64_t index_offset, plain_bytes;
	uint32_t entries;
	struct hash index_hash;
};

struct pack_index {
	struct pack_id id;
	struct pack_entry *entries; /* ascending by offset, without holes */
	size_t n;
	uint64_t plain_bytes, pack_bytes;
};

/* "packs/ab/ab01…": the object's name. Returns to. */
char *pack_name_format(const struct pack_id *id, char to[PACK_NAME_BYTES]);
/* 0, or -EINVAL when the name is not of that form. */
int pack_name_parse(const char *name, struct pack_id *id);

void pack_put_header(uint8_t to[PACK_HEADER_BYTES], const struct pack_id *id);
/* 0; -ERR_DAMAGED; -ERR_VERSION. name: of the pack, for the sentence. */
int pack_check_header(const uint8_t from[PACK_HEADER_BYTES], const struct pack_id *id, const char *name,
		      struct error *err);

void pack_put_frame_header(uint8_t to[PACK_FRAME_HEADER_BYTES], const struct chunk_frame *frame);
/* Fills all but the body. 0, or -ERR_DAMAGED (no sentence) when it cannot be a frame's header. */
int pack_get_frame_header(const uint8_t from[PACK_FRAME_HEADER_BYTES], struct chunk_frame *frame);

/* Appends index and footer for frames that end at index_offset. 0 or -ENOMEM. */
int pack_encode_tail(const struct pack_id *id, const struct pack_entry *entries, size_t n, uint64_t index_offset,
		     struct buf *out);

/* Parses the last PACK_FOOTER_BYTES of a pack of pack_bytes. 0; -ERR_DAMAGED; -ERR_VERSION. */
int pack_decode_footer(const uint8_t from[PACK_FOOTER_BYTES], uint64_t pack_bytes, const char *name,
		       struct pack_footer *out, struct error *err);
/* Parses the index that lies between footer->index_offset and the footer. 0; -ERR_DAMAGED; -ENOMEM.
 * pack_index_clear() after success. */
int pack_decode_index(const uint8_t *from, size_t len, const struct pack_footer *footer, const char *name,
		      struct pack_index *out, struct error *err);
void pack_index_clear(struct pack_index *x);

#endif
