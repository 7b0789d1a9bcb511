/*
 * A pack while it is put together. The memory is kept from pack to pack: the first touch of fresh pages costs more than
 * the copy into them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "store/room.h"

#define TABLE_MIN 1024u

int store_pack_buffer_init(struct store_pack_buffer *p)
{
	*p = (struct store_pack_buffer){.table_size = TABLE_MIN};
	p->data = malloc(PACK_TARGET_BYTES);
	p->table = calloc(TABLE_MIN, sizeof *p->table);
	if (!p->data || !p->table) {
		store_pack_buffer_clear(p);
		return -ENOMEM;
	}
	store_pack_buffer_restart(p);
	return 0;
}

void store_pack_buffer_clear(struct store_pack_buffer *p)
{
	free(p->data);
	free(p->entries);
	free(p->table);
	*p = (struct store_pack_buffer){0};
}

void store_pack_buffer_restart(struct store_pack_buffer *p)
{
	io_random(p->id.bytes, sizeof p->id.bytes);
	memset(p->table, 0, p->table_size * sizeof *p->table);
	pack_put_header(p->data, &p->id);
	p->len = PACK_HEADER_BYTES;
	p->n = 0;
}

/* Where the hash is in the table, or the free place where it would go. Hashes are spread evenly by nature. */
static size_t slot_of(const struct store_pack_buffer *p, const struct hash *hash)
{
	size_t mask = p->table_size - 1, at = bytes_le32(hash->bytes) & mask;

	while (p->table[at] && !hash_equal(&p->entries[p->table[at] - 1].hash, hash))
		at = (at + 1) & mask;
	return at;
}

bool store_pack_buffer_has(const struct store_pack_buffer *p, const struct hash *hash)
{
	return p->n && p->table[slot_of(p, hash)] != 0;
}

bool store_pack_buffer_fits(const struct store_pack_buffer *p, uint32_t body_bytes)
{
	return p->n < PACK_MAX_ENTRIES && body_bytes <= PACK_TARGET_BYTES - PACK_FRAME_HEADER_BYTES &&
	       p->len <= PACK_TARGET_BYTES - PACK_FRAME_HEADER_BYTES - body_bytes;
}

static int grow_table(struct store_pack_buffer *p)
{
	uint32_t *table = calloc(2 * p->table_size, sizeof *table);

	if (!table)
		return -ENOMEM;
	free(p->table);
	p->table = table;
	p->table_size *= 2;
	for (size_t i = 0; i < p->n; i++)
		p->table[slot_of(p, &p->entries[i].hash)] = (uint32_t)i + 1;
	return 0;
}

int store_pack_buffer_add(struct store_pack_buffer *p, const struct chunk_frame *frame)
{
	if (2 * (p->n + 1) > p->table_size && grow_table(p) < 0)
		return -ENOMEM;
	if (p->n == p->entries_cap) {
		size_t cap = p->entries_cap ? 2 * p->entries_cap : 256;
		struct pack_entry *more = realloc(p->entries, cap * sizeof *more);

		if (!more)
			return -ENOMEM;
		p->entries = more;
		p->entries_cap = cap;
	}
	p->entries[p->n] = (struct pack_entry){.hash = frame->hash,
					       .offset = (uint32_t)p->len,
					       .body_bytes = frame->body_bytes,
					       .plain_bytes = frame->plain_bytes,
					       .method = frame->method};
	p->table[slot_of(p, &frame->hash)] = (uint32_t)p->n + 1;
	p->n++;
	pack_put_frame_header(p->data + p->len, frame);
	memcpy(p->data + p->len + PACK_FRAME_HEADER_BYTES, frame->body, frame->body_bytes);
	p->len += PACK_FRAME_HEADER_BYTES + frame->body_bytes;
	return 0;
}

int store_pack_buffer_store(const struct store_pack_buffer *p, struct store *s, struct error *err)
{
	struct pack_index x = {.id = p->id, .entries = p->entries, .n = p->n};
	struct buf pieces[2] = {{.data = p->data, .len = p->len}, {0}};
	char name[PACK_NAME_BYTES];
	int r;

	if (pack_encode_tail(&p->id, p->entries, p->n, p->len, &pieces[1]) < 0)
		return error_errno(err, ENOMEM, "cannot write a pack");
	for (size_t i = 0; i < p->n; i++)
		x.plain_bytes += p->entries[i].plain_bytes;
	x.pack_bytes = p->len + pieces[1].len;
	r = store_backend_put(s->backend, pack_name_format(&p->id, name), pieces, 2, err);
	if (r == 0)
		r = store_index_add(s->index, &x, err);
	if (r == -ERR_DAMAGED) /* the index, not the pack: it is made anew, and finds the pack in the folder */
		r = store_rebuild(s, NULL, NULL, err);
	buf_free(&pieces[1]);
	return r;
}
