/*
 * A disk that does wrong on purpose: unreadable ranges, failing writes, silent corruption, a full medium.
 * Everything that the faults do not name passes through unchanged.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "disk/wrap.h"

struct fault_disk {
	struct disk d;
	struct disk *under;
	struct disk_faults faults;
	_Atomic uint64_t reads, writes; /* calls so far */
	_Atomic uint64_t asked_bytes;	/* sum of what was to be written */
};

static bool touches(uint64_t at, uint64_t len, uint64_t bad_at, uint64_t bad_len)
{
	if (!bad_len)
		return false;
	return at < bad_at ? len > bad_at - at : at - bad_at < bad_len;
}

static int fault_read(struct disk *d, void *buf, size_t len, uint64_t offset, struct error *err)
{
	struct fault_disk *f = (struct fault_disk *)d;
	uint64_t nth = atomic_fetch_add(&f->reads, 1) + 1;

	if (nth == f->faults.fail_nth_read || touches(offset, len, f->faults.fail_read_at, f->faults.fail_read_bytes))
		return error_errno(err, EIO, "cannot read %zu bytes at byte %" PRIu64 " of %s", len, offset,
				   d->identity.path);
	return disk_read(f->under, buf, len, offset, err);
}

static int write_corrupted(struct fault_disk *f, const void *buf, size_t len, uint64_t offset, struct error *err)
{
	uint8_t *copy = malloc(len);
	int rc;

	if (!copy)
		return error_set(err, -ENOMEM, "no memory for a write of %zu bytes", len);
	memcpy(copy, buf, len);
	copy[len / 2] ^= 0x10;
	rc = disk_write(f->under, copy, len, offset, err);
	free(copy);
	return rc;
}

static int fault_write(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err)
{
	struct fault_disk *f = (struct fault_disk *)d;
	uint64_t nth = atomic_fetch_add(&f->writes, 1) + 1;
	uint64_t sum = atomic_fetch_add(&f->asked_bytes, len) + len;

	if (nth == f->faults.fail_nth_write ||
	    touches(offset, len, f->faults.fail_write_at, f->faults.fail_write_bytes))
		return error_errno(err, EIO, "cannot write %zu bytes at byte %" PRIu64 " of %s", len, offset,
				   d->identity.path);
	if (f->faults.full_after_bytes && sum > f->faults.full_after_bytes)
		return error_errno(err, ENOSPC, "cannot write %zu bytes at byte %" PRIu64 " of %s", len, offset,
				   d->identity.path);
	if (nth == f->faults.corrupt_nth_write)
		return write_corrupted(f, buf, len, offset, err);
	return disk_write(f->under, buf, len, offset, err);
}

static int fault_flush(struct disk *d, struct error *err)
{
	return disk_flush(((struct fault_disk *)d)->under, err);
}

static int fault_discard(struct disk *d, uint64_t offset, uint64_t length, struct error *err)
{
	return disk_discard(((struct fault_disk *)d)->under, offset, length, err);
}

static void fault_drop_cache(struct disk *d, uint64_t offset, uint64_t length)
{
	disk_drop_cache(((struct fault_disk *)d)->under, offset, length);
}

static void fault_close(struct disk *d)
{
	disk_close(((struct fault_disk *)d)->under);
	free(d);
}

static const struct disk_ops fault_ops = {
	.name = "faults",
	.read = fault_read,
	.write = fault_write,
	.flush = fault_flush,
	.discard = fault_discard,
	.drop_cache = fault_drop_cache,
	.close = fault_close,
};

int disk_wrap_faults(struct disk *under, const struct disk_faults *faults, struct disk **out, struct error *err)
{
	struct fault_disk *f = calloc(1, sizeof *f);

	*out = NULL;
	if (!f)
		return error_set(err, -ENOMEM, "no memory to wrap %s", under->identity.path);
	wrap_inherit(&f->d, under, &fault_ops, false);
	f->under = under;
	f->faults = *faults;
	*out = &f->d;
	return 0;
}
