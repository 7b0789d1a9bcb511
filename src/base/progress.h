/*
 * Progress as data: the engine fills it in and hands it to a callback; who prints or sends it is not
 * its business. Rates and time left are computed by progress_rate(), in one place for all programs.
 */
#ifndef G4L_BASE_PROGRESS_H
#define G4L_BASE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *phase;	/* "planning", "reading", "writing", "checking", "committing" …: static text */
	uint64_t done_bytes;	/* of this phase */
	uint64_t total_bytes;	/* of this phase; 0 when unknown */
	uint64_t new_bytes;	/* backup: plain bytes of chunks the store did not have */
	uint64_t stored_bytes;	/* backup: compressed bytes sent; restore: fetched */
	uint64_t skipped_bytes; /* restore: already in place */
	const char *region;	/* what is worked on, as "partition 2 (ntfs)"; may be NULL; valid during the call */
};

/* Called at most a few times a second, and at every change of phase, one call at a time, from any of
 * the engine's threads. Returns 0 to go on, or a negative code that ends the work with that code. */
typedef int progress_fn(void *arg, const struct progress *p);

/* Smoothed rate and time left. Zero-initialise; feed with every report. */
struct progress_meter {
	double started, last;
	uint64_t last_done;
	double rate; /* bytes a second */
	char phase[32];
};

/* Feeds a report in. now: clock_seconds(). */
void progress_meter_feed(struct progress_meter *m, const struct progress *p, double now);
/* Seconds left by the current rate, or a negative number when it cannot be told. */
double progress_meter_left(const struct progress_meter *m, const struct progress *p);
/* One line: "reading  1.2 of 4.0 GiB  30 %  95 MiB/s  0m 31s left". Returns to. */
char *progress_line(const struct progress_meter *m, const struct progress *p, char *to, size_t to_bytes);

#endif
