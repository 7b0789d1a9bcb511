/*
 * The ext2/3/4 reader. libext2fs opens the volume and says where each group's structures are; the block
 * bitmaps are read one group at a time, so that a large volume costs no memory. The map is believed only
 * when checksums, free counts and the structures' own blocks agree with it. Nothing is replayed or repaired.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ext2fs/ext2fs.h>

#include "fs/ext_volume.h"

struct ext {
	struct ext_io io;
	struct ext_super super;
	ext2_filsys fs;
	struct extents fixed;  /* every group's own structures, in clusters from first_block */
	uint64_t fixed_blocks; /* how many blocks they take */
	uint8_t *bitmap;       /* of one group */
	uint64_t group;	       /* the next to load */
	size_t fixed_at;       /* the first of `fixed` that the next group may touch */
	uint32_t bit, bits;    /* where the search goes on in `bitmap`, and how many clusters it has */
	struct extent pending; /* found, but may still grow; length 0 when none */
};

static int probe(const struct fs_view *v)
{
	return ext_super_is_mine(v);
}

/* What a failure inside libext2fs means. */
static int lib_error(const struct ext *x, errcode_t code, const char *what, struct error *err)
{
	if (x->io.failed)
		return error_errno(err, x->io.failed, "%s of ext cannot be read", what);
	if (code == EXT2_ET_NO_MEMORY || code == ENOMEM)
		return error_set(err, -ENOMEM, "no memory for the ext reader");
	return error_set(err, -ERR_FORMAT, "%s of ext: %s", what, error_message(code));
}

static int open_library(struct ext *x, struct error *err)
{
	const int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES | EXT2_FLAG_SKIP_MMP;
	char name[EXT_IO_NAME_BYTES];
	errcode_t code;

	initialize_ext2_error_table();
	code = ext2fs_open2(ext_io_name(&x->io, name), NULL, flags, 0, 0, ext_io_manager, &x->fs);
	if (code) {
		x->fs = NULL;
		return lib_error(x, code, "the superblock or the group descriptors", err);
	}
	if (x->fs->group_desc_count != x->super.groups || x->fs->blocksize != x->super.block_bytes ||
	    ext2fs_blocks_count(x->fs->super) != x->super.blocks)
		return error_set(err, -ERR_FORMAT, "the superblock of ext changed while it was read");
	/* The library opens these for reading, but bigalloc shows what such a feature may mean for the bitmaps. */
	if (x->fs->super->s_feature_ro_compat &
	    ~(uint32_t)(EXT2_LIB_FEATURE_RO_COMPAT_SUPP | EXT2_LIB_SOFTSUPP_RO_COMPAT))
		return error_set(err, -ERR_FORMAT,
				 "ext has a feature that is newer than libext2fs (ro_compat 0x%" PRIx32 ")",
				 x->fs->super->s_feature_ro_compat);
	for (dgrp_t g = 0; g < x->fs->group_desc_count; g++) {
		if (!ext2fs_group_desc_csum_verify(x->fs, g))
			return error_set(err, -ERR_FORMAT, "the descriptor of group %u of ext has a wrong checksum", g);
	}
	return 0;
}

/* Takes `count` blocks that hold one of the volume's own structures. */
static int add_fixed(struct ext *x, uint64_t block, uint64_t count, const char *what, struct error *err)
{
	const struct ext_super *s = &x->super;

	if (!count)
		return 0;
	if (block < s->first_block || block >= s->blocks || count > s->blocks - block)
		return error_set(err, -ERR_FORMAT, "ext has %s at block %" PRIu64 " of %" PRIu64, what, block,
				 s->blocks);
	x->fixed_blocks += count;
	return extents_add_unordered(&x->fixed, block - s->first_block, count) < 0
		       ? error_set(err, -ENOMEM, "no memory for the list of ext's structures")
		       : 0;
}

static int add_group_fixed(struct ext *x, dgrp_t g, struct error *err)
{
	uint64_t old_blocks = x->fs->desc_blocks;
	blk64_t super, old_at, new_at;
	int rc;

	if (ext2fs_has_feature_meta_bg(x->fs->super))
		old_blocks = x->fs->super->s_first_meta_bg;
	ext2fs_super_and_bgd_loc2(x->fs, g, &super, &old_at, &new_at, NULL);
	/* Block 0 stands for "none", except that the first superblock may be there. */
	rc = super || (!g && !x->super.first_block) ? add_fixed(x, super, 1, "a superblock", err) : 0;
	if (!rc && old_at)
		rc = add_fixed(x, old_at, old_blocks + x->fs->super->s_reserved_gdt_blocks, "group descriptors", err);
	if (!rc && new_at)
		rc = add_fixed(x, new_at, 1, "group descriptors", err);
	if (!rc)
		rc = add_fixed(x, ext2fs_block_bitmap_loc(x->fs, g), 1, "a block bitmap", err);
	if (!rc)
		rc = add_fixed(x, ext2fs_inode_bitmap_loc(x->fs, g), 1, "an inode bitmap", err);
	if (!rc)
		rc = add_fixed(x, ext2fs_inode_table_loc(x->fs, g), x->fs->inode_blocks_per_group, "an inode table",
			       err);
	return rc;
}

/* Lists every group's structures, sees that none overlap, and turns blocks into clusters. */
static int gather_fixed(struct ext *x, struct error *err)
{
	uint64_t unit = x->super.cluster_blocks;

	for (dgrp_t g = 0; g < x->fs->group_desc_count; g++) {
		int rc = add_group_fixed(x, g, err);

		if (rc < 0)
			return rc;
	}
	extents_normalise(&x->fixed);
	if (extents_total(&x->fixed) != x->fixed_blocks)
		return error_set(err, -ERR_FORMAT, "groups of ext share blocks");
	for (size_t i = 0; i < x->fixed.n; i++) {
		struct extent *e = &x->fixed.at[i];
		uint64_t end = (e->offset + e->length - 1) / unit + 1;

		e->offset /= unit;
		e->length = end - e->offset;
	}
	extents_normalise(&x->fixed);
	return 0;
}

static bool bit_get(const uint8_t *map, uint32_t n)
{
	return map[n / 8] >> n % 8 & 1;
}

/* Marks the structures that lie in group g. marked: they ought to be marked already. */
static int mark_fixed(struct ext *x, uint64_t g, bool marked, struct error *err)
{
	uint64_t first = g * x->super.group_clusters, end = first + x->bits;

	for (; x->fixed_at < x->fixed.n && x->fixed.at[x->fixed_at].offset < end; x->fixed_at++) {
		const struct extent *e = &x->fixed.at[x->fixed_at];
		uint64_t to = e->offset + e->length;

		for (uint64_t c = e->offset > first ? e->offset : first; c < to && c < end; c++) {
			uint32_t n = (uint32_t)(c - first);

			if (marked && !bit_get(x->bitmap, n))
				return error_set(
					err, -ERR_FORMAT,
					"the block bitmap of group %" PRIu64 " of ext lacks its own structures", g);
			x->bitmap[n / 8] |= (uint8_t)(1u << n % 8);
		}
		if (to > end) /* goes on in the next group */
			break;
	}
	return 0;
}

static uint32_t count_free(const struct ext *x)
{
	uint32_t used = 0, n = 0;

	for (; n + 8 <= x->bits; n += 8)
		used += (uint32_t)__builtin_popcount(x->bitmap[n / 8]);
	for (; n < x->bits; n++)
		used += bit_get(x->bitmap, n);
	return x->bits - used;
}

/* Brings the next group's bitmap in and checks it. A group whose bitmap was never written holds only structures. */
static int load_group(struct ext *x, struct error *err)
{
	const struct ext_super *s = &x->super;
	uint64_t left = s->blocks - s->first_block - x->group * s->group_blocks;
	dgrp_t g = (dgrp_t)x->group;
	bool written = !(ext2fs_has_group_desc_csum(x->fs) && ext2fs_bg_flags_test(x->fs, g, EXT2_BG_BLOCK_UNINIT));
	int rc = 0;

	if (left > s->group_blocks)
		left = s->group_blocks;
	x->bits = (uint32_t)((left - 1) / s->cluster_blocks + 1);
	x->bit = 0;
	if (written)
		rc = fs_view_read(&x->io.view, x->bitmap, s->block_bytes,
				  ext2fs_block_bitmap_loc(x->fs, g) * s->block_bytes, err);
	else
		memset(x->bitmap, 0, s->block_bytes);
	if (rc < 0)
		return rc;
	if (written && !ext2fs_block_bitmap_csum_verify(x->fs, g, (char *)x->bitmap, (int)(s->group_clusters / 8)))
		return error_set(err, -ERR_FORMAT, "the block bitmap of group %u of ext has a wrong checksum", g);
	rc = mark_fixed(x, x->group, written, err);
	if (!rc && count_free(x) != ext2fs_bg_free_blocks_count(x->fs, g))
		rc = error_set(err, -ERR_FORMAT, "group %u of ext has %" PRIu32 " free clusters but counts %" PRIu32, g,
			       count_free(x), ext2fs_bg_free_blocks_count(x->fs, g));
	x->group++;
	return rc;
}

/* The next stretch of used clusters in the bitmap that is loaded. */
static bool next_in_group(struct ext *x, struct extent *e)
{
	const struct ext_super *s = &x->super;
	uint64_t first = s->first_block + (x->group - 1) * s->group_blocks, from, to;

	while (x->bit < x->bits && !bit_get(x->bitmap, x->bit))
		x->bit += !(x->bit % 8) && !x->bitmap[x->bit / 8] ? 8 : 1;
	if (x->bit >= x->bits)
		return false;
	from = first + (uint64_t)x->bit * s->cluster_blocks;
	while (x->bit < x->bits && bit_get(x->bitmap, x->bit))
		x->bit += !(x->bit % 8) && x->bitmap[x->bit / 8] == 0xff ? 8 : 1;
	if (x->bit > x->bits)
		x->bit = x->bits;
	to = first + (uint64_t)x->bit * s->cluster_blocks;
	if (to > s->blocks)
		to = s->blocks;
	*e = (struct extent){.offset = from * s->block_bytes, .length = (to - from) * s->block_bytes};
	return true;
}

static int next_used(void *arg, struct extent *e, struct error *err)
{
	struct ext *x = arg;
	struct extent found;

	for (;;) {
		if (next_in_group(x, &found)) {
			if (x->pending.length && x->pending.offset + x->pending.length == found.offset) {
				x->pending.length += found.length;
				continue;
			}
			*e = x->pending;
			x->pending = found;
			if (e->length)
				return 1;
		} else if (x->group < x->super.groups) {
			int rc = load_group(x, err);

			if (rc < 0)
				return rc;
		} else {
			*e = x->pending;
			x->pending.length = 0;
			return e->length ? 1 : 0;
		}
	}
}

/* The block before the first group, 1 KiB for the boot loader, has no bit and is always in the map. */
static void rewind_map(struct ext *x)
{
	x->group = 0;
	x->fixed_at = 0;
	x->bit = x->bits = 0;
	x->pending = (struct extent){.offset = 0, .length = (uint64_t)x->super.first_block * x->super.block_bytes};
}

/* Goes through the whole map once, which also checks every bitmap. */
static int count_used(struct ext *x, uint64_t *used, struct error *err)
{
	uint64_t boot = (uint64_t)x->super.first_block * x->super.block_bytes, free_bytes;
	struct extent e;
	int rc;

	*used = 0;
	rewind_map(x);
	while ((rc = next_used(x, &e, err)) == 1)
		*used += e.length;
	if (rc < 0)
		return rc;
	rewind_map(x);
	free_bytes = x->super.blocks * x->super.block_bytes - *used;
	if (ext2fs_free_blocks_count(x->fs->super) * x->super.block_bytes != free_bytes)
		return error_set(err, -ERR_FORMAT, "ext has %" PRIu64 " free blocks but counts %llu",
				 free_bytes / x->super.block_bytes,
				 (unsigned long long)ext2fs_free_blocks_count(x->fs->super));
	return *used < boot ? error_set(err, -ERR_FORMAT, "ext has no used blocks") : 0;
}

/* The blocks of the internal journal, which is a file but not a person's. */
static int journal_bytes(struct ext *x, uint64_t *bytes, struct error *err)
{
	struct ext2_inode inode;
	errcode_t code;

	*bytes = 0;
	if (!ext2fs_has_feature_journal(x->fs->super) || !x->super.journal_inode)
		return 0;
	code = ext2fs_read_inode(x->fs, x->super.journal_inode, &inode);
	if (code)
		return lib_error(x, code, "the journal's inode", err);
	*bytes = (uint64_t)inode.i_blocks * 512;
	return 0;
}

static void close_ext(void *arg)
{
	struct ext *x = arg;

	if (!x)
		return;
	if (x->fs)
		ext2fs_free(x->fs);
	extents_free(&x->fixed);
	free(x->bitmap);
	free(x);
}

static int open_volume(struct ext *x, struct fs_info *info, struct error *err)
{
	uint64_t journal;
	int rc = open_library(x, err);

	if (!rc)
		rc = gather_fixed(x, err);
	if (rc < 0)
		return rc;
	x->bitmap = malloc(x->super.block_bytes);
	if (!x->bitmap)
		return error_set(err, -ENOMEM, "no memory for a bitmap of ext");
	rc = count_used(x, &info->used_bytes, err);
	if (!rc)
		rc = journal_bytes(x, &journal, err);
	if (rc < 0)
		return rc;
	info->metadata_bytes = extents_total(&x->fixed) * x->super.cluster_blocks * x->super.block_bytes + journal;
	if (info->metadata_bytes > info->used_bytes)
		info->metadata_bytes = info->used_bytes;
	return 0;
}

static int open_ext(const struct fs_view *v, void **out, struct fs_info *info, struct error *err)
{
	struct ext *x = calloc(1, sizeof *x);
	int rc;

	snprintf(info->kind, sizeof info->kind, "ext");
	if (!x)
		return error_set(err, -ENOMEM, "no memory for the ext reader");
	x->io.view = *v;
	rc = ext_super_read(v, &x->super, err);
	if (!rc || rc == -ERR_FORMAT)
		ext_super_describe(&x->super, info);
	if (!rc)
		rc = ext_super_check_state(&x->super, err);
	if (!rc)
		rc = open_volume(x, info, err);
	if (rc < 0) {
		close_ext(x);
		return rc;
	}
	*out = x;
	return 0;
}

const struct fs_reader fs_ext_reader = {
	.name = "ext",
	.probe = probe,
	.open = open_ext,
	.next_used = next_used,
	.close = close_ext,
};
