/* The command line's requests: hosts, jobs, logs, snapshots. Answers are JSON; errors a sentence and a code. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "server/api.h"
#include "server/api_parse.h"
#include "server/conductor.h"
#include "server/jobs.h"
#include "wire/fields.h"

#define MAX_WAIT_SECONDS 60
#define LOG_LINES_PER_ANSWER 5000

struct call {
	struct server *server;
	const struct http_request *q;
	struct http_reply *reply;
	struct error *err;
	struct admin_path path;
};

void reply_json(struct http_reply *reply, json_t *o)
{
	if (fields_dump(o, &reply->body) < 0) {
		reply->status = 500;
		buf_free(&reply->body);
	}
}

static void reply_error(struct http_reply *reply, const struct error *err)
{
	static const struct {
		int code;
		unsigned status;
		const char *name;
	} codes[] = {
		{-ERR_USAGE, 400, "usage"},	{-ERR_FORMAT, 400, "usage"},	{-EINVAL, 400, "usage"},
		{-ENOENT, 404, "unknown"},	{-ERR_REFUSED, 403, "refused"}, {-EACCES, 401, "token"},
		{-EEXIST, 409, "busy"},		{-EBUSY, 409, "busy"},		{-ESTALE, 409, "busy"},
		{-ERR_DAMAGED, 422, "damaged"}, {-ENOSPC, 507, "full"},		{-ERR_UNREACHABLE, 503, "unreachable"},
	};
	const char *name = "failed";

	reply->status = 500;
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (codes[i].code == err->code) {
			reply->status = codes[i].status;
			name = codes[i].name;
			break;
		}
	buf_free(&reply->body);
	reply_json(reply, json_pack("{s:o, s:s}", "error",
				    fields_string(err->text[0] ? err->text : error_name(err->code)), "code", name));
}

static json_t *job_json(const struct job *j)
{
	json_t *o = json_object(), *stats = json_loads(j->stats ? j->stats : "{}", 0, NULL);

	json_object_set_new(o, "job", json_integer(j->id));
	json_object_set_new(o, "seq", json_integer(j->seq));
	json_object_set_new(o, "host", json_string(j->host));
	json_object_set_new(o, "kind", json_string(job_kind_name(j->kind)));
	json_object_set_new(o, "against_disk", json_boolean(j->kind == JOB_VERIFY && !j->local));
	json_object_set_new(o, "state", json_string(job_state_name(j->state)));
	json_object_set_new(o, "cancelling", json_boolean(j->cancelling));
	json_object_set_new(o, "phase", fields_string(j->phase));
	json_object_set_new(o, "region", fields_string(j->region));
	json_object_set_new(o, "done_bytes", json_integer((json_int_t)j->done_bytes));
	json_object_set_new(o, "total_bytes", json_integer((json_int_t)j->total_bytes));
	json_object_set_new(o, "new_bytes", json_integer((json_int_t)j->new_bytes));
	json_object_set_new(o, "stored_bytes", json_integer((json_int_t)j->stored_bytes));
	json_object_set_new(o, "skipped_bytes", json_integer((json_int_t)j->skipped_bytes));
	json_object_set_new(o, "rate", json_real(j->rate));
	json_object_set_new(o, "left_seconds", j->left_seconds < 0 ? json_null() : json_real(j->left_seconds));
	json_object_set_new(o, "created", json_integer(j->created));
	json_object_set_new(o, "started", json_integer(j->started));
	json_object_set_new(o, "ended", json_integer(j->ended));
	json_object_set_new(o, "error", fields_string(j->error));
	json_object_set_new(o, "code", json_integer(j->code));
	json_object_set_new(o, "from", json_string(j->origin));
	json_object_set_new(o, "snapshot", j->snapshot[0] ? json_string(j->snapshot) : json_null());
	json_object_set_new(o, "stats", stats ? stats : json_object());
	return o;
}

static json_t *host_json(const struct host *h)
{
	json_t *o = json_object(), *macs = json_array(), *hello;

	for (size_t i = 0; i < h->n_macs; i++)
		json_array_append_new(macs, json_string(h->macs[i]));
	json_object_set_new(o, "name", json_string(h->name));
	json_object_set_new(o, "macs", macs);
	json_object_set_new(o, "after", json_string(h->after));
	json_object_set_new(o, "uuid", fields_string(h->uuid));
	json_object_set_new(o, "created", json_integer(h->created));
	json_object_set_new(o, "seen", json_integer(h->seen));
	hello = h->hello ? json_loads(h->hello, 0, NULL) : NULL;
	json_object_set_new(o, "hello", hello ? hello : json_null());
	return o;
}

static int jobs_array(struct call *c, const struct jobs_filter *filter, json_t **out)
{
	struct job *list;
	size_t n;
	int r = jobs_list(c->server->db, filter, &list, &n, c->err);

	if (r < 0)
		return r;
	*out = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(*out, job_json(&list[i]));
	jobs_free(list, n);
	return 0;
}

static int get_status(struct call *c)
{
	struct jobs_filter filter = {.active_only = true};
	struct server *s = c->server;
	struct store_facts facts;
	json_t *jobs, *store;
	int r = jobs_array(c, &filter, &jobs);

	if (r < 0)
		return r;
	if (server_store_is_there(s, c->err) == 0 && store_get_facts(s->store, &facts, c->err) == 0)
		store = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "location", s->config.store, "id", facts.id,
				  "packs", (json_int_t)facts.packs, "chunks", (json_int_t)facts.chunks, "plain_bytes",
				  (json_int_t)facts.plain_bytes, "stored_bytes", (json_int_t)facts.stored_bytes,
				  "snapshots", (json_int_t)facts.snapshots);
	else
		store = json_pack("{s:s, s:o}", "location", s->config.store, "error", fields_string(c->err->text));
	reply_json(c->reply,
		   json_pack("{s:s, s:s, s:i, s:i, s:s, s:o, s:I, s:o}", "version", G4L_VERSION, "address", s->address,
			     "https_port", (int)s->https_port, "http_port", (int)s->http_port, "pin", s->pin, "store",
			     store, "hosts", (json_int_t)db_number(s->db, 0, "SELECT count(*) FROM hosts", NULL),
			     "jobs", jobs));
	return 0;
}

static int list_hosts(struct call *c)
{
	struct host *list;
	json_t *a;
	size_t n;
	int r = hosts_list(c->server->db, &list, &n, c->err);

	if (r < 0)
		return r;
	a = json_array();
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(a, host_json(&list[i]));
		host_clear(&list[i]);
	}
	free(list);
	reply_json(c->reply, json_pack("{s:o}", "hosts", a));
	return 0;
}

static int get_host(struct call *c)
{
	struct host h;
	int r = hosts_get(c->server->db, c->path.host, &h, c->err);

	if (r < 0)
		return r;
	reply_json(c->reply, host_json(&h));
	host_clear(&h);
	return 0;
}

static int add_host(struct call *c)
{
	struct host h;
	int r = api_host_body(c->q->body, c->q->body_bytes, &h, c->err);

	if (r == 0)
		r = hosts_add(c->server->db, &h, c->err);
	if (r < 0)
		return r;
	db_audit(c->server->db, c->q->who, "added the host %s", h.name);
	snprintf(c->path.host, sizeof c->path.host, "%s", h.name);
	return get_host(c);
}

static int remove_host(struct call *c)
{
	int r = hosts_remove(c->server->db, c->path.host, c->err);

	if (r < 0)
		return r;
	db_audit(c->server->db, c->q->who, "removed the host %s", c->path.host);
	reply_json(c->reply, json_object());
	return 0;
}

static int get_screen(struct call *c)
{
	struct db *db = c->server->db;
	sqlite3_stmt *q;
	struct host h;
	int r = hosts_get(db, c->path.host, &h, c->err);

	if (r < 0)
		return r;
	host_clear(&h);
	db_lock(db);
	q = db_query(db, c->err, "SELECT time, text, job FROM screens WHERE host=? ORDER BY id DESC LIMIT 1", "t",
		     c->path.host);
	r = q ? db_next(db, q, c->err) : -EIO;
	if (r == 1)
		reply_json(c->reply, json_pack("{s:I, s:o, s:I}", "time", (json_int_t)sqlite3_column_int64(q, 0),
					       "text", fields_string((const char *)sqlite3_column_text(q, 1)), "job",
					       (json_int_t)sqlite3_column_int64(q, 2)));
	else if (r == 0)
		r = error_set(c->err, -ENOENT, "no screen of %s was sent yet", c->path.host);
	sqlite3_finalize(q);
	db_unlock(db);
	return r < 0 ? r : 0;
}

static int get_jobs(struct call *c)
{
	struct jobs_filter filter = {.host = c->q->query(c->q, "host")};
	const char *active = c->q->query(c->q, "active");
	json_t *jobs;
	uint64_t limit;
	int r = api_number(c->q->query(c->q, "limit"), "limit", 10000, 100, &limit, c->err);

	filter.limit = (unsigned)limit;
	filter.active_only = active && strcmp(active, "1") == 0;
	if (r == 0)
		r = jobs_array(c, &filter, &jobs);
	if (r == 0)
		reply_json(c->reply, json_pack("{s:o}", "jobs", jobs));
	return r;
}

/* Finds the snapshot that a restore or verify is about, now, so that a later backup does not change what it means. */
static int resolve_snapshot(struct call *c, const struct job_request *q, struct job *j)
{
	struct snapshot s;
	int r;

	snprintf(j->origin, sizeof j->origin, "%s", q->from[0] ? q->from : q->host);
	if (q->kind == JOB_BACKUP)
		return 0;
	r = store_read_snapshot(c->server->store, j->origin, q->which[0] ? q->which : "latest", &s, c->err);
	if (r < 0)
		return r;
	snprintf(j->snapshot, sizeof j->snapshot, "%s", s.id);
	snapshot_clear(&s);
	return 0;
}

static int create_job(struct call *c)
{
	struct job_request q;
	struct job j = {0};
	struct host h;
	int64_t id = 0;
	int r = api_job_body(c->q->body, c->q->body_bytes, &q, c->err);

	if (r < 0)
		return r;
	j.kind = q.kind;
	j.local = q.kind == JOB_VERIFY && !q.against_disk;
	/* The store may be verified also for a host that was removed. */
	r = hosts_get(c->server->db, q.host, &h, c->err);
	if (r == 0)
		host_clear(&h);
	else if (j.local && r == -ENOENT)
		r = 0;
	if (r == 0)
		r = resolve_snapshot(c, &q, &j);
	if (r < 0)
		return r;
	snprintf(j.host, sizeof j.host, "%s", q.host);
	snprintf(j.disk, sizeof j.disk, "%s", q.disk);
	snprintf(j.tags, sizeof j.tags, "%s", q.tags);
	j.full = q.full;
	r = jobs_create(c->server->db, &j, &id, c->err);
	if (r < 0)
		return r;
	db_audit(c->server->db, c->q->who, "job %lld: %s of %s%s%s", (long long)id, job_kind_name(j.kind), j.host,
		 j.snapshot[0] ? " with snapshot " : "", j.snapshot);
	jobs_log(c->server->db, id, clock_unix(), LOG_LEVEL_INFO, "server", "queued: %s of %s, asked for by %s",
		 job_kind_name(j.kind), j.host, c->q->who);
	conductor_kick(c->server);
	reply_json(c->reply, json_pack("{s:I}", "job", (json_int_t)id));
	return 0;
}

static int get_job(struct call *c)
{
	const char *seen_text = c->q->query(c->q, "seen");
	uint64_t wait, seen = 0, until;
	struct job j;
	int r = api_number(c->q->query(c->q, "wait"), "wait", MAX_WAIT_SECONDS, 0, &wait, c->err);

	/* -1: nothing was seen yet. */
	if (r == 0 && seen_text && strcmp(seen_text, "-1") != 0)
		r = api_number(seen_text, "seen", INT64_MAX, 0, &seen, c->err);
	if (r < 0)
		return r;
	until = clock_ms() + wait * 1000;
	for (;;) {
		uint64_t now;

		r = jobs_get(c->server->db, c->path.job, &j, c->err);
		if (r < 0)
			return r;
		now = clock_ms();
		if (!wait || !seen || (uint64_t)j.seq != seen || job_state_is_over(j.state) || now >= until ||
		    atomic_load(&c->server->stopping))
			break;
		job_clear(&j);
		/* A change between the look and the wait is seen after a quarter of a second. */
		server_wait(c->server, until - now < 250 ? until - now : 250);
	}
	reply_json(c->reply, job_json(&j));
	job_clear(&j);
	return 0;
}

static int get_job_log(struct call *c)
{
	struct db *db = c->server->db;
	json_t *lines = json_array();
	sqlite3_stmt *q;
	struct job j;
	uint64_t from;
	int r = api_number(c->q->query(c->q, "from"), "from", INT64_MAX, 0, &from, c->err);

	if (r == 0)
		r = jobs_get(db, c->path.job, &j, c->err);
	if (r < 0) {
		json_decref(lines);
		return r;
	}
	job_clear(&j);
	db_lock(db);
	q = db_query(db, c->err,
		     "SELECT id, time, level, source, text FROM job_log WHERE job=? AND id>=? ORDER BY id LIMIT ?",
		     "iii", c->path.job, (int64_t)from, (int64_t)LOG_LINES_PER_ANSWER);
	r = q ? 0 : -EIO;
	while (q && (r = db_next(db, q, c->err)) == 1)
		json_array_append_new(lines, json_pack("{s:I, s:I, s:s, s:s, s:o}", "id",
						       (json_int_t)sqlite3_column_int64(q, 0), "time",
						       (json_int_t)sqlite3_column_int64(q, 1), "level",
						       (const char *)sqlite3_column_text(q, 2), "source",
						       (const char *)sqlite3_column_text(q, 3), "text",
						       fields_string((const char *)sqlite3_column_text(q, 4))));
	sqlite3_finalize(q);
	db_unlock(db);
	reply_json(c->reply, json_pack("{s:o}", "lines", lines));
	return r;
}

static int cancel_job(struct call *c)
{
	int r = conductor_cancel(c->server, c->path.job, c->q->who, c->err);

	if (r < 0)
		return r;
	db_audit(c->server->db, c->q->who, "cancelled job %lld", (long long)c->path.job);
	return get_job(c);
}

static json_t *snapshot_json(const struct snapshot *s)
{
	char time[TEXT_SIZE_BYTES];
	json_t *tags = json_array();

	for (size_t i = 0; i < s->n_tags; i++)
		json_array_append_new(tags, fields_string(s->tags[i]));
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:b, s:o}", "snapshot", s->id,
			 "host", s->host, "time", text_time(s->time, time), "disk_bytes", (json_int_t)s->disk_bytes,
			 "used_bytes", (json_int_t)s->used_bytes, "read_bytes", (json_int_t)s->read_bytes,
			 "metadata_bytes", (json_int_t)s->metadata_bytes, "new_bytes", (json_int_t)s->new_bytes,
			 "stored_bytes", (json_int_t)s->stored_bytes, "chunks", (json_int_t)s->chunks, "new_chunks",
			 (json_int_t)s->new_chunks, "seconds", s->seconds, "degraded", (int)s->degraded, "tags", tags);
}

static int get_snapshots(struct call *c)
{
	const char *host = c->q->query(c->q, "host");
	struct store_snapshot *list = NULL;
	json_t *a;
	size_t n = 0;
	int r;

	if (host && !text_is_name(host))
		return error_set(c->err, -ERR_USAGE, "that is not the name of a host");
	r = store_list_snapshots(c->server->store, host, &list, &n, c->err);
	if (r < 0)
		return r;
	a = json_array();
	for (size_t i = 0; i < n; i++) {
		struct error why = {0};
		struct snapshot s;

		if (store_read_snapshot(c->server->store, list[i].host, list[i].id, &s, &why) < 0) {
			/* One that is damaged must not hide the others. */
			json_array_append_new(a, json_pack("{s:s, s:s, s:o}", "snapshot", list[i].id, "host",
							   list[i].host, "error", fields_string(why.text)));
			continue;
		}
		json_array_append_new(a, snapshot_json(&s));
		snapshot_clear(&s);
	}
	free(list);
	reply_json(c->reply, json_pack("{s:o}", "snapshots", a));
	return 0;
}

static int get_doctor(struct call *c)
{
	reply_json(c->reply, doctor_report(c->server));
	return 0;
}

static const struct {
	enum admin_route route;
	const char *method;
	int (*run)(struct call *c);
} requests[] = {
	{ADMIN_STATUS, "GET", get_status},
	{ADMIN_HOSTS, "GET", list_hosts},
	{ADMIN_HOSTS, "POST", add_host},
	{ADMIN_HOST, "GET", get_host},
	{ADMIN_HOST, "DELETE", remove_host},
	{ADMIN_SCREEN, "GET", get_screen},
	{ADMIN_JOBS, "GET", get_jobs},
	{ADMIN_JOBS, "POST", create_job},
	{ADMIN_JOB, "GET", get_job},
	{ADMIN_JOB_LOG, "GET", get_job_log},
	{ADMIN_JOB_CANCEL, "POST", cancel_job},
	{ADMIN_SNAPSHOTS, "GET", get_snapshots},
	{ADMIN_DOCTOR, "GET", get_doctor},
};

void api_admin(struct server *s, const struct http_request *q, struct http_reply *reply)
{
	struct error err = {0};
	struct call c = {.server = s, .q = q, .reply = reply, .err = &err};
	int r = api_admin_path(q->path, &c.path, &err);

	if (r == 0)
		r = error_set(&err, -ERR_USAGE, "%s is not done to that", q->method);
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
		if (requests[i].route == c.path.route && strcmp(requests[i].method, q->method) == 0) {
			error_clear(&err);
			r = requests[i].run(&c);
			break;
		}
	if (r < 0 && !err.code)
		error_set(&err, r, "%s", error_name(r));
	if (r < 0)
		reply_error(reply, &err);
}
