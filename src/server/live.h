/*
 * What g4ld holds in memory for a job that runs: its sink or source, when its agent was last heard, its rate. It can be
 * lost at any moment: the state database is what counts.
 */
#ifndef G4L_SERVER_LIVE_H
#define G4L_SERVER_LIVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/progress.h"
#include "image/chunk_io.h"
#include "server/recipe_walk.h"
#include "store/store.h"

struct live {
	struct live *next;
	int64_t job;
	unsigned users;		   /* under lives.lock */
	atomic_bool ended;	   /* the job is over: nothing new is begun, work in hand stops soon */
	_Atomic uint64_t heard_ms; /* clock_ms() of the last request of its agent */
	_Atomic unsigned requests; /* of its agent, being answered now */
	uint64_t limit_from_ms;	   /* conductor: when the boot limit began to run */
	uint64_t woken_ms;	   /* conductor: the last magic packet, 0: none yet */
	uint64_t cancel_ms;	   /* conductor: when the cancelling was first seen, 0 */
	atomic_bool worker;	   /* a worker thread has it */
	atomic_bool allowed_known;
	struct hash_list allowed; /* what a restore or verify may read; does not change once it is known */

	pthread_mutex_t once_lock; /* one commit at a time; and `allowed` is worked out once */
	pthread_mutex_t lock;	   /* for what follows */
	struct chunk_sink *sink;
	struct chunk_source *source;
	bool whole_history; /* `put` has every chunk that the agent ever sent for this job */
	struct hash_list put;
	struct progress_meter meter;
	uint64_t last_screen_ms;
};

struct lives {
	pthread_mutex_t lock;
	struct live *first;
};

void lives_init(struct lives *l);
/* The job's live part, made when there is none; NULL when memory is out. live_release() it. */
struct live *live_get(struct lives *l, int64_t job);
void live_release(struct lives *l, struct live *v);
/* The job is over: its sink and source are closed as soon as nobody uses them. */
void live_end(struct lives *l, int64_t job);
/* As live_end() for all; waits until nobody uses any, at most ms milliseconds. true: all are gone. */
bool lives_end_all(struct lives *l, uint64_t ms);

/* The job's sink or source, opened at the first call. They live as long as the caller holds the live part. */
int live_sink(struct live *v, struct store *store, struct chunk_sink **out, struct error *err);
int live_source(struct live *v, struct store *store, struct chunk_source **out, struct error *err);

#endif
