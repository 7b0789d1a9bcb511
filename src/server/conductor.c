/* The conductor's thread, and what requests may ask of it. Starting and limits of single jobs are in conduct.c. */
#include "server/conductor.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/arming.h"
#include "server/conduct.h"
#include "server/worker.h"

#define TICK_MS 500

struct conductor {
	struct server *server;
	pthread_t thread;
	int kick; /* eventfd */
};

void conductor_kick(struct server *s)
{
	uint64_t one = 1;

	server_changed(s);
	if (s->conductor && write(s->conductor->kick, &one, sizeof one) < 0)
		log_debug("the conductor is being kicked already");
}

/* A backup that ends badly after its commit leaves its snapshot in the store: whoever reads the end must know. */
static const char *with_snapshot(struct server *s, int64_t job, const char *error, char *to, size_t to_bytes)
{
	struct job j;

	if (jobs_get(s->db, job, &j, NULL) < 0)
		return error;
	if (j.committed)
		snprintf(to, to_bytes, "%.850s (the snapshot %.12s was committed before and stays in the store)", error,
			 j.snapshot);
	if (j.committed)
		error = to;
	job_clear(&j);
	return error;
}

int conductor_end_from(struct server *s, int64_t job, enum job_state from, enum job_state to, int code,
		       const char *error)
{
	char text[1000];
	struct job_end end = {.code = code, .error = error};
	struct error err = {0};
	int r;

	if (to == JOB_FAILED || to == JOB_CANCELLED)
		end.error = with_snapshot(s, job, error, text, sizeof text);

	/* First the disk back to the host: an arming that outlives its job is worse than a job without an arming, which
	 * is armed again if this ends here. */
	arming_disarm(s, job);
	r = jobs_move(s->db, job, from, to, &end, &err);
	if (r == 0)
		live_end(&s->lives, job);
	else if (r != -ESTALE)
		log_error("job %lld cannot be ended: %s", (long long)job, err.text);
	/* Not when it failed: the conductor tries again at its next round, and would turn without a pause. */
	if (r == 0)
		conductor_kick(s);
	return r;
}

int conductor_end(struct server *s, int64_t job, enum job_state to, int code, const char *error)
{
	int r;

	do {
		struct job j;

		r = jobs_get(s->db, job, &j, NULL);
		if (r < 0)
			return r;
		if (!job_state_is_over(j.state))
			r = conductor_end_from(s, job, j.state, to, code, error);
		job_clear(&j);
	} while (r == -ESTALE);
	return r;
}

int conductor_cancel(struct server *s, int64_t job, const char *who, struct error *err)
{
	struct job j;
	char text[200];
	int r = jobs_get(s->db, job, &j, err);

	if (r < 0)
		return r;
	if (job_state_is_over(j.state)) {
		r = error_set(err, -ESTALE, "job %lld is over: it ended %s", (long long)job, job_state_name(j.state));
		job_clear(&j);
		return r;
	}
	job_clear(&j);
	r = jobs_want_cancel(s->db, job, err);
	if (r < 0)
		return r;
	jobs_log(s->db, job, clock_unix(), LOG_LEVEL_INFO, "server", "%s asked to cancel it", who);
	/* Before the agent works nobody has to be asked. It may say hello at this moment: then it is asked like the
	 * others. */
	for (int tries = 0; tries < 8; tries++) {
		if (jobs_get(s->db, job, &j, err) < 0)
			break;
		r = 0;
		if (j.state == JOB_QUEUED || job_state_awaits_host(j.state)) {
			snprintf(text, sizeof text, "cancelled by %s while it was %s", who, job_state_name(j.state));
			r = conductor_end_from(s, job, j.state, JOB_CANCELLED, EXIT_CODE_INTERRUPTED, text);
		}
		job_clear(&j);
		if (r != -ESTALE)
			break;
	}
	conductor_kick(s);
	return r == -ESTALE ? 0 : r;
}

int conductor_hello(struct server *s, int64_t job, struct error *err)
{
	bool moved = false;
	int r;

	/* States only go forward, so this ends. */
	do {
		enum job_state state;
		struct job j;

		r = jobs_get(s->db, job, &j, err);
		if (r < 0)
			return r;
		state = j.state;
		job_clear(&j);
		if (state == JOB_WORKING)
			break;
		if (!job_state_awaits_host(state))
			return error_set(err, -ESTALE, "job %lld is %s: no agent is awaited", (long long)job,
					 job_state_name(state));
		r = jobs_move(s->db, job, state, JOB_WORKING, NULL, err);
		moved = r == 0;
	} while (r == -ESTALE);
	if (r == 0) {
		struct live *v = live_get(&s->lives, job);

		arming_disarm(s, job);
		if (v) {
			pthread_mutex_lock(&v->lock);
			/* Not for a hello that is repeated: a g4ld that was here before may have taken chunks already.
			 */
			if (moved)
				v->whole_history = true;
			pthread_mutex_unlock(&v->lock);
			atomic_store(&v->heard_ms, clock_ms());
			live_release(&s->lives, v);
		}
	}
	conductor_kick(s);
	return r;
}

void conductor_boot_step(struct server *s, int64_t job, const char *text)
{
	struct error err = {0};

	jobs_log(s->db, job, clock_unix(), LOG_LEVEL_INFO, "boot", "%s", text);
	if (jobs_move(s->db, job, JOB_WAKING, JOB_BOOTING, NULL, &err) == 0)
		server_changed(s);
}

/* Lines that the boot service reports. */
static void take_events(struct server *s)
{
	struct netboot_event e;

	while (netboot_next_event(s->netboot, &e) == 1) {
		char mac[NETBOOT_MAC_TEXT] = "";
		int64_t job = 0;

		if (e.has_mac)
			job = jobs_armed_for_mac(s->db, netboot_mac_format(e.mac, mac));
		if (job && (e.kind == NETBOOT_OFFER || e.kind == NETBOOT_LOADER || e.kind == NETBOOT_MENU))
			conductor_boot_step(s, job, e.text);
		else if (job)
			jobs_log(s->db, job, clock_unix(), e.kind == NETBOOT_ERROR ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
				 "boot", "%s", e.text);
		else if (e.kind == NETBOOT_ERROR)
			log_warning("boot service: %s", e.text);
		else
			log_info("boot service: %s", e.text);
		server_changed(s);
	}
}

static void *conduct(void *arg)
{
	struct server *s = arg;
	struct pollfd fds[2] = {{.fd = s->conductor->kick, .events = POLLIN},
				{.fd = netboot_event_fd(s->netboot), .events = POLLIN}};

	while (!atomic_load(&s->stopping)) {
		uint64_t n;

		conduct_jobs(s);
		poll(fds, 2, TICK_MS);
		if (fds[0].revents && read(s->conductor->kick, &n, sizeof n) < 0)
			log_debug("the conductor was not kicked");
		/* Always: the boot service is restarted here when it died. */
		take_events(s);
	}
	return NULL;
}

int conductor_start(struct server *s, struct error *err)
{
	struct conductor *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return error_set(err, -ENOMEM, "out of memory");
	c->server = s;
	c->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->kick < 0) {
		free(c);
		return error_errno(err, errno, "cannot make an event descriptor");
	}
	s->conductor = c;
	r = pthread_create(&c->thread, NULL, conduct, s);
	if (r) {
		s->conductor = NULL;
		close(c->kick);
		free(c);
		return error_errno(err, r, "cannot start the conductor's thread");
	}
	return 0;
}

void conductor_stop(struct server *s)
{
	struct conductor *c = s->conductor;

	atomic_store(&s->stopping, true);
	server_changed(s);
	if (!c)
		return;
	conductor_kick(s);
	pthread_join(c->thread, NULL);
	/* The event descriptor stays open until the workers, which may kick, are gone: main.c ends them before it
	 * frees. */
	worker_requeue_local(s);
}
