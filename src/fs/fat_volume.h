/*
 * FAT12, FAT16 and FAT32 (Microsoft's "FAT: General Overview of On-Disk Format", 1.03; ECMA-107), shared by the
 * reader's files. Private to this room.
 */
#ifndef G4L_FS_FAT_VOLUME_H
#define G4L_FS_FAT_VOLUME_H

#include "fs/fs.h"

#define FAT_BOOT_BYTES 512
#define FAT_FIRST_CLUSTER 2
#define FAT_DIR_ENTRY_BYTES 32

struct fat_volume {
	struct fs_view view;
	/* From the boot sector. */
	uint32_t sector_bytes, cluster_bytes, n_fats, n_root_entries, root_cluster;
	uint64_t fat_at, fat_bytes; /* of the first copy; each has fat_bytes */
	uint64_t root_at;	    /* of the fixed root folder; FAT32 has none */
	uint64_t data_at;	    /* of cluster 2 */
	uint64_t size_bytes;	    /* of the file system */
	uint32_t n_clusters;	    /* numbered from 2 */
	unsigned bits;		    /* 12, 16 or 32 */
	bool backward;		    /* FAT32 by its fields, although it has few clusters */
	uint8_t media;
	bool boot_dirty, table_dirty, table_errors;
	/* From the allocation table; one bit a cluster number. */
	uint8_t *used;	  /* holds content */
	uint8_t *claimed; /* is the successor of a cluster, or the first of a file; only while opening */
	uint32_t n_used, n_bad, n_folder_clusters;
	/* Where next_used() is. */
	uint32_t at;
	bool head_given, tail_given;
};

static inline bool fat_bit(const uint8_t *map, uint32_t n)
{
	return map[n >> 3] >> (n & 7) & 1;
}
static inline void fat_set_bit(uint8_t *map, uint32_t n)
{
	map[n >> 3] |= (uint8_t)(1u << (n & 7));
}
static inline bool fat_is_cluster(const struct fat_volume *v, uint32_t n)
{
	return n >= FAT_FIRST_CLUSTER && n - FAT_FIRST_CLUSTER < v->n_clusters;
}
static inline uint64_t fat_cluster_at(const struct fat_volume *v, uint32_t n)
{
	return v->data_at + (uint64_t)(n - FAT_FIRST_CLUSTER) * v->cluster_bytes;
}

/* True when the sector could be the boot sector of a FAT: its fields have values that are allowed. */
bool fat_boot_plausible(const uint8_t *boot);
/* Takes the geometry over and checks that it fits together and into the view. Fills in label, uuid and kind too. 0 or
 * -ERR_FORMAT. */
int fat_boot_parse(struct fat_volume *v, const uint8_t *boot, struct fs_info *info, struct error *err);

/* Reads the allocation table: builds both maps, and checks each entry and that all copies agree. 0, -ERR_FORMAT,
 * -ENOMEM, or -errno of a failed read. */
int fat_table_read(struct fat_volume *v, struct error *err);
/* The successor of a used cluster; 0 at the end of a chain. As fat_table_read(). */
int fat_table_next(struct fat_volume *v, uint32_t cluster, uint32_t *next, struct error *err);

/* Walks all folders: every file must begin with a used cluster that belongs to nobody else. Finds the label that the
 * root folder holds. Results as fat_table_read(). */
int fat_tree_check(struct fat_volume *v, struct fs_info *info, struct error *err);

#endif
