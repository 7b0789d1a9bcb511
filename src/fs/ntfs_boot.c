/* The NTFS boot sector: geometry, checked as a whole before anything else is read. */
#include <inttypes.h>
#include <string.h>

#include "fs/ntfs_volume.h"

#define BOOT_BYTES 512

int ntfs_boot_is_mine(const struct fs_view *v)
{
	uint8_t b[BOOT_BYTES];

	if (fs_view_read(v, b, sizeof b, 0, NULL) < 0)
		return 0;
	return memcmp(b + 3, "NTFS    ", 8) == 0;
}

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* Sectors a cluster: the byte itself, or 2^(256 - byte) when above 128. 0: no such size. */
static uint32_t sectors_per_cluster(uint8_t b)
{
	if (b <= 128)
		return is_power_of_two(b) ? b : 0;
	return 256 - b < 20 ? 1u << (256 - b) : 0;
}

/* Bytes of a record: clusters, or 2^-n bytes when negative. 0: no such size. */
static uint32_t record_size(uint8_t b, uint32_t cluster_bytes)
{
	uint64_t n = b < 128 ? (uint64_t)b * cluster_bytes : 256 - b < 20 ? 1u << (256 - b) : 0;

	return is_power_of_two(n) && n >= 512 && n <= 65536 ? (uint32_t)n : 0;
}

static int check_places(const struct fs_view *v, const struct ntfs_volume *vol, struct error *err)
{
	uint64_t record_clusters = (vol->record_bytes - 1) / vol->cluster_bytes + 1;

	if (!vol->sectors || vol->sectors > v->length / vol->sector_bytes)
		return error_set(err, -ERR_FORMAT,
				 "NTFS claims %" PRIu64 " sectors of %u bytes in a region of %" PRIu64 " bytes",
				 vol->sectors, vol->sector_bytes, v->length);
	if (vol->clusters < record_clusters)
		return error_set(err, -ERR_FORMAT, "NTFS claims %" PRIu64 " clusters: too few to hold anything",
				 vol->clusters);
	if (!vol->mft_lcn || vol->mft_lcn > vol->clusters - record_clusters)
		return error_set(err, -ERR_FORMAT, "NTFS has its $MFT at cluster %" PRIu64 " of %" PRIu64, vol->mft_lcn,
				 vol->clusters);
	if (!vol->mirror_lcn || vol->mirror_lcn > vol->clusters - record_clusters)
		return error_set(err, -ERR_FORMAT, "NTFS has its $MFTMirr at cluster %" PRIu64 " of %" PRIu64,
				 vol->mirror_lcn, vol->clusters);
	return 0;
}

int ntfs_boot_read(const struct fs_view *v, struct ntfs_volume *vol, struct error *err)
{
	uint8_t b[BOOT_BYTES];
	uint32_t per_cluster;
	int rc = fs_view_read(v, b, sizeof b, 0, err);

	if (rc < 0)
		return rc;
	*vol = (struct ntfs_volume){.view = *v, .sector_bytes = bytes_le16(b + 11)};
	if (vol->sector_bytes < 512 || vol->sector_bytes > 4096 || !is_power_of_two(vol->sector_bytes))
		return error_set(err, -ERR_FORMAT, "NTFS with sectors of %u bytes makes no sense", vol->sector_bytes);
	per_cluster = sectors_per_cluster(b[13]);
	if (!per_cluster || (uint64_t)per_cluster * vol->sector_bytes > 2u << 20)
		return error_set(err, -ERR_FORMAT, "NTFS with cluster size code 0x%02x makes no sense", b[13]);
	/* Reserved sectors, FATs, root entries and both small sector counts belong to FAT and are 0 here. */
	if (!bytes_are_zero(b + 14, 7) || !bytes_are_zero(b + 22, 2) || !bytes_are_zero(b + 32, 4))
		return error_set(err, -ERR_FORMAT, "the NTFS boot sector has values in FAT's fields");
	vol->cluster_bytes = per_cluster * vol->sector_bytes;
	vol->sectors = bytes_le64(b + 40);
	vol->clusters = vol->sectors / per_cluster;
	vol->mft_lcn = bytes_le64(b + 48);
	vol->mirror_lcn = bytes_le64(b + 56);
	vol->record_bytes = record_size(b[64], vol->cluster_bytes);
	vol->index_bytes = record_size(b[68], vol->cluster_bytes);
	vol->serial = bytes_le64(b + 72);
	if (!vol->record_bytes || !vol->index_bytes)
		return error_set(err, -ERR_FORMAT, "NTFS with record size codes 0x%02x and 0x%02x makes no sense",
				 b[64], b[68]);
	return check_places(v, vol, err);
}
