/*
 * Which table a disk has, and the layout that follows from it.
 */
#include "layout/layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "layout/gpt.h"
#include "layout/mbr.h"

const char *layout_table_name(enum layout_table t)
{
	switch (t) {
	case LAYOUT_MBR:
		return "mbr";
	case LAYOUT_GPT:
		return "gpt";
	case LAYOUT_NONE:
		break;
	}
	return "none";
}

void layout_free(struct layout *l)
{
	free(l->regions);
	*l = (struct layout){0};
}

static int read_table(struct disk *d, struct layout *l, struct error *err)
{
	struct error why = {0};
	uint8_t sector[MBR_BYTES] = {0};
	enum mbr_look look;
	int rc;

	if (d->size_bytes < sizeof sector)
		return regions_whole(l, err);
	rc = disk_read(d, sector, sizeof sector, 0, err);
	if (rc < 0)
		return error_prefix(err, "the partition table");
	look = mbr_look(sector, d->size_bytes / d->sector_bytes, &why);
	if (look == MBR_PROTECTIVE || look == MBR_NONE) {
		rc = gpt_layout(d, sector, look == MBR_PROTECTIVE, l, err);
		if (rc)
			return rc < 0 ? rc : 0;
	}
	if (look == MBR_TABLE)
		return mbr_layout(d, sector, l, err);
	if (look == MBR_UNCLEAR)
		return regions_damaged(l, err, "Sector 0 makes no sense: %s", why.text);
	return regions_whole(l, err);
}

int layout_read(struct disk *d, struct layout *out, struct error *err)
{
	int rc;

	*out = (struct layout){.size_bytes = d->size_bytes, .sector_bytes = d->sector_bytes};
	rc = read_table(d, out, err);
	if (rc < 0)
		layout_free(out);
	return rc;
}
