/*
 * The choke point above the file-system readers: bounds every read to the region, and checks every used
 * map before anyone believes it. Readers may stay naive about order and sums. Must never let a map pass
 * that is not ascending, leaves the region, or does not add up: the region is then copied whole.
 */
#include "fs/fs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CLUSTER_BYTES_MIN 512u
#define CLUSTER_BYTES_MAX (2u << 20)

int fs_view_read(const struct fs_view *v, void *buf, size_t len, uint64_t offset, struct error *err)
{
	if (offset > v->length || len > v->length - offset)
		return error_set(err, -ERANGE,
				 "reading %zu bytes at %" PRIu64 " leaves the region, which has %" PRIu64 " bytes", len,
				 offset, v->length);
	if (v->start > UINT64_MAX - offset)
		return error_set(err, -ERANGE, "the region lies beyond any disk");
	if (!len)
		return 0;
	return disk_read(v->disk, buf, len, v->start + offset, err);
}

const struct fs_reader *fs_probe(const struct fs_view *v)
{
	const struct fs_reader *found = NULL;

	for (size_t i = 0; fs_readers[i]; i++) {
		if (fs_readers[i]->probe(v) != 1)
			continue;
		/* One of them is what is left of an older file system, and believing it would lose the other. */
		if (found)
			return NULL;
		found = fs_readers[i];
	}
	return found;
}

static int check_info(const struct fs_view *v, const struct fs_info *info, struct error *err)
{
	uint32_t unit = info->cluster_bytes;

	if (unit < CLUSTER_BYTES_MIN || unit > CLUSTER_BYTES_MAX || (unit & (unit - 1)))
		return error_set(err, -ERR_FORMAT, "an allocation unit of %" PRIu32 " bytes makes no sense", unit);
	if (info->size_bytes > v->length)
		return error_set(err, -ERR_FORMAT,
				 "the file system claims %" PRIu64 " bytes, its region has only %" PRIu64,
				 info->size_bytes, v->length);
	if (info->cluster_offset > info->size_bytes)
		return error_set(err, -ERR_FORMAT, "the first allocation unit lies beyond the file system's end");
	if (info->metadata_bytes > info->used_bytes)
		return error_set(err, -ERR_FORMAT,
				 "the file system claims more metadata (%" PRIu64 " bytes) than used space (%" PRIu64
				 ")",
				 info->metadata_bytes, info->used_bytes);
	return 0;
}

/* Takes one extent into the map, or says why it cannot be right. *end: where the one before ended. */
static int take_extent(const struct fs_view *v, const struct extent *e, uint64_t *end, struct extents *used,
		       struct error *err)
{
	if (!e->length || e->offset > v->length || e->length > v->length - e->offset)
		return error_set(err, -ERR_FORMAT,
				 "used space at %" PRIu64 " (%" PRIu64 " bytes) does not lie in the region of %" PRIu64
				 " bytes",
				 e->offset, e->length, v->length);
	if (e->offset < *end)
		return error_set(err, -ERR_FORMAT, "used space at %" PRIu64 " comes out of order", e->offset);
	*end = e->offset + e->length;
	if (extents_add(used, e->offset, e->length) < 0)
		return error_set(err, -ENOMEM, "no memory for the list of used space");
	return 0;
}

static int collect(const struct fs_reader *reader, void *fs, const struct fs_view *v, struct extents *used,
		   struct error *err)
{
	uint64_t end = 0;
	struct extent e;
	int rc;

	while ((rc = reader->next_used(fs, &e, err)) == 1) {
		rc = take_extent(v, &e, &end, used, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

int fs_used_map_by(const struct fs_reader *reader, const struct fs_view *v, struct extents *used, struct fs_info *info,
		   struct error *err)
{
	void *fs = NULL;
	int rc;

	*used = (struct extents){0};
	*info = (struct fs_info){0};
	rc = reader->open(v, &fs, info, err);
	if (rc < 0)
		goto out;
	rc = check_info(v, info, err);
	if (!rc)
		rc = collect(reader, fs, v, used, err);
	if (!rc && extents_total(used) != info->used_bytes)
		rc = error_set(err, -ERR_FORMAT,
			       "the used space adds up to %" PRIu64 " bytes, but %" PRIu64 " were announced",
			       extents_total(used), info->used_bytes);
	reader->close(fs);
out:
	if (!info->kind[0])
		snprintf(info->kind, sizeof info->kind, "%s", reader->name);
	if (rc < 0)
		extents_free(used);
	if (!rc)
		error_clear(err); /* a reader may have gone on after something failed */
	else if (err)
		err->code = rc; /* or have turned "not found" into "makes no sense" */
	return rc;
}

int fs_used_map(const struct fs_view *v, struct extents *used, struct fs_info *info, struct error *err)
{
	const struct fs_reader *reader = fs_probe(v);

	if (reader)
		return fs_used_map_by(reader, v, used, info, err);
	*used = (struct extents){0};
	*info = (struct fs_info){0};
	return error_set(err, -ENOENT, "no reader knows what is in this region");
}
