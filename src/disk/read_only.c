/*
 * The read-only guard: a disk around another one that can be read and nothing else. Writes and discards
 * end at the choke point; should one ever come through, it is refused here again.
 */
#include <stdlib.h>

#include "disk/wrap.h"

struct guard {
	struct disk d;
	struct disk *under;
};

static int guard_read(struct disk *d, void *buf, size_t len, uint64_t offset, struct error *err)
{
	return disk_read(((struct guard *)d)->under, buf, len, offset, err);
}

static int guard_write(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err)
{
	return error_set(err, -EROFS, "%s is guarded against writing", d->identity.path);
}

static int guard_flush(struct disk *d, struct error *err)
{
	return 0;
}

static int guard_discard(struct disk *d, uint64_t offset, uint64_t length, struct error *err)
{
	return error_set(err, -EROFS, "%s is guarded against writing", d->identity.path);
}

static void guard_drop_cache(struct disk *d, uint64_t offset, uint64_t length)
{
	disk_drop_cache(((struct guard *)d)->under, offset, length);
}

static void guard_close(struct disk *d)
{
	disk_close(((struct guard *)d)->under);
	free(d);
}

static const struct disk_ops guard_ops = {
	.name = "read-only",
	.read = guard_read,
	.write = guard_write,
	.flush = guard_flush,
	.discard = guard_discard,
	.drop_cache = guard_drop_cache,
	.close = guard_close,
};

int disk_wrap_read_only(struct disk *under, struct disk **out, struct error *err)
{
	struct guard *g = calloc(1, sizeof *g);

	*out = NULL;
	if (!g)
		return error_set(err, -ENOMEM, "no memory to guard %s", under->identity.path);
	wrap_inherit(&g->d, under, &guard_ops, true);
	g->d.read_only = true;
	g->under = under;
	*out = &g->d;
	return 0;
}
