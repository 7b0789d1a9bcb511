/* Volumes as fuzz input; see the header. */
#include "sparse.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define HEADER_BYTES 3
#define PIECE_BYTES 6

struct sparse {
	struct disk disk;
	const uint8_t *data;
	size_t size;
	unsigned fail_nth, reads;
};

static int sparse_read(struct disk *d, void *buf, size_t len, uint64_t offset, struct error *err)
{
	struct sparse *s = (struct sparse *)d;
	struct cursor c = cursor_of(s->data, s->size);

	if (++s->reads == s->fail_nth)
		return error_set(err, -EIO, "this read was to fail");
	memset(buf, 0, len);
	cursor_take(&c, HEADER_BYTES);
	while (cursor_left(&c) > PIECE_BYTES) {
		uint64_t at = cursor_le32(&c), n = cursor_le16(&c), from, to;
		const uint8_t *bytes;

		if (n > cursor_left(&c))
			n = cursor_left(&c);
		bytes = cursor_take(&c, n);
		from = at > offset ? at : offset;
		to = at + n < offset + len ? at + n : offset + len;
		if (from < to)
			memcpy((uint8_t *)buf + (from - offset), bytes + (from - at), to - from);
	}
	return 0;
}

static void sparse_close(struct disk *d)
{
}

static const struct disk_ops ops = {.name = "sparse", .read = sparse_read, .close = sparse_close};

static void check(const struct fs_view *v, const struct extents *used, const struct fs_info *info)
{
	uint64_t end = 0;

	for (size_t i = 0; i < used->n; i++) {
		const struct extent *e = &used->at[i];

		if (e->offset < end || !e->length || e->offset > v->length || e->length > v->length - e->offset)
			abort();
		end = e->offset + e->length;
	}
	if (extents_total(used) != info->used_bytes || info->metadata_bytes > info->used_bytes ||
	    info->size_bytes > v->length)
		abort();
}

void sparse_run(const struct fs_reader *reader, const uint8_t *data, size_t size)
{
	struct sparse s = {.data = data, .size = size};
	struct fs_view view = {.disk = &s.disk};
	struct extents used;
	struct fs_info info;
	struct error err = {0};
	int rc;

	if (size < HEADER_BYTES)
		return;
	s.fail_nth = data[0];
	view.length = bytes_le16(data + 1) * UINT64_C(4096) + 512;
	s.disk =
		(struct disk){.ops = &ops, .size_bytes = view.length, .sector_bytes = 512, .read_only = true, .fd = -1};
	if (reader->probe(&view) != 1)
		return;
	rc = fs_used_map_by(reader, &view, &used, &info, &err);
	if (!rc)
		check(&view, &used, &info);
	else if (used.n || err.code != rc || !err.text[0])
		abort();
	extents_free(&used);
}
