/*
 * File-system readers: which bytes of a region are in use. A reader gets a bounded view, never a file
 * descriptor, and only reads. A used map may only err by adding blocks; a reader that finds anything it
 * cannot account for says so, and the region is copied whole.
 */
#ifndef G4L_FS_FS_H
#define G4L_FS_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/extent.h"
#include "disk/disk.h"

/* A stretch of a disk. Offsets given to fs_view_read() count from its start. */
struct fs_view {
	struct disk *disk;
	uint64_t start, length; /* bytes on the disk */
};

/* Reads exactly len bytes. 0, -ERANGE when they do not lie in the view, or what disk_read() gives. */
int fs_view_read(const struct fs_view *v, void *buf, size_t len, uint64_t offset, struct error *err);

/* What open() found out. */
struct fs_info {
	char kind[16];	/* "ntfs", "fat12", "fat16", "fat32", "ext2", "ext3", "ext4" */
	char label[64]; /* UTF-8, "" when none */
	char uuid[40];	/* as the field writes it: "1234-ABCD" for FAT, 16 hex digits for NTFS, a UUID for ext */
	uint32_t cluster_bytes;	 /* the allocation unit: 512 bytes to 2 MiB */
	uint64_t cluster_offset; /* where units start, from the view's start: FAT's data area; else 0 */
	uint64_t size_bytes;	 /* the file system's own size; the rest of the region is copied raw */
	uint64_t used_bytes;	 /* the sum of what next_used() gives */
	uint64_t metadata_bytes; /* the part of it that the reader knows to be no file's content */
	char note[300]; /* "" or what a person should know: "the volume is marked dirty", "Windows is hibernated" */
};

/* A file's identity, for cutters that follow files (next_file may be NULL: no file walk). Pointers live until the next
 * call. */
struct fs_file {
	uint64_t id;	    /* inode or MFT record number */
	uint64_t parent;    /* id of the folder that holds it (the first one found) */
	const char *name;   /* UTF-8 as far as it can be; "" when unknown */
	const char *stream; /* NTFS alternate stream; "" for the main content */
	uint64_t size_bytes;
	const struct fs_file_extent {
		uint64_t file_offset; /* bytes from the start of the file's content */
		uint64_t offset;      /* bytes from the start of the view */
		uint64_t length;
	} * extents;
	size_t n_extents;
};

struct fs_reader {
	const char *name; /* "ntfs", "fat", "ext" */
	/* A cheap look. 1: mine; 0: not mine (short views and read errors too). */
	int (*probe)(const struct fs_view *v);
	/* Opens and checks. Keeps a copy of *v; the disk must stay open until close.
	 * 0; -ERR_FORMAT when the file system cannot be accounted for (copy the region whole, err says why);
	 * -errno of a failed read; -ENOMEM. */
	int (*open)(const struct fs_view *v, void **fs, struct fs_info *info, struct error *err);
	/* The next used extent, bytes from the view's start, ascending, never empty, never beyond the view.
	 * 1: *e is set; 0: no more; negative as open(). */
	int (*next_used)(void *fs, struct extent *e, struct error *err);
	/* The next file; as next_used(). NULL where there is no file walk. */
	int (*next_file)(void *fs, struct fs_file *f, struct error *err);
	void (*close)(void *fs);
};

extern const struct fs_reader fs_ntfs_reader, fs_fat_reader, fs_ext_reader;

/* All readers, in the order in which they are asked; NULL at the end. */
extern const struct fs_reader *const fs_readers[];

/* The reader whose probe says 1; NULL when none does, or more than one. */
const struct fs_reader *fs_probe(const struct fs_view *v);

/* The whole used map of a region, checked (ascending, inside the view, sum equals info->used_bytes) at one choke point.
 * 0; -ERR_FORMAT: copy the region whole, err says why, info->kind is still set; -ENOENT: no reader knows it; others:
 * failed. */
int fs_used_map(const struct fs_view *v, struct extents *used, struct fs_info *info, struct error *err);
/* The same with a reader that was chosen already. */
int fs_used_map_by(const struct fs_reader *reader, const struct fs_view *v, struct extents *used, struct fs_info *info,
		   struct error *err);

#endif
