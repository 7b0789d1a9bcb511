/* What wrappers have in common: a disk that stands in front of another one. Private to this room. */
#ifndef G4L_DISK_WRAP_H
#define G4L_DISK_WRAP_H

#include "disk/disk.h"

/* Gives d the size, sector size and identity of under; the descriptor only when reading past the wrapper is harmless.
 */
static inline void wrap_inherit(struct disk *d, const struct disk *under, const struct disk_ops *ops, bool share_fd)
{
	d->ops = ops;
	d->size_bytes = under->size_bytes;
	d->sector_bytes = under->sector_bytes;
	d->read_only = under->read_only;
	d->fd = share_fd ? under->fd : -1;
	d->identity = under->identity;
}

#endif
