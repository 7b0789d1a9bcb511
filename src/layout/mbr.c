/*
 * The master boot record: four entries at byte 446 and the signature 0x55 0xaa at 510, and a chain of sectors like
 * it that describes the logical partitions inside an extended one. The boot sectors of FAT and NTFS carry the same
 * signature, so a sector must look like a table and must not look like one of them. Reads only.
 */
#include "layout/mbr.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

#define CHAIN_MAX 256	       /* extended boot records; the kernel stops at 256 partitions too */
#define TRACK_BYTES (1u << 20) /* what is kept behind an extended boot record as its own */
#define FIRST_LOGICAL 5	       /* as the kernel counts */
#define DISK_SIGNATURE_AT 440

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

static bool has_signature(const uint8_t *sector)
{
	return sector[510] == 0x55 && sector[511] == 0xaa;
}

bool mbr_entry(const uint8_t *mbr, unsigned i, struct mbr_entry *e)
{
	struct cursor c = cursor_of(mbr + MBR_ENTRIES_AT + i * MBR_ENTRY_BYTES, MBR_ENTRY_BYTES);

	e->flags = cursor_u8(&c);	/* 0 */
	cursor_take(&c, 3);		/* 1: start as cylinder, head, sector */
	e->type = cursor_u8(&c);	/* 4 */
	cursor_take(&c, 3);		/* 5: end likewise */
	e->first_lba = cursor_le32(&c); /* 8 */
	e->n_sectors = cursor_le32(&c); /* 12 */
	return e->type && e->n_sectors;
}

/* The boot sector of NTFS, exFAT, BitLocker or a FAT: a jump, and a name or a BIOS parameter block that makes sense. */
static bool looks_like_file_system(const uint8_t *s)
{
	uint16_t sector = bytes_le16(s + 11), reserved = bytes_le16(s + 14);

	if (!(s[0] == 0xeb && s[2] == 0x90) && s[0] != 0xe9)
		return false;
	if (!memcmp(s + 3, "NTFS    ", 8) || !memcmp(s + 3, "EXFAT   ", 8) || !memcmp(s + 3, "-FVE-FS-", 8) ||
	    !memcmp(s + 3, "ReFS\0\0\0\0", 8))
		return true;
	return (sector == 512 || sector == 1024 || sector == 2048 || sector == 4096) && s[13] &&
	       !(s[13] & (s[13] - 1)) && reserved && (s[16] == 1 || s[16] == 2) && (s[21] == 0xf0 || s[21] >= 0xf8);
}

/* 0 when the used entries make sense on a disk of n_sectors and for themselves. */
static int check_entries(const uint8_t *mbr, uint64_t n_sectors, struct error *why)
{
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		struct mbr_entry e, other;
		bool used = mbr_entry(mbr, i, &e);

		if (e.flags & 0x7f)
			return error_set(why, -ERR_FORMAT, "entry %u of the MBR has flags 0x%02x", i + 1, e.flags);
		if (!used)
			continue;
		if (!e.first_lba)
			return error_set(why, -ERR_FORMAT, "partition %u starts in the MBR itself", i + 1);
		/* The protective entry of a GPT may claim more than there is. */
		if (e.type != MBR_TYPE_PROTECTIVE && (e.first_lba > n_sectors || e.n_sectors > n_sectors - e.first_lba))
			return error_set(why, -ERR_FORMAT, "partition %u reaches beyond the end of the disk", i + 1);
		for (unsigned k = 0; k < i; k++)
			if (mbr_entry(mbr, k, &other) && (uint64_t)e.first_lba + e.n_sectors > other.first_lba &&
			    (uint64_t)other.first_lba + other.n_sectors > e.first_lba)
				return error_set(why, -ERR_FORMAT, "partitions %u and %u overlap", k + 1, i + 1);
	}
	return 0;
}

enum mbr_look mbr_look(const uint8_t *mbr, uint64_t n_sectors, struct error *why)
{
	bool any = false, protective = false, is_fs = looks_like_file_system(mbr);
	struct mbr_entry e;

	if (!has_signature(mbr))
		return MBR_NONE;
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		if (!mbr_entry(mbr, i, &e))
			continue;
		any = true;
		protective |= e.type == MBR_TYPE_PROTECTIVE && e.first_lba == 1;
	}
	if (protective)
		return MBR_PROTECTIVE; /* its other entries are for old systems; the GPT is what counts */
	if (!any)
		return MBR_NONE;
	if (check_entries(mbr, n_sectors, why) < 0)
		return is_fs ? MBR_NONE : MBR_UNCLEAR;
	if (is_fs) {
		error_set(why, -ERR_FORMAT, "sector 0 is both a partition table and the boot sector of a file system");
		return MBR_UNCLEAR;
	}
	return MBR_TABLE;
}

/* What one walk along the chain of extended boot records needs. */
struct chain {
	struct disk *d;
	struct stretches *s;
	uint64_t first, end; /* of the extended partition, in sectors */
	uint64_t seen[CHAIN_MAX];
	unsigned n_seen, number; /* of the next logical partition */
};

static struct stretch *add_partition(struct stretches *s, const struct mbr_entry *e, uint64_t first,
				     uint32_t sector_bytes, unsigned number)
{
	struct stretch *t =
		stretches_add(s, REGION_PARTITION, first * sector_bytes, (uint64_t)e->n_sectors * sector_bytes);

	if (!t)
		return NULL;
	t->r.number = number;
	t->r.attributes = e->flags;
	snprintf(t->r.type, sizeof t->r.type, "0x%02x", e->type);
	return t;
}

/* Takes the extended boot record at sector at. 1: the chain goes on at *next; 0: it ends; -ERR_FORMAT, -errno. */
static int walk_one(struct chain *c, uint64_t at, uint64_t *next, struct error *why)
{
	uint32_t sector_bytes = c->d->sector_bytes;
	uint8_t sector[MBR_BYTES];
	unsigned links = 0;
	struct stretch *t;
	int rc = disk_read(c->d, sector, sizeof sector, at * sector_bytes, why);

	if (rc < 0)
		return rc;
	if (!has_signature(sector))
		return error_set(why, -ERR_FORMAT, "there is no extended boot record at sector %" PRIu64, at);
	t = stretches_add(c->s, REGION_TABLE, at * sector_bytes, sector_bytes);
	if (!t)
		return error_set(why, -ENOMEM, "no memory for a layout");
	t->track_end = at * sector_bytes + TRACK_BYTES;
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		struct mbr_entry e;
		uint64_t first;

		if (!mbr_entry(sector, i, &e))
			continue;
		/* Logical partitions count from this record, the next record from the extended partition's start. */
		first = (is_extended(e.type) ? c->first : at) + e.first_lba;
		if (first >= c->end || (!is_extended(e.type) && e.n_sectors > c->end - first))
			return error_set(why, -ERR_FORMAT,
					 "entry %u of the extended boot record at sector %" PRIu64
					 " leaves the extended partition",
					 i + 1, at);
		if (is_extended(e.type)) {
			*next = first;
			links++;
		} else if (!add_partition(c->s, &e, first, sector_bytes, c->number++)) {
			return error_set(why, -ENOMEM, "no memory for a layout");
		}
	}
	if (links > 1)
		return error_set(why, -ERR_FORMAT, "the extended boot record at sector %" PRIu64 " has two successors",
				 at);
	return (int)links;
}

static int walk_chain(struct chain *c, struct error *why)
{
	uint64_t at = c->first;
	int rc = 1;

	while (rc == 1) {
		for (unsigned i = 0; i < c->n_seen; i++)
			if (c->seen[i] == at)
				return error_set(why, -ERR_FORMAT,
						 "the extended boot records form a loop at sector %" PRIu64, at);
		if (c->n_seen == CHAIN_MAX)
			return error_set(why, -ERR_FORMAT, "there are more than %u extended boot records", CHAIN_MAX);
		c->seen[c->n_seen++] = at;
		rc = walk_one(c, at, &at, why);
	}
	return rc;
}

/* 0, -ERR_FORMAT, or -errno of a failed read. */
static int collect(struct disk *d, const uint8_t *mbr, struct stretches *s, struct error *why)
{
	struct chain c = {.d = d, .s = s, .number = FIRST_LOGICAL};

	/* The sector itself; what follows up to the first partition is added when the layout is built. */
	if (!stretches_add(s, REGION_TABLE, 0, d->sector_bytes))
		return error_set(why, -ENOMEM, "no memory for a layout");
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		struct mbr_entry e;
		int rc;

		if (!mbr_entry(mbr, i, &e))
			continue;
		if (!is_extended(e.type)) {
			if (!add_partition(s, &e, e.first_lba, d->sector_bytes, i + 1))
				return error_set(why, -ENOMEM, "no memory for a layout");
			continue;
		}
		if (c.n_seen)
			return error_set(why, -ERR_FORMAT, "there are two extended partitions");
		c.first = e.first_lba;
		c.end = (uint64_t)e.first_lba + e.n_sectors;
		rc = walk_chain(&c, why);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int mbr_layout(struct disk *d, const uint8_t *mbr, struct layout *l, struct error *err)
{
	struct stretches s = {0};
	struct error why = {0};
	int rc = collect(d, mbr, &s, &why);

	l->table = LAYOUT_MBR;
	snprintf(l->disk_id, sizeof l->disk_id, "0x%08" PRIx32, bytes_le32(mbr + DISK_SIGNATURE_AT));
	if (!rc)
		rc = regions_build(l, &s, &why);
	stretches_free(&s);
	if (rc == 1)
		return 0;
	if (rc < 0 && rc != -ERR_FORMAT)
		return error_set(err, rc, "%s", why.text);
	return regions_damaged(l, err, "The MBR makes no sense: %s", why.text);
}
