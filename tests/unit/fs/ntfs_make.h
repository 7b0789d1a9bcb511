/*
 * Makes small NTFS volumes in memory, byte by byte, so that tests can have what mkntfs never makes: files in
 * pieces, open journals, sleeping systems and lies. Every record is really there; content is as small as it can be.
 */
#ifndef G4L_TESTS_NTFS_MAKE_H
#define G4L_TESTS_NTFS_MAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where things stand on the volume, in bytes; all are multiples of 4096, the largest cluster that is supported. */
enum ntfs_make_places {
	MAKE_BOOT_AT = 0,
	MAKE_MFT_AT = 16 << 10,	     /* records 0 to 15 */
	MAKE_MFT_PART_AT = 64 << 10, /* records 16 to 31, when in pieces; else they follow */
	MAKE_MIRROR_AT = 96 << 10,
	MAKE_LOG_AT = 104 << 10,
	MAKE_BITMAP_AT = 128 << 10,
	MAKE_BITMAP_PART_AT = 136 << 10, /* the second cluster of the bitmap, when in pieces; else it follows */
	MAKE_LIST_AT = 144 << 10,	 /* an attribute list that is not resident */
	MAKE_HIBERFIL_AT = 160 << 10,
	MAKE_DATA_AT = 200 << 10, /* 12 KiB that are used and belong to nobody */
	MAKE_RECORDS = 32,
	MAKE_RECORD_BYTES = 1024,
	MAKE_LOG_BYTES = 16 << 10,
};

enum ntfs_make_log { MAKE_LOG_EMPTY, MAKE_LOG_CLOSED, MAKE_LOG_OPEN, MAKE_LOG_REOPENED, MAKE_LOG_DAMAGED };

struct ntfs_make {
	uint32_t cluster_bytes;	 /* 512 to 4096 */
	uint64_t sectors;	 /* of 512 bytes, without the backup boot sector; at least 1024 */
	uint64_t region_sectors; /* of the image; 0: sectors + 1 */
	bool mft_in_pieces, bitmap_in_pieces, list_outside, dirty;
	enum ntfs_make_log log;
	const char *hiberfil;	     /* its first four bytes, or NULL */
	const uint8_t *bitmap_pairs; /* 16 bytes of mapping pairs in place of $Bitmap's own; or NULL */
	uint64_t bitmap_initialised; /* 0: all of it */
};

/* The image; the caller frees it. *len: its bytes. Never fails (it ends the test when memory is out). */
uint8_t *ntfs_make(const struct ntfs_make *how, size_t *len);
/* Where record n is. */
size_t ntfs_make_record_at(const struct ntfs_make *how, unsigned n);
/* Marks or clears clusters of a finished image in its bitmap, by bytes. */
void ntfs_make_mark(const struct ntfs_make *how, uint8_t *image, uint64_t offset, uint64_t length, bool used);

#endif
