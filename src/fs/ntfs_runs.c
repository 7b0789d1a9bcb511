/*
 * Runlists of NTFS: where a stream's clusters are. Every run is checked against the volume's size; nothing
 * here may believe a length or a place that a damaged or hostile runlist claims.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "fs/ntfs_volume.h"

/* More than the largest attribute list Windows makes can describe. */
#define RUNS_MAX (1u << 21)

void ntfs_runs_free(struct ntfs_runs *runs)
{
	free(runs->at);
	*runs = (struct ntfs_runs){0};
}

static int append(struct ntfs_runs *runs, uint64_t lcn, uint64_t length, struct error *err)
{
	if (runs->n == RUNS_MAX)
		return error_set(err, -ERR_FORMAT, "an NTFS runlist has more than %u runs", RUNS_MAX);
	if (runs->n == runs->cap) {
		size_t cap = runs->cap ? 2 * runs->cap : 8;
		struct ntfs_run *at = realloc(runs->at, cap * sizeof *at);

		if (!at)
			return error_set(err, -ENOMEM, "no memory for an NTFS runlist");
		runs->at = at;
		runs->cap = cap;
	}
	runs->at[runs->n++] = (struct ntfs_run){.vcn = runs->next_vcn, .lcn = lcn, .length = length};
	runs->next_vcn += length;
	if (lcn == NTFS_HOLE)
		runs->holes = true;
	return 0;
}

/* A little-endian integer of n bytes (0 to 8), sign-extended. */
static int64_t take_signed(struct cursor *c, unsigned n)
{
	const uint8_t *p = cursor_take(c, n);
	uint64_t v = 0;

	if (!p || !n)
		return 0;
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	if (n < 8 && p[n - 1] & 0x80)
		v |= UINT64_MAX << (8 * n);
	return (int64_t)v;
}

int ntfs_runs_decode(const struct ntfs_volume *vol, struct cursor pairs, struct ntfs_runs *runs, struct error *err)
{
	uint64_t vcn_max = (uint64_t)INT64_MAX / vol->cluster_bytes;
	int64_t at = 0;
	uint8_t sizes;
	int rc;

	while ((sizes = cursor_u8(&pairs)) != 0) {
		unsigned length_size = sizes & 15, place_size = sizes >> 4;
		int64_t length, delta;

		if (!length_size || length_size > 8 || place_size > 8)
			return error_set(err, -ERR_FORMAT, "an NTFS runlist has a run with size code 0x%02x", sizes);
		length = take_signed(&pairs, length_size);
		delta = take_signed(&pairs, place_size);
		if (pairs.failed)
			break;
		if (length <= 0 || (uint64_t)length > vcn_max - runs->next_vcn)
			return error_set(err, -ERR_FORMAT, "an NTFS runlist has a run of %" PRId64 " clusters", length);
		if (place_size && __builtin_add_overflow(at, delta, &at))
			return error_set(err, -ERR_FORMAT, "an NTFS runlist leads nowhere");
		if (place_size &&
		    (at < 0 || (uint64_t)at >= vol->clusters || (uint64_t)length > vol->clusters - (uint64_t)at))
			return error_set(err, -ERR_FORMAT,
					 "an NTFS runlist has %" PRId64 " clusters at %" PRId64
					 " on a volume of %" PRIu64,
					 length, at, vol->clusters);
		rc = append(runs, place_size ? (uint64_t)at : NTFS_HOLE, (uint64_t)length, err);
		if (rc < 0)
			return rc;
	}
	if (pairs.failed)
		return error_set(err, -ERR_FORMAT, "an NTFS runlist has no end");
	return 0;
}

const struct ntfs_run *ntfs_runs_find(const struct ntfs_runs *runs, uint64_t vcn)
{
	size_t from = 0, to = runs->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		const struct ntfs_run *r = &runs->at[mid];

		if (vcn < r->vcn)
			to = mid;
		else if (vcn - r->vcn >= r->length)
			from = mid + 1;
		else
			return r;
	}
	return NULL;
}
