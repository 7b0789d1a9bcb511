/*
 * Reading the used bytes of a disk in disk order, a window at a time, packed into memory without gaps. Many workers,
 * one reader: the calls are made one at a time, so the disk sees one stream.
 */
#ifndef G4L_ENGINE_READER_H
#define G4L_ENGINE_READER_H

#include "engine/batch.h"
#include "engine/crew.h"

/* What has been read of one region in one window. */
struct reader_part {
	const struct plan_region *region;
	size_t first_run, n_runs;
};
/* One window's memory; one a worker. Zero-initialise, then reader_window_init(). */
struct reader_window {
	unsigned disk;	 /* index */
	uint64_t window; /* number */
	uint8_t *bytes;	 /* RECIPE_WINDOW_BYTES */
	uint64_t used;
	struct batch_run *runs;
	size_t n_runs, runs_cap;
	struct reader_part *parts;
	size_t n_parts, parts_cap;
};
int reader_window_init(struct reader_window *w);
void reader_window_free(struct reader_window *w);

struct reader {
	pthread_mutex_t ticket;
	struct crew *crew;
	struct disk **disks;
	const struct plan *plans;
	size_t n_disks;
	/* Where reading stands. */
	size_t disk, region, extent;
	uint64_t done; /* of the extent */
};
void reader_init(struct reader *r, struct crew *crew, struct disk **disks, const struct plan *plans, size_t n_disks);
void reader_end(struct reader *r);

/* Reads the next window that has used bytes. 1: read; 0: there are no more; negative: failed, err names disk and
 * offset. */
int reader_next(struct reader *r, struct reader_window *w, struct error *err);

#endif
