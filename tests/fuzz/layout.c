/*
 * Partition tables of foreign disks. Byte 0 chooses the sector size and whether the checksums of a GPT are made right
 * first, so that what lies behind them is reached; the rest is the disk. Whatever it holds, the layout covers it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "layout/gpt.h"
#include "layout/gpt_move.h"
#include "layout/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend_checksums(uint8_t *disk, size_t size, size_t sector_bytes, size_t lba)
{
	uint8_t *h = disk + lba * sector_bytes;
	uint64_t entries_at;
	uint32_t header_bytes, n, each;

	if (lba * sector_bytes > size || sector_bytes > size - lba * sector_bytes || memcmp(h, "EFI PART", 8))
		return;
	header_bytes = bytes_le32(h + 12);
	entries_at = bytes_le64(h + 72);
	n = bytes_le32(h + 80);
	each = bytes_le32(h + 84);
	if (header_bytes < 92 || header_bytes > sector_bytes)
		return;
	if (entries_at <= size / sector_bytes && (uint64_t)n * each <= size - entries_at * sector_bytes)
		bytes_put_le32(h + 88, gpt_crc32(disk + entries_at * sector_bytes, (size_t)n * each));
	bytes_put_le32(h + 16, 0);
	bytes_put_le32(h + 16, gpt_crc32(h, header_bytes));
}

static void check(struct disk *d)
{
	struct error err = {0};
	struct layout l;
	uint64_t at = 0;
	char name[32];

	if (layout_read(d, &l, &err) < 0)
		abort();
	for (size_t i = 0; i < l.n; i++) {
		const struct region *r = &l.regions[i];

		if (r->start != at || !r->length || r->length > d->size_bytes - at)
			abort();
		if (strlen(r->label) >= sizeof r->label || strlen(r->type) >= sizeof r->type)
			abort();
		at += r->length;
		layout_identify(d, r, name, sizeof name);
	}
	if (at != d->size_bytes || (l.damaged && !*l.note))
		abort();
	layout_free(&l);
}

/* The table on a disk that is larger by some odd number. */
static void check_fit(const uint8_t *bytes, size_t size, uint32_t sector_bytes)
{
	struct error err = {0};
	struct disk *d;
	int rc;

	if (disk_open_memory(size + 5000, sector_bytes, &d, &err) < 0)
		abort();
	if (disk_write(d, bytes, size, 0, &err) < 0)
		abort();
	rc = layout_gpt_fit(d, size, &err);
	if (rc && rc != -ERR_FORMAT && rc != -ERR_REFUSED)
		abort();
	check(d);
	disk_close(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t sector_bytes = size && data[0] & 1 ? 4096 : 512;
	struct error err = {0};
	uint8_t *copy;
	struct disk *d;

	if (size < 2)
		return 0;
	copy = malloc(size - 1);
	if (!copy)
		abort();
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 2) {
		mend_checksums(copy, size - 1, sector_bytes, 1);
		mend_checksums(copy, size - 1, sector_bytes, (size - 1) / sector_bytes - ((size - 1) >= sector_bytes));
	}
	if (disk_open_bytes(copy, size - 1, sector_bytes, &d, &err) < 0)
		abort();
	check(d);
	disk_close(d);
	check_fit(copy, size - 1, sector_bytes);
	free(copy);
	return 0;
}
