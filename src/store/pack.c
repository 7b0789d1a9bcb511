#include "store/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char HEADER_MAGIC[8] = {'G', '4', 'L', 'P', 'A', 'C', 'K', '\0'};
static const char FOOTER_MAGIC[8] = {'G', '4', 'L', 'P', 'K', 'E', 'N', 'D'};

/* All integers little-endian; doc/FORMAT.md, "Packs". */
struct disk_header {
	char magic[8];	    /*  0 */
	uint8_t version[4]; /*  8 */
	uint8_t flags[4];   /* 12: zero */
	uint8_t id[16];	    /* 16 */
};
_Static_assert(sizeof(struct disk_header) == PACK_HEADER_BYTES, "pack header");

struct disk_frame_header {
	uint8_t hash[32]; /*  0 */
	uint8_t plain[4]; /* 32 */
	uint8_t body[4];  /* 36 */
	uint8_t method;	  /* 40 */
	uint8_t zero[3];  /* 41 */
};
_Static_assert(sizeof(struct disk_frame_header) == PACK_FRAME_HEADER_BYTES, "frame header");

struct disk_entry {
	uint8_t hash[32];  /*  0 */
	uint8_t offset[4]; /* 32 */
	uint8_t body[4];   /* 36 */
	uint8_t plain[4];  /* 40 */
	uint8_t method;	   /* 44 */
	uint8_t zero[3];   /* 45 */
};
_Static_assert(sizeof(struct disk_entry) == PACK_ENTRY_BYTES, "index entry");

struct disk_footer {
	uint8_t id[16];		 /*  0 */
	uint8_t index_offset[8]; /* 16 */
	uint8_t entries[4];	 /* 24 */
	uint8_t version[4];	 /* 28 */
	uint8_t plain[8];	 /* 32 */
	uint8_t index_hash[32];	 /* 40 */
	uint8_t check[16];	 /* 72: the first 16 bytes of the SHA-256 of bytes 0 to 71 */
	char magic[8];		 /* 88 */
};
_Static_assert(sizeof(struct disk_footer) == PACK_FOOTER_BYTES, "pack footer");
#define FOOTER_CHECKED_BYTES offsetof(struct disk_footer, check)

char *pack_name_format(const struct pack_id *id, char to[PACK_NAME_BYTES])
{
	memcpy(to, "packs/", 6);
	text_hex(id->bytes, 1, to + 6);
	to[8] = '/';
	text_hex(id->bytes, PACK_ID_BYTES, to + 9);
	return to;
}

int pack_name_parse(const char *name, struct pack_id *id)
{
	char again[PACK_NAME_BYTES];

	if (strlen(name) != 9 + 2 * PACK_ID_BYTES || text_unhex(name + 9, id->bytes, PACK_ID_BYTES) < 0)
		return -EINVAL;
	return strcmp(pack_name_format(id, again), name) == 0 ? 0 : -EINVAL;
}

void pack_put_header(uint8_t to[PACK_HEADER_BYTES], const struct pack_id *id)
{
	struct disk_header h = {0};

	memcpy(h.magic, HEADER_MAGIC, sizeof h.magic);
	bytes_put_le32(h.version, PACK_VERSION);
	memcpy(h.id, id->bytes, sizeof h.id);
	memcpy(to, &h, sizeof h);
}

int pack_check_header(const uint8_t from[PACK_HEADER_BYTES], const struct pack_id *id, const char *name,
		      struct error *err)
{
	struct disk_header h;

	memcpy(&h, from, sizeof h);
	if (memcmp(h.magic, HEADER_MAGIC, sizeof h.magic) != 0)
		return error_set(err, -ERR_DAMAGED, "%s does not begin as a pack does", name);
	if (bytes_le32(h.version) > PACK_VERSION)
		return error_set(err, -ERR_VERSION,
				 "%s was written by a newer version of ghost4linux (pack version %u)", name,
				 bytes_le32(h.version));
	if (bytes_le32(h.version) != PACK_VERSION || bytes_le32(h.flags) != 0)
		return error_set(err, -ERR_DAMAGED, "%s has a damaged header", name);
	if (memcmp(h.id, id->bytes, sizeof h.id) != 0)
		return error_set(err, -ERR_DAMAGED, "%s holds another pack than its name says", name);
	return 0;
}

void pack_put_frame_header(uint8_t to[PACK_FRAME_HEADER_BYTES], const struct chunk_frame *frame)
{
	struct disk_frame_header h = {0};

	memcpy(h.hash, frame->hash.bytes, sizeof h.hash);
	bytes_put_le32(h.plain, frame->plain_bytes);
	bytes_put_le32(h.body, frame->body_bytes);
	h.method = frame->method;
	memcpy(to, &h, sizeof h);
}

static bool sizes_ok(uint32_t plain_bytes, uint32_t body_bytes, uint8_t method, const uint8_t zero[3])
{
	if (plain_bytes == 0 || plain_bytes > CHUNK_MAX_BYTES || body_bytes == 0 || body_bytes > plain_bytes)
		return false;
	if (method > CHUNK_ZSTD || (method == CHUNK_PLAIN && body_bytes != plain_bytes))
		return false;
	return zero[0] == 0 && zero[1] == 0 && zero[2] == 0;
}

int pack_get_frame_header(const uint8_t from[PACK_FRAME_HEADER_BYTES], struct chunk_frame *frame)
{
	struct disk_frame_header h;

	memcpy(&h, from, sizeof h);
	*frame = (struct chunk_frame){
		.plain_bytes = bytes_le32(h.plain), .body_bytes = bytes_le32(h.body), .method = h.method};
	memcpy(frame->hash.bytes, h.hash, sizeof h.hash);
	return sizes_ok(frame->plain_bytes, frame->body_bytes, frame->method, h.zero) ? 0 : -ERR_DAMAGED;
}

int pack_encode_tail(const struct pack_id *id, const struct pack_entry *entries, size_t n, uint64_t index_offset,
		     struct buf *out)
{
	struct disk_footer f = {0};
	uint8_t *at = buf_add(out, n * PACK_ENTRY_BYTES + PACK_FOOTER_BYTES);
	uint64_t plain_bytes = 0;
	struct hash h;

	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct disk_entry e = {0};

		memcpy(e.hash, entries[i].hash.bytes, sizeof e.hash);
		bytes_put_le32(e.offset, entries[i].offset);
		bytes_put_le32(e.body, entries[i].body_bytes);
		bytes_put_le32(e.plain, entries[i].plain_bytes);
		e.method = entries[i].method;
		memcpy(at + i * sizeof e, &e, sizeof e);
		plain_bytes += entries[i].plain_bytes;
	}
	memcpy(f.id, id->bytes, sizeof f.id);
	bytes_put_le64(f.index_offset, index_offset);
	bytes_put_le32(f.entries, (uint32_t)n);
	bytes_put_le32(f.version, PACK_VERSION);
	bytes_put_le64(f.plain, plain_bytes);
	h = hash_of(at, n * PACK_ENTRY_BYTES);
	memcpy(f.index_hash, h.bytes, sizeof f.index_hash);
	h = hash_of(&f, FOOTER_CHECKED_BYTES);
	memcpy(f.check, h.bytes, sizeof f.check);
	memcpy(f.magic, FOOTER_MAGIC, sizeof f.magic);
	memcpy(at + n * PACK_ENTRY_BYTES, &f, sizeof f);
	return 0;
}

int pack_decode_footer(const uint8_t from[PACK_FOOTER_BYTES], uint64_t pack_bytes, const char *name,
		       struct pack_footer *out, struct error *err)
{
	struct disk_footer f;
	struct hash h;

	memcpy(&f, from, sizeof f);
	h = hash_of(&f, FOOTER_CHECKED_BYTES);
	if (memcmp(f.magic, FOOTER_MAGIC, sizeof f.magic) != 0 || memcmp(f.check, h.bytes, sizeof f.check) != 0)
		return error_set(err, -ERR_DAMAGED, "%s is cut short, or its end is damaged", name);
	if (bytes_le32(f.version) > PACK_VERSION)
		return error_set(err, -ERR_VERSION,
				 "%s was written by a newer version of ghost4linux (pack version %u)", name,
				 bytes_le32(f.version));
	*out = (struct pack_footer){.index_offset = bytes_le64(f.index_offset),
				    .plain_bytes = bytes_le64(f.plain),
				    .entries = bytes_le32(f.entries)};
	memcpy(out->id.bytes, f.id, sizeof f.id);
	memcpy(out->index_hash.bytes, f.index_hash, sizeof f.index_hash);
	if (bytes_le32(f.version) != PACK_VERSION || pack_bytes > PACK_MAX_BYTES || out->entries > PACK_MAX_ENTRIES ||
	    out->index_offset < PACK_HEADER_BYTES || out->index_offset > pack_bytes ||
	    pack_bytes - out->index_offset != (uint64_t)out->entries * PACK_ENTRY_BYTES + PACK_FOOTER_BYTES)
		return error_set(err, -ERR_DAMAGED, "%s has a footer that does not fit its size of %llu bytes", name,
				 (unsigned long long)pack_bytes);
	return 0;
}

static bool decode_entry(const uint8_t *from, uint64_t at, uint64_t end, struct pack_entry *out)
{
	struct disk_entry e;

	memcpy(&e, from, sizeof e);
	*out = (struct pack_entry){.offset = bytes_le32(e.offset),
				   .body_bytes = bytes_le32(e.body),
				   .plain_bytes = bytes_le32(e.plain),
				   .method = e.method};
	memcpy(out->hash.bytes, e.hash, sizeof e.hash);
	return sizes_ok(out->plain_bytes, out->body_bytes, out->method, e.zero) && out->offset == at &&
	       end - at >= PACK_FRAME_HEADER_BYTES && out->body_bytes <= end - at - PACK_FRAME_HEADER_BYTES;
}

int pack_decode_index(const uint8_t *from, size_t len, const struct pack_footer *footer, const char *name,
		      struct pack_index *out, struct error *err)
{
	uint64_t at = PACK_HEADER_BYTES, plain_bytes = 0;
	struct hash h;

	*out = (struct pack_index){.id = footer->id, .n = footer->entries};
	if (len != (size_t)footer->entries * PACK_ENTRY_BYTES)
		return error_set(err, -ERR_DAMAGED, "%s is cut short", name);
	h = hash_of(from, len);
	if (!hash_equal(&h, &footer->index_hash))
		return error_set(err, -ERR_DAMAGED, "%s has an index that does not match its checksum", name);
	out->entries = calloc(out->n ? out->n : 1, sizeof *out->entries);
	if (!out->entries)
		return error_errno(err, ENOMEM, "cannot read the index of %s", name);
	for (size_t i = 0; i < out->n; i++) {
		struct pack_entry *e = &out->entries[i];

		if (!decode_entry(from + i * PACK_ENTRY_BYTES, at, footer->index_offset, e)) {
			pack_index_clear(out);
			return error_set(err, -ERR_DAMAGED, "%s has an index that makes no sense at entry %zu", name,
					 i);
		}
		at += PACK_FRAME_HEADER_BYTES + e->body_bytes;
		plain_bytes += e->plain_bytes;
	}
	if (at != footer->index_offset || plain_bytes != footer->plain_bytes) {
		pack_index_clear(out);
		return error_set(err, -ERR_DAMAGED, "%s has an index that does not cover its frames", name);
	}
	out->plain_bytes = plain_bytes;
	out->pack_bytes = footer->index_offset + (uint64_t)out->n * PACK_ENTRY_BYTES + PACK_FOOTER_BYTES;
	return 0;
}

void pack_index_clear(struct pack_index *x)
{
	free(x->entries);
	*x = (struct pack_index){0};
}
