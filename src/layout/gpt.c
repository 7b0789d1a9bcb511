/*
 * GUID partition tables (UEFI 2.10, 5.3). A copy counts only when both its checksums are right and its numbers
 * fit together and on the disk; when the first does not, the backup at the disk's end is asked. Reads only.
 */
#include "layout/gpt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

#define NAME_UNITS 36 /* of UTF-16 */

uint32_t gpt_crc32(const void *p, size_t len)
{
	static const uint32_t nibble[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *b = p;
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < len; i++) {
		crc ^= b[i];
		crc = crc >> 4 ^ nibble[crc & 15];
		crc = crc >> 4 ^ nibble[crc & 15];
	}
	return ~crc;
}

void gpt_guid_format(const uint8_t guid[GPT_GUID_BYTES], char to[37])
{
	/* The first three fields are little-endian (UEFI 2.10, appendix A). */
	snprintf(to, 37, "%08X-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X", bytes_le32(guid), bytes_le16(guid + 4),
		 bytes_le16(guid + 6), guid[8], guid[9], guid[10], guid[11], guid[12], guid[13], guid[14], guid[15]);
}

void gpt_free(struct gpt *g)
{
	free(g->header);
	free(g->entries);
	*g = (struct gpt){0};
}

/* The fields of UEFI 2.10, table 5-5, with their offsets. False: not a sound header. */
static bool parse_header(struct gpt *g, uint64_t lba, uint64_t n_sectors, struct error *why)
{
	struct cursor c = cursor_of(g->header, g->sector_bytes);
	const uint8_t *signature = cursor_take(&c, 8); /* 0 */
	uint32_t revision = cursor_le32(&c);	       /* 8 */
	uint32_t crc, zeroed = 0;
	uint8_t *copy;

	g->header_bytes = cursor_le32(&c); /* 12 */
	crc = cursor_le32(&c);		   /* 16 */
	cursor_take(&c, 4);		   /* 20: reserved */
	g->my_lba = cursor_le64(&c);	   /* 24 */
	g->alternate_lba = cursor_le64(&c);
	g->first_usable = cursor_le64(&c); /* 40 */
	g->last_usable = cursor_le64(&c);
	memcpy(g->disk_guid, cursor_take(&c, GPT_GUID_BYTES), GPT_GUID_BYTES); /* 56 */
	g->entries_lba = cursor_le64(&c);				       /* 72 */
	g->n_entries = cursor_le32(&c);					       /* 80 */
	g->entry_bytes = cursor_le32(&c);
	g->entries_crc = cursor_le32(&c); /* 88 */

	if (memcmp(signature, "EFI PART", 8) || revision >> 16 != 1 || g->header_bytes < GPT_HEADER_MIN_BYTES ||
	    g->header_bytes > g->sector_bytes || g->my_lba != lba) {
		error_set(why, -ERR_FORMAT, "there is no GPT header at sector %" PRIu64, lba);
		return false;
	}
	copy = g->header + g->sector_bytes; /* the second half of the buffer */
	memcpy(copy, g->header, g->sector_bytes);
	memcpy(copy + 16, &zeroed, sizeof zeroed);
	if (gpt_crc32(copy, g->header_bytes) != crc) {
		error_set(why, -ERR_FORMAT, "the GPT header at sector %" PRIu64 " has a wrong checksum", lba);
		return false;
	}
	if (g->entry_bytes < GPT_ENTRY_MIN_BYTES || g->entry_bytes & (g->entry_bytes - 1) || !g->n_entries ||
	    g->entry_bytes > GPT_ENTRIES_MAX_BYTES || g->n_entries > GPT_ENTRIES_MAX_BYTES / g->entry_bytes) {
		error_set(why, -ERR_FORMAT,
			  "the GPT at sector %" PRIu64 " has %" PRIu32 " entries of %" PRIu32 " bytes", lba,
			  g->n_entries, g->entry_bytes);
		return false;
	}
	if (g->first_usable < 2 || g->first_usable > n_sectors || g->last_usable < g->first_usable - 1 ||
	    g->last_usable > UINT64_MAX / g->sector_bytes) {
		error_set(why, -ERR_FORMAT, "the GPT at sector %" PRIu64 " has no sensible usable range", lba);
		return false;
	}
	return true;
}

/* The entries stand between LBA 1 and the usable range, or between it and the backup's header. */
static bool entries_in_place(const struct gpt *g)
{
	uint64_t sectors = (g->entries_bytes + g->sector_bytes - 1) / g->sector_bytes;

	if (g->my_lba == 1)
		return g->entries_lba >= 2 && g->entries_lba <= g->first_usable &&
		       sectors <= g->first_usable - g->entries_lba;
	return g->entries_lba > g->last_usable && g->entries_lba <= g->my_lba && sectors <= g->my_lba - g->entries_lba;
}

static int load_entries(struct disk *d, struct gpt *g, struct error *why)
{
	g->entries_bytes = (size_t)g->n_entries * g->entry_bytes;
	if (!entries_in_place(g)) {
		error_set(why, -ERR_FORMAT, "the entries of the GPT at sector %" PRIu64 " are out of place", g->my_lba);
		return 0;
	}
	g->entries = malloc(g->entries_bytes);
	if (!g->entries)
		return error_set(why, -ENOMEM, "no memory for the entries of a GPT");
	if (disk_read(d, g->entries, g->entries_bytes, g->entries_lba * g->sector_bytes, why) < 0)
		return 0;
	if (gpt_crc32(g->entries, g->entries_bytes) != g->entries_crc) {
		error_set(why, -ERR_FORMAT, "the entries of the GPT at sector %" PRIu64 " have a wrong checksum",
			  g->my_lba);
		return 0;
	}
	return 1;
}

int gpt_load(struct disk *d, uint32_t sector_bytes, uint64_t lba, struct gpt *out, struct error *why)
{
	uint64_t n_sectors = d->size_bytes / sector_bytes;
	int rc = 0;

	*out = (struct gpt){.sector_bytes = sector_bytes};
	if (!lba || lba >= n_sectors) {
		error_set(why, -ERR_FORMAT, "the disk ends before sector %" PRIu64, lba);
		return 0;
	}
	out->header = calloc(2, sector_bytes);
	if (!out->header)
		return error_set(why, -ENOMEM, "no memory for a GPT header");
	if (!disk_read(d, out->header, sector_bytes, lba * sector_bytes, why) && parse_header(out, lba, n_sectors, why))
		rc = load_entries(d, out, why);
	if (rc != 1)
		gpt_free(out);
	return rc;
}

int gpt_entry(const struct gpt *g, uint32_t i, struct gpt_entry *e)
{
	struct cursor c = cursor_of(g->entries + (size_t)i * g->entry_bytes, g->entry_bytes);

	/* UEFI 2.10, table 5-6; an entry has at least 128 bytes. */
	memcpy(e->type, cursor_take(&c, GPT_GUID_BYTES), GPT_GUID_BYTES); /* 0 */
	memcpy(e->guid, cursor_take(&c, GPT_GUID_BYTES), GPT_GUID_BYTES); /* 16 */
	e->first_lba = cursor_le64(&c);					  /* 32 */
	e->last_lba = cursor_le64(&c);					  /* 40: inclusive */
	e->attributes = cursor_le64(&c);				  /* 48 */
	e->name = cursor_take(&c, sizeof(uint16_t[NAME_UNITS]));	  /* 56 */
	return !bytes_are_zero(e->type, GPT_GUID_BYTES);
}

static size_t put_utf8(char *to, uint32_t cp)
{
	if (cp < 0x80) {
		to[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		to[0] = (char)(0xc0 | cp >> 6);
		to[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		to[0] = (char)(0xe0 | cp >> 12);
		to[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		to[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | cp >> 18);
	to[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	to[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	to[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

/* A unit makes three bytes at most, two of a pair four. */
_Static_assert(sizeof((struct region *)0)->label > 3 * NAME_UNITS, "a partition name fits");

static void format_name(const uint8_t *utf16, char *to, size_t to_bytes)
{
	char text[3 * NAME_UNITS + 1];
	size_t n = 0;

	for (unsigned i = 0; i < NAME_UNITS; i++) {
		uint32_t u = bytes_le16(utf16 + 2 * i), low = i + 1 < NAME_UNITS ? bytes_le16(utf16 + 2 * i + 2) : 0;

		if (!u)
			break;
		if (u >= 0xd800 && u < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
			u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
			i++;
		} else if (u >= 0xd800 && u < 0xe000) {
			u = '?';
		}
		n += put_utf8(text + n, u);
	}
	text[n] = '\0';
	text_printable(text, to, to_bytes);
}

/* 1, 0 (an entry that makes no sense; why), -ENOMEM. */
static int collect(const struct gpt *g, struct stretches *s, struct error *why)
{
	for (uint32_t i = 0; i < g->n_entries; i++) {
		struct gpt_entry e;
		struct stretch *t;

		if (!gpt_entry(g, i, &e))
			continue;
		if (e.first_lba < g->first_usable || e.last_lba > g->last_usable || e.first_lba > e.last_lba) {
			error_set(why, -ERR_FORMAT, "partition %" PRIu32 " lies outside the usable range of the GPT",
				  i + 1);
			return 0;
		}
		/* last_usable was checked to be a byte offset that fits. */
		t = stretches_add(s, REGION_PARTITION, e.first_lba * g->sector_bytes,
				  (e.last_lba - e.first_lba + 1) * g->sector_bytes);
		if (!t)
			return error_set(why, -ENOMEM, "no memory for a layout");
		t->r.number = i + 1;
		t->r.attributes = e.attributes;
		gpt_guid_format(e.type, t->r.type);
		gpt_guid_format(e.guid, t->r.uuid);
		format_name(e.name, t->r.label, sizeof t->r.label);
	}
	return 1;
}

/* The stretches of both copies of the table. backup_lba: where the backup's header is, or belongs. */
static int collect_tables(const struct gpt *g, uint64_t backup_lba, uint64_t size_bytes, struct stretches *s)
{
	uint64_t n_sectors = size_bytes / g->sector_bytes;
	uint64_t first = g->last_usable + 1, end = backup_lba + 1;

	if (!stretches_add(s, REGION_TABLE, 0, g->first_usable * g->sector_bytes))
		return -ENOMEM;
	/* A disk that is shorter than its table says has no place for the backup. */
	if (backup_lba >= n_sectors || first >= end)
		return 0;
	return stretches_add(s, REGION_TABLE, first * g->sector_bytes, (end - first) * g->sector_bytes) ? 0 : -ENOMEM;
}

static bool same_table(const struct gpt *a, const struct gpt *b)
{
	return a->n_entries == b->n_entries && a->entry_bytes == b->entry_bytes && a->entries_crc == b->entries_crc &&
	       a->first_usable == b->first_usable && a->last_usable == b->last_usable &&
	       !memcmp(a->disk_guid, b->disk_guid, GPT_GUID_BYTES);
}

/* What is wrong although the primary is sound. Never changes which copy is used. */
static int judge_backup(struct disk *d, const struct gpt *primary, struct layout *l, struct error *err)
{
	uint64_t n_sectors = d->size_bytes / primary->sector_bytes;
	struct error why = {0};
	struct gpt backup;
	int rc = gpt_load(d, primary->sector_bytes, primary->alternate_lba, &backup, &why);

	if (rc < 0)
		return error_set(err, rc, "%s", why.text);
	if (!rc) {
		l->damaged = true;
		layout_add_note(l, "The backup of the GPT is damaged: %s.", why.text);
	} else if (!same_table(primary, &backup)) {
		l->damaged = true;
		layout_add_note(l, "The backup of the GPT differs from the primary, which is used.");
	} else if (primary->alternate_lba != n_sectors - 1) {
		layout_add_note(l, "The disk has grown: its GPT ends before it.");
	}
	gpt_free(&backup);
	return 0;
}

/* Finds a sound copy for one sector size. 1: in *g; 0: none, why says what is wrong with the primary; -ENOMEM. */
static int find_copy(struct disk *d, uint32_t sector_bytes, struct gpt *g, struct error *why)
{
	uint64_t n_sectors = d->size_bytes / sector_bytes;
	int rc = gpt_load(d, sector_bytes, 1, g, why);

	if (!rc && n_sectors > 2)
		rc = gpt_load(d, sector_bytes, n_sectors - 1, g, NULL);
	return rc;
}

static int layout_from(struct disk *d, const struct gpt *g, const struct error *primary_why, struct layout *l,
		       struct error *err)
{
	uint64_t n_sectors = d->size_bytes / g->sector_bytes;
	bool is_primary = g->my_lba == 1;
	struct stretches s = {0};
	struct error why = {0};
	int rc = 0;

	l->table = LAYOUT_GPT;
	l->sector_bytes = g->sector_bytes;
	gpt_guid_format(g->disk_guid, l->disk_id);
	if (is_primary) {
		rc = judge_backup(d, g, l, err);
	} else {
		l->damaged = true;
		layout_add_note(l, "The primary GPT is damaged, its backup is used: %s.", primary_why->text);
	}
	if (!rc)
		rc = collect(g, &s, &why);
	if (rc == 1 && collect_tables(g, is_primary ? g->alternate_lba : g->my_lba, d->size_bytes, &s) < 0)
		rc = error_set(err, -ENOMEM, "no memory for a layout");
	if (rc == 1 && g->last_usable >= n_sectors) {
		l->damaged = true;
		layout_add_note(l, "The disk is smaller than its GPT says.");
	}
	if (rc == 1)
		rc = regions_build(l, &s, &why);
	if (!rc)
		rc = regions_damaged(l, err, "The GPT makes no sense: %s", why.text) < 0 ? -ENOMEM : 1;
	stretches_free(&s);
	return rc;
}

int gpt_layout(struct disk *d, const uint8_t *mbr, bool has_protective, struct layout *l, struct error *err)
{
	uint32_t other = d->sector_bytes == 512 ? 4096 : 512;
	struct error why = {0}, ignored = {0};
	struct gpt g = {0};
	int rc;

	/* Without its protective MBR a GPT counts only where the whole sector was wiped: else it may be a left-over. */
	if (!has_protective && !bytes_are_zero(mbr, 512))
		return 0;
	rc = has_protective ? find_copy(d, d->sector_bytes, &g, &why) : gpt_load(d, d->sector_bytes, 1, &g, &why);
	if (!rc && has_protective) {
		rc = find_copy(d, other, &g, &ignored);
		if (rc == 1)
			layout_add_note(l, "The GPT was made for sectors of %" PRIu32 " bytes.", other);
	}
	if (rc == 1 && !has_protective) {
		l->damaged = true;
		layout_add_note(l, "The protective MBR in front of the GPT is missing.");
	}
	if (rc == 1)
		rc = layout_from(d, &g, &why, l, err);
	else if (!rc && has_protective)
		rc = regions_damaged(l, err, "The disk claims to have a GPT, and neither copy is sound: %s", why.text) <
				     0
			     ? -ENOMEM
			     : 1;
	gpt_free(&g);
	return rc;
}
