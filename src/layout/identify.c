/*
 * Names for what lies in a region, by libblkid: for what no reader of ours takes, and as a second opinion on what one
 * does. It may only ever lead to more being copied.
 */
#include <blkid.h>
#include <stdio.h>

#include "base/text.h"
#include "layout/layout.h"

bool layout_identify(struct disk *d, const struct region *r, char *name, size_t name_bytes)
{
	const char *type = NULL;
	blkid_probe pr;
	int rc = 1;

	*name = '\0';
	if (d->fd < 0 || !r->length || r->start > d->size_bytes || r->length > d->size_bytes - r->start)
		return true;
	pr = blkid_new_probe();
	if (!pr)
		return true;
	if (!blkid_probe_set_device(pr, d->fd, (blkid_loff_t)r->start, (blkid_loff_t)r->length) &&
	    !blkid_probe_set_sectorsize(pr, d->sector_bytes) && !blkid_probe_enable_superblocks(pr, 1) &&
	    !blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE))
		rc = blkid_do_safeprobe(pr); /* -2: several results */
	if (!rc && !blkid_probe_lookup_value(pr, "TYPE", &type, NULL) && type)
		text_printable(type, name, name_bytes);
	blkid_free_probe(pr);
	return rc != -2;
}
