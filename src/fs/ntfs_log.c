/*
 * The restart pages of $LogFile: was the volume closed? While the log is in use, the allocation bitmap on
 * disk may lag behind it, so that a used map made from it could lack blocks. Nothing is replayed here.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fs/ntfs_volume.h"

#define EMPTY_BYTES (64u << 10)
#define PAGE_BYTES_MIN 512u
#define PAGE_BYTES_MAX (64u << 10)
#define NO_CLIENT 0xffff
#define VOLUME_IS_CLEAN 2

/* What one restart page says. */
struct restart {
	bool valid, closed;
	uint64_t lsn;
	uint32_t page_bytes;
};

static bool is_all_ones(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] != 0xff)
			return false;
	}
	return true;
}

/* Reads the restart page in the len bytes at page, which are changed by the fix-ups. */
static struct restart parse_page(uint8_t *page, size_t len)
{
	struct restart r = {0};
	struct cursor c;
	size_t area;

	if (len < PAGE_BYTES_MIN || (memcmp(page, "RSTR", 4) != 0 && memcmp(page, "CHKD", 4) != 0))
		return r;
	r.page_bytes = bytes_le32(page + 16);
	area = bytes_le16(page + 24);
	if (r.page_bytes < PAGE_BYTES_MIN || r.page_bytes > len || (r.page_bytes & (r.page_bytes - 1)))
		return r;
	if (ntfs_record_fix_up(page, r.page_bytes, NULL) < 0)
		return r;
	c = cursor_of(page, r.page_bytes);
	cursor_take(&c, area);
	r.lsn = cursor_le64(&c); /* 0 of the restart area */
	cursor_take(&c, 4);
	r.closed = cursor_le16(&c) == NO_CLIENT;	      /* 12: clients in use */
	r.closed |= (cursor_le16(&c) & VOLUME_IS_CLEAN) != 0; /* 14: flags */
	r.valid = !c.failed && area >= 30;
	return r;
}

static int judge(uint8_t *bytes, size_t len, struct error *err)
{
	struct restart first, second = {0};
	uint32_t at;

	if (is_all_ones(bytes, len < EMPTY_BYTES ? len : EMPTY_BYTES))
		return 0;
	first = parse_page(bytes, len < PAGE_BYTES_MAX ? len : PAGE_BYTES_MAX);
	at = first.valid ? first.page_bytes : 4096;
	if (len > at)
		second = parse_page(bytes + at, len - at < PAGE_BYTES_MAX ? len - at : PAGE_BYTES_MAX);
	if (!first.valid && !second.valid)
		return error_set(err, -ERR_FORMAT,
				 "the journal of NTFS ($LogFile) has no restart page that makes sense");
	if (!first.valid || (second.valid && second.lsn > first.lsn))
		first = second;
	return first.closed ? 0 : 1;
}

int ntfs_log_in_use(const struct ntfs_volume *vol, struct error *err)
{
	struct ntfs_stream log;
	uint8_t *bytes = NULL;
	size_t len;
	int rc = ntfs_stream_load(vol, NTFS_LOG_FILE, NTFS_DATA, "", &log, err);

	if (rc < 0)
		goto out;
	len = log.size < 2 * PAGE_BYTES_MAX ? log.size : 2 * PAGE_BYTES_MAX;
	rc = -ENOMEM;
	bytes = malloc(len + 1);
	if (!bytes) {
		error_set(err, rc, "no memory for the journal of NTFS");
		goto out;
	}
	rc = ntfs_stream_read(vol, &log, bytes, len, 0, err);
	if (!rc)
		rc = judge(bytes, len, err);
	free(bytes);
out:
	ntfs_stream_free(&log);
	return rc;
}
