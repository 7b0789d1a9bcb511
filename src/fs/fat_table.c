/*
 * The allocation table: one entry a cluster, in one or more copies. Used is every cluster that is neither free nor
 * bad. Nothing is believed that does not hold for all copies and for every link.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fs/fat_volume.h"

/* What is read at once: a multiple of three, so that no entry of 12 bits crosses its end. */
#define PIECE_BYTES (192u << 10)

/* Entries as 28 bits, whatever their width: the special ones keep their meaning. */
enum {
	ENTRY_FREE = 0,
	ENTRY_BAD = 0x0ffffff7,
	ENTRY_LAST = 0x0ffffff8, /* this and above end a chain */
	ENTRY_ALL = 0x0fffffff,
};

static uint32_t widen(unsigned bits, uint32_t raw)
{
	if (bits == 12)
		return raw >= 0xff7 ? raw | 0x0ffff000 : raw;
	if (bits == 16)
		return raw >= 0xfff7 ? raw | 0x0fff0000 : raw;
	return raw & ENTRY_ALL; /* the upper four bits are reserved */
}

/* Entry i of a stretch of the table that begins with an even entry. */
static uint32_t entry_of(unsigned bits, const uint8_t *table, uint32_t i)
{
	if (bits == 12)
		return widen(bits, bytes_le16(table + i + i / 2) >> (i & 1 ? 4 : 0) & 0xfff);
	return widen(bits, bits == 16 ? bytes_le16(table + 2 * (size_t)i) : bytes_le32(table + 4 * (size_t)i));
}

static uint64_t entries_bytes(unsigned bits, uint64_t n)
{
	return (n * bits + 7) / 8;
}

/* Entries 0 and 1: the media byte with all other bits set, and the flags of a clean volume. */
static int take_first(struct fat_volume *v, const uint8_t *table, struct error *err)
{
	uint32_t first = entry_of(v->bits, table, 0), second = entry_of(v->bits, table, 1);
	uint32_t expected = widen(v->bits, v->bits == 12   ? 0xf00u | v->media
					   : v->bits == 16 ? 0xff00u | v->media
							   : 0x0fffff00u | v->media);
	uint32_t clean = v->bits == 32 ? 0x08000000 : v->bits == 16 ? 0x8000 : 0;
	uint32_t good = clean >> 1;

	if (first != expected || (v->backward && bytes_le32(table) >> 28))
		return error_set(err, -ERR_FORMAT, "the allocation table does not begin as that of a FAT%u", v->bits);
	v->table_dirty = (second & clean) != clean;
	v->table_errors = (second & good) != good;
	return 0;
}

static int take_entry(struct fat_volume *v, uint32_t n, uint32_t value, struct error *err)
{
	if (value == ENTRY_FREE)
		return 0;
	if (fat_is_cluster(v, value)) {
		if (fat_bit(v->claimed, value))
			return error_set(err, -ERR_FORMAT, "two chains of clusters meet in cluster %" PRIu32, value);
		fat_set_bit(v->claimed, value);
	} else if (value == ENTRY_BAD) {
		v->n_bad++;
		return 0;
	} else if (value < ENTRY_LAST) {
		return error_set(err, -ERR_FORMAT,
				 "cluster %" PRIu32 " has the successor %" PRIu32 ", which does not exist", n, value);
	}
	fat_set_bit(v->used, n);
	v->n_used++;
	return 0;
}

/* Takes len bytes of the table, which begin with entry first. */
static int take_piece(struct fat_volume *v, const uint8_t *piece, uint32_t first, uint32_t n, struct error *err)
{
	uint32_t i = 0;
	int rc = 0;

	if (!first) {
		rc = take_first(v, piece, err);
		i = FAT_FIRST_CLUSTER;
	}
	for (; i < n && !rc; i++)
		rc = take_entry(v, first + i, entry_of(v->bits, piece, i), err);
	return rc;
}

/* Every cluster that another one leads to must itself be used. */
static int check_links(const struct fat_volume *v, struct error *err)
{
	for (uint32_t byte = 0; byte <= (v->n_clusters + FAT_FIRST_CLUSTER - 1) / 8; byte++) {
		if (!(v->claimed[byte] & ~v->used[byte]))
			continue;
		for (uint32_t n = byte * 8; n < byte * 8 + 8; n++)
			if (fat_bit(v->claimed, n) && !fat_bit(v->used, n))
				return error_set(err, -ERR_FORMAT,
						 "a chain leads to cluster %" PRIu32 ", which is free or bad", n);
	}
	return 0;
}

/* Reads one stretch from all copies. same: a second buffer. */
static int read_copies(struct fat_volume *v, uint64_t offset, size_t len, uint8_t *piece, uint8_t *same,
		       struct error *err)
{
	int rc = fs_view_read(&v->view, piece, len, v->fat_at + offset, err);

	for (uint32_t k = 1; k < v->n_fats && !rc; k++) {
		rc = fs_view_read(&v->view, same, len, v->fat_at + k * v->fat_bytes + offset, err);
		if (!rc && memcmp(piece, same, len))
			rc = error_set(err, -ERR_FORMAT, "the copies of the allocation table differ");
	}
	return rc;
}

int fat_table_read(struct fat_volume *v, struct error *err)
{
	uint32_t total = v->n_clusters + FAT_FIRST_CLUSTER, per_piece = PIECE_BYTES * 8 / v->bits;
	/* A byte more, for the entry of 12 bits that is loaded as 16. */
	uint8_t *piece = calloc(1, PIECE_BYTES + 1), *same = malloc(PIECE_BYTES);
	int rc = 0;

	v->used = calloc(1, total / 8 + 1);
	v->claimed = calloc(1, total / 8 + 1);
	if (!piece || !same || !v->used || !v->claimed)
		rc = error_set(err, -ENOMEM, "no memory for the map of %" PRIu32 " clusters", v->n_clusters);
	for (uint32_t first = 0; first < total && !rc; first += per_piece) {
		uint32_t n = total - first < per_piece ? total - first : per_piece;

		rc = read_copies(v, entries_bytes(v->bits, first), (size_t)entries_bytes(v->bits, n), piece, same, err);
		if (!rc)
			rc = take_piece(v, piece, first, n, err);
	}
	if (!rc)
		rc = check_links(v, err);
	free(piece);
	free(same);
	return rc;
}

int fat_table_next(struct fat_volume *v, uint32_t cluster, uint32_t *next, struct error *err)
{
	uint32_t even = cluster & ~1u;
	uint64_t offset = entries_bytes(v->bits, even), end = entries_bytes(v->bits, v->n_clusters + FAT_FIRST_CLUSTER);
	uint8_t b[9] = {0};
	uint32_t value;
	size_t len = end - offset < 8 ? (size_t)(end - offset) : 8;
	int rc = fs_view_read(&v->view, b, len, v->fat_at + offset, err);

	if (rc < 0)
		return rc;
	value = entry_of(v->bits, b, cluster & 1);
	*next = fat_is_cluster(v, value) ? value : 0;
	return 0;
}
