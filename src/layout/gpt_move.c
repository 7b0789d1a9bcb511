/*
 * Writes a GPT anew for a disk of another size. The new backup is made durable before the primary points at it, so
 * that at every moment one sound copy is where the other says.
 */
#include "layout/gpt_move.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "layout/gpt.h"
#include "layout/mbr.h"

/* Offsets in a header (UEFI 2.10, table 5-5). */
enum {
	AT_HEADER_CRC = 16,
	AT_MY_LBA = 24,
	AT_ALTERNATE_LBA = 32,
	AT_LAST_USABLE = 48,
	AT_ENTRIES_LBA = 72,
};

struct move {
	struct disk *d;
	struct gpt g;
	uint64_t last_lba;			  /* of the target */
	uint64_t primary_entries, backup_entries; /* sectors where the two arrays go */
	uint64_t array_sectors;
};

/* Finds the sound copy that the restore wrote. 1: in *g; 0: none; -ENOMEM. */
static int find_restored(struct disk *d, uint64_t snapshot_disk_bytes, uint32_t sector_bytes, struct gpt *g,
			 struct error *why)
{
	uint64_t n_sectors = snapshot_disk_bytes / sector_bytes;
	int rc = gpt_load(d, sector_bytes, 1, g, why);

	if (!rc && n_sectors > 2)
		rc = gpt_load(d, sector_bytes, n_sectors - 1, g, NULL);
	return rc;
}

static int plan(struct move *m, struct error *err)
{
	const struct gpt *g = &m->g;
	uint64_t n_sectors = m->d->size_bytes / g->sector_bytes;

	m->array_sectors = (g->entries_bytes + g->sector_bytes - 1) / g->sector_bytes;
	if (n_sectors < g->first_usable + m->array_sectors + 2)
		return error_set(err, -ERR_REFUSED, "%s is too small for its partition table", m->d->identity.path);
	m->last_lba = n_sectors - 1;
	m->backup_entries = m->last_lba - m->array_sectors;
	/* The primary's array stays where it was; when only the backup is left, it goes to where it always is. */
	m->primary_entries = g->my_lba == 1 ? g->entries_lba : 2;
	if (m->primary_entries > g->first_usable || m->array_sectors > g->first_usable - m->primary_entries)
		return error_set(err, -ERR_FORMAT, "the partition table of %s leaves no place for its entries",
				 m->d->identity.path);
	for (uint32_t i = 0; i < g->n_entries; i++) {
		struct gpt_entry e;

		if (gpt_entry(g, i, &e) && (e.last_lba >= m->backup_entries || e.first_lba < g->first_usable))
			return error_set(err, -ERR_REFUSED, "partition %" PRIu32 " does not fit on %s", i + 1,
					 m->d->identity.path);
	}
	return 0;
}

/* Reads from the medium what was written there. */
static int check_written(struct disk *d, const uint8_t *written, size_t len, uint64_t offset, struct error *err)
{
	uint8_t *found = malloc(len);
	int rc;

	if (!found)
		return error_set(err, -ENOMEM, "no memory to read a partition table back");
	disk_drop_cache(d, offset, len);
	rc = disk_read(d, found, len, offset, err);
	if (!rc && memcmp(found, written, len) != 0)
		rc = error_set(err, -ERR_DAMAGED,
			       "%s does not hold at byte %" PRIu64
			       " the partition table that was written there: the disk or its cable is failing",
			       d->identity.path, offset);
	free(found);
	return rc;
}

/* Writes the array and then the header that describes it. */
static int write_copy(struct move *m, uint64_t my_lba, uint64_t alternate_lba, uint64_t entries_lba, struct error *err)
{
	struct gpt *g = &m->g;
	uint8_t *h = g->header;
	int rc;

	bytes_put_le64(h + AT_MY_LBA, my_lba);
	bytes_put_le64(h + AT_ALTERNATE_LBA, alternate_lba);
	bytes_put_le64(h + AT_LAST_USABLE, m->backup_entries - 1);
	bytes_put_le64(h + AT_ENTRIES_LBA, entries_lba);
	bytes_put_le32(h + AT_HEADER_CRC, 0);
	bytes_put_le32(h + AT_HEADER_CRC, gpt_crc32(h, g->header_bytes));
	rc = disk_write(m->d, g->entries, g->entries_bytes, entries_lba * g->sector_bytes, err);
	if (!rc)
		rc = disk_write(m->d, h, g->sector_bytes, my_lba * g->sector_bytes, err);
	if (!rc)
		rc = disk_flush(m->d, err);
	if (!rc)
		rc = check_written(m->d, g->entries, g->entries_bytes, entries_lba * g->sector_bytes, err);
	if (!rc)
		rc = check_written(m->d, h, g->sector_bytes, my_lba * g->sector_bytes, err);
	return rc;
}

/* The protective entry covers the disk, as far as 32 bits go. One that says "everything" already, or that shares the
 * sector with others, was made that way on purpose. */
static int fit_protective(struct move *m, uint8_t *mbr, struct error *err)
{
	struct mbr_entry e, protective = {0};
	unsigned used = 0, slot = 0;
	int rc;

	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		if (!mbr_entry(mbr, i, &e))
			continue;
		used++;
		protective = e;
		slot = i;
	}
	if (used != 1 || protective.type != MBR_TYPE_PROTECTIVE || protective.first_lba != 1 ||
	    protective.n_sectors == UINT32_MAX)
		return 0;
	bytes_put_le32(mbr + MBR_ENTRIES_AT + slot * MBR_ENTRY_BYTES + 12,
		       m->last_lba > UINT32_MAX ? UINT32_MAX : (uint32_t)m->last_lba);
	rc = disk_write(m->d, mbr, MBR_BYTES, 0, err);
	if (!rc)
		rc = disk_flush(m->d, err);
	return rc ? rc : check_written(m->d, mbr, MBR_BYTES, 0, err);
}

static int move(struct move *m, uint8_t *mbr, struct error *err)
{
	int rc = plan(m, err);

	if (!rc)
		rc = write_copy(m, m->last_lba, 1, m->backup_entries, err);
	if (!rc)
		rc = write_copy(m, 1, m->last_lba, m->primary_entries, err);
	if (!rc)
		rc = fit_protective(m, mbr, err);
	return rc;
}

int layout_gpt_fit(struct disk *target, uint64_t snapshot_disk_bytes, struct error *err)
{
	uint32_t other = target->sector_bytes == 512 ? 4096 : 512;
	struct move m = {.d = target};
	struct error why = {0};
	uint8_t mbr[MBR_BYTES];
	int rc;

	if (target->size_bytes == snapshot_disk_bytes || target->size_bytes < MBR_BYTES)
		return 0;
	rc = disk_read(target, mbr, sizeof mbr, 0, err);
	if (rc < 0)
		return rc;
	if (mbr_look(mbr, target->size_bytes / target->sector_bytes, NULL) != MBR_PROTECTIVE)
		return 0;
	rc = find_restored(target, snapshot_disk_bytes, target->sector_bytes, &m.g, &why);
	if (!rc)
		rc = find_restored(target, snapshot_disk_bytes, other, &m.g, NULL);
	if (rc == 1)
		rc = move(&m, mbr, err);
	else
		rc = error_set(err, rc < 0 ? rc : -ERR_FORMAT, "the GPT on %s cannot be fitted to it: %s",
			       target->identity.path, why.text);
	gpt_free(&m.g);
	return rc;
}
