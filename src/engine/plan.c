/*
 * Plans: which bytes of a disk will be read, and why. Layout and file systems are asked; whatever they cannot account
 * for is read whole. Reads only, and never guesses.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/engine.h"
#include "fs/fs.h"

#define RAW_UNIT_BYTES 4096u
/* A gap that nobody owns is copied up to this size; of a larger one its two ends are, where boot code and stray headers
 * lie. */
#define GAP_MAX_BYTES (64ull << 20)
#define GAP_END_BYTES (1ull << 20)

static void add_note(struct plan_region *r, const char *text)
{
	size_t at = strlen(r->note);

	if (*text && at + 3 < sizeof r->note)
		snprintf(r->note + at, sizeof r->note - at, "%s%s", at ? "; " : "", text);
}

static int out_of_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory for the plan of a disk");
}

static int plan_raw(struct plan_region *r, struct error *err)
{
	r->used_only = false;
	r->cluster_bytes = RAW_UNIT_BYTES;
	r->cluster_origin = r->region.start;
	r->metadata_bytes = 0;
	r->extents.n = 0;
	if (extents_add(&r->extents, r->region.start, r->region.length) < 0)
		return out_of_memory(err);
	return 0;
}

static int plan_gap(struct plan_region *r, struct error *err)
{
	char size[TEXT_SIZE_BYTES], note[200];

	snprintf(r->kind, sizeof r->kind, "gap");
	if (r->region.length <= GAP_MAX_BYTES)
		return plan_raw(r, err);
	r->skipped = true;
	r->cluster_bytes = RAW_UNIT_BYTES;
	r->cluster_origin = r->region.start;
	if (extents_add(&r->extents, r->region.start, GAP_END_BYTES) < 0 ||
	    extents_add(&r->extents, r->region.start + r->region.length - GAP_END_BYTES, GAP_END_BYTES) < 0)
		return out_of_memory(err);
	snprintf(note, sizeof note,
		 "%s that belong to no partition were not copied, but for the first and the last MiB",
		 text_size(r->region.length, size));
	add_note(r, note);
	return 0;
}

/* Takes over what a reader found. The space behind the file system's own end belongs to the partition, and is copied.
 */
static int plan_used(struct plan_region *r, const struct extents *used, const struct fs_info *info, struct error *err)
{
	uint64_t size = info->size_bytes < r->region.length ? info->size_bytes : r->region.length;

	r->used_only = true;
	r->cluster_bytes = info->cluster_bytes;
	r->cluster_origin = r->region.start + info->cluster_offset;
	r->metadata_bytes = info->metadata_bytes;
	for (size_t i = 0; i < used->n; i++)
		if (extents_add(&r->extents, r->region.start + used->at[i].offset, used->at[i].length) < 0)
			return out_of_memory(err);
	/* Used extents may reach into the tail; normalising merges them. */
	if (extents_add_unordered(&r->extents, r->region.start + size, r->region.length - size) < 0)
		return out_of_memory(err);
	extents_normalise(&r->extents);
	add_note(r, info->note);
	return 0;
}

/* A second opinion. A member of a RAID or a pool may still begin with the superblock of an older file system, whose
 * bitmaps look sound and know nothing of what is there now. */
static bool is_contradicted(struct disk *d, const struct plan_region *r, const char *kind, struct error *why)
{
	char name[sizeof r->kind];

	if (!layout_identify(d, &r->region, name, sizeof name)) {
		error_set(why, -ERR_FORMAT, "there are signs of %s and of something else", kind);
		return true;
	}
	/* "ext4", "ntfs" have the same names there; FAT has another one. */
	if (!name[0] || strncmp(name, kind, 3) == 0 || (strncmp(kind, "fat", 3) == 0 && strcmp(name, "vfat") == 0))
		return false;
	error_set(why, -ERR_FORMAT, "there are signs of %s and of %s", kind, name);
	return true;
}

static int plan_partition(struct disk *d, struct plan_region *r, struct error *err)
{
	struct fs_view view = {.disk = d, .start = r->region.start, .length = r->region.length};
	struct fs_info info = {0};
	struct extents used = {0};
	struct error why = {0};
	int rc = fs_used_map(&view, &used, &info, &why);

	if (rc == 0 && is_contradicted(d, r, info.kind, &why))
		rc = -ERR_FORMAT;
	if (rc == 0) {
		snprintf(r->kind, sizeof r->kind, "%s", info.kind);
		rc = plan_used(r, &used, &info, err);
	} else if (rc == -ERR_FORMAT) {
		snprintf(r->kind, sizeof r->kind, "%s", info.kind[0] ? info.kind : "unknown");
		r->degraded = true;
		add_note(r, "copied whole, because it could not be judged");
		add_note(r, why.text);
		rc = plan_raw(r, err);
	} else if (rc == -ENOENT) {
		layout_identify(d, &r->region, r->kind, sizeof r->kind);
		if (!r->kind[0])
			snprintf(r->kind, sizeof r->kind, "unknown");
		rc = plan_raw(r, err);
	} else {
		error_set(err, rc, "%s", why.text);
		error_prefix(err, "partition %u cannot be looked at", r->region.number);
	}
	extents_free(&used);
	return rc;
}

static int plan_region(struct disk *d, const struct layout *l, struct plan_region *r, struct error *err)
{
	switch (r->region.role) {
	case REGION_TABLE:
		snprintf(r->kind, sizeof r->kind, "%s", layout_table_name(l->table));
		return plan_raw(r, err);
	case REGION_GAP:
		return plan_gap(r, err);
	case REGION_PARTITION:
		if (l->damaged && l->table == LAYOUT_NONE) {
			/* What a broken table says is not to be trusted with deciding what is used. */
			snprintf(r->kind, sizeof r->kind, "unknown");
			r->degraded = true;
			return plan_raw(r, err);
		}
		return plan_partition(d, r, err);
	}
	return error_set(err, -EINVAL, "a region of the disk has an unknown role");
}

int plan_make(struct disk *d, struct plan *out, struct error *err)
{
	int rc;

	*out = (struct plan){0};
	rc = layout_read(d, &out->layout, err);
	if (rc < 0)
		return rc;
	out->regions = calloc(out->layout.n ? out->layout.n : 1, sizeof *out->regions);
	if (!out->regions) {
		rc = out_of_memory(err);
		goto failed;
	}
	for (size_t i = 0; i < out->layout.n; i++) {
		struct plan_region *r = &out->regions[i];

		r->region = out->layout.regions[i];
		out->n++;
		if (i == 0)
			add_note(r, out->layout.note);
		rc = plan_region(d, &out->layout, r, err);
		if (rc < 0)
			goto failed;
		r->used_bytes = extents_total(&r->extents);
		out->used_bytes += r->used_bytes;
		out->metadata_bytes += r->metadata_bytes;
		out->degraded |= r->degraded;
	}
	return 0;
failed:
	plan_free(out);
	return rc;
}

void plan_free(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		extents_free(&p->regions[i].extents);
	free(p->regions);
	layout_free(&p->layout);
	*p = (struct plan){0};
}
