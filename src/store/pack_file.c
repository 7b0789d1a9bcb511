/* Packs as objects of the backend: their list, and each one's own index. */
#include <stdlib.h>
#include <string.h>

#include "store/room.h"

/* Read at once from a pack's end: footer and index of all but the most finely cut packs. */
#define TAIL_BYTES (128u << 10)

struct pack_list {
	struct store_pack_file *at;
	size_t n, cap;
	struct error *err;
};

static int list_one(void *arg, const char *name, uint64_t size_bytes)
{
	struct pack_list *l = arg;
	struct pack_id id;

	if (pack_name_parse(name, &id) < 0)
		return 0;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct store_pack_file *more = realloc(l->at, cap * sizeof *more);

		if (!more)
			return error_errno(l->err, ENOMEM, "cannot list the packs");
		l->at = more;
		l->cap = cap;
	}
	l->at[l->n++] = (struct store_pack_file){.id = id, .pack_bytes = size_bytes};
	return 0;
}

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct store_pack_file *)a)->id.bytes, ((const struct store_pack_file *)b)->id.bytes,
		      PACK_ID_BYTES);
}

int store_pack_list(struct store *s, struct store_pack_file **list, size_t *n, struct error *err)
{
	struct pack_list l = {.err = err};
	int r = store_backend_list(s->backend, "packs/", list_one, &l, err);

	*list = NULL;
	*n = 0;
	if (r < 0) {
		free(l.at);
		return r;
	}
	if (l.n)
		qsort(l.at, l.n, sizeof *l.at, by_id);
	*list = l.at;
	*n = l.n;
	return 0;
}

int store_pack_load(struct store *s, const struct store_pack_file *file, struct pack_index *out, struct error *err)
{
	size_t tail = file->pack_bytes < TAIL_BYTES ? (size_t)file->pack_bytes : TAIL_BYTES, index_bytes;
	char name[PACK_NAME_BYTES];
	struct pack_footer f;
	uint8_t *p;
	int r;

	pack_name_format(&file->id, name);
	if (file->pack_bytes < PACK_HEADER_BYTES + PACK_FOOTER_BYTES)
		return error_set(err, -ERR_DAMAGED, "%s is cut short: it has %llu bytes", name,
				 (unsigned long long)file->pack_bytes);
	p = malloc(tail);
	if (!p)
		return error_errno(err, ENOMEM, "cannot read the index of %s", name);
	r = store_backend_get(s->backend, name, file->pack_bytes - tail, p, tail, err);
	if (r == 0)
		r = pack_decode_footer(p + tail - PACK_FOOTER_BYTES, file->pack_bytes, name, &f, err);
	if (r == 0 && memcmp(f.id.bytes, file->id.bytes, PACK_ID_BYTES) != 0)
		r = error_set(err, -ERR_DAMAGED, "%s holds another pack than its name says", name);
	if (r < 0)
		goto out;
	index_bytes = (size_t)f.entries * PACK_ENTRY_BYTES;
	if (index_bytes > tail - PACK_FOOTER_BYTES) {
		free(p);
		tail = index_bytes + PACK_FOOTER_BYTES;
		p = malloc(tail);
		r = p ? store_backend_get(s->backend, name, f.index_offset, p, tail, err)
		      : error_errno(err, ENOMEM, "cannot read the index of %s", name);
	}
	if (r == 0)
		r = pack_decode_index(p + tail - PACK_FOOTER_BYTES - index_bytes, index_bytes, &f, name, out, err);
out:
	free(p);
	return r;
}
