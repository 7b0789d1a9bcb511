/*
 * Names for what no reader of ours takes, by libblkid. It only gives a name: how a region is copied never depends on
 * it.
 */
#include <blkid.h>
#include <stdio.h>

#include "base/text.h"
#include "layout/layout.h"

void layout_identify(struct disk *d, const struct region *r, char *name, size_t name_bytes)
{
	const char *type = NULL;
	blkid_probe pr;

	*name = '\0';
	if (d->fd < 0 || !r->length || r->start > d->size_bytes || r->length > d->size_bytes - r->start)
		return;
	pr = blkid_new_probe();
	if (!pr)
		return;
	if (!blkid_probe_set_device(pr, d->fd, (blkid_loff_t)r->start, (blkid_loff_t)r->length) &&
	    !blkid_probe_set_sectorsize(pr, d->sector_bytes) && !blkid_probe_enable_superblocks(pr, 1) &&
	    !blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE) && !blkid_do_safeprobe(pr) &&
	    !blkid_probe_lookup_value(pr, "TYPE", &type, NULL) && type)
		text_printable(type, name, name_bytes);
	blkid_free_probe(pr);
}
