/*
 * The boot sector of a FAT: fields, the geometry that follows from them, and which of the three types it is.
 * The type follows from the number of clusters; where the fields say otherwise, doubt ends in a refusal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "fs/fat_volume.h"

/* Offsets in the boot sector; 16 and 32 name the two forms that differ from byte 36. */
enum {
	AT_SECTOR_BYTES = 11,
	AT_CLUSTER_SECTORS = 13,
	AT_RESERVED = 14,
	AT_N_FATS = 16,
	AT_ROOT_ENTRIES = 17,
	AT_TOTAL16 = 19,
	AT_MEDIA = 21,
	AT_FAT_SECTORS16 = 22,
	AT_TOTAL32 = 32,
	AT_FAT_SECTORS32 = 36,
	AT_VERSION32 = 42,
	AT_ROOT_CLUSTER32 = 44,
	AT_EXTRA16 = 36, /* drive number, state, 0x29, serial, label */
	AT_EXTRA32 = 64,
};

#define FAT12_CLUSTERS_END 4085	 /* fewer are FAT12 */
#define FAT16_CLUSTERS_END 65525 /* fewer are FAT16 */
#define FAT32_CLUSTERS_MAX 0x0ffffff5

static bool is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

bool fat_boot_plausible(const uint8_t *b)
{
	uint32_t sector_bytes = bytes_le16(b + AT_SECTOR_BYTES), cluster_sectors = b[AT_CLUSTER_SECTORS];

	return (b[0] == 0xeb || b[0] == 0xe9) && b[510] == 0x55 && b[511] == 0xaa && is_power_of_two(sector_bytes) &&
	       sector_bytes >= 512 && sector_bytes <= 4096 && is_power_of_two(cluster_sectors) &&
	       bytes_le16(b + AT_RESERVED) && b[AT_N_FATS] >= 1 && b[AT_N_FATS] <= 4 &&
	       (b[AT_MEDIA] == 0xf0 || b[AT_MEDIA] >= 0xf8) &&
	       (bytes_le16(b + AT_TOTAL16) || bytes_le32(b + AT_TOTAL32)) &&
	       (bytes_le16(b + AT_FAT_SECTORS16) || bytes_le32(b + AT_FAT_SECTORS32));
}

/* Serial number and label, where the extended signature says that they are there, and the state byte of NT and Linux.
 */
static void take_extra(struct fat_volume *v, const uint8_t *extra, struct fs_info *info)
{
	char label[12];
	size_t n = 11;

	if (extra[2] != 0x28 && extra[2] != 0x29)
		return;
	v->boot_dirty = extra[1] & 1;
	snprintf(info->uuid, sizeof info->uuid, "%04X-%04X", bytes_le16(extra + 5), bytes_le16(extra + 3));
	if (extra[2] != 0x29 || !memcmp(extra + 7, "NO NAME    ", 11))
		return;
	memcpy(label, extra + 7, n);
	while (n && (label[n - 1] == ' ' || !label[n - 1]))
		n--;
	label[n] = '\0';
	text_printable(label, info->label, sizeof info->label);
}

static int choose_type(struct fat_volume *v, bool wide, struct fs_info *info, struct error *err)
{
	v->bits = v->n_clusters < FAT12_CLUSTERS_END ? 12 : v->n_clusters < FAT16_CLUSTERS_END ? 16 : 32;
	/* Formatters make small FAT32 volumes, as for EFI, and every system goes by the fields then. The first entries
	 * of the table must agree, see fat_table_read(). */
	v->backward = wide && v->bits < 32;
	if (wide)
		v->bits = 32;
	snprintf(info->kind, sizeof info->kind, "fat%u", v->bits);
	if (v->bits == 32 && !wide)
		return error_set(err, -ERR_FORMAT,
				 "a FAT with %" PRIu32 " clusters has the boot sector of a smaller one", v->n_clusters);
	if (v->n_clusters > FAT32_CLUSTERS_MAX)
		return error_set(err, -ERR_FORMAT, "a FAT cannot have %" PRIu32 " clusters", v->n_clusters);
	if ((uint64_t)v->bits * (v->n_clusters + (uint64_t)FAT_FIRST_CLUSTER) > 8 * v->fat_bytes)
		return error_set(err, -ERR_FORMAT, "the allocation table is too small for %" PRIu32 " clusters",
				 v->n_clusters);
	return 0;
}

int fat_boot_parse(struct fat_volume *v, const uint8_t *b, struct fs_info *info, struct error *err)
{
	bool wide = !bytes_le16(b + AT_FAT_SECTORS16);
	uint64_t total = bytes_le16(b + AT_TOTAL16), fat_sectors, root_bytes;

	snprintf(info->kind, sizeof info->kind, "fat");
	if (!total)
		total = bytes_le32(b + AT_TOTAL32);
	fat_sectors = wide ? bytes_le32(b + AT_FAT_SECTORS32) : bytes_le16(b + AT_FAT_SECTORS16);
	v->sector_bytes = bytes_le16(b + AT_SECTOR_BYTES);
	v->cluster_bytes = v->sector_bytes * b[AT_CLUSTER_SECTORS];
	v->n_fats = b[AT_N_FATS];
	v->media = b[AT_MEDIA];
	v->n_root_entries = bytes_le16(b + AT_ROOT_ENTRIES);
	v->fat_at = (uint64_t)bytes_le16(b + AT_RESERVED) * v->sector_bytes;
	v->fat_bytes = fat_sectors * v->sector_bytes;
	v->root_at = v->fat_at + v->n_fats * v->fat_bytes;
	root_bytes = (uint64_t)v->n_root_entries * FAT_DIR_ENTRY_BYTES;
	v->data_at = v->root_at + (root_bytes + v->sector_bytes - 1) / v->sector_bytes * v->sector_bytes;
	v->size_bytes = total * v->sector_bytes;
	take_extra(v, b + (wide ? AT_EXTRA32 : AT_EXTRA16), info);
	if (v->size_bytes > v->view.length)
		return error_set(err, -ERR_FORMAT,
				 "the FAT says that it has %" PRIu64 " bytes, its region has %" PRIu64, v->size_bytes,
				 v->view.length);
	if (v->data_at >= v->size_bytes || (v->size_bytes - v->data_at) / v->cluster_bytes == 0)
		return error_set(err, -ERR_FORMAT, "the FAT has no clusters");
	v->n_clusters = (uint32_t)((v->size_bytes - v->data_at) / v->cluster_bytes);
	v->root_cluster = wide ? bytes_le32(b + AT_ROOT_CLUSTER32) : 0;
	if (wide && (bytes_le16(b + AT_VERSION32) || v->n_root_entries || !fat_is_cluster(v, v->root_cluster)))
		return error_set(err, -ERR_FORMAT, "the FAT32 has a boot sector that makes no sense");
	if (!wide && !v->n_root_entries)
		return error_set(err, -ERR_FORMAT, "the FAT has no root folder");
	return choose_type(v, wide, info, err);
}
