/*
 * The states of a job and which may follow which: data only. doc/JOBS.md says what each means, what limits it
 * and what leads out of it. The same table is written into the database, which refuses any other change.
 */
#ifndef G4L_SERVER_JOB_STATE_H
#define G4L_SERVER_JOB_STATE_H

#include <stdbool.h>
#include <stddef.h>

enum job_state {
	JOB_QUEUED,
	JOB_ARMING,
	JOB_WAKING,
	JOB_BOOTING,
	JOB_WORKING,
	JOB_VERIFYING,
	JOB_FINISHING,
	JOB_DONE,
	JOB_DEGRADED,
	JOB_FAILED,
	JOB_CANCELLED,
	JOB_STATES, /* how many there are */
};

enum job_kind { JOB_BACKUP, JOB_RESTORE, JOB_VERIFY, JOB_KINDS };

/* "queued" … Static storage; "?" for what is no state. */
const char *job_state_name(enum job_state s);
/* 0 or -EINVAL. */
int job_state_parse(const char *name, enum job_state *out);
const char *job_kind_name(enum job_kind k);
int job_kind_parse(const char *name, enum job_kind *out);

/* done, degraded, failed, cancelled: nothing follows. */
bool job_state_is_over(enum job_state s);
/* The host is armed, or shall be: arming, waking, booting. */
bool job_state_awaits_host(enum job_state s);
/* The agent has said hello and the job is not over: working, verifying, finishing. */
bool job_state_has_agent(enum job_state s);

/* May `to` follow `from`? local: the job runs inside g4ld and has no host to wake (verify of the store). */
bool job_state_may(bool local, enum job_state from, enum job_state to);

#endif
