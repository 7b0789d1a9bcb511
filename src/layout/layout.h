/*
 * Partition tables: which stretch of a disk belongs to whom. Every byte of the disk lies in exactly one
 * region. Nothing here writes, and nothing trusts what it reads: a damaged table is reported, never guessed at.
 */
#ifndef G4L_LAYOUT_LAYOUT_H
#define G4L_LAYOUT_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/disk.h"

enum region_role {
	REGION_TABLE,	  /* partition table, boot code, everything before the first partition, EBRs, backup GPT */
	REGION_PARTITION, /* a partition, or the whole disk where there is no table */
	REGION_GAP,	  /* between or behind partitions, owned by nobody */
};

struct region {
	uint64_t start;	 /* bytes from the start of the disk */
	uint64_t length; /* bytes, > 0 */
	enum region_role role;
	unsigned number; /* partition number as the kernel counts, from 1; 0 for others and for a bare file system */
	char type[40];	 /* GPT type GUID or MBR type ("0x07"); "" for others */
	char uuid[40];	 /* GPT partition GUID; "" elsewhere */
	char label[112]; /* GPT partition name in UTF-8 */
	uint64_t attributes; /* GPT attribute bits; MBR: 0x80 when active */
};

enum layout_table { LAYOUT_NONE, LAYOUT_MBR, LAYOUT_GPT };

struct layout {
	enum layout_table table;
	char disk_id[40];    /* GPT disk GUID or MBR disk signature "0x1234abcd" */
	uint64_t size_bytes; /* of the disk */
	uint32_t sector_bytes;
	struct region *regions; /* ascending, without holes or overlaps, covering the whole disk */
	size_t n;
	bool damaged;	/* something is wrong that a person should know; note says what */
	char note[400]; /* "" or sentences */
};

/* Reads the table of a disk. A primary GPT that is damaged is replaced by the backup (damaged is set); a table
 * that makes no sense at all, or overlapping partitions, gives one region that covers the disk with role
 * REGION_PARTITION, number 0, damaged and a note: it will be copied whole. A disk without a table likewise, but not
 * damaged. 0, or -errno of a failed read, or -ENOMEM. layout_free() when done. */
int layout_read(struct disk *d, struct layout *out, struct error *err);
void layout_free(struct layout *l);

/* "gpt", "mbr", "none". */
const char *layout_table_name(enum layout_table t);

/* What libblkid sees in a region: a name such as "crypto_LUKS", "LVM2_member", "BitLocker", "swap", "xfs". Empty when
 * unknown or when the disk has no descriptor. False when it sees signs of several things at once; name is empty then.
 */
bool layout_identify(struct disk *d, const struct region *r, char *name, size_t name_bytes);

#endif
