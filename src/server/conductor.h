/*
 * The conductor: one thread that moves every job along. It arms and wakes hosts, watches the limits of doc/JOBS.md,
 * starts workers, and disarms. Requests of agents and admins change jobs through the functions here too.
 */
#ifndef G4L_SERVER_CONDUCTOR_H
#define G4L_SERVER_CONDUCTOR_H

#include "server/jobs.h"
#include "server/server.h"

/* Brings the jobs that an earlier run left behind into order: forgets every arming, arms again those whose host is
 * still awaited, puts interrupted local jobs back into the queue. Before conductor_start(). 0 or negative. */
int conductor_recover(struct server *s, struct error *err);

/* Starts the thread. conductor_stop() ends it, and the workers; local jobs go back into the queue. */
int conductor_start(struct server *s, struct error *err);
void conductor_stop(struct server *s);
/* Have the conductor look at the jobs now. Any thread. */
void conductor_kick(struct server *s);

/* Ends a job in whatever state it is: disarms its host, moves it to failed or cancelled, closes its sink. A job that is
 * over is left as it is. code: exit code. 0 or negative. */
int conductor_end(struct server *s, int64_t job, enum job_state to, int code, const char *error);
/* The same only if the job is still in `from`; -ESTALE else. Also for done and degraded (from finishing). */
int conductor_end_from(struct server *s, int64_t job, enum job_state from, enum job_state to, int code,
		       const char *error);

/* Somebody asks for the end of a job. 0; -ENOENT; -ESTALE: it is over. */
int conductor_cancel(struct server *s, int64_t job, const char *who, struct error *err);

/* The agent of a job has said hello: moves it to working and disarms the host. 0; -ESTALE. */
int conductor_hello(struct server *s, int64_t job, struct error *err);

/* The host has fetched something of its boot files. */
void conductor_boot_step(struct server *s, int64_t job, const char *text);

#endif
