/*
 * FAT12, FAT16 and FAT32: everything in front of the clusters is used (boot sectors and their copies, the allocation
 * tables, the fixed root folder), then each cluster by its entry. Free counts elsewhere are hints and not looked at.
 * Clusters that are marked bad hold nothing and are not read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fs/fat_volume.h"

static int fat_probe(const struct fs_view *view)
{
	uint8_t boot[FAT_BOOT_BYTES];

	return !fs_view_read(view, boot, sizeof boot, 0, NULL) && fat_boot_plausible(boot);
}

static void fat_close(void *fs)
{
	struct fat_volume *v = fs;

	if (!v)
		return;
	free(v->used);
	free(v->claimed);
	free(v);
}

/* What is behind the last whole cluster: less than a cluster, and nobody's, but it costs nothing to keep. */
static uint64_t tail_at(const struct fat_volume *v)
{
	return v->data_at + (uint64_t)v->n_clusters * v->cluster_bytes;
}

static void fill_info(const struct fat_volume *v, struct fs_info *info)
{
	uint64_t around = v->data_at + (v->size_bytes - tail_at(v));

	info->cluster_bytes = v->cluster_bytes;
	info->cluster_offset = v->data_at;
	info->size_bytes = v->size_bytes;
	info->used_bytes = around + (uint64_t)v->n_used * v->cluster_bytes;
	info->metadata_bytes = around + (uint64_t)v->n_folder_clusters * v->cluster_bytes;
	snprintf(info->note, sizeof info->note, "%s%s%s",
		 v->boot_dirty || v->table_dirty ? "The volume is marked dirty: it was not unmounted. " : "",
		 v->table_errors ? "The volume is marked as having had disk errors. " : "",
		 v->n_bad ? "Clusters that are marked bad were left out. " : "");
	if (info->note[0])
		info->note[strlen(info->note) - 1] = '\0';
}

static int fat_open(const struct fs_view *view, void **fs, struct fs_info *info, struct error *err)
{
	struct fat_volume *v = calloc(1, sizeof *v);
	uint8_t boot[FAT_BOOT_BYTES];
	int rc;

	*fs = NULL;
	if (!v)
		return error_set(err, -ENOMEM, "no memory to open a FAT");
	v->view = *view;
	rc = fs_view_read(view, boot, sizeof boot, 0, err);
	if (!rc && !fat_boot_plausible(boot))
		rc = error_set(err, -ERR_FORMAT, "there is no boot sector of a FAT");
	if (!rc)
		rc = fat_boot_parse(v, boot, info, err);
	if (!rc)
		rc = fat_table_read(v, err);
	if (!rc)
		rc = fat_tree_check(v, info, err);
	if (rc < 0) {
		fat_close(v);
		return rc;
	}
	free(v->claimed);
	v->claimed = NULL;
	v->at = FAT_FIRST_CLUSTER;
	fill_info(v, info);
	*fs = v;
	return 0;
}

/* The next run of used clusters from v->at on. */
static bool next_run(struct fat_volume *v, uint32_t *first, uint32_t *n)
{
	uint32_t end = v->n_clusters + FAT_FIRST_CLUSTER, at = v->at;

	while (at < end && !fat_bit(v->used, at))
		at += v->used[at >> 3] || at & 7 ? 1 : 8;
	*first = at;
	while (at < end && fat_bit(v->used, at))
		at++;
	v->at = at;
	*n = at > *first ? at - *first : 0;
	return *n;
}

static int fat_next_used(void *fs, struct extent *e, struct error *err)
{
	struct fat_volume *v = fs;
	uint32_t first, n;

	if (!v->head_given) {
		v->head_given = true;
		*e = (struct extent){.offset = 0, .length = v->data_at};
		return 1;
	}
	if (next_run(v, &first, &n)) {
		*e = (struct extent){.offset = fat_cluster_at(v, first), .length = (uint64_t)n * v->cluster_bytes};
		return 1;
	}
	if (v->tail_given || tail_at(v) == v->size_bytes)
		return 0;
	v->tail_given = true;
	*e = (struct extent){.offset = tail_at(v), .length = v->size_bytes - tail_at(v)};
	return 1;
}

const struct fs_reader fs_fat_reader = {
	.name = "fat",
	.probe = fat_probe,
	.open = fat_open,
	.next_used = fat_next_used,
	.close = fat_close,
};
