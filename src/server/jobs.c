/* Jobs in the state database: rows, moves, progress. Logs, screens and tokens are in job_records.c. */
#include "server/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

void job_clear(struct job *j)
{
	free(j->stats);
	*j = (struct job){0};
}

void jobs_free(struct job *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		job_clear(&list[i]);
	free(list);
}

int jobs_create(struct db *db, const struct job *request, int64_t *id, struct error *err)
{
	int64_t now = clock_unix();
	int r = db_begin(db, true, err);

	if (r < 0)
		return r;
	r = db_run(
		db, err,
		"INSERT INTO jobs(host, kind, local, state, state_since, origin, snapshot, disk, tags, full, created)"
		" VALUES(?,?,?,'queued',?,?,?,?,?,?,?)",
		"ttiittttii", request->host, job_kind_name(request->kind), (int64_t)request->local, now,
		request->origin, request->snapshot, request->disk, request->tags[0] ? request->tags : "[]",
		(int64_t)request->full, now);
	if (r >= 0)
		*id = db_last_id(db);
	return db_end(db, r < 0 ? r : 0, err);
}

#define JOB_COLUMNS                                                                                                    \
	"id, seq, host, kind, local, state, state_since, origin, snapshot, disk, tags, full, created, armed, started," \
	" ended, cancelling, committed, degraded, restarts, boot_nonce, phase, region, done_bytes, total_bytes,"       \
	" new_bytes, stored_bytes, skipped_bytes, rate, left_seconds, error, code, stats"

static int take_job(sqlite3_stmt *q, struct job *j, struct error *err)
{
	char name[32];
	int c = 0;

	*j = (struct job){0};
	j->id = sqlite3_column_int64(q, c++);
	j->seq = sqlite3_column_int64(q, c++);
	db_column(q, c++, j->host, sizeof j->host);
	db_column(q, c++, name, sizeof name);
	if (job_kind_parse(name, &j->kind) < 0)
		return error_set(err, -EIO, "job %lld has an unknown kind \"%s\"", (long long)j->id, name);
	j->local = sqlite3_column_int(q, c++);
	db_column(q, c++, name, sizeof name);
	if (job_state_parse(name, &j->state) < 0)
		return error_set(err, -EIO, "job %lld has an unknown state \"%s\"", (long long)j->id, name);
	j->state_since = sqlite3_column_int64(q, c++);
	db_column(q, c++, j->origin, sizeof j->origin);
	db_column(q, c++, j->snapshot, sizeof j->snapshot);
	db_column(q, c++, j->disk, sizeof j->disk);
	db_column(q, c++, j->tags, sizeof j->tags);
	j->full = sqlite3_column_int(q, c++);
	j->created = sqlite3_column_int64(q, c++);
	j->armed = sqlite3_column_int64(q, c++);
	j->started = sqlite3_column_int64(q, c++);
	j->ended = sqlite3_column_int64(q, c++);
	j->cancelling = sqlite3_column_int64(q, c++);
	j->committed = sqlite3_column_int(q, c++);
	j->degraded = sqlite3_column_int(q, c++);
	j->restarts = (unsigned)sqlite3_column_int(q, c++);
	db_column(q, c++, j->boot_nonce, sizeof j->boot_nonce);
	db_column(q, c++, j->phase, sizeof j->phase);
	db_column(q, c++, j->region, sizeof j->region);
	j->done_bytes = (uint64_t)sqlite3_column_int64(q, c++);
	j->total_bytes = (uint64_t)sqlite3_column_int64(q, c++);
	j->new_bytes = (uint64_t)sqlite3_column_int64(q, c++);
	j->stored_bytes = (uint64_t)sqlite3_column_int64(q, c++);
	j->skipped_bytes = (uint64_t)sqlite3_column_int64(q, c++);
	j->rate = sqlite3_column_double(q, c++);
	j->left_seconds = sqlite3_column_double(q, c++);
	db_column(q, c++, j->error, sizeof j->error);
	j->code = sqlite3_column_int(q, c++);
	j->stats = strdup(sqlite3_column_bytes(q, c) > 0 ? (const char *)sqlite3_column_text(q, c) : "{}");
	return j->stats ? 0 : error_set(err, -ENOMEM, "out of memory");
}

int jobs_get(struct db *db, int64_t id, struct job *out, struct error *err)
{
	sqlite3_stmt *q;
	int r = -EIO;

	db_lock(db);
	q = db_query(db, err, "SELECT " JOB_COLUMNS " FROM jobs WHERE id=?", "i", id);
	if (q)
		r = db_next(db, q, err);
	if (r == 1)
		r = take_job(q, out, err);
	else if (r == 0)
		r = error_set(err, -ENOENT, "there is no job %lld", (long long)id);
	sqlite3_finalize(q);
	db_unlock(db);
	return r;
}

int jobs_list(struct db *db, const struct jobs_filter *filter, struct job **list, size_t *n, struct error *err)
{
	char sql[1200];
	struct job *at = NULL;
	size_t used = 0, room = 0;
	sqlite3_stmt *q;
	int r = -EIO;

	/* Named states, not "all but": the index on state keeps this quick when thousands of jobs are over. */
	snprintf(sql, sizeof sql,
		 "SELECT " JOB_COLUMNS " FROM jobs WHERE (?1 IS NULL OR host=?1) %s ORDER BY id %s LIMIT ?2",
		 filter->active_only
			 ? "AND state IN ('queued','arming','waking','booting','working','verifying','finishing')"
			 : "",
		 filter->oldest_first ? "" : "DESC");
	db_lock(db);
	q = db_query(db, err, sql, "ti", filter->host, filter->limit ? (int64_t)filter->limit : (int64_t)-1);
	while (q && (r = db_next(db, q, err)) == 1) {
		if (used == room) {
			struct job *more = reallocarray(at, room ? room * 2 : 8, sizeof *at);

			if (!more) {
				r = error_set(err, -ENOMEM, "out of memory");
				break;
			}
			at = more;
			room = room ? room * 2 : 8;
		}
		r = take_job(q, &at[used], err);
		if (r < 0)
			break;
		used++;
	}
	sqlite3_finalize(q);
	db_unlock(db);
	if (r < 0) {
		jobs_free(at, used);
		return r;
	}
	*list = at;
	*n = used;
	return 0;
}

/* What changes with a move besides the state. */
static int move_row(struct db *db, int64_t id, enum job_state from, enum job_state to, const struct job_end *end,
		    struct error *err)
{
	int64_t now = clock_unix();
	int r = db_run(db, err, "UPDATE jobs SET state=?, state_since=?, seq=seq+1 WHERE id=? AND state=?", "tiit",
		       job_state_name(to), now, id, job_state_name(from));

	if (r < 0)
		return r;
	if (r == 0)
		return error_set(err, -ESTALE, "job %lld is not %s any more", (long long)id, job_state_name(from));
	if (to == JOB_ARMING)
		r = db_run(db, err, "UPDATE jobs SET armed=?, started=? WHERE id=?", "iii", now, now, id);
	else if (to == JOB_WORKING && from == JOB_QUEUED)
		r = db_run(db, err, "UPDATE jobs SET started=? WHERE id=?", "ii", now, id);
	else if (to == JOB_QUEUED)
		r = db_run(db, err, "UPDATE jobs SET restarts=restarts+1, phase='', done_bytes=0 WHERE id=?", "i", id);
	else if (job_state_is_over(to))
		r = db_run(db, err, "UPDATE jobs SET ended=?, code=?, error=?, rate=0, left_seconds=-1 WHERE id=?",
			   "iiti", now, (int64_t)(end ? end->code : 0), end && end->error ? end->error : "", id);
	return r < 0 ? r : 0;
}

int jobs_move(struct db *db, int64_t id, enum job_state from, enum job_state to, const struct job_end *end,
	      struct error *err)
{
	int r = db_begin(db, true, err);

	if (r < 0)
		return r;
	r = move_row(db, id, from, to, end, err);
	if (r == 0)
		jobs_log(db, id, clock_unix(), to == JOB_FAILED ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "server", "%s%s%s",
			 job_state_name(to), end && end->error && end->error[0] ? ": " : "",
			 end && end->error ? end->error : "");
	return db_end(db, r, err);
}

int jobs_want_cancel(struct db *db, int64_t id, struct error *err)
{
	int r = db_run(db, err, "UPDATE jobs SET cancelling=?, seq=seq+1 WHERE id=? AND cancelling=0", "ii",
		       clock_unix(), id);

	return r < 0 ? r : 0;
}

int jobs_committed(struct db *db, int64_t id, const char *snapshot, bool degraded, struct error *err)
{
	int r = db_begin(db, true, err);

	if (r < 0)
		return r;
	r = db_run(db, err,
		   "UPDATE jobs SET committed=1, snapshot=?, degraded=max(degraded,?) WHERE id=? AND committed=0",
		   "tii", snapshot, (int64_t)degraded, id);
	if (r == 0)
		r = error_set(err, -EEXIST, "job %lld has committed a snapshot already", (long long)id);
	if (r > 0)
		r = move_row(db, id, JOB_WORKING, JOB_VERIFYING, NULL, err);
	if (r == 0)
		jobs_log(db, id, clock_unix(), LOG_LEVEL_INFO, "server", "verifying: snapshot %.12s is committed",
			 snapshot);
	return db_end(db, r, err);
}

int jobs_set_stats(struct db *db, int64_t id, const char *stats, bool degraded, struct error *err)
{
	int r = db_run(db, err, "UPDATE jobs SET stats=?, degraded=max(degraded,?), seq=seq+1 WHERE id=?", "tii", stats,
		       (int64_t)degraded, id);

	return r < 0 ? r : 0;
}

int jobs_set_progress(struct db *db, const struct job *j, struct error *err)
{
	int r = db_run(db, err,
		       "UPDATE jobs SET phase=?, region=?, done_bytes=?, total_bytes=?, new_bytes=?, stored_bytes=?,"
		       " skipped_bytes=?, rate=?, left_seconds=?, seq=seq+1 WHERE id=?",
		       "ttiiiiiddi", j->phase, j->region, (int64_t)j->done_bytes, (int64_t)j->total_bytes,
		       (int64_t)j->new_bytes, (int64_t)j->stored_bytes, (int64_t)j->skipped_bytes, j->rate,
		       j->left_seconds, j->id);

	return r < 0 ? r : 0;
}
