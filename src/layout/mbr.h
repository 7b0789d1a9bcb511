/*
 * Partition tables of DOS: the master boot record and the chain of extended ones. Private to this room.
 */
#ifndef G4L_LAYOUT_MBR_H
#define G4L_LAYOUT_MBR_H

#include "disk/disk.h"
#include "layout/regions.h"

#define MBR_BYTES 512
#define MBR_ENTRIES 4
#define MBR_ENTRIES_AT 446
#define MBR_ENTRY_BYTES 16
#define MBR_TYPE_PROTECTIVE 0xee /* of a GPT */

struct mbr_entry {
	uint8_t flags; /* 0x80: active */
	uint8_t type;  /* 0: empty */
	uint32_t first_lba, n_sectors;
};

enum mbr_look {
	MBR_NONE,	/* no table: no signature, no entries, or the boot sector of a file system */
	MBR_TABLE,	/* a table */
	MBR_PROTECTIVE, /* a table that says: look at the GPT */
	MBR_UNCLEAR,	/* it could be either a table or a file system, or its entries make no sense */
};

/* Entry i (0 to 3) of the sector at mbr. True when it is used: it has a type and a length. */
bool mbr_entry(const uint8_t *mbr, unsigned i, struct mbr_entry *e);

/* What the first sector of a disk of n_sectors is. why: a sentence when it is unclear. */
enum mbr_look mbr_look(const uint8_t *mbr, uint64_t n_sectors, struct error *why);

/* Fills l in from a sector that mbr_look() called a table. 0 (perhaps as one damaged region), or -ENOMEM. */
int mbr_layout(struct disk *d, const uint8_t *mbr, struct layout *l, struct error *err);

#endif
