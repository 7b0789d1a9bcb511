/*
 * The choke point above every disk: ranges, counters and the read-only rule are looked after here, once,
 * so that implementations see only requests that make sense. Nothing here knows where bytes come from.
 */
#include "disk/disk.h"

#include <inttypes.h>

static int check_range(const struct disk *d, const char *what, uint64_t len, uint64_t offset, struct error *err)
{
	if (offset > d->size_bytes || len > d->size_bytes - offset)
		return error_set(err, -ERANGE,
				 "cannot %s %" PRIu64 " bytes at byte %" PRIu64 " of %s: it ends at byte %" PRIu64,
				 what, len, offset, d->identity.path, d->size_bytes);
	return 0;
}

static int check_writable(const struct disk *d, struct error *err)
{
	if (d->read_only)
		return error_set(err, -EROFS, "%s was opened for reading only, nothing is written to it",
				 d->identity.path);
	return 0;
}

int disk_read(struct disk *d, void *buf, size_t len, uint64_t offset, struct error *err)
{
	int rc = check_range(d, "read", len, offset, err);

	if (rc < 0 || !len)
		return rc;
	rc = d->ops->read(d, buf, len, offset, err);
	if (!rc)
		atomic_fetch_add_explicit(&d->read_bytes, len, memory_order_relaxed);
	return rc;
}

int disk_write(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err)
{
	int rc = check_writable(d, err);

	if (!rc)
		rc = check_range(d, "write", len, offset, err);
	if (rc < 0 || !len)
		return rc;
	rc = d->ops->write(d, buf, len, offset, err);
	if (!rc)
		atomic_fetch_add_explicit(&d->written_bytes, len, memory_order_relaxed);
	return rc;
}

int disk_flush(struct disk *d, struct error *err)
{
	return d->read_only ? 0 : d->ops->flush(d, err);
}

int disk_discard(struct disk *d, uint64_t offset, uint64_t length, struct error *err)
{
	int rc = check_writable(d, err);

	if (!rc)
		rc = check_range(d, "discard", length, offset, err);
	if (rc < 0 || !length || !d->ops->discard)
		return rc;
	return d->ops->discard(d, offset, length, err);
}

void disk_drop_cache(struct disk *d, uint64_t offset, uint64_t length)
{
	if (!d->ops->drop_cache || offset >= d->size_bytes || !length)
		return;
	if (length > d->size_bytes - offset)
		length = d->size_bytes - offset;
	d->ops->drop_cache(d, offset, length);
}

void disk_close(struct disk *d)
{
	if (d)
		d->ops->close(d);
}
