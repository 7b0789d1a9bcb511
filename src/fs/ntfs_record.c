/*
 * File records of NTFS ($MFT's entries): reading, sector signatures ("fix-ups"), and the walk over a
 * record's attributes, all within the record's bounds.
 */
#include <inttypes.h>
#include <string.h>

#include "fs/ntfs_volume.h"

#define FIX_UP_STRIDE 512
#define REFERENCE_MASK ((UINT64_C(1) << 48) - 1)
#define ATTR_END 0xffffffffu

int ntfs_record_fix_up(uint8_t *record, size_t len, struct error *err)
{
	size_t at = bytes_le16(record + 4), n = bytes_le16(record + 6), sectors = len / FIX_UP_STRIDE;
	const uint8_t *number;

	if (n != sectors + 1 || at < 8 || at & 1 || at > len || 2 * n > len - at || at + 2 * n > FIX_UP_STRIDE - 2)
		return error_set(err, -ERR_FORMAT, "an NTFS record has %zu sector signatures at %zu", n, at);
	number = record + at;
	for (size_t i = 0; i < sectors; i++) {
		uint8_t *end = record + (i + 1) * FIX_UP_STRIDE - 2;

		if (memcmp(end, number, 2) != 0)
			return error_set(err, -ERR_FORMAT,
					 "an NTFS record was written half: sector %zu of %zu is another version", i + 1,
					 sectors);
		memcpy(end, number + 2 * (i + 1), 2);
	}
	return 0;
}

int ntfs_record_check(const struct ntfs_volume *vol, uint8_t *record, uint64_t number, struct error *err)
{
	uint32_t used, first;
	int rc;

	if (memcmp(record, "FILE", 4) != 0)
		return error_set(err, -ERR_FORMAT, "NTFS file record %" PRIu64 " has no signature", number);
	rc = ntfs_record_fix_up(record, vol->record_bytes, err);
	if (rc < 0)
		return error_prefix(err, "file record %" PRIu64, number);
	/* 20: first attribute, 22: flags, 24: bytes in use; 44: own number where the fix-ups leave room for it */
	first = bytes_le16(record + 20);
	used = bytes_le32(record + 24);
	if (used > vol->record_bytes || first > used || first < 42 || first & 7)
		return error_set(err, -ERR_FORMAT, "NTFS file record %" PRIu64 " claims bytes %" PRIu32 " to %" PRIu32,
				 number, first, used);
	if (bytes_le16(record + 4) >= 48 && bytes_le32(record + 44) != (uint32_t)number)
		return error_set(err, -ERR_FORMAT, "NTFS file record %" PRIu64 " says it is record %" PRIu32, number,
				 bytes_le32(record + 44));
	if (!(bytes_le16(record + 22) & 1))
		return error_set(err, -ENOENT, "NTFS file record %" PRIu64 " is not in use", number);
	return 0;
}

int ntfs_record_read(const struct ntfs_volume *vol, uint64_t number, uint8_t *record, struct error *err)
{
	int rc;

	if (number >= vol->mft.initialised / vol->record_bytes)
		return error_set(err, -ERR_FORMAT, "NTFS file record %" PRIu64 " lies beyond the end of $MFT", number);
	if (number == NTFS_MFT && vol->mft_record) {
		memcpy(record, vol->mft_record, vol->record_bytes);
		return 0;
	}
	rc = ntfs_stream_read(vol, &vol->mft, record, vol->record_bytes, number * vol->record_bytes, err);
	return rc < 0 ? rc : ntfs_record_check(vol, record, number, err);
}

uint64_t ntfs_record_base(const uint8_t *record)
{
	return bytes_le64(record + 32) & REFERENCE_MASK;
}

/* The part of an attribute that depends on where its content is. whole: all its bytes. */
static int parse_content(struct cursor whole, struct ntfs_attr *a, struct error *err)
{
	struct cursor c = whole;
	size_t at, len;

	cursor_take(&c, 16);
	if (!a->non_resident) {
		len = cursor_le32(&c); /* 16 */
		at = cursor_le16(&c);  /* 20 */
	} else {
		a->lowest_vcn = cursor_le64(&c);  /* 16 */
		a->highest_vcn = cursor_le64(&c); /* 24 */
		at = cursor_le16(&c);		  /* 32 */
		cursor_take(&c, 6);
		a->allocated = cursor_le64(&c);	  /* 40 */
		a->size = cursor_le64(&c);	  /* 48 */
		a->initialised = cursor_le64(&c); /* 56 */
		len = at > cursor_left(&whole) ? 0 : cursor_left(&whole) - at;
	}
	cursor_take(&whole, at);
	a->value = cursor_sub(&whole, len);
	if (c.failed || a->value.failed)
		return error_set(err, -ERR_FORMAT, "an NTFS attribute of type 0x%" PRIx32 " leaves its record",
				 a->type);
	return 0;
}

int ntfs_record_next_attr(const struct ntfs_volume *vol, const uint8_t *record, struct cursor *at, struct ntfs_attr *a,
			  struct error *err)
{
	struct cursor c, whole, name;
	uint32_t len;
	size_t name_at;

	if (!at->at) {
		*at = cursor_of(record, bytes_le32(record + 24));
		cursor_take(at, bytes_le16(record + 20));
	}
	c = *at;
	*a = (struct ntfs_attr){.type = cursor_le32(&c)};
	if (!c.failed && a->type == ATTR_END)
		return 0;
	len = cursor_le32(&c);		      /* 4 */
	a->non_resident = cursor_u8(&c) != 0; /* 8 */
	a->name_len = cursor_u8(&c);	      /* 9 */
	name_at = cursor_le16(&c);	      /* 10 */
	a->flags = cursor_le16(&c);	      /* 12 */
	a->instance = cursor_le16(&c);	      /* 14 */
	whole = cursor_sub(at, len);
	if (c.failed || whole.failed || len < 16 || len & 7)
		return error_set(err, -ERR_FORMAT, "an NTFS file record has an attribute of %" PRIu32 " bytes", len);
	name = whole;
	cursor_take(&name, a->name_len ? name_at : 0);
	a->name = cursor_take(&name, 2u * a->name_len);
	if (name.failed)
		return error_set(err, -ERR_FORMAT, "an NTFS attribute's name leaves its record");
	return parse_content(whole, a, err) < 0 ? -ERR_FORMAT : 1;
}
