/*
 * The engine: plan, backup, restore, verify. It does not know whether its sink or source is a store on this machine or
 * the server over the wire. It never prints and never exits.
 */
#ifndef G4L_ENGINE_ENGINE_H
#define G4L_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/extent.h"
#include "base/progress.h"
#include "disk/disk.h"
#include "image/chunk_io.h"
#include "image/snapshot.h"
#include "layout/layout.h"

/* What of a disk will be read, and why. */
struct plan_region {
	struct region region; /* where and whose, as the layout says */
	char kind[32];	      /* as snapshot_region.kind */
	bool used_only;	      /* false: copied raw (without its zero blocks) */
	bool skipped;	      /* a large gap that belongs to nobody: nothing is read */
	bool degraded;	      /* could not be judged and is raw for that reason */
	char note[400];
	uint32_t cluster_bytes;	 /* where cuts may fall; 4096 for raw regions */
	uint64_t cluster_origin; /* a disk offset at which a cluster begins */
	struct extents extents;	 /* bytes from the start of the disk, ascending, merged */
	uint64_t used_bytes, metadata_bytes;
};
struct plan {
	struct layout layout;
	struct plan_region *regions; /* in order of the disk */
	size_t n;
	uint64_t used_bytes, metadata_bytes;
	bool degraded;
};
/* Reads layout and file systems. 0; -errno of a disk that cannot be read. plan_free() after success. */
int plan_make(struct disk *d, struct plan *out, struct error *err);
void plan_free(struct plan *p);

struct engine_options {
	unsigned threads;      /* 0: one a processor, at least 2 */
	uint64_t memory_bytes; /* upper bound for buffers; 0: 256 MiB */
	int zstd_level;	       /* 0: 1 */
	progress_fn *progress; /* may be NULL */
	void *progress_arg;
};

/* Backs up one or more disks into one snapshot of `host` and commits it.
 * snapshot: host, time, tags and facts are set by the caller; the rest is filled in. dry_run: nothing is put or
 * committed, `have` is still asked (sink may be NULL then: everything counts as new). 0: committed (look at
 * snapshot->degraded); negative: nothing was committed. */
int backup_run(struct disk **disks, size_t n_disks, struct chunk_sink *sink, struct snapshot *snapshot, bool dry_run,
	       const struct engine_options *options, struct error *err);

struct restore_result {
	uint64_t written_bytes, skipped_bytes, fetched_bytes, read_bytes;
	double seconds;
};
struct restore_options {
	struct engine_options engine;
	bool full;	   /* write everything, also what is in place */
	bool no_read_back; /* do not read back and compare what was written */
};
/* Writes disk number `index` of a snapshot onto target, which must be at least as large and have the same sector size
 * (else -ERR_REFUSED, before anything is written). GPT: when the target is larger, the backup header is moved to its
 * end. All that is written is read back and compared. 0; -ERR_DAMAGED when the store's bytes are wrong or the target
 * does not hold what was written; … */
int restore_run(struct chunk_source *source, const struct snapshot *snapshot, size_t index, struct disk *target,
		const struct restore_options *options, struct restore_result *result, struct error *err);

struct verify_result {
	uint64_t chunks, plain_bytes, fetched_bytes;
	uint64_t different_bytes;  /* against a disk: bytes of extents that differ */
	uint64_t first_difference; /* disk offset; UINT64_MAX: none */
	double seconds;
};
/* Reads every chunk that a snapshot needs and checks it; with `against`, compares disk `index` with what the recipe
 * says. 0; -ERR_DAMAGED (the store); -EILSEQ (the disk differs, figures in result). */
int verify_run(struct chunk_source *source, const struct snapshot *snapshot, size_t index, struct disk *against,
	       const struct engine_options *options, struct verify_result *result, struct error *err);

/* Chooses the target disk of a restore among those found, by the identity recorded in the snapshot: WWN, then serial,
 * with size ≥; wanted: a path, WWN or serial that the user gave, or NULL. Without any match, the only disk that is
 * there, if it is large enough, is taken only when `allow_single`. 0 and *chosen; -ERR_REFUSED with a sentence that
 * lists what is there. */
int target_choose(const struct snapshot_disk *source, const struct disk_found *found, size_t n, const char *wanted,
		  bool allow_single, size_t *chosen, struct error *err);

#endif
