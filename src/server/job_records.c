/* What is kept with a job: its log, the host's screens, its armings and tokens; and the audit table. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "server/jobs.h"

void jobs_log(struct db *db, int64_t id, int64_t time, enum log_level level, const char *source, const char *fmt, ...)
{
	char raw[1500], line[1500];
	struct error err = {0};
	va_list ap;
	int r;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	text_printable(raw, line, sizeof line);
	if (strcmp(source, "agent") != 0)
		log_write(level, "job %lld: %s", (long long)id, line);
	/* seq moves with the log too, so that a watcher sees new lines. What the server says is kept in any case. */
	db_lock(db);
	r = db_run(db, &err, "UPDATE jobs SET seq=seq+1, log_lines=log_lines+1 WHERE id=? AND (log_lines<? OR ?)",
		   "iii", id, (int64_t)JOBS_MAX_LOG_LINES, (int64_t)(strcmp(source, "agent") != 0));
	if (r > 0)
		r = db_run(db, &err, "INSERT INTO job_log(job, time, level, source, text) VALUES(?,?,?,?,?)", "iittt",
			   id, time, log_level_name(level), source, line);
	db_unlock(db);
	if (r < 0)
		log_error("job %lld: a line of its log could not be kept: %s", (long long)id, err.text);
}

void jobs_screen(struct db *db, const struct job *j, const char *text)
{
	struct error err = {0};
	int r = db_begin(db, false, &err);

	if (r == 0) {
		r = db_run(db, &err,
			   "INSERT INTO screens(job, host, time, text) SELECT ?1, ?2, ?3, ?4 WHERE ?4 IS NOT"
			   " (SELECT text FROM screens WHERE host=?2 ORDER BY id DESC LIMIT 1)",
			   "itit", j->id, j->host, clock_unix(), text);
		if (r > 0)
			r = db_run(
				db, &err,
				"DELETE FROM screens WHERE host=?1 AND id NOT IN (SELECT id FROM screens WHERE host=?1"
				" ORDER BY id DESC LIMIT ?2) AND id NOT IN (SELECT max(s.id) FROM screens s JOIN jobs "
				"j ON"
				" j.id=s.job WHERE s.host=?1 AND j.state='failed' GROUP BY s.job)",
				"ti", j->host, (int64_t)JOBS_MAX_SCREENS);
		r = db_end(db, r < 0 ? r : 0, &err);
	}
	if (r < 0)
		log_warning("job %lld: its screen could not be kept: %s", (long long)j->id, err.text);
}

int jobs_make_armings(struct db *db, int64_t id, const char (*macs)[18], size_t n, struct error *err)
{
	uint8_t token[32], nonce[16];
	char token_hex[65], nonce_hex[33];
	struct hash token_hash;
	int r;

	io_random(token, sizeof token);
	text_hex(token, sizeof token, token_hex);
	token_hash = hash_of(token, sizeof token);
	r = db_begin(db, true, err);
	if (r < 0)
		return r;
	if (db_number(db, 0, "SELECT count(*) FROM armings WHERE job=? AND token<>''", "i", id) > 0)
		n = 0;
	for (size_t i = 0; i < n && r >= 0; i++) {
		io_random(nonce, sizeof nonce);
		r = db_run(db, err, "INSERT INTO armings(mac, job, nonce, token, token_hash) VALUES(?,?,?,?,?)",
			   "titth", macs[i], id, text_hex(nonce, sizeof nonce, nonce_hex), token_hex, &token_hash);
	}
	return db_end(db, r < 0 ? r : 0, err);
}

static void take_arming(sqlite3_stmt *q, struct arming *a)
{
	db_column(q, 0, a->mac, sizeof a->mac);
	a->job = sqlite3_column_int64(q, 1);
	db_column(q, 2, a->nonce, sizeof a->nonce);
	db_column(q, 3, a->token, sizeof a->token);
}

int jobs_armings(struct db *db, int64_t id, struct arming *out, size_t max, struct error *err)
{
	sqlite3_stmt *q;
	size_t n = 0;
	int r = -EIO;

	db_lock(db);
	q = db_query(db, err, "SELECT mac, job, nonce, token FROM armings WHERE job=? AND token<>'' ORDER BY rowid",
		     "i", id);
	while (q && (r = db_next(db, q, err)) == 1 && n < max)
		take_arming(q, &out[n++]);
	sqlite3_finalize(q);
	db_unlock(db);
	return r < 0 ? r : (int)n;
}

int jobs_armed_macs(struct db *db, int64_t id, char (*macs)[18], size_t max, struct error *err)
{
	sqlite3_stmt *q;
	size_t n = 0;
	int r = -EIO;

	db_lock(db);
	q = db_query(db, err, "SELECT DISTINCT mac FROM armings WHERE job=?", "i", id);
	while (q && (r = db_next(db, q, err)) == 1 && n < max)
		db_column(q, 0, macs[n++], sizeof macs[0]);
	sqlite3_finalize(q);
	db_unlock(db);
	return r < 0 ? r : (int)n;
}

int jobs_arming_of_nonce(struct db *db, const char *nonce, struct arming *out)
{
	sqlite3_stmt *q;
	int r = -ENOENT;

	db_lock(db);
	q = db_query(db, NULL, "SELECT mac, job, nonce, token FROM armings WHERE nonce=? AND token<>''", "t", nonce);
	if (q && db_next(db, q, NULL) == 1) {
		take_arming(q, out);
		r = 0;
	}
	sqlite3_finalize(q);
	db_unlock(db);
	return r;
}

int64_t jobs_armed_for_mac(struct db *db, const char *mac)
{
	return db_number(db, 0, "SELECT job FROM armings WHERE mac=? AND token<>'' ORDER BY job DESC", "t", mac);
}

int jobs_disarmed(struct db *db, int64_t id, struct error *err)
{
	int r = db_run(db, err, "UPDATE armings SET token='' WHERE job=?", "i", id);

	return r < 0 ? r : 0;
}

int64_t jobs_of_boot_token(struct db *db, const struct hash *token)
{
	return db_number(db, 0, "SELECT job FROM armings WHERE token_hash=?", "h", token);
}

int jobs_open_session(struct db *db, int64_t id, const char *boot_nonce, const struct hash *session, struct error *err)
{
	int r = db_begin(db, true, err);

	if (r < 0)
		return r;
	r = db_run(db, err, "UPDATE jobs SET boot_nonce=? WHERE id=? AND boot_nonce IN ('', ?)", "tit", boot_nonce, id,
		   boot_nonce);
	if (r == 0)
		r = error_set(err, -EACCES, "the boot token was used by another boot already");
	if (r > 0)
		r = db_run(db, err, "INSERT INTO sessions(hash, job) VALUES(?,?)", "hi", session, id);
	return db_end(db, r < 0 ? r : 0, err);
}

int64_t jobs_of_session(struct db *db, const struct hash *session)
{
	return db_number(db, 0, "SELECT job FROM sessions WHERE hash=?", "h", session);
}

void db_audit(struct db *db, const char *who, const char *fmt, ...)
{
	struct error err = {0};
	char raw[600], what[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	text_printable(raw, what, sizeof what);
	log_info("%s: %s", who, what);
	if (db_run(db, &err, "INSERT INTO audit(time, who, what) VALUES(?,?,?)", "itt", clock_unix(), who, what) < 0)
		log_error("an audit line could not be kept: %s", err.text);
}
