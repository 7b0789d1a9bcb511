/* The SQLite file: opening, schema, and small helpers around statements. */
#include "server/db.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "server/job_state.h"

#define DB_VERSION 1
#define ACTIVE "('arming','waking','booting','working','verifying','finishing')"

struct db {
	sqlite3 *sql;
	pthread_mutex_t lock;
};

static const char schema[] =
	"CREATE TABLE hosts("
	" name TEXT PRIMARY KEY, after TEXT NOT NULL, uuid TEXT NOT NULL DEFAULT '', created INTEGER NOT NULL,"
	" seen INTEGER NOT NULL DEFAULT 0, hello TEXT NOT NULL DEFAULT '') STRICT;"
	"CREATE TABLE host_macs("
	" mac TEXT PRIMARY KEY, host TEXT NOT NULL REFERENCES hosts(name) ON DELETE CASCADE, position INTEGER NOT NULL)"
	" STRICT;"
	"CREATE TABLE jobs("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL DEFAULT 1, host TEXT NOT NULL, kind TEXT NOT NULL,"
	" local INTEGER NOT NULL, state TEXT NOT NULL, state_since INTEGER NOT NULL,"
	" origin TEXT NOT NULL, snapshot TEXT NOT NULL, disk TEXT NOT NULL, tags TEXT NOT NULL, full INTEGER NOT NULL,"
	" created INTEGER NOT NULL, armed INTEGER NOT NULL DEFAULT 0, started INTEGER NOT NULL DEFAULT 0,"
	" ended INTEGER NOT NULL DEFAULT 0, cancelling INTEGER NOT NULL DEFAULT 0, committed INTEGER NOT NULL DEFAULT "
	"0,"
	" degraded INTEGER NOT NULL DEFAULT 0, restarts INTEGER NOT NULL DEFAULT 0, boot_nonce TEXT NOT NULL DEFAULT "
	"'',"
	" log_lines INTEGER NOT NULL DEFAULT 0,"
	" phase TEXT NOT NULL DEFAULT '', region TEXT NOT NULL DEFAULT '', done_bytes INTEGER NOT NULL DEFAULT 0,"
	" total_bytes INTEGER NOT NULL DEFAULT 0, new_bytes INTEGER NOT NULL DEFAULT 0,"
	" stored_bytes INTEGER NOT NULL DEFAULT 0, skipped_bytes INTEGER NOT NULL DEFAULT 0,"
	" rate REAL NOT NULL DEFAULT 0, left_seconds REAL NOT NULL DEFAULT -1,"
	" error TEXT NOT NULL DEFAULT '', code INTEGER NOT NULL DEFAULT 0, stats TEXT NOT NULL DEFAULT '{}') STRICT;"
	"CREATE INDEX jobs_host ON jobs(host);"
	"CREATE INDEX jobs_state ON jobs(state);"
	"CREATE UNIQUE INDEX jobs_one_active ON jobs(host) WHERE local = 0 AND state IN " ACTIVE ";"
	"CREATE TABLE job_log("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, time INTEGER NOT NULL, level TEXT NOT NULL,"
	" source TEXT NOT NULL, text TEXT NOT NULL) STRICT;"
	"CREATE INDEX job_log_job ON job_log(job, id);"
	"CREATE TABLE armings("
	" mac TEXT NOT NULL, job INTEGER NOT NULL, nonce TEXT PRIMARY KEY, token TEXT NOT NULL, token_hash TEXT NOT "
	"NULL)"
	" STRICT;"
	"CREATE INDEX armings_token ON armings(token_hash);"
	"CREATE INDEX armings_job ON armings(job);"
	"CREATE TABLE sessions(hash TEXT PRIMARY KEY, job INTEGER NOT NULL) STRICT;"
	"CREATE TABLE screens("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, host TEXT NOT NULL, time INTEGER NOT NULL,"
	" text TEXT NOT NULL) STRICT;"
	"CREATE INDEX screens_host ON screens(host, id);"
	"CREATE TABLE audit("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL) STRICT;"
	"CREATE TABLE tokens(hash TEXT PRIMARY KEY, name TEXT NOT NULL, created INTEGER NOT NULL) STRICT;"
	"CREATE TABLE transitions(local INTEGER, old TEXT, new TEXT, PRIMARY KEY(local, old, new)) STRICT;"
	"CREATE TRIGGER jobs_begin BEFORE INSERT ON jobs WHEN NEW.state <> 'queued'"
	" BEGIN SELECT RAISE(ABORT, 'a job begins queued'); END;"
	"CREATE TRIGGER jobs_legal BEFORE UPDATE OF state ON jobs WHEN NOT EXISTS"
	" (SELECT 1 FROM transitions WHERE local = OLD.local AND old = OLD.state AND new = NEW.state)"
	" BEGIN SELECT RAISE(ABORT, 'illegal change of a job state'); END;";

void db_lock(struct db *db)
{
	pthread_mutex_lock(&db->lock);
}

void db_unlock(struct db *db)
{
	pthread_mutex_unlock(&db->lock);
}

static int exec(struct db *db, const char *sql, struct error *err)
{
	char *text = NULL;

	if (sqlite3_exec(db->sql, sql, NULL, NULL, &text) == SQLITE_OK)
		return 0;
	error_set(err, -EIO, "the state database failed: %s", text ? text : "out of memory");
	sqlite3_free(text);
	return -EIO;
}

int db_begin(struct db *db, bool durable, struct error *err)
{
	int r;

	db_lock(db);
	r = exec(db,
		 durable ? "PRAGMA synchronous=FULL; BEGIN IMMEDIATE" : "PRAGMA synchronous=NORMAL; BEGIN IMMEDIATE",
		 err);
	if (r < 0)
		db_unlock(db);
	return r;
}

int db_end(struct db *db, int code, struct error *err)
{
	int r = code;

	if (code == 0)
		r = exec(db, "COMMIT", err);
	/* A failed COMMIT may leave the transaction open. */
	if (r < 0 && !sqlite3_get_autocommit(db->sql))
		exec(db, "ROLLBACK", NULL);
	db_unlock(db);
	return r;
}

static int bind(sqlite3_stmt *q, const char *types, va_list ap)
{
	char hex[HASH_HEX_BYTES];
	const char *text;
	int r = SQLITE_OK;

	for (int i = 1; types && types[i - 1] && r == SQLITE_OK; i++) {
		switch (types[i - 1]) {
		case 'i':
			r = sqlite3_bind_int64(q, i, va_arg(ap, int64_t));
			break;
		case 'd':
			r = sqlite3_bind_double(q, i, va_arg(ap, double));
			break;
		case 'h':
			hash_format(va_arg(ap, const struct hash *), hex);
			r = sqlite3_bind_text(q, i, hex, -1, SQLITE_TRANSIENT);
			break;
		case 't':
			text = va_arg(ap, const char *);
			r = sqlite3_bind_text(q, i, text, -1, SQLITE_TRANSIENT);
			break;
		default:
			return SQLITE_MISUSE;
		}
	}
	return r;
}

static sqlite3_stmt *prepare(struct db *db, struct error *err, const char *sql, const char *types, va_list ap)
{
	sqlite3_stmt *q = NULL;

	if (sqlite3_prepare_v2(db->sql, sql, -1, &q, NULL) != SQLITE_OK || bind(q, types, ap) != SQLITE_OK) {
		error_set(err, -EIO, "the state database failed: %s", sqlite3_errmsg(db->sql));
		sqlite3_finalize(q);
		return NULL;
	}
	return q;
}

static int step_code(struct db *db, struct error *err)
{
	int extended = sqlite3_extended_errcode(db->sql), code = -EIO;

	if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY)
		code = -EEXIST;
	else if (extended == SQLITE_CONSTRAINT_TRIGGER)
		code = -EPERM;
	else if (extended == SQLITE_FULL)
		code = -ENOSPC;
	return error_set(err, code, "the state database refused: %s", sqlite3_errmsg(db->sql));
}

int db_run(struct db *db, struct error *err, const char *sql, const char *types, ...)
{
	sqlite3_stmt *q;
	va_list ap;
	int r = -EIO;

	db_lock(db);
	va_start(ap, types);
	q = prepare(db, err, sql, types, ap);
	va_end(ap);
	if (q) {
		int step = sqlite3_step(q);

		r = step == SQLITE_DONE ? sqlite3_changes(db->sql) : step_code(db, err);
		sqlite3_finalize(q);
	}
	db_unlock(db);
	return r;
}

sqlite3_stmt *db_query(struct db *db, struct error *err, const char *sql, const char *types, ...)
{
	sqlite3_stmt *q;
	va_list ap;

	va_start(ap, types);
	q = prepare(db, err, sql, types, ap);
	va_end(ap);
	return q;
}

int db_next(struct db *db, sqlite3_stmt *q, struct error *err)
{
	int step = sqlite3_step(q);

	if (step == SQLITE_ROW)
		return 1;
	return step == SQLITE_DONE ? 0 : step_code(db, err);
}

int64_t db_number(struct db *db, int64_t fallback, const char *sql, const char *types, ...)
{
	sqlite3_stmt *q;
	va_list ap;

	db_lock(db);
	va_start(ap, types);
	q = prepare(db, NULL, sql, types, ap);
	va_end(ap);
	if (q && sqlite3_step(q) == SQLITE_ROW && sqlite3_column_type(q, 0) != SQLITE_NULL)
		fallback = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	db_unlock(db);
	return fallback;
}

int64_t db_last_id(struct db *db)
{
	return sqlite3_last_insert_rowid(db->sql);
}

void db_column(sqlite3_stmt *q, int column, char *to, size_t to_bytes)
{
	const char *text = (const char *)sqlite3_column_text(q, column);

	snprintf(to, to_bytes, "%s", text ? text : "");
}

/* The table of legal changes, from job_state.c, at every start. */
static int write_transitions(struct db *db, struct error *err)
{
	int r = db_run(db, err, "DELETE FROM transitions", NULL);

	for (int local = 0; local < 2 && r >= 0; local++)
		for (unsigned from = 0; from < JOB_STATES && r >= 0; from++)
			for (unsigned to = 0; to < JOB_STATES && r >= 0; to++)
				if (job_state_may(local, (enum job_state)from, (enum job_state)to))
					r = db_run(db, err, "INSERT INTO transitions VALUES(?,?,?)", "itt",
						   (int64_t)local, job_state_name((enum job_state)from),
						   job_state_name((enum job_state)to));
	return r < 0 ? r : 0;
}

static int set_up(struct db *db, const char *path, struct error *err)
{
	int64_t version;
	char set[64];
	int r = exec(db, "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY", err);

	if (r < 0)
		return r;
	version = db_number(db, -1, "PRAGMA user_version", NULL);
	if (version < 0 || version > DB_VERSION)
		return error_set(err, -ERR_VERSION,
				 "%s has version %lld, this g4ld knows %d: it was written by a newer one", path,
				 (long long)version, DB_VERSION);
	snprintf(set, sizeof set, "PRAGMA user_version=%d", DB_VERSION);
	r = db_begin(db, true, err);
	if (r < 0)
		return r;
	if (version == 0)
		r = exec(db, schema, err);
	if (r == 0)
		r = exec(db, set, err);
	if (r == 0)
		r = write_transitions(db, err);
	return db_end(db, r, err);
}

int db_open(const char *path, struct db **out, struct error *err)
{
	struct db *db = calloc(1, sizeof *db);
	pthread_mutexattr_t attr;
	mode_t mask;
	int r;

	if (!db)
		return error_set(err, -ENOMEM, "out of memory");
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&db->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	mask = umask(0077);
	r = sqlite3_open_v2(path, &db->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL);
	if (r != SQLITE_OK) {
		r = error_set(err, -EIO, "cannot open the state database %s: %s", path,
			      db->sql ? sqlite3_errmsg(db->sql) : "out of memory");
	} else {
		sqlite3_extended_result_codes(db->sql, 1);
		sqlite3_busy_timeout(db->sql, 5000);
		r = set_up(db, path, err);
		if (r < 0)
			error_prefix(err, "%s", path);
	}
	umask(mask);
	if (r < 0) {
		db_close(db);
		return r;
	}
	*out = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	sqlite3_close(db->sql);
	pthread_mutex_destroy(&db->lock);
	free(db);
}
