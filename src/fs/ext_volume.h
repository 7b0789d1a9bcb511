/* The inside of the ext2/3/4 reader: what its files share. Nobody outside src/fs includes this. */
#ifndef G4L_FS_EXT_VOLUME_H
#define G4L_FS_EXT_VOLUME_H

#include "fs/fs.h"

/* The superblock as far as the reader needs it, checked so that libext2fs may be given the volume. */
struct ext_super {
	uint64_t blocks, groups;
	uint32_t block_bytes, cluster_blocks; /* cluster_blocks: blocks for each bit, 1 without bigalloc */
	uint32_t first_block;		      /* first_data_block */
	uint32_t group_blocks, group_clusters;
	uint32_t compat, incompat, ro_compat;
	uint32_t journal_inode;
	uint16_t state;
	char label[64], uuid[40];
};

/* ext_super.c: 1 when there is a superblock of ext; 0 else. */
int ext_super_is_mine(const struct fs_view *v);
/* The facts for people: kind, label, uuid, sizes. */
void ext_super_describe(const struct ext_super *s, struct fs_info *info);
/* Reads the superblock and checks its geometry against the region. What could be read is in *s also after -ERR_FORMAT.
 * 0, -ERR_FORMAT, or what a read gave. */
int ext_super_read(const struct fs_view *v, struct ext_super *s, struct error *err);
/* 0 when its bitmaps can be believed as they stand; -ERR_FORMAT: a journal to replay, errors, not unmounted … */
int ext_super_check_state(const struct ext_super *s, struct error *err);

/* ext_io.c: libext2fs over a view. name: room for the name that ext2fs_open2() is to be given. */
struct ext_io {
	struct fs_view view;
	int failed; /* the last -errno of a read that failed below; 0 when none did */
};
struct struct_io_manager;
extern struct struct_io_manager *const ext_io_manager;
#define EXT_IO_NAME_BYTES 32
/* io must stay where it is until the file system is closed. Returns name. */
const char *ext_io_name(const struct ext_io *io, char name[EXT_IO_NAME_BYTES]);

#endif
