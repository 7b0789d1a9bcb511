/* The allocation bitmap of NTFS, read through a window of fixed size so that its length costs no memory. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fs/ntfs_volume.h"

#define WINDOW_BYTES (64u << 10)

struct ntfs_bitmap {
	const struct ntfs_volume *vol;
	struct ntfs_stream stream;
	uint64_t cluster;   /* where the search goes on */
	uint64_t window_at; /* first byte in the window; a multiple of WINDOW_BYTES, or UINT64_MAX when there is none */
	uint8_t window[WINDOW_BYTES];
};

int ntfs_bitmap_open(const struct ntfs_volume *vol, struct ntfs_bitmap **out, struct error *err)
{
	struct ntfs_bitmap *b = malloc(sizeof *b);
	int rc;

	if (!b)
		return error_set(err, -ENOMEM, "no memory for the bitmap of NTFS");
	b->vol = vol;
	ntfs_bitmap_rewind(b);
	b->window_at = UINT64_MAX;
	rc = ntfs_stream_load(vol, NTFS_BITMAP, NTFS_DATA, "", &b->stream, err);
	if (rc == -ENOENT)
		rc = -ERR_FORMAT;
	if (!rc && b->stream.size < (vol->clusters + 7) / 8)
		rc = error_set(err, -ERR_FORMAT, "the bitmap of NTFS has %" PRIu64 " bytes for %" PRIu64 " clusters",
			       b->stream.size, vol->clusters);
	if (rc < 0) {
		ntfs_bitmap_close(b);
		return rc;
	}
	*out = b;
	return 0;
}

void ntfs_bitmap_rewind(struct ntfs_bitmap *b)
{
	b->cluster = 0;
}

void ntfs_bitmap_close(struct ntfs_bitmap *b)
{
	if (!b)
		return;
	ntfs_stream_free(&b->stream);
	free(b);
}

/* Brings the byte into the window. Bytes of the window behind the bitmap's end are zeros. */
static int load(struct ntfs_bitmap *b, uint64_t byte, struct error *err)
{
	uint64_t at = byte / WINDOW_BYTES * WINDOW_BYTES, len = b->stream.size - at;
	int rc;

	if (at == b->window_at)
		return 0;
	if (len > WINDOW_BYTES)
		len = WINDOW_BYTES;
	memset(b->window + len, 0, WINDOW_BYTES - len);
	b->window_at = UINT64_MAX;
	rc = ntfs_stream_read(b->vol, &b->stream, b->window, len, at, err);
	if (rc < 0)
		return rc;
	b->window_at = at;
	return 0;
}

/* Moves b->cluster to the first cluster from there on whose bit is `used`, or to the volume's end. */
static int seek(struct ntfs_bitmap *b, bool used, struct error *err)
{
	while (b->cluster < b->vol->clusters) {
		uint64_t word_at = b->cluster / 64 * 8, word;
		unsigned bit = b->cluster % 64;
		int rc = load(b, word_at, err);

		if (rc < 0)
			return rc;
		word = bytes_le64(b->window + (word_at - b->window_at));
		word = (used ? word : ~word) >> bit;
		if (word) {
			b->cluster += (unsigned)__builtin_ctzll(word);
			break;
		}
		b->cluster += 64 - bit;
	}
	if (b->cluster > b->vol->clusters)
		b->cluster = b->vol->clusters;
	return 0;
}

int ntfs_bitmap_next(struct ntfs_bitmap *b, struct extent *e, struct error *err)
{
	uint64_t unit = b->vol->cluster_bytes, first;
	int rc = seek(b, true, err);

	if (rc < 0 || b->cluster >= b->vol->clusters)
		return rc;
	first = b->cluster;
	rc = seek(b, false, err);
	if (rc < 0)
		return rc;
	*e = (struct extent){.offset = first * unit, .length = (b->cluster - first) * unit};
	return 1;
}
