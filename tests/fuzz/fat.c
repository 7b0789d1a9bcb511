/*
 * The FAT reader on foreign bytes. Byte 0: bit 0 makes the copies of the allocation table equal first, bit 1 makes its
 * first entries those of a sound volume, so that what lies behind those checks is reached. Bit 2 puts zeros behind the
 * bytes, as many as a FAT16 needs at least.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fs/fs.h"

#define LARGE_BYTES (2200u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend(uint8_t *b, size_t size, uint8_t flags)
{
	size_t sector, at, len, n;

	if (size < 512)
		return;
	sector = bytes_le16(b + 11);
	at = bytes_le16(b + 14) * sector;
	len = (bytes_le16(b + 22) ? bytes_le16(b + 22) : bytes_le32(b + 36)) * sector;
	n = b[16];
	if (at > size || len < 8 || n > 4 || len * n > size - at)
		return;
	if (flags & 2 && n) {
		b[at] = b[21];
		memset(b + at + 1, 0xff, 2);
	}
	for (size_t k = 1; k < n && flags & 1; k++)
		memcpy(b + at + k * len, b + at, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fs_view view = {0};
	struct extents used = {0};
	struct error err = {0};
	struct fs_info info;
	size_t length = size - 1;
	uint8_t *copy;
	int rc;

	if (size < 2)
		return 0;
	if (data[0] & 4 && length < LARGE_BYTES)
		length = LARGE_BYTES;
	copy = calloc(1, length);
	if (!copy)
		abort();
	memcpy(copy, data + 1, size - 1);
	mend(copy, length, data[0]);
	if (disk_open_bytes(copy, length, 512, &view.disk, &err) < 0)
		abort();
	view.length = length;
	rc = fs_used_map_by(&fs_fat_reader, &view, &used, &info, &err);
	if (rc && rc != -ERR_FORMAT && rc != -ERANGE)
		abort();
	if (rc && !err.text[0])
		abort();
	/* A map that the reader gave has to pass the choke point: a refusal must come from the reader, with its words.
	 */
	if (rc == -ERR_FORMAT && (strstr(err.text, "out of order") || strstr(err.text, "adds up") ||
				  strstr(err.text, "does not lie in the region") || strstr(err.text, "more metadata")))
		abort();
	extents_free(&used);
	disk_close(view.disk);
	free(copy);
	return 0;
}
