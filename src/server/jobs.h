/*
 * Jobs as rows of the state database: making them, moving them through their states, and what is kept with them.
 * Every move is one transaction together with its line in the job's log; nothing here touches the network or the store.
 */
#ifndef G4L_SERVER_JOBS_H
#define G4L_SERVER_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "image/snapshot.h"
#include "server/db.h"
#include "server/job_state.h"

struct job {
	int64_t id, seq;
	char host[64];
	enum job_kind kind;
	bool local; /* runs inside g4ld, no host is woken */
	enum job_state state;
	int64_t state_since;
	char origin[64];		  /* whose snapshot: the host itself, or `from` */
	char snapshot[SNAPSHOT_ID_BYTES]; /* what is restored or verified, or what was committed; "" */
	char disk[256];			  /* wanted target, "" */
	char tags[2048];		  /* JSON array */
	bool full;
	int64_t created, armed, started, ended; /* unix seconds, 0: not yet */
	int64_t cancelling;			/* unix seconds since somebody asked to cancel it, 0 */
	bool committed, degraded;		/* of a backup */
	unsigned restarts;			/* of a local job */
	char boot_nonce[33];			/* of the agent that said hello */
	char phase[32], region[128];
	uint64_t done_bytes, total_bytes, new_bytes, stored_bytes, skipped_bytes;
	double rate, left_seconds; /* left_seconds < 0: not known */
	char error[1000];
	int code;    /* exit code of the client, once it is over */
	char *stats; /* JSON object */
};

void job_clear(struct job *j);

/* Inserts a queued job from the request's fields (host, kind, local, origin, snapshot, disk, tags, full). */
int jobs_create(struct db *db, const struct job *request, int64_t *id, struct error *err);
/* 0; -ENOENT. job_clear() after success. */
int jobs_get(struct db *db, int64_t id, struct job *out, struct error *err);
/* host NULL: all. over: also those that ended. Newest first, at most limit; oldest_first turns it round.
 * job_clear() each, then free(*list). */
struct jobs_filter {
	const char *host;
	bool active_only, oldest_first;
	unsigned limit;
};
int jobs_list(struct db *db, const struct jobs_filter *filter, struct job **list, size_t *n, struct error *err);
void jobs_free(struct job *list, size_t n);

/*
 * Moves a job from one state to another, with a line in its log, in one durable transaction. end: NULL, or what is
 * recorded when the job ends. 0; -ESTALE: the job is not in `from` (any more), nothing was changed; -EPERM: such a
 * change is illegal; -EEXIST: the host has another active job.
 */
struct job_end {
	int code;	   /* exit code */
	const char *error; /* "" or NULL: none */
};
int jobs_move(struct db *db, int64_t id, enum job_state from, enum job_state to, const struct job_end *end,
	      struct error *err);

/* Asks for the end of a job: sets `cancelling` if it is not set. 0. */
int jobs_want_cancel(struct db *db, int64_t id, struct error *err);
/* A backup's snapshot was committed: notes it and moves the job from working to verifying, in one transaction. -EEXIST:
 * one was noted before; -ESTALE: it is not working. */
int jobs_committed(struct db *db, int64_t id, const char *snapshot, bool degraded, struct error *err);
int jobs_set_stats(struct db *db, int64_t id, const char *stats, bool degraded, struct error *err);
int jobs_set_progress(struct db *db, const struct job *j, struct error *err);

/* Adds a line; source: "server", "agent", "boot". Also goes to g4ld's own log when source is not "agent". Never fails:
 * what cannot be kept is at least in g4ld's log. Of the agent's lines no more are kept once a job's log
 * has JOBS_MAX_LOG_LINES. */
#define JOBS_MAX_LOG_LINES 20000
void jobs_log(struct db *db, int64_t id, int64_t time, enum log_level level, const char *source, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* Keeps the host's screen if it changed; the last JOBS_MAX_SCREENS of a host, and the last of each failed job. */
#define JOBS_MAX_SCREENS 20
void jobs_screen(struct db *db, const struct job *j, const char *text);

/* ---- tokens ---- */

/* What an armed NIC of a job's host boots with. The token is kept in plain only while the host is armed. */
struct arming {
	char mac[18];
	int64_t job;
	char nonce[33];
	char token[65]; /* "" once disarmed */
};
/* Makes the armings of a job, one a MAC, with one token. A job that is armed keeps what it has. */
int jobs_make_armings(struct db *db, int64_t id, const char (*macs)[18], size_t n, struct error *err);
/* Gives up to max armings of a job that is armed; returns how many or negative. */
int jobs_armings(struct db *db, int64_t id, struct arming *out, size_t max, struct error *err);
/* Every MAC that was ever armed for a job, also when its token is forgotten. Returns how many or negative. */
int jobs_armed_macs(struct db *db, int64_t id, char (*macs)[18], size_t max, struct error *err);
/* The arming of a boot nonce, only while it is armed. 0; -ENOENT. */
int jobs_arming_of_nonce(struct db *db, const char *nonce, struct arming *out);
/* The MAC's armed job, or 0. */
int64_t jobs_armed_for_mac(struct db *db, const char *mac);
/* Forgets the plain tokens of a job. */
int jobs_disarmed(struct db *db, int64_t id, struct error *err);
/* The job whose boot token this is, or 0. */
int64_t jobs_of_boot_token(struct db *db, const struct hash *token);
/* Spends the boot token for the agent with this nonce and makes a session. 0; -EACCES: spent by another boot. */
int jobs_open_session(struct db *db, int64_t id, const char *boot_nonce, const struct hash *session, struct error *err);
/* The job of a session, or 0. */
int64_t jobs_of_session(struct db *db, const struct hash *session);

void db_audit(struct db *db, const char *who, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
