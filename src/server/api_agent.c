/*
 * The agent's requests. An agent can do its own job and nothing else: its session leads to one job, and the job's kind
 * says what it may ask. The server decides how a job ended; hello and finish are in api_session.c.
 */
#include "server/api_agent.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "server/api.h"
#include "server/conductor.h"
#include "wire/codec.h"

void reply_wire_error(struct http_reply *reply, const struct error *err)
{
	buf_free(&reply->body);
	reply->type = NULL;
	reply->status = wire_status_of_code(err->code)->status;
	wire_error_encode(err, &reply->body);
}

/* What the store failed with, for an agent: the system's codes mean other things in the protocol ("no such file" is not
 * a request that makes no sense, nor "permission denied" a wrong token). The store may come back: later. */
static int of_store(const struct server *s, int r, struct error *err)
{
	if (r != -ENOENT && r != -EACCES && r != -EPERM && r != -ESTALE && r != -ENOTDIR && r != -EROFS)
		return r;
	if (server_store_is_there(s, err) < 0)
		return -ERR_UNREACHABLE;
	return error_set(err, -EIO, "%s", err->text);
}

static int agent_have(struct agent_call *c)
{
	const struct hash *hashes;
	struct chunk_sink *sink;
	bool present[WIRE_MAX_HASHES];
	size_t n;
	int r = wire_hashes_view(c->q->body, c->q->body_bytes, &hashes, &n, c->err);

	if (r == 0)
		r = of_store(c->server, live_sink(c->live, c->server->store, &sink, c->err), c->err);
	if (r == 0)
		r = of_store(c->server, chunk_sink_have(sink, hashes, n, present, c->err), c->err);
	if (r < 0)
		return r;
	c->reply->type = "application/octet-stream";
	return wire_present_encode(present, n, &c->reply->body);
}

/* Remembers what came, so that it can be read back after the commit. */
static void remember(struct live *v, const struct chunk_frame *frames, size_t n)
{
	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < n; i++)
		if (hash_list_add(&v->put, &frames[i].hash) < 0)
			v->whole_history = false;
	pthread_mutex_unlock(&v->lock);
}

static int agent_put(struct agent_call *c)
{
	struct cursor body = cursor_of(c->q->body, c->q->body_bytes);
	struct chunk_frame frames[256];
	uint64_t sum = 0;
	struct chunk_sink *sink;
	int more = 1, r = of_store(c->server, live_sink(c->live, c->server->store, &sink, c->err), c->err);

	while (r == 0 && more == 1) {
		uint64_t stored = 0;
		size_t n = 0;

		while (n < sizeof frames / sizeof frames[0] &&
		       (more = wire_frame_next(&body, false, &frames[n], c->err)) == 1)
			n++;
		if (more == -EAGAIN)
			r = error_set(c->err, -ERR_FORMAT, "the body ends in the middle of a frame");
		else if (more < 0)
			r = more;
		else if (n)
			r = of_store(c->server, chunk_sink_put(sink, frames, n, &stored, c->err), c->err);
		if (r == 0)
			remember(c->live, frames, n);
		sum += stored;
	}
	return r < 0 ? r : wire_put_answer_encode(sum, &c->reply->body);
}

/* What this job may read: the chunks that its snapshot needs. Worked out once, by one of the agent's connections. */
static int know_allowed(struct agent_call *c)
{
	struct live *v = c->live;
	struct recipe_walk walk = {0};
	struct snapshot snapshot;
	struct chunk_source *source;
	int r;

	if (atomic_load(&v->allowed_known))
		return 0;
	r = live_source(v, c->server->store, &source, c->err);
	if (r == 0)
		r = store_read_snapshot(c->server->store, c->job.origin, c->job.snapshot, &snapshot, c->err);
	if (r < 0)
		return r;
	r = recipe_walk(source, &snapshot, &v->ended, &walk, c->err);
	snapshot_clear(&snapshot);
	for (size_t i = 0; i < walk.structure.n && r == 0; i++)
		r = hash_list_add(&walk.content, &walk.structure.at[i]);
	if (r == -ENOMEM)
		error_set(c->err, r, "out of memory");
	if (r == 0) {
		hash_list_sort(&walk.content);
		v->allowed = walk.content;
		atomic_store(&v->allowed_known, true);
		walk.content = (struct hash_list){0};
	}
	recipe_walk_clear(&walk);
	return r;
}

/* Frames go out as the store keeps them; the agent unpacks and checks. As many as fit an answer. */
static int give_frame(void *arg, size_t index, const struct chunk_frame *frame, const struct error *problem)
{
	struct agent_call *c = arg;
	struct buf *out = &c->reply->body;

	if (!frame)
		return wire_frame_encode_error(&c->wanted[index], problem->text, out);
	if (out->len && frame->body_bytes + WIRE_FRAME_HEAD_BYTES > WIRE_MAX_BODY_BYTES - out->len)
		return -EOVERFLOW;
	return wire_frame_encode(frame, out);
}

static int agent_get(struct agent_call *c)
{
	struct chunk_source *source;
	size_t n;
	int r = wire_hashes_view(c->q->body, c->q->body_bytes, &c->wanted, &n, c->err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&c->live->once_lock);
	r = know_allowed(c);
	pthread_mutex_unlock(&c->live->once_lock);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (!hash_list_has(&c->live->allowed, &c->wanted[i]))
			return error_set(c->err, -ERR_REFUSED, "job %lld has no business with one of these chunks",
					 (long long)c->job.id);
	r = live_source(c->live, c->server->store, &source, c->err);
	if (r == 0)
		r = store_get_frames(c->server->store, c->wanted, n, true, false, give_frame, c, NULL, c->err);
	c->reply->type = "application/octet-stream";
	return r == -EOVERFLOW ? 0 : r;
}

static int agent_snapshot(struct agent_call *c)
{
	struct snapshot snapshot;
	int r = store_read_snapshot(c->server->store, c->job.origin, c->job.snapshot, &snapshot, c->err);

	if (r < 0)
		return r;
	r = snapshot_encode(&snapshot, &c->reply->body, c->err);
	if (r == 0 && strcmp(snapshot.id, c->job.snapshot) != 0)
		r = error_set(c->err, -ERR_DAMAGED, "the snapshot %s changed its id to %s when it was sent",
			      c->job.snapshot, snapshot.id);
	snapshot_clear(&snapshot);
	c->reply->type = "application/octet-stream";
	return r;
}

/* A commit that is repeated, because its answer was lost, gets the same answer. */
static int commit_again(struct agent_call *c, const struct snapshot *snapshot)
{
	if (strcmp(c->job.snapshot, snapshot->id) != 0)
		return error_set(c->err, -ESTALE, "this job has committed the snapshot %.12s already", c->job.snapshot);
	return wire_commit_answer_encode(c->job.snapshot, &c->reply->body);
}

static int commit(struct agent_call *c, const struct snapshot *snapshot)
{
	struct server *s = c->server;
	char id[SNAPSHOT_ID_BYTES];
	struct chunk_sink *sink;
	int r;

	if (strcmp(snapshot->host, c->job.host) != 0)
		return error_set(c->err, -ERR_REFUSED, "a job of %s cannot commit a snapshot of another host",
				 c->job.host);
	if (c->job.committed)
		return commit_again(c, snapshot);
	if (c->job.state != JOB_WORKING)
		return error_set(c->err, -ESTALE, "job %lld is %s", (long long)c->job.id, job_state_name(c->job.state));
	r = of_store(s, live_sink(c->live, s->store, &sink, c->err), c->err);
	if (r == 0)
		r = of_store(s, chunk_sink_commit(sink, snapshot, id, c->err), c->err);
	if (r < 0)
		return r;
	r = jobs_committed(s->db, c->job.id, id, snapshot->degraded, c->err);
	/* It ended while the store wrote: nothing else would say that a snapshot was left behind. */
	if (r == -ESTALE)
		jobs_log(s->db, c->job.id, clock_unix(), LOG_LEVEL_WARNING, "server",
			 "the snapshot %.12s was committed while the job ended; it stays in the store", id);
	if (r < 0)
		return r;
	conductor_kick(s);
	return wire_commit_answer_encode(id, &c->reply->body);
}

static int agent_commit(struct agent_call *c)
{
	struct snapshot snapshot;
	int r = snapshot_decode(c->q->body, c->q->body_bytes, &snapshot, c->err);

	if (r < 0)
		return r;
	/* One at a time: two copies of one request must not both commit. */
	pthread_mutex_lock(&c->live->once_lock);
	job_clear(&c->job);
	r = jobs_get(c->server->db, c->live->job, &c->job, c->err);
	if (r == 0)
		r = commit(c, &snapshot);
	pthread_mutex_unlock(&c->live->once_lock);
	snapshot_clear(&snapshot);
	return r;
}

static int agent_progress(struct agent_call *c)
{
	struct wire_progress p = {0};
	struct progress now = {0};
	struct job *j = &c->job;
	bool screen = false;
	int r = wire_progress_decode(c->q->body, c->q->body_bytes, &p, c->err);

	if (r == 0) {
		text_printable(p.phase, j->phase, sizeof j->phase);
		text_printable(p.region, j->region, sizeof j->region);
		now = (struct progress){.phase = j->phase, .done_bytes = p.done_bytes, .total_bytes = p.total_bytes};
		pthread_mutex_lock(&c->live->lock);
		progress_meter_feed(&c->live->meter, &now, clock_seconds());
		j->rate = c->live->meter.rate;
		j->left_seconds = progress_meter_left(&c->live->meter, &now);
		if (p.screen && clock_ms() - c->live->last_screen_ms >= 250) {
			screen = true;
			c->live->last_screen_ms = clock_ms();
		}
		pthread_mutex_unlock(&c->live->lock);
		j->done_bytes = p.done_bytes;
		j->total_bytes = p.total_bytes;
		j->new_bytes = p.new_bytes;
		j->stored_bytes = p.stored_bytes;
		j->skipped_bytes = p.skipped_bytes;
		r = jobs_set_progress(c->server->db, j, c->err);
		if (screen)
			jobs_screen(c->server->db, j, p.screen);
		server_changed(c->server);
	}
	wire_progress_clear(&p);
	return r < 0 ? r : wire_cancel_encode(j->cancelling != 0, &c->reply->body);
}

static int agent_log(struct agent_call *c)
{
	struct wire_log lines = {0};
	int r = wire_log_decode(c->q->body, c->q->body_bytes, &lines, c->err);

	if (r == 0)
		r = db_begin(c->server->db, false, c->err);
	if (r < 0) {
		wire_log_clear(&lines);
		return r;
	}
	for (size_t i = 0; i < lines.n; i++)
		jobs_log(c->server->db, c->job.id, lines.lines[i].time, lines.lines[i].level, "agent", "%s",
			 lines.lines[i].text);
	r = db_end(c->server->db, 0, c->err);
	wire_log_clear(&lines);
	server_changed(c->server);
	if (r == 0)
		buf_printf(&c->reply->body, "{}");
	return r;
}

#define FOR(kind) (1u << (kind))
#define FOR_READERS (FOR(JOB_RESTORE) | FOR(JOB_VERIFY))
#define FOR_ALL (FOR(JOB_BACKUP) | FOR_READERS)

static const struct agent_request {
	const char *method, *path;
	int (*run)(struct agent_call *c);
	unsigned kinds;
	bool when_cancelled; /* also while the job is being cancelled */
	bool when_over;
} requests[] = {
	{"POST", "have", agent_have, FOR(JOB_BACKUP), false, false},
	{"POST", "put", agent_put, FOR(JOB_BACKUP), false, false},
	{"POST", "commit", agent_commit, FOR(JOB_BACKUP), false, false},
	{"POST", "get", agent_get, FOR_READERS, false, false},
	{"GET", "snapshot", agent_snapshot, FOR_READERS, false, false},
	{"POST", "progress", agent_progress, FOR_ALL, true, false},
	{"POST", "log", agent_log, FOR_ALL, true, true},
	{"POST", "finish", agent_finish, FOR_ALL, true, true},
};

/* Whether the job's state and kind allow the request. */
static int admit(const struct agent_request *q, const struct job *j, struct error *err)
{
	if (!(q->kinds & FOR(j->kind)))
		return error_set(err, -ERR_REFUSED, "job %lld is a %s: %s is not its business", (long long)j->id,
				 job_kind_name(j->kind), q->path);
	if (j->cancelling && !q->when_cancelled)
		return error_set(err, -ERR_CANCELLED, "job %lld was cancelled", (long long)j->id);
	if (!job_state_is_over(j->state) || q->when_over)
		return 0;
	if (j->state == JOB_CANCELLED)
		return error_set(err, -ERR_CANCELLED, "job %lld was cancelled", (long long)j->id);
	return error_set(err, -ESTALE, "job %lld is over: it ended %s", (long long)j->id, job_state_name(j->state));
}

static const struct agent_request *find(const char *method, const char *name)
{
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
		if (strcmp(requests[i].path, name) == 0 && strcmp(requests[i].method, method) == 0)
			return &requests[i];
	return NULL;
}

/* Takes the job's live part and then the job, in this order: if the job ended before, the live part is one that nobody
 * would end any more; if it ends afterwards, the live part ends with it. c->live stays NULL for a job that is over. */
static int take_job(struct server *s, int64_t id, struct agent_call *c)
{
	struct live *v = live_get(&s->lives, id);
	int r = v ? jobs_get(s->db, id, &c->job, c->err) : error_set(c->err, -ENOMEM, "out of memory");

	if (r == 0 && !job_state_is_over(c->job.state)) {
		c->live = v;
		return 0;
	}
	if (r == 0)
		live_end(&s->lives, id);
	live_release(&s->lives, v);
	return r;
}

static int run_for_job(struct server *s, int64_t id, const struct agent_request *q, struct agent_call *c)
{
	int r = take_job(s, id, c);

	if (r < 0)
		return r;
	if (!c->live) {
		r = admit(q, &c->job, c->err);
		return r < 0 ? r : q->run(c);
	}
	atomic_fetch_add(&c->live->requests, 1);
	r = admit(q, &c->job, c->err);
	if (r == 0)
		r = q->run(c);
	atomic_store(&c->live->heard_ms, clock_ms());
	atomic_fetch_sub(&c->live->requests, 1);
	live_release(&s->lives, c->live);
	return r;
}

void api_agent(struct server *s, const struct http_request *q, struct http_reply *reply)
{
	const char *name = q->path + strlen("/agent/v1/");
	const struct agent_request *request;
	struct error err = {0};
	struct agent_call c = {.server = s, .q = q, .reply = reply, .err = &err};
	struct hash session;
	int64_t id = 0;
	int r;

	if (strcmp(name, "hello") == 0 && strcmp(q->method, "POST") == 0) {
		r = agent_hello(&c);
	} else if (!(request = find(q->method, name))) {
		r = error_set(&err, -ENOENT, "there is no such request");
	} else {
		if (agent_token_hash(q->bearer, &session) == 0)
			id = jobs_of_session(s->db, &session);
		r = id ? run_for_job(s, id, request, &c) : error_set(&err, -EACCES, "this session is not known");
	}
	job_clear(&c.job);
	if (r < 0 && !err.code)
		error_set(&err, r, "%s", error_name(r));
	if (r < 0)
		reply_wire_error(reply, &err);
}
