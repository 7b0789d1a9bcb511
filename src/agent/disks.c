/*
 * The choice of disks. A refusal always says what is there, so that a person can name the right one.
 */
#include "agent/disks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "engine/engine.h"

int disks_of_files(char *const *paths, size_t n, struct disk_found **list, struct error *err)
{
	struct disk_found *found = calloc(n + 1, sizeof *found);
	int rc = 0;

	if (!found)
		return error_errno(err, ENOMEM, "cannot list the disks");
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct disk *d;

		rc = disk_open_file(paths[i], 0, 0, &d, err);
		if (rc < 0)
			break;
		found[i].identity = d->identity;
		found[i].size_bytes = d->size_bytes;
		found[i].sector_bytes = d->sector_bytes;
		disk_close(d);
	}
	if (rc < 0) {
		free(found);
		return rc;
	}
	*list = found;
	return 0;
}

char *disks_describe(const struct disk_found *found, size_t n, char *to, size_t to_bytes)
{
	size_t used = 0;

	snprintf(to, to_bytes, "none");
	for (size_t i = 0; i < n && used + 1 < to_bytes; i++) {
		const struct disk_identity *d = &found[i].identity;
		char size[TEXT_SIZE_BYTES];
		int more = snprintf(to + used, to_bytes - used, "%s%s (%s%s%s%s%s%s%s%s)", i ? ", " : "", d->path,
				    d->model, d->model[0] ? ", " : "", d->serial[0] ? "serial " : "", d->serial,
				    d->serial[0] ? ", " : "", text_size(found[i].size_bytes, size),
				    found[i].removable ? ", removable" : "", found[i].boot_medium ? ", in use" : "");

		used += more > 0 ? (size_t)more : 0;
	}
	return to;
}

static bool is_named(const struct disk_found *d, const char *name)
{
	return strcmp(d->identity.path, name) == 0 || strcmp(d->identity.wwn, name) == 0 ||
	       strcmp(d->identity.serial, name) == 0;
}

/* The one disk of that name. */
static int choose_named(const struct disk_found *found, size_t n, const char *wanted, size_t *chosen, size_t *n_chosen,
			struct error *err)
{
	char list[700];

	*n_chosen = 0;
	for (size_t i = 0; i < n; i++)
		if (is_named(&found[i], wanted))
			chosen[(*n_chosen)++] = i;
	if (*n_chosen == 1 && !found[chosen[0]].boot_medium)
		return 0;
	disks_describe(found, n, list, sizeof list);
	if (*n_chosen == 1)
		return error_set(err, -ERR_REFUSED, "the disk %s is in use; there are: %s", wanted, list);
	return error_set(err, -ERR_REFUSED, "%s disk is called %s; there are: %s", *n_chosen ? "more than one" : "no",
			 wanted, list);
}

int disks_choose_sources(const struct disk_found *found, size_t n, const char *wanted, size_t *chosen, size_t *n_chosen,
			 struct error *err)
{
	char list[700];

	if (wanted[0])
		return choose_named(found, n, wanted, chosen, n_chosen, err);
	*n_chosen = 0;
	for (size_t i = 0; i < n; i++) {
		if (found[i].removable || found[i].boot_medium) {
			log_info("%s is left out: it is %s", found[i].identity.path,
				 found[i].boot_medium ? "in use" : "removable");
			continue;
		}
		chosen[(*n_chosen)++] = i;
	}
	if (*n_chosen)
		return 0;
	disks_describe(found, n, list, sizeof list);
	return error_set(err, -ENODEV,
			 "there is no disk to work on; is its controller's driver in the boot image? Disks: %s", list);
}

/* The disks that a restore may choose from without being told. */
static size_t usable(const struct disk_found *found, size_t n, const char *wanted, struct disk_found *out,
		     size_t *origin)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if ((found[i].removable || found[i].boot_medium) && !(wanted[0] && is_named(&found[i], wanted)))
			continue;
		out[kept] = found[i];
		origin[kept++] = i;
	}
	return kept;
}

static int choose_each(const struct snapshot *s, const struct disk_found *some, size_t n, const char *wanted,
		       bool allow_single, size_t *chosen, struct error *err)
{
	for (size_t d = 0; d < s->n_disks; d++) {
		int rc = target_choose(&s->disks[d], some, n, wanted[0] ? wanted : NULL,
				       allow_single && s->n_disks == 1, &chosen[d], err);

		if (rc < 0)
			return rc;
		for (size_t e = 0; e < d; e++)
			if (chosen[e] == chosen[d])
				return error_set(err, -ERR_REFUSED, "two disks of the snapshot, %s and %s, both fit %s",
						 s->disks[e].path, s->disks[d].path, some[chosen[d]].identity.path);
		if (some[chosen[d]].boot_medium)
			return error_set(err, -ERR_REFUSED, "the disk %s is in use", some[chosen[d]].identity.path);
	}
	return 0;
}

int disks_choose_targets(const struct snapshot *s, const struct disk_found *found, size_t n, const char *wanted,
			 bool allow_single, size_t *chosen, struct error *err)
{
	struct disk_found *some;
	size_t *origin, kept;
	int rc;

	if (s->n_disks == 0)
		return error_set(err, -ERR_DAMAGED, "the snapshot %s has no disk", s->id);
	if (wanted[0] && s->n_disks > 1)
		return error_set(err, -ERR_REFUSED, "the snapshot %s has %zu disks, but one is named: %s", s->id,
				 s->n_disks, wanted);
	some = calloc(n + 1, sizeof *some);
	origin = calloc(n + 1, sizeof *origin);
	if (!some || !origin) {
		rc = error_errno(err, ENOMEM, "cannot choose the disks");
		goto out;
	}
	kept = usable(found, n, wanted, some, origin);
	rc = choose_each(s, some, kept, wanted, allow_single, chosen, err);
	for (size_t d = 0; rc == 0 && d < s->n_disks; d++)
		chosen[d] = origin[chosen[d]];
out:
	free(some);
	free(origin);
	return rc;
}

int disks_open(const struct disk_found *found, unsigned flags, struct disk **out, struct error *err)
{
	int rc = disk_open_file(found->identity.path, flags, 0, out, err);

	if (rc < 0)
		return rc;
	/* Between listing and opening a disk may have been exchanged. */
	if ((*out)->size_bytes != found->size_bytes) {
		disk_close(*out);
		return error_set(err, -ERR_REFUSED, "%s changed its size while the job began", found->identity.path);
	}
	(*out)->identity = found->identity;
	return 0;
}
