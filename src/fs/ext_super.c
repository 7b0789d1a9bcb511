/*
 * The superblock of ext2/3/4 (layout: the Linux kernel's documentation of ext4). Everything that decides how much
 * memory or time libext2fs takes is checked here against the region's size, before that library sees the volume.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "fs/ext_volume.h"

#define SUPER_AT 1024
#define SUPER_BYTES 1024
#define MAGIC 0xef53
#define GROUP_BLOCKS_MIN 256u
#define DESCRIPTORS_MAX_BYTES (UINT64_C(512) << 20)

enum {
	COMPAT_HAS_JOURNAL = 0x4,
	INCOMPAT_FILETYPE = 0x2,
	INCOMPAT_RECOVER = 0x4,
	INCOMPAT_JOURNAL_DEV = 0x8,
	INCOMPAT_META_BG = 0x10,
	INCOMPAT_64BIT = 0x80,
	RO_COMPAT_OF_EXT3 = 0x7, /* sparse_super, large_file, btree_dir */
	RO_COMPAT_BIGALLOC = 0x200,
	STATE_VALID = 1,
	STATE_ERRORS = 2,
};

int ext_super_is_mine(const struct fs_view *v)
{
	uint8_t b[80];

	if (v->length < SUPER_AT + SUPER_BYTES || fs_view_read(v, b, sizeof b, SUPER_AT, NULL) < 0)
		return 0;
	/* The magic number alone is short; the block size code and the revision are small numbers everywhere. */
	return bytes_le16(b + 56) == MAGIC && bytes_le32(b + 24) <= 16 && bytes_le32(b + 76) <= 1;
}

static const char *kind_of(const struct ext_super *s)
{
	if (s->incompat & INCOMPAT_JOURNAL_DEV)
		return "ext journal";
	if (s->incompat & ~(uint32_t)(INCOMPAT_FILETYPE | INCOMPAT_RECOVER | INCOMPAT_META_BG) ||
	    s->ro_compat & ~(uint32_t)RO_COMPAT_OF_EXT3)
		return "ext4";
	return s->compat & COMPAT_HAS_JOURNAL ? "ext3" : "ext2";
}

void ext_super_describe(const struct ext_super *s, struct fs_info *info)
{
	uint64_t unit = (uint64_t)s->block_bytes * s->cluster_blocks;

	snprintf(info->kind, sizeof info->kind, "%s", kind_of(s));
	memcpy(info->label, s->label, sizeof info->label);
	memcpy(info->uuid, s->uuid, sizeof info->uuid);
	info->cluster_bytes = unit < 2u << 20 ? (uint32_t)unit : 2u << 20;
	info->size_bytes = s->blocks * s->block_bytes;
}

static void take_names(const uint8_t *b, struct ext_super *s)
{
	char label[17] = {0}, hex[33];

	memcpy(label, b + 120, 16);
	text_printable(label, s->label, sizeof s->label);
	text_hex(b + 104, 16, hex);
	snprintf(s->uuid, sizeof s->uuid, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static int check_groups(const uint8_t *b, struct ext_super *s, struct error *err)
{
	uint32_t descriptor = s->incompat & INCOMPAT_64BIT ? bytes_le16(b + 254) : 32;

	if (s->group_blocks < GROUP_BLOCKS_MIN || s->group_clusters % 8 || s->group_clusters > 8 * s->block_bytes ||
	    (uint64_t)s->group_clusters * s->cluster_blocks != s->group_blocks)
		return error_set(err, -ERR_FORMAT, "ext has groups of %" PRIu32 " blocks and %" PRIu32 " clusters",
				 s->group_blocks, s->group_clusters);
	if (s->first_block != (s->block_bytes == 1024 && s->cluster_blocks == 1))
		return error_set(err, -ERR_FORMAT, "ext with blocks of %" PRIu32 " bytes begins at block %" PRIu32,
				 s->block_bytes, s->first_block);
	s->groups = (s->blocks - s->first_block - 1) / s->group_blocks + 1;
	if (descriptor < 32 || descriptor > 1024 || descriptor & (descriptor - 1) ||
	    s->groups > DESCRIPTORS_MAX_BYTES / descriptor)
		return error_set(err, -ERR_FORMAT, "ext has %" PRIu64 " groups with descriptors of %" PRIu32 " bytes",
				 s->groups, descriptor);
	return 0;
}

static int check_geometry(const uint8_t *b, const struct fs_view *v, struct ext_super *s, struct error *err)
{
	uint32_t block_log = bytes_le32(b + 24), cluster_log = bytes_le32(b + 28);
	bool bigalloc = s->ro_compat & RO_COMPAT_BIGALLOC;

	s->cluster_blocks = 1;
	if (block_log > 6)
		return error_set(err, -ERR_FORMAT, "ext with block size code %" PRIu32 " makes no sense", block_log);
	s->block_bytes = 1024u << block_log;
	if (bigalloc && (cluster_log < block_log || cluster_log - block_log > 16))
		return error_set(err, -ERR_FORMAT, "ext with cluster size code %" PRIu32 " makes no sense",
				 cluster_log);
	s->cluster_blocks = bigalloc ? 1u << (cluster_log - block_log) : 1;
	s->first_block = bytes_le32(b + 20);
	s->group_blocks = bytes_le32(b + 32);
	s->group_clusters = bigalloc ? bytes_le32(b + 36) : s->group_blocks;
	s->blocks = bytes_le32(b + 4);
	if (s->incompat & INCOMPAT_64BIT)
		s->blocks |= (uint64_t)bytes_le32(b + 336) << 32;
	if (s->blocks > v->length / s->block_bytes || s->blocks < 8)
		return error_set(err, -ERR_FORMAT,
				 "ext claims %" PRIu64 " blocks of %" PRIu32 " bytes in a region of %" PRIu64 " bytes",
				 s->blocks, s->block_bytes, v->length);
	return check_groups(b, s, err);
}

int ext_super_read(const struct fs_view *v, struct ext_super *s, struct error *err)
{
	uint8_t b[SUPER_BYTES];
	int rc = fs_view_read(v, b, sizeof b, SUPER_AT, err);

	*s = (struct ext_super){.block_bytes = 1024, .cluster_blocks = 1};
	if (rc < 0)
		return rc;
	s->state = bytes_le16(b + 58);
	s->compat = bytes_le32(b + 92);
	s->incompat = bytes_le32(b + 96);
	s->ro_compat = bytes_le32(b + 100);
	s->journal_inode = bytes_le32(b + 224);
	take_names(b, s);
	if (s->incompat & INCOMPAT_JOURNAL_DEV)
		return error_set(err, -ERR_FORMAT, "this is the external journal of an ext file system");
	return check_geometry(b, v, s, err);
}

int ext_super_check_state(const struct ext_super *s, struct error *err)
{
	if (s->incompat & INCOMPAT_RECOVER)
		return error_set(err, -ERR_FORMAT,
				 "the journal needs recovery, so the bitmaps are stale; to have only used blocks "
				 "copied, unmount the "
				 "file system cleanly");
	if (s->state & STATE_ERRORS)
		return error_set(
			err, -ERR_FORMAT,
			"the file system is marked as having errors; to have only used blocks copied, run e2fsck");
	if (!(s->state & STATE_VALID))
		return error_set(
			err, -ERR_FORMAT,
			"the file system was not unmounted cleanly; to have only used blocks copied, run e2fsck");
	return 0;
}
