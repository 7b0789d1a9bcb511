/* Choosing the disk that a restore will overwrite. Whatever is not certain is a refusal that lists what is there. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "engine/engine.h"

#define LIST_BYTES 700

/* "/dev/sda (Samsung SSD, serial S1, 465.8 GiB), …" */
static const char *list_found(const struct disk_found *found, size_t n, char to[LIST_BYTES])
{
	size_t at = 0;

	to[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const struct disk_identity *id = &found[i].identity;
		char size[TEXT_SIZE_BYTES];
		int len = snprintf(to + at, LIST_BYTES - at, "%s%s (%s%sserial %s, %s%s)", i ? ", " : "", id->path,
				   id->model, id->model[0] ? ", " : "", id->serial[0] ? id->serial : "unknown",
				   text_size(found[i].size_bytes, size), found[i].boot_medium ? ", in use" : "");

		if (len < 0 || (size_t)len >= LIST_BYTES - at)
			break;
		at += (size_t)len;
	}
	return n ? to : "no disk at all";
}

static int refuse(struct error *err, const char *why, const struct disk_found *found, size_t n)
{
	char list[LIST_BYTES];

	return error_set(err, -ERR_REFUSED, "%s; there is: %s", why, list_found(found, n, list));
}

static bool same(const char *a, const char *b)
{
	return a[0] && strcasecmp(a, b) == 0;
}

enum match { MATCH_WANTED, MATCH_WWN, MATCH_SERIAL };

static bool matches(enum match how, const struct snapshot_disk *source, const struct disk_identity *id,
		    const char *wanted)
{
	switch (how) {
	case MATCH_WANTED:
		return strcmp(wanted, id->path) == 0 || same(id->wwn, wanted) || same(id->serial, wanted);
	case MATCH_WWN:
		return same(id->wwn, source->wwn);
	case MATCH_SERIAL:
		/* Adapters give many disks one serial number: another WWN says that it is another disk. */
		return same(id->serial, source->serial) &&
		       (!id->wwn[0] || !source->wwn[0] || same(id->wwn, source->wwn));
	}
	return false;
}

/* How many disks match; the last one in *which. */
static size_t count_matches(enum match how, const struct snapshot_disk *source, const struct disk_found *found,
			    size_t n, const char *wanted, size_t *which)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		if (matches(how, source, &found[i].identity, wanted)) {
			*which = i;
			count++;
		}
	return count;
}

/* Whether the disk that was found by its identity can take the snapshot. */
static int accept(const struct snapshot_disk *source, const struct disk_found *found, size_t n, size_t which,
		  size_t *chosen, struct error *err)
{
	const struct disk_found *f = &found[which];
	char why[500], have[TEXT_SIZE_BYTES], need[TEXT_SIZE_BYTES];

	if (f->size_bytes < source->size_bytes) {
		snprintf(why, sizeof why, "%s is too small: it has %s, the snapshot needs %s", f->identity.path,
			 text_size(f->size_bytes, have), text_size(source->size_bytes, need));
		return refuse(err, why, found, n);
	}
	if (f->sector_bytes != source->sector_bytes) {
		snprintf(why, sizeof why, "%s has sectors of %u bytes, the snapshot needs %u", f->identity.path,
			 f->sector_bytes, source->sector_bytes);
		return refuse(err, why, found, n);
	}
	if (f->boot_medium) {
		snprintf(why, sizeof why, "%s is mounted or in use on this machine", f->identity.path);
		return refuse(err, why, found, n);
	}
	*chosen = which;
	return 0;
}

int target_choose(const struct snapshot_disk *source, const struct disk_found *found, size_t n, const char *wanted,
		  bool allow_single, size_t *chosen, struct error *err)
{
	enum match how = wanted ? MATCH_WANTED : MATCH_WWN;
	size_t which = 0, count = count_matches(how, source, found, n, wanted, &which);
	char why[400];

	if (!count && !wanted)
		count = count_matches(MATCH_SERIAL, source, found, n, wanted, &which);
	if (count == 1)
		return accept(source, found, n, which, chosen, err);
	if (count > 1)
		return refuse(err, "several disks have the identity that is looked for: name one by its path", found,
			      n);
	if (wanted) {
		snprintf(why, sizeof why, "no disk here is \"%.200s\"", wanted);
		return refuse(err, why, found, n);
	}
	if (allow_single && n == 1)
		return accept(source, found, n, 0, chosen, err);
	snprintf(why, sizeof why,
		 "the disk of the snapshot (%s, serial %s, WWN %s) is not here: name the one to overwrite",
		 source->model[0] ? source->model : "unknown model", source->serial[0] ? source->serial : "unknown",
		 source->wwn[0] ? source->wwn : "unknown");
	return refuse(err, why, found, n);
}
