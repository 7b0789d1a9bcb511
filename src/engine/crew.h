/*
 * What the workers of one piece of work share: the first error, the wish to stop, and the progress that is reported.
 */
#ifndef G4L_ENGINE_CREW_H
#define G4L_ENGINE_CREW_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/engine.h"

struct crew {
	const struct engine_options *options;
	pthread_mutex_t lock; /* the error */
	int rc;
	struct error err;
	atomic_bool stop;
	pthread_mutex_t report_lock; /* reports come one at a time */
	_Atomic uint64_t next_report_ms;
	const char *phase;
	char region[64];
	uint64_t total_bytes;
	_Atomic uint64_t done_bytes, new_bytes, stored_bytes, skipped_bytes;
};

void crew_init(struct crew *c, const struct engine_options *options);
/* Ends the crew; gives the first error to err. 0 when there was none. */
int crew_end(struct crew *c, struct error *err);

/* Remembers a failure (the first one wins) and makes everyone stop. Returns rc. */
int crew_fail(struct crew *c, int rc, const struct error *err);
static inline bool crew_stopped(const struct crew *c)
{
	return atomic_load_explicit(&c->stop, memory_order_relaxed);
}

/* Begins a phase and reports it. From one thread, while no worker runs. 0, or the callback's wish to end. */
int crew_phase(struct crew *c, const char *phase, uint64_t total_bytes);
/* Reports if it is time. Returns 0, or the negative code with which the crew is to stop (also after a failure
 * elsewhere). */
int crew_report(struct crew *c);
/* What is being worked on, shown in the next reports. */
void crew_set_region(struct crew *c, const char *region);

/* Calls fn on `threads` threads with numbers from 0 and waits for all. A negative return is a failure of the crew.
 * 0, or the crew's first failure. */
typedef int crew_fn(void *arg, unsigned worker, struct error *err);
int crew_run(struct crew *c, unsigned threads, crew_fn *fn, void *arg);

/* How many workers: options->threads or one a processor and `more`, at least 2, but no more than fit into the memory.
 */
unsigned crew_threads(const struct engine_options *options, unsigned more, uint64_t bytes_per_worker);

/* Memory that is used over and over: pages of its own, large where the system can. NULL when memory is out. */
void *crew_buffer_new(size_t bytes);
void crew_buffer_free(void *p, size_t bytes);

#endif
