/* Batches: pieces of memory grouped to chunks. Owns its lists, never the memory that the pieces point to. */
#include "engine/batch.h"

#include <errno.h>
#include <stdlib.h>

int batch_init(struct batch *b)
{
	*b = (struct batch){0};
	b->scratch = malloc(CHUNK_MAX_BYTES);
	return b->scratch ? 0 : -ENOMEM;
}

void batch_free(struct batch *b)
{
	free(b->pieces);
	free(b->chunks);
	free(b->zeros);
	free(b->scratch);
	*b = (struct batch){0};
}

void batch_reset(struct batch *b)
{
	b->n_pieces = b->n_chunks = b->n_zeros = 0;
	b->open_bytes = 0;
	b->rc = 0;
}

/* Room for one more member; the list may move. */
static void *grown(struct batch *b, void *list, size_t n, size_t *cap, size_t member_bytes)
{
	size_t more = *cap ? 2 * *cap : 1024;
	void *p;

	if (n < *cap)
		return list;
	p = realloc(list, more * member_bytes);
	if (!p) {
		b->rc = -ENOMEM;
		return list;
	}
	*cap = more;
	return p;
}

/* The first piece of the open chunk. */
static size_t open_first(const struct batch *b)
{
	const struct batch_chunk *last = b->n_chunks ? &b->chunks[b->n_chunks - 1] : NULL;

	return last ? last->first_piece + last->n_pieces : 0;
}

void batch_add(struct batch *b, const uint8_t *at, uint64_t disk_offset, uint32_t length)
{
	struct piece *last = b->open_bytes ? &b->pieces[b->n_pieces - 1] : NULL;

	if (b->rc < 0)
		return;
	if (length > CHUNK_MAX_BYTES - b->open_bytes) {
		b->rc = -EINVAL;
		return;
	}
	if (last && last->at + last->length == at && last->disk_offset + last->length == disk_offset) {
		last->length += length;
	} else {
		b->pieces = grown(b, b->pieces, b->n_pieces, &b->pieces_cap, sizeof *b->pieces);
		if (b->rc < 0)
			return;
		b->pieces[b->n_pieces++] = (struct piece){at, disk_offset, length};
	}
	b->open_bytes += length;
}

void batch_end_chunk(struct batch *b)
{
	struct batch_chunk c = {.first_piece = open_first(b), .plain_bytes = b->open_bytes};

	if (b->rc < 0 || !b->open_bytes)
		return;
	b->chunks = grown(b, b->chunks, b->n_chunks, &b->chunks_cap, sizeof *b->chunks);
	if (b->rc < 0)
		return;
	c.n_pieces = b->n_pieces - c.first_piece;
	c.hash = hash_of(batch_plain(b, &c, b->scratch), c.plain_bytes);
	b->chunks[b->n_chunks++] = c;
	b->open_bytes = 0;
}

void batch_add_zeros(struct batch *b, uint64_t disk_offset, uint64_t length)
{
	struct extent *last = b->n_zeros ? &b->zeros[b->n_zeros - 1] : NULL;

	if (b->rc < 0 || !length)
		return;
	if (last && last->offset + last->length == disk_offset) {
		last->length += length;
		return;
	}
	b->zeros = grown(b, b->zeros, b->n_zeros, &b->zeros_cap, sizeof *b->zeros);
	if (b->rc == 0)
		b->zeros[b->n_zeros++] = (struct extent){disk_offset, length};
}

const uint8_t *batch_plain(const struct batch *b, const struct batch_chunk *c, uint8_t *scratch)
{
	const struct piece *p = &b->pieces[c->first_piece];
	size_t at = 0, i = 1;

	while (i < c->n_pieces && p[i - 1].at + p[i - 1].length == p[i].at)
		i++;
	if (i >= c->n_pieces)
		return p->at;
	for (i = 0; i < c->n_pieces; i++) {
		memcpy(scratch + at, p[i].at, p[i].length);
		at += p[i].length;
	}
	return scratch;
}
