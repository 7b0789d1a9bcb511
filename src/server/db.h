/*
 * g4ld's state in one SQLite file: hosts, jobs, logs. Thin helpers, so that each query is one line where it is used.
 * One connection behind one recursive lock; the schema refuses what must not happen (two active jobs of a host, an
 * illegal change of a job's state), whoever asks.
 */
#ifndef G4L_SERVER_DB_H
#define G4L_SERVER_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct db;

/* path ":memory:" for tests. 0; -ERR_VERSION (written by a newer g4ld); -errno; -EIO. */
int db_open(const char *path, struct db **out, struct error *err);
void db_close(struct db *db);

/* Other threads wait until db_unlock(). Calls nest. */
void db_lock(struct db *db);
void db_unlock(struct db *db);

/* db_begin() locks and opens a transaction; db_end() commits it when code is 0, else rolls it back, and unlocks.
 * db_end() returns code, or what the commit failed with. durable: survives a power loss once db_end() returned 0.
 * Transactions do not nest. */
int db_begin(struct db *db, bool durable, struct error *err);
int db_end(struct db *db, int code, struct error *err);

/*
 * Runs one statement that gives no rows. types: one letter for each `?`: 'i' int64_t, 't' const char * (NULL is NULL),
 * 'd' double, 'h' const struct hash *. Returns the number of changed rows, -EEXIST for a broken UNIQUE or PRIMARY KEY,
 * -EPERM when a trigger refused, -EIO.
 */
int db_run(struct db *db, struct error *err, const char *sql, const char *types, ...);

/* Prepares and binds a query whose rows are taken by db_next(); sqlite3_finalize() it. The caller holds the lock
 * until then. NULL with err set when it cannot be prepared. */
sqlite3_stmt *db_query(struct db *db, struct error *err, const char *sql, const char *types, ...);
/* 1: a row; 0: no more; -EIO. */
int db_next(struct db *db, sqlite3_stmt *q, struct error *err);
/* The one number that a query gives, or fallback when it gives none or fails. */
int64_t db_number(struct db *db, int64_t fallback, const char *sql, const char *types, ...);
int64_t db_last_id(struct db *db);
/* Text of a column into a bounded field; NULL gives "". */
void db_column(sqlite3_stmt *q, int column, char *to, size_t to_bytes);

#endif
