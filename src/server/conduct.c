/*
 * What each job needs next: start it, wake its host again, see its limits. doc/JOBS.md is the table of these rules.
 * Limits run on the monotonic clock; after a restart of g4ld they go on from the wall clock's times in the database.
 */
#include "server/conduct.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "server/arming.h"
#include "server/boot_image.h"
#include "server/conductor.h"
#include "server/worker.h"

#define LOCAL_MAX_RESTARTS 3
#define TOKENS_KEPT_SECONDS (7 * 86400)

/* How long ago something of the wall clock was, in the range that makes sense for a limit. */
static uint64_t ago_ms(int64_t since, uint64_t limit_s)
{
	int64_t gone = clock_unix() - since;

	if (gone < 0)
		gone = 0;
	if ((uint64_t)gone > limit_s)
		gone = (int64_t)limit_s;
	return (uint64_t)gone * 1000;
}

static void fail(struct server *s, const struct job *j, enum exit_code code, const char *sentence)
{
	conductor_end_from(s, j->id, j->state, JOB_FAILED, code, sentence);
}

static bool uses_boot_image(const struct server *s)
{
	return strcmp(s->config.netboot, "builtin") == 0;
}

/* Arms the host of a job in `arming` and moves on. Also after a restart in the middle of it. */
static void arm(struct server *s, const struct job *j)
{
	struct boot_image image;
	struct error err = {0};
	int r = 0;

	if (uses_boot_image(s))
		r = boot_image_load(s->config.boot_dir, &image, &err);
	if (r == 0)
		r = arming_arm(s, j, &err);
	if (r < 0) {
		error_prefix(&err, "%s cannot be armed", j->host);
		fail(s, j, error_exit_code(r), err.text);
		return;
	}
	r = jobs_move(s->db, j->id, JOB_ARMING, JOB_WAKING, NULL, &err);
	/* Somebody ended it, or its agent said hello, while this armed it: their disarming may have come too early. */
	if (r == -ESTALE)
		arming_undo(s, j->id);
	else if (r < 0)
		log_error("job %lld: %s", (long long)j->id, err.text);
	server_changed(s);
}

static void start(struct server *s, const struct job *j)
{
	struct error err = {0};
	int r;

	r = jobs_move(s->db, j->id, JOB_QUEUED, j->local ? JOB_WORKING : JOB_ARMING, NULL, &err);
	if (r == -EEXIST || r == -ESTALE)
		return; /* its host is busy: its turn comes */
	if (r < 0)
		log_error("job %lld cannot be started: %s", (long long)j->id, err.text);
	else
		conductor_kick(s);
}

static void wake(struct server *s, const struct job *j, struct live *v)
{
	uint64_t now = clock_ms();
	struct error err = {0};

	if (v->woken_ms && now - v->woken_ms < s->config.wake_interval_s * 1000)
		return;
	v->woken_ms = now;
	if (strcmp(s->config.netboot, "none") == 0)
		return;
	if (arming_wake(s, j, &err) < 0)
		jobs_log(s->db, j->id, clock_unix(), LOG_LEVEL_WARNING, "server", "no magic packet could be sent: %s",
			 err.text);
	else
		jobs_log(s->db, j->id, clock_unix(), LOG_LEVEL_INFO, "server", "magic packet sent");
}

/* waking and booting: the host has until boot_timeout after its arming. */
static void await_host(struct server *s, const struct job *j, struct live *v)
{
	char limit[TEXT_SIZE_BYTES], text[500];

	if (clock_ms() - v->limit_from_ms >= s->config.boot_timeout_s * 1000) {
		text_duration((double)s->config.boot_timeout_s, limit);
		if (j->state == JOB_WAKING)
			snprintf(text, sizeof text,
				 "%s did not boot from the network within %s: is it connected, is Wake-on-LAN switched "
				 "on in"
				 " its firmware, and does it boot from the network first? A PC that was running "
				 "already does not"
				 " wake up: switch it off or restart it",
				 j->host, limit);
		else
			snprintf(text, sizeof text,
				 "%s began to boot, but its agent did not report within %s: g4l log %lld shows how far "
				 "it came",
				 j->host, limit, (long long)j->id);
		fail(s, j, EXIT_CODE_UNREACHABLE, text);
		return;
	}
	if (j->state == JOB_WAKING)
		wake(s, j, v);
}

/* working, verifying and finishing of a job with a host. */
static void watch_agent(struct server *s, const struct job *j, struct live *v)
{
	uint64_t now = clock_ms();
	char limit[TEXT_SIZE_BYTES], text[400];

	if (j->cancelling && !v->cancel_ms)
		v->cancel_ms = now;
	if (j->cancelling && now - v->cancel_ms >= s->config.cancel_timeout_s * 1000) {
		conductor_end_from(s, j->id, j->state, JOB_CANCELLED, EXIT_CODE_INTERRUPTED,
				   "cancelled; its agent did not say that it ended: look after the host");
		return;
	}
	if (j->state == JOB_VERIFYING && !atomic_load(&v->worker))
		worker_start(s, j->id, v);
	if (atomic_load(&v->requests) || atomic_load(&v->worker)) {
		atomic_store(&v->heard_ms, now);
		return;
	}
	if (now - atomic_load(&v->heard_ms) < s->config.agent_silence_s * 1000)
		return;
	text_duration((double)s->config.agent_silence_s, limit);
	if (j->state == JOB_FINISHING && j->committed) {
		snprintf(text, sizeof text,
			 "the snapshot is committed and checked, but the agent of %s fell silent before it took its "
			 "leave:"
			 " look whether it is switched off",
			 j->host);
		conductor_end_from(s, j->id, JOB_FINISHING, JOB_DEGRADED, EXIT_CODE_DEGRADED, text);
		return;
	}
	snprintf(text, sizeof text,
		 "the agent of %s was silent for %s while it was %s: its power, network or server connection"
		 " was lost; g4l log %lld shows its last lines",
		 j->host, limit, j->phase[0] ? j->phase : "at work", (long long)j->id);
	fail(s, j, EXIT_CODE_FAILED, text);
}

static void watch_local(struct server *s, const struct job *j, struct live *v)
{
	if (j->cancelling)
		conductor_end_from(s, j->id, j->state, JOB_CANCELLED, EXIT_CODE_INTERRUPTED, "cancelled");
	else if (atomic_load(&v->worker))
		return;
	else if (j->state == JOB_WORKING)
		worker_start(s, j->id, v);
	else /* finishing: all was read and found whole, and then g4ld ended before it could say so */
		conductor_end_from(s, j->id, JOB_FINISHING, JOB_DONE, EXIT_CODE_DONE, "");
}

/* g4ld ended between the wish to cancel a job and its end, before any agent was there to be asked. */
static bool end_cancelled(struct server *s, const struct job *j)
{
	if (!j->cancelling || !(j->state == JOB_QUEUED || job_state_awaits_host(j->state)))
		return false;
	conductor_end_from(s, j->id, j->state, JOB_CANCELLED, EXIT_CODE_INTERRUPTED, "cancelled");
	return true;
}

/* A job that runs. It is looked at again with its live part in hand: since the list was read it may have ended, and a
 * live part that was made for a job that is over would never go away. */
static void conduct_running(struct server *s, int64_t id)
{
	struct live *v = live_get(&s->lives, id);
	struct job j = {0};

	if (!v)
		return;
	if (jobs_get(s->db, id, &j, NULL) == 0) {
		if (job_state_is_over(j.state))
			live_end(&s->lives, id);
		else if (j.local)
			watch_local(s, &j, v);
		else if (job_state_awaits_host(j.state))
			await_host(s, &j, v);
		else
			watch_agent(s, &j, v);
	}
	job_clear(&j);
	live_release(&s->lives, v);
}

static void conduct_job(struct server *s, const struct job *j, size_t *running)
{
	if (end_cancelled(s, j))
		return;
	if (j->state == JOB_QUEUED) {
		if (*running >= s->config.parallel_jobs)
			return;
		(*running)++;
		start(s, j);
	} else if (j->state == JOB_ARMING) {
		arm(s, j);
	} else {
		conduct_running(s, j->id);
	}
}

/* True when an older job of the same host, or a younger one that runs already, comes first. */
static bool host_is_taken(const struct job *list, size_t n, size_t at)
{
	for (size_t i = 0; i < n; i++)
		if (i != at && !list[i].local && strcmp(list[i].host, list[at].host) == 0 &&
		    (i < at || list[i].state != JOB_QUEUED))
			return true;
	return false;
}

void conduct_jobs(struct server *s)
{
	struct jobs_filter filter = {.active_only = true, .oldest_first = true};
	struct job *list = NULL;
	struct error err = {0};
	size_t n = 0, running = 0;

	if (jobs_list(s->db, &filter, &list, &n, &err) < 0) {
		log_error("%s", err.text);
		return;
	}
	for (size_t i = 0; i < n; i++)
		running += list[i].state != JOB_QUEUED;
	for (size_t i = 0; i < n && !atomic_load(&s->stopping); i++) {
		if (list[i].state == JOB_QUEUED && !list[i].local && host_is_taken(list, n, i))
			continue;
		conduct_job(s, &list[i], &running);
	}
	jobs_free(list, n);
}

/* One job of an earlier run. */
static void recover_job(struct server *s, const struct job *j)
{
	struct error err = {0};
	struct live *v;

	if (j->local && j->state == JOB_WORKING) {
		if (j->restarts >= LOCAL_MAX_RESTARTS)
			fail(s, j, EXIT_CODE_FAILED, "g4ld ended in the middle of it, again and again");
		else
			jobs_move(s->db, j->id, JOB_WORKING, JOB_QUEUED, NULL, &err);
		return;
	}
	if (j->state == JOB_QUEUED || end_cancelled(s, j))
		return;
	v = live_get(&s->lives, j->id);
	if (v)
		v->limit_from_ms = clock_ms() - ago_ms(j->armed, s->config.boot_timeout_s);
	live_release(&s->lives, v);
	if (!job_state_awaits_host(j->state)) {
		arming_disarm(s, j->id);
		return;
	}
	/* arming is done by the conductor's first round. */
	if (j->state != JOB_ARMING && arming_arm(s, j, &err) < 0) {
		error_prefix(&err, "%s cannot be armed again", j->host);
		fail(s, j, EXIT_CODE_FAILED, err.text);
		return;
	}
	jobs_log(s->db, j->id, clock_unix(), LOG_LEVEL_INFO, "server", "g4ld was restarted; the job goes on");
}

int conductor_recover(struct server *s, struct error *err)
{
	struct jobs_filter filter = {.active_only = true, .oldest_first = true};
	struct job *list = NULL;
	size_t n = 0;
	int r = netboot_recover(s->netboot, err);

	if (r < 0)
		return r;
	/* seq was perhaps seen larger than it was kept. */
	r = db_run(s->db, err,
		   "UPDATE jobs SET seq=seq+1000000 WHERE state NOT IN ('done','degraded','failed','cancelled')", NULL);
	if (r >= 0)
		r = db_run(s->db, err,
			   "UPDATE armings SET token='' WHERE job IN (SELECT id FROM jobs WHERE state NOT IN"
			   " ('arming','waking','booting'))",
			   NULL);
	/* Tokens of jobs that were over long ago: nobody repeats their requests any more. */
	if (r >= 0)
		r = db_run(s->db, err,
			   "DELETE FROM sessions WHERE job IN (SELECT id FROM jobs WHERE ended<>0 AND ended<?)", "i",
			   clock_unix() - TOKENS_KEPT_SECONDS);
	if (r >= 0)
		r = db_run(s->db, err,
			   "DELETE FROM armings WHERE job IN (SELECT id FROM jobs WHERE ended<>0 AND ended<?)", "i",
			   clock_unix() - TOKENS_KEPT_SECONDS);
	if (r >= 0)
		r = jobs_list(s->db, &filter, &list, &n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		recover_job(s, &list[i]);
	jobs_free(list, n);
	return 0;
}
