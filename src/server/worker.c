/*
 * Workers. After a commit: the snapshot is read back from the store, its recipe is decoded whole, and the chunks that
 * came in this job are read and hashed again; only then may the job be called done. A verify job does so for all
 * chunks.
 */
#include "server/worker.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/conductor.h"
#include "server/recipe_walk.h"

struct work {
	struct server *server;
	struct live *live;
	struct job job;
	struct chunk_source *source;
	struct snapshot snapshot;
	struct recipe_walk walk;
	uint64_t total_bytes;
	double began, last_report;
	struct chunk_check check;
};

/* Progress of the check, at most a few times a second. */
static void report(void *arg, uint64_t done_bytes)
{
	struct work *w = arg;
	struct progress p = {.phase = "checking", .done_bytes = done_bytes, .total_bytes = w->total_bytes};
	double now = clock_seconds();

	if (now - w->last_report < 0.5)
		return;
	w->last_report = now;
	pthread_mutex_lock(&w->live->lock);
	progress_meter_feed(&w->live->meter, &p, now);
	w->job.rate = w->live->meter.rate;
	w->job.left_seconds = progress_meter_left(&w->live->meter, &p);
	pthread_mutex_unlock(&w->live->lock);
	snprintf(w->job.phase, sizeof w->job.phase, "%s", p.phase);
	w->job.region[0] = '\0';
	w->job.done_bytes = p.done_bytes;
	w->job.total_bytes = p.total_bytes;
	jobs_set_progress(w->server->db, &w->job, NULL);
	server_changed(w->server);
}

/* Which content to read: all of it, or what this job brought. Takes the list over. */
static int choose_content(struct work *w, struct hash_list *out)
{
	bool all;

	pthread_mutex_lock(&w->live->lock);
	all = w->job.local || !w->live->whole_history;
	if (!all) {
		*out = w->live->put;
		w->live->put = (struct hash_list){0};
		w->live->whole_history = false; /* if it is asked for again, everything is read */
	}
	pthread_mutex_unlock(&w->live->lock);
	if (all) {
		*out = w->walk.content;
		w->walk.content = (struct hash_list){0};
		w->total_bytes = w->walk.content_bytes;
	} else {
		hash_list_sort(out);
	}
	return 0;
}

static int check_snapshot(struct work *w, struct error *err)
{
	struct hash_list content = {0};
	int r = store_open_source(w->server->store, &w->source, err);

	if (r == 0)
		r = store_read_snapshot(w->server->store, w->job.origin, w->job.snapshot, &w->snapshot, err);
	if (r == 0)
		r = recipe_walk(w->source, &w->snapshot, &w->live->ended, &w->walk, err);
	if (r == 0)
		r = choose_content(w, &content);
	w->check = (struct chunk_check){.stop = &w->live->ended, .report = report, .arg = w};
	if (r == 0)
		r = recipe_check_chunks(w->source, content.at, content.n, &w->check, err);
	if (r == 0)
		jobs_log(w->server->db, w->job.id, clock_unix(), LOG_LEVEL_INFO, "server",
			 "snapshot %.12s read back: its recipe of %zu parts and %llu chunks are whole", w->job.snapshot,
			 w->walk.structure.n, (unsigned long long)w->check.chunks);
	hash_list_free(&content);
	recipe_walk_clear(&w->walk);
	snapshot_clear(&w->snapshot);
	if (w->source)
		chunk_source_close(w->source);
	/* What failed because the store went away is no failure of the snapshot. */
	if (r < 0 && r != -ERR_CANCELLED && server_store_is_there(w->server, err) < 0)
		r = -ERR_UNREACHABLE;
	return r;
}

static void end_local(struct work *w, int r, const struct error *err)
{
	char *text;
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "host", w->job.host, "snapshot", w->job.snapshot,
			      "chunks", (json_int_t)w->check.chunks, "plain_bytes", (json_int_t)w->check.done_bytes,
			      "fetched_bytes", (json_int_t)w->check.fetched_bytes, "different_bytes", (json_int_t)0,
			      "seconds", clock_seconds() - w->began);

	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	if (text)
		jobs_set_stats(w->server->db, w->job.id, text, false, NULL);
	free(text);
	json_decref(o);
	if (r < 0) {
		conductor_end_from(w->server, w->job.id, JOB_WORKING, JOB_FAILED, error_exit_code(r), err->text);
		return;
	}
	if (jobs_move(w->server->db, w->job.id, JOB_WORKING, JOB_FINISHING, NULL, NULL) == 0)
		conductor_end_from(w->server, w->job.id, JOB_FINISHING, JOB_DONE, EXIT_CODE_DONE, "");
}

static void end_verifying(struct work *w, int r, struct error *err)
{
	if (r < 0) {
		error_prefix(err, "the committed snapshot %.12s cannot be read back", w->job.snapshot);
		conductor_end_from(w->server, w->job.id, JOB_VERIFYING, JOB_FAILED, error_exit_code(r), err->text);
		return;
	}
	r = jobs_move(w->server->db, w->job.id, JOB_VERIFYING, JOB_FINISHING, NULL, err);
	if (r < 0 && r != -ESTALE)
		log_error("job %lld: %s", (long long)w->job.id, err->text);
	conductor_kick(w->server);
}

static void *work(void *arg)
{
	struct work *w = arg;
	struct server *s = w->server;
	struct error err = {0};
	int r;

	w->began = clock_seconds();
	r = check_snapshot(w, &err);
	/* Ended from outside: whoever ended it has moved the job, or g4ld stops and goes on with it at its next start.
	 */
	if (!atomic_load(&w->live->ended) && !atomic_load(&s->stopping)) {
		if (w->job.local)
			end_local(w, r, &err);
		else
			end_verifying(w, r, &err);
	}
	atomic_store(&w->live->worker, false);
	live_release(&s->lives, w->live);
	job_clear(&w->job);
	free(w);
	return NULL;
}

void worker_start(struct server *s, int64_t job, struct live *v)
{
	struct work *w = calloc(1, sizeof *w);
	struct error err = {0};
	pthread_attr_t attr;
	pthread_t thread;

	if (!w || jobs_get(s->db, job, &w->job, &err) < 0) {
		log_error("job %lld: its worker cannot be started: %s", (long long)job, w ? err.text : "out of memory");
		free(w);
		return;
	}
	/* The caller's list may be older than the end of the last worker. */
	if (w->job.state != (w->job.local ? JOB_WORKING : JOB_VERIFYING)) {
		job_clear(&w->job);
		free(w);
		return;
	}
	w->server = s;
	w->live = live_get(&s->lives, job);
	atomic_store(&v->worker, true);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (w->live != v || pthread_create(&thread, &attr, work, w) != 0) {
		log_error("job %lld: its worker cannot be started", (long long)job);
		atomic_store(&v->worker, false);
		live_release(&s->lives, w->live);
		job_clear(&w->job);
		free(w);
	}
	pthread_attr_destroy(&attr);
}

void worker_requeue_local(struct server *s)
{
	struct jobs_filter filter = {.active_only = true};
	struct job *list = NULL;
	size_t n = 0;

	if (jobs_list(s->db, &filter, &list, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (list[i].local && list[i].state == JOB_WORKING)
			jobs_move(s->db, list[i].id, JOB_WORKING, JOB_QUEUED, NULL, NULL);
	jobs_free(list, n);
}
