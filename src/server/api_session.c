/*
 * Hello and finish: how an agent comes to its job, and how the job ends. A boot token is good for one boot of the right
 * host; a job is done only when this server has seen that it is.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "server/api_agent.h"
#include "server/conductor.h"
#include "server/hosts.h"
#include "wire/codec.h"

#define FINISH_WAIT_MS 10000
#define MAX_STATS_BYTES (64u << 10)

int agent_token_hash(const char *hex, struct hash *out)
{
	uint8_t token[WIRE_TOKEN_BYTES];

	if (!hex || strlen(hex) != 2 * sizeof token || text_unhex(hex, token, sizeof token) < 0)
		return -EACCES;
	*out = hash_of(token, sizeof token);
	return 0;
}

/* The host must show one of its MACs, and the UUID that was learnt from it. */
static int check_identity(const struct host *host, const struct wire_hello *h, struct error *err)
{
	bool match = false;

	for (size_t i = 0; i < h->n_macs; i++)
		for (size_t k = 0; k < host->n_macs; k++)
			match = match || strcmp(h->macs[i], host->macs[k]) == 0;
	if (!match)
		return error_set(err, -ERR_REFUSED, "the agent runs on a PC that has none of the MAC addresses of %s",
				 host->name);
	if (host->uuid[0] && h->uuid[0] && strcasecmp(host->uuid, h->uuid) != 0)
		return error_set(err, -ERR_REFUSED,
				 "the agent runs on a PC with the UUID %s, but %s has %s: if its mainboard was changed,"
				 " remove the host and add it again",
				 h->uuid, host->name, host->uuid);
	return 0;
}

/* The state a job must be in for a hello; a lost answer is asked for again with the same nonce. */
static int check_awaited(const struct job *j, const char *nonce, struct error *err)
{
	if (j->state == JOB_CANCELLED || j->cancelling)
		return error_set(err, -ERR_CANCELLED, "job %lld was cancelled", (long long)j->id);
	if (job_state_is_over(j->state))
		return error_set(err, -ESTALE, "job %lld is over: it ended %s", (long long)j->id,
				 job_state_name(j->state));
	if (j->boot_nonce[0] && strcmp(j->boot_nonce, nonce) != 0)
		return error_set(err, -EACCES, "the boot token was used by another boot already");
	return 0;
}

/*
 * Whether the only disk of a PC may stand in for one whose identity does not match. A comparison writes nothing. A
 * restore may, when there is nothing to match: the snapshot is another host's, or its disk had neither WWN nor serial
 * number. Else an unknown disk may be a data disk whose neighbour has just died, and has to be named.
 */
static bool may_take_the_only_disk(struct agent_call *c)
{
	struct snapshot s;
	bool unknown;

	if (c->job.kind == JOB_VERIFY)
		return true;
	if (c->job.kind != JOB_RESTORE)
		return false;
	if (strcmp(c->job.origin, c->job.host) != 0)
		return true;
	if (store_read_snapshot(c->server->store, c->job.origin, c->job.snapshot, &s, NULL) < 0)
		return false;
	unknown = s.n_disks == 1 && !s.disks[0].wwn[0] && !s.disks[0].serial[0];
	snapshot_clear(&s);
	return unknown;
}

static int answer_hello(struct agent_call *c, const struct host *host, const char *session)
{
	struct wire_job w = {.time = clock_unix(),
			     .job = (uint64_t)c->job.id,
			     .full = c->job.full,
			     .read_back = true,
			     .allow_single = may_take_the_only_disk(c),
			     .against_disk = c->job.kind == JOB_VERIFY};
	json_t *tags = json_loads(c->job.tags, 0, NULL);
	char *texts[64];
	int r;

	snprintf(w.session, sizeof w.session, "%s", session);
	snprintf(w.host, sizeof w.host, "%s", c->job.host);
	snprintf(w.disk, sizeof w.disk, "%s", c->job.disk);
	wire_kind_parse(job_kind_name(c->job.kind), &w.kind);
	wire_after_parse(host->after, &w.after);
	w.tags = texts;
	for (size_t i = 0; i < json_array_size(tags) && i < 64; i++)
		texts[w.n_tags++] = (char *)(uintptr_t)json_string_value(json_array_get(tags, i));
	r = wire_job_encode(&w, &c->reply->body);
	json_decref(tags);
	return r;
}

static int open_session(struct agent_call *c, const struct wire_hello *h, const struct host *host)
{
	uint8_t session[WIRE_TOKEN_BYTES];
	char hex[WIRE_TOKEN_HEX_BYTES], text[400];
	struct server *s = c->server;
	struct buf kept = {0};
	struct hash hash;
	int r;

	io_random(session, sizeof session);
	hash = hash_of(session, sizeof session);
	r = jobs_open_session(s->db, c->job.id, h->nonce, &hash, c->err);
	if (r == 0)
		r = conductor_hello(s, c->job.id, c->err);
	if (r < 0)
		return r;
	wire_hello_encode(h, &kept);
	buf_put_u8(&kept, 0);
	if (!kept.failed)
		hosts_saw(s->db, host->name, h->uuid, (const char *)kept.data, NULL);
	buf_free(&kept);
	snprintf(text, sizeof text, "agent %s reports from %s: %s, %s%s, Linux %s, %zu disk%s", h->version, c->q->who,
		 h->product[0] ? h->product : "a PC", h->firmware, h->secure_boot ? " with Secure Boot on" : "",
		 h->kernel, h->n_disks, h->n_disks == 1 ? "" : "s");
	jobs_log(s->db, c->job.id, clock_unix(), LOG_LEVEL_INFO, "server", "%s", text);
	server_changed(s);
	return answer_hello(c, host, text_hex(session, sizeof session, hex));
}

static int hello(struct agent_call *c, const struct wire_hello *h)
{
	struct server *s = c->server;
	struct host host;
	struct hash token;
	int64_t id = 0;
	int r;

	if (agent_token_hash(c->q->bearer, &token) == 0)
		id = jobs_of_boot_token(s->db, &token);
	if (!id)
		return error_set(c->err, -EACCES, "this boot token is not known");
	if (h->protocol != WIRE_PROTOCOL)
		return error_set(c->err, -ERR_FORMAT,
				 "the agent speaks protocol %u, g4ld speaks %u: build the boot image again",
				 h->protocol, WIRE_PROTOCOL);
	r = jobs_get(s->db, id, &c->job, c->err);
	if (r == 0)
		r = check_awaited(&c->job, h->nonce, c->err);
	if (r == 0)
		r = hosts_get(s->db, c->job.host, &host, c->err);
	if (r < 0)
		return r;
	r = check_identity(&host, h, c->err);
	if (r < 0)
		jobs_log(s->db, id, clock_unix(), LOG_LEVEL_WARNING, "server", "refused from %s: %s", c->q->who,
			 c->err->text);
	else
		r = open_session(c, h, &host);
	host_clear(&host);
	return r;
}

int agent_hello(struct agent_call *c)
{
	struct wire_hello h = {0};
	int r = wire_hello_decode(c->q->body, c->q->body_bytes, &h, c->err);

	if (r == 0)
		r = hello(c, &h);
	wire_hello_clear(&h);
	return r;
}

/* What follows on the host; also for hosts that were removed meanwhile. */
static int answer_finish(struct agent_call *c)
{
	enum wire_after after = WIRE_POWEROFF;
	struct host host;

	if (hosts_get(c->server->db, c->job.host, &host, NULL) == 0) {
		wire_after_parse(host.after, &after);
		host_clear(&host);
	}
	return wire_finish_answer_encode(after, &c->reply->body);
}

/* Waits a while until the snapshot has been read back. Gives the job as it is then. */
static int await_verified(struct agent_call *c)
{
	uint64_t until = clock_ms() + FINISH_WAIT_MS;
	int r = 0;

	while (r == 0 && c->job.state == JOB_VERIFYING) {
		if (clock_ms() >= until || atomic_load(&c->server->stopping))
			return error_set(c->err, -EBUSY, "the snapshot is still being read back");
		server_wait(c->server, 500);
		job_clear(&c->job);
		r = jobs_get(c->server->db, c->live->job, &c->job, c->err);
	}
	return r;
}

static bool says_degraded(const struct wire_finish *f)
{
	return f->result == WIRE_DEGRADED || f->code == EXIT_CODE_DEGRADED;
}

/* A failure as the agent tells it. */
static void end_badly(struct agent_call *c, const struct wire_finish *f)
{
	bool cancelled = f->result == WIRE_CANCELLED && c->job.cancelling;
	char why[900];
	int code = (int)f->code;

	if (cancelled) {
		conductor_end(c->server, c->job.id, JOB_CANCELLED, EXIT_CODE_INTERRUPTED, "cancelled");
		return;
	}
	/* A failure has a failure's exit code, whatever the agent says. */
	if (code == EXIT_CODE_DONE || code == EXIT_CODE_DEGRADED)
		code = EXIT_CODE_FAILED;
	text_printable(f->error[0] ? f->error : "the agent gave no reason", why, sizeof why);
	conductor_end(c->server, c->job.id, JOB_FAILED, code, why);
}

/* The agent says that all went well: the server looks for itself. */
static int end_well(struct agent_call *c, const struct wire_finish *f)
{
	bool degraded = says_degraded(f) || c->job.degraded;
	char why[900];
	int r = 0;

	if (c->job.kind == JOB_BACKUP && !c->job.committed) {
		conductor_end(c->server, c->job.id, JOB_FAILED, EXIT_CODE_FAILED,
			      "the agent said that it is done, but it has committed no snapshot");
		return 0;
	}
	if (c->job.state == JOB_WORKING && c->job.kind != JOB_BACKUP)
		r = jobs_move(c->server->db, c->job.id, JOB_WORKING, JOB_FINISHING, NULL, c->err);
	if (r < 0)
		return r;
	text_printable(f->error[0] ? f->error
				   : "not everything could be read or judged: the log and the snapshot say what",
		       why, sizeof why);
	r = conductor_end_from(c->server, c->job.id, JOB_FINISHING, degraded ? JOB_DEGRADED : JOB_DONE,
			       degraded ? EXIT_CODE_DEGRADED : EXIT_CODE_DONE, degraded ? why : "");
	return r < 0 ? error_set(c->err, -EBUSY, "the end of the job could not be recorded") : 0;
}

int agent_finish(struct agent_call *c)
{
	struct wire_finish f = {0};
	bool well;
	int r = wire_finish_decode(c->q->body, c->q->body_bytes, &f, c->err);

	well = r == 0 && (f.result == WIRE_DONE || f.result == WIRE_DEGRADED) &&
	       (f.code == EXIT_CODE_DONE || f.code == EXIT_CODE_DEGRADED);
	/* A repeated finish gets the answer that was lost. */
	if (r == 0 && !job_state_is_over(c->job.state)) {
		if (f.stats && strlen(f.stats) <= MAX_STATS_BYTES)
			r = jobs_set_stats(c->server->db, c->job.id, f.stats, says_degraded(&f), c->err);
		if (r == 0 && well)
			r = await_verified(c);
		if (r == 0 && !job_state_is_over(c->job.state)) {
			if (well)
				r = end_well(c, &f);
			else
				end_badly(c, &f);
		}
	}
	wire_finish_clear(&f);
	return r < 0 ? r : answer_finish(c);
}
