/*
 * GUID partition tables (UEFI 2.10, chapter 5): one header with its entries, read and checked. Private to this room.
 */
#ifndef G4L_LAYOUT_GPT_H
#define G4L_LAYOUT_GPT_H

#include "disk/disk.h"
#include "layout/regions.h"

#define GPT_GUID_BYTES 16
#define GPT_ENTRY_MIN_BYTES 128
#define GPT_ENTRIES_MAX_BYTES (1u << 20) /* of the whole array; 16 KiB is usual */
#define GPT_HEADER_MIN_BYTES 92

/* A header and its entries whose checksums are right and whose numbers fit together. */
struct gpt {
	uint32_t sector_bytes;
	uint8_t *header; /* one sector, as on the disk */
	uint8_t *entries;
	size_t entries_bytes;
	uint32_t header_bytes, n_entries, entry_bytes, entries_crc;
	uint64_t my_lba, alternate_lba, first_usable, last_usable, entries_lba; /* in sectors */
	uint8_t disk_guid[GPT_GUID_BYTES];
};

/* One used entry. */
struct gpt_entry {
	uint64_t first_lba, last_lba, attributes;
	uint8_t type[GPT_GUID_BYTES], guid[GPT_GUID_BYTES];
	const uint8_t *name; /* 72 bytes of UTF-16LE */
};

/* The CRC-32 of UEFI (ISO 3309: reflected, polynomial 0xedb88320). */
uint32_t gpt_crc32(const void *p, size_t len);

/* Reads and checks the copy whose header is at lba, on sectors of sector_bytes. 1: sound, gpt_free() when done;
 * 0: not sound, or unreadable, why says what; -ENOMEM. why may be NULL. */
int gpt_load(struct disk *d, uint32_t sector_bytes, uint64_t lba, struct gpt *out, struct error *why);
void gpt_free(struct gpt *g);

/* 1: entry i (from 0) is used and in *e; 0: it is empty. */
int gpt_entry(const struct gpt *g, uint32_t i, struct gpt_entry *e);

/* "C12A7328-F81F-11D2-BA4B-00A0C93EC93B". */
void gpt_guid_format(const uint8_t guid[GPT_GUID_BYTES], char to[37]);

/* Fills l in from the GPT of a disk whose LBA 0 is at mbr. has_protective: LBA 0 names a GPT. 1: done (perhaps as one
 * damaged region); 0: there is no GPT on the disk; -ENOMEM. */
int gpt_layout(struct disk *d, const uint8_t *mbr, bool has_protective, struct layout *l, struct error *err);

#endif
