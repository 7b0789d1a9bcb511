/* Which disks a job is about. Must never take "the first disk". */
#ifndef G4L_AGENT_DISKS_H
#define G4L_AGENT_DISKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "disk/disk.h"
#include "image/snapshot.h"

/* Image files in place of this machine's disks. The caller frees *list. 0, -ENOENT … with a sentence. */
int disks_of_files(char *const *paths, size_t n, struct disk_found **list, struct error *err);

/* "/dev/sda (Samsung 870, serial S5, 500 GiB), …" or "none". Returns to. */
char *disks_describe(const struct disk_found *found, size_t n, char *to, size_t to_bytes);

/* The disks of a backup: the one that `wanted` names by path, WWN or serial, or, when it is "", all that are neither
 * removable nor in use. chosen has room for n. 0; -ERR_REFUSED when `wanted` fits none or several, or is in use;
 * -ENODEV when there is none. The sentence lists what is there. */
int disks_choose_sources(const struct disk_found *found, size_t n, const char *wanted, size_t *chosen, size_t *n_chosen,
			 struct error *err);

/* The disk here for each of a snapshot's disks, by target_choose(): removable ones and those in use only when `wanted`
 * names them. chosen has room for the snapshot's disks. 0; -ERR_REFUSED: nothing was decided. */
int disks_choose_targets(const struct snapshot *s, const struct disk_found *found, size_t n, const char *wanted,
			 bool allow_single, size_t *chosen, struct error *err);

/* disk_open_file(), with what was found out about the disk as its identity. */
int disks_open(const struct disk_found *found, unsigned flags, struct disk **out, struct error *err);

#endif
