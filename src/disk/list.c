/*
 * The whole disks of this machine, by /sys/block. Made-up devices (loop, RAM, device mapper, md) are left
 * out: what they hold lies on a disk that is listed. Nothing is opened here, so nothing can be disturbed.
 */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "disk/identity.h"

#define SYS_SECTOR_BYTES 512 /* the unit of /sys/block/X/size, whatever the disk's own sectors are */

static const char *const skipped_prefixes[] = {"loop", "ram",	   "zram", "sr",   "fd",     "dm-", "md",
					       "nbd",  "mtdblock", "zd",   "drbd", "bcache", "scd"};

/* "fd0" is a floppy drive, "fdisk" would be none: what follows the prefix must be a number. */
static bool is_skipped(const char *name)
{
	for (size_t i = 0; i < sizeof skipped_prefixes / sizeof *skipped_prefixes; i++) {
		size_t n = strlen(skipped_prefixes[i]);

		if (!strncmp(name, skipped_prefixes[i], n) && isdigit((unsigned char)name[n]))
			return true;
	}
	/* An eMMC's boot and RPMB areas are no place for an operating system. */
	return !strncmp(name, "mmcblk", 6) && (strstr(name, "boot") || strstr(name, "rpmb"));
}

static bool folder_has_entries(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	bool any = false;

	while (dir && (e = readdir(dir)))
		any |= e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return any;
}

/* What the running system uses: the texts of /proc/self/mountinfo and /proc/swaps. */
struct usage {
	struct buf mounts, swaps;
};

/* True when the text holds word between blanks or at a line's edge. */
static bool has_word(const struct buf *text, const char *word)
{
	const char *at = (const char *)text->data, *end = at + text->len;
	size_t n = strlen(word);

	while (at && end - at >= (ptrdiff_t)n) {
		const char *hit = memmem(at, (size_t)(end - at), word, n);

		if (!hit)
			return false;
		if ((hit == (const char *)text->data || isspace((unsigned char)hit[-1])) &&
		    (hit + n == end || isspace((unsigned char)hit[n])))
			return true;
		at = hit + 1;
	}
	return false;
}

/* A disk or partition at dir is in use: held by another device, mounted by number or by name, or swapped to. */
static bool node_in_use(const char *dir, const char *name, const struct usage *u)
{
	char path[PATH_MAX], text[NAME_MAX + 8];

	snprintf(path, sizeof path, "%s/holders", dir);
	if (folder_has_entries(path))
		return true;
	snprintf(path, sizeof path, "%s/dev", dir);
	if (identity_text(path, text, sizeof text) && has_word(&u->mounts, text))
		return true;
	snprintf(text, sizeof text, "/dev/%s", name);
	return has_word(&u->mounts, text) || has_word(&u->swaps, text);
}

static bool disk_in_use(const char *dir, const char *name, const struct usage *u)
{
	DIR *parts;
	const struct dirent *e;
	bool used = node_in_use(dir, name, u);

	parts = opendir(dir);
	while (parts && !used && (e = readdir(parts))) {
		char path[PATH_MAX];

		snprintf(path, sizeof path, "%s/%s/partition", dir, e->d_name);
		if (e->d_name[0] == '.' || !identity_number(path, 0))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		used = node_in_use(path, e->d_name, u);
	}
	if (parts)
		closedir(parts);
	return used;
}

/* 1: a disk, *f is filled in; 0: none of ours. */
static int look_at(const char *root, const char *name, const struct usage *u, struct disk_found *f)
{
	char dir[PATH_MAX - 64], path[PATH_MAX];
	uint64_t sectors;

	memset(f, 0, sizeof *f);
	if (is_skipped(name) || (size_t)snprintf(dir, sizeof dir, "%s/sys/block/%s", root, name) >= sizeof dir)
		return 0;
	snprintf(path, sizeof path, "%s/hidden", dir);
	if (identity_number(path, 0))
		return 0; /* one path of a multipath device, which is listed under its own name */
	snprintf(path, sizeof path, "%s/size", dir);
	sectors = identity_number(path, 0);
	if (!sectors || sectors > UINT64_MAX / SYS_SECTOR_BYTES)
		return 0;
	f->size_bytes = sectors * SYS_SECTOR_BYTES;
	snprintf(path, sizeof path, "%s/queue/logical_block_size", dir);
	f->sector_bytes = (uint32_t)identity_number(path, SYS_SECTOR_BYTES);
	snprintf(path, sizeof path, "%s/removable", dir);
	f->removable = identity_number(path, 0) != 0;
	f->boot_medium = disk_in_use(dir, name, u);
	snprintf(f->identity.path, sizeof f->identity.path, "/dev/%s", name);
	/* The kernel writes the slash in names such as cciss/c0d0 as an exclamation mark. */
	for (char *c = f->identity.path; *c; c++)
		if (*c == '!')
			*c = '/';
	identity_read(dir, name, &f->identity);
	return 1;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct disk_found *)a)->identity.path, ((const struct disk_found *)b)->identity.path);
}

static void usage_read(const char *root, struct usage *u)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
	io_read_file(path, 16u << 20, &u->mounts, NULL);
	snprintf(path, sizeof path, "%s/proc/swaps", root);
	io_read_file(path, 1u << 20, &u->swaps, NULL);
}

int disk_list(const char *root, struct disk_found **list, size_t *n, struct error *err)
{
	char path[PATH_MAX];
	struct usage u = {0};
	struct disk_found *grown, f;
	const struct dirent *e;
	size_t cap = 0;
	int rc = 0;
	DIR *dir;

	*list = NULL;
	*n = 0;
	snprintf(path, sizeof path, "%s/sys/block", root);
	dir = opendir(path);
	if (!dir)
		return error_errno(err, errno, "cannot list the disks in %s", path);
	usage_read(root, &u);
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || !look_at(root, e->d_name, &u, &f))
			continue;
		if (*n == cap) {
			cap = cap ? 2 * cap : 8;
			grown = realloc(*list, cap * sizeof f);
			if (!grown) {
				rc = error_set(err, -ENOMEM, "no memory for a list of %zu disks", cap);
				break;
			}
			*list = grown;
		}
		(*list)[(*n)++] = f;
	}
	closedir(dir);
	buf_free(&u.mounts);
	buf_free(&u.swaps);
	if (rc < 0) {
		free(*list);
		*list = NULL;
		*n = 0;
	} else if (*n) {
		qsort(*list, *n, sizeof f, by_path);
	}
	return rc;
}
