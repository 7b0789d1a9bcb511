/* Writes a volume image as fuzz input (the form is described in sparse.h): sparse_pack IMAGE >INPUT. */
#include <stdio.h>

#include "base/io.h"

#define BLOCK 64u
#define PIECE_MAX 32768u

static void put_piece(struct buf *out, const struct buf *image, size_t from, size_t to)
{
	while (to > from && !image->data[to - 1])
		to--;
	buf_put_le32(out, (uint32_t)from);
	buf_put_le16(out, (uint16_t)(to - from));
	buf_put(out, image->data + from, to - from);
}

static bool is_zero_at(const struct buf *image, size_t at)
{
	return bytes_are_zero(image->data + at, image->len - at < BLOCK ? image->len - at : BLOCK);
}

int main(int argc, char **argv)
{
	struct buf image = {0}, out = {0};
	struct error err = {0};
	size_t at = 0;

	if (argc != 2 || io_read_file(argv[1], 64u << 20, &image, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	buf_put_u8(&out, 0);
	buf_put_le16(&out, (uint16_t)(image.len / 4096));
	while (at < image.len) {
		size_t from = at;

		while (at < image.len && at - from < PIECE_MAX && !is_zero_at(&image, at))
			at += BLOCK;
		if (at > image.len)
			at = image.len;
		if (at > from)
			put_piece(&out, &image, from, at);
		else
			at += BLOCK;
	}
	return fwrite(out.data, 1, out.len, stdout) == out.len ? 0 : 1;
}
