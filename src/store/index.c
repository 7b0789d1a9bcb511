/*
 * Two tables in SQLite, in WAL mode: readers never wait for a writer. One connection writes, under a lock; readers
 * borrow connections from a pool, so that threads do not wait for each other. synchronous=NORMAL: after a power
 * loss the newest packs may be missing here, never more than the folder holds, and catching up finds them.
 */
#include "store/index.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define INDEX_SCHEMA 1
#define BUSY_MS 20000

struct connection {
	struct connection *next;
	sqlite3 *db;
	sqlite3_stmt *sizes, *places;
};

struct store_index {
	char *path;
	char store_id[33];
	pthread_mutex_t write_lock, pool_lock;
	sqlite3 *writer;
	struct connection *pool;
};

/* Our code for what SQLite says. */
static int code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_IOERR:
		return -EIO;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	default:
		return -ERR_DAMAGED; /* corrupt, not a database, a missing table */
	}
}

static int failed(struct store_index *x, sqlite3 *db, const char *what, struct error *err)
{
	int code = code_of(db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM);

	return error_set(err, code, "cannot %s the index %s: %s", what, x->path, db ? sqlite3_errmsg(db) : "no memory");
}

static int run(struct store_index *x, sqlite3 *db, const char *sql, const char *what, struct error *err)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(x, db, what, err);
}

/* The change to WAL, and the first look at a file that another process is just making, fail at once with BUSY instead
 * of waiting: SQLite's busy handler does not serve there. */
static int set_wal(struct store_index *x, sqlite3 *db, struct error *err)
{
	/* Hashes hit pages at random: a checkpoint after each pack would write and sync most of the file every time. */
	static const char sql[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32768;"
				  "PRAGMA wal_autocheckpoint=16384; PRAGMA temp_store=MEMORY;";
	uint64_t start = clock_ms();
	int r = run(x, db, sql, "open", err);

	while (r == -EBUSY && clock_ms() - start < BUSY_MS) {
		clock_sleep_ms(20);
		r = run(x, db, sql, "open", err);
	}
	return r;
}

/* *db is to be closed also after a failure. */
static int open_db(struct store_index *x, int flags, sqlite3 **db, struct error *err)
{
	*db = NULL;
	if (sqlite3_open_v2(x->path, db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return failed(x, *db, "open", err);
	sqlite3_busy_timeout(*db, BUSY_MS);
	sqlite3_extended_result_codes(*db, 1);
	return set_wal(x, *db, err);
}

/* One value of the first row; "" when there is none. */
static int one_text(struct store_index *x, const char *sql, char *to, size_t to_bytes, struct error *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(x->writer, sql, -1, &st, NULL);

	to[0] = '\0';
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && sqlite3_column_text(st, 0))
		snprintf(to, to_bytes, "%s", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : failed(x, x->writer, "read", err);
}

/* Inside a transaction. */
static int make_tables(struct store_index *x, struct error *err)
{
	char sql[1400];

	snprintf(sql, sizeof sql,
		 "DROP TABLE IF EXISTS chunks; DROP TABLE IF EXISTS packs; DROP TABLE IF EXISTS meta;"
		 "CREATE TABLE meta(store TEXT NOT NULL);"
		 "INSERT INTO meta VALUES('%s');"
		 "CREATE TABLE packs(pack INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE,"
		 " bytes INTEGER NOT NULL, chunks INTEGER NOT NULL, plain INTEGER NOT NULL);"
		 "CREATE TABLE chunks(hash BLOB NOT NULL, pack INTEGER NOT NULL, offset INTEGER NOT NULL,"
		 " body INTEGER NOT NULL, plain INTEGER NOT NULL, method INTEGER NOT NULL,"
		 " PRIMARY KEY(hash, pack)) WITHOUT ROWID;"
		 "PRAGMA user_version=%d;",
		 x->store_id, INDEX_SCHEMA);
	return run(x, x->writer, sql, "set up", err);
}

/* Makes the tables where they are missing, or belong to another store or version. The look and the making are one
 * transaction: another process may be at the same. */
static int set_up(struct store_index *x, struct error *err)
{
	char version[16] = "", id[40] = "";
	int r = run(x, x->writer, "BEGIN IMMEDIATE", "set up", err);

	if (r < 0)
		return r;
	r = one_text(x, "PRAGMA user_version", version, sizeof version, err);
	if (r == 0 && atoi(version) == INDEX_SCHEMA)
		r = one_text(x, "SELECT store FROM meta", id, sizeof id, err);
	if (r == 0 && strcmp(id, x->store_id) != 0)
		r = make_tables(x, err);
	if (r == 0)
		r = run(x, x->writer, "COMMIT", "set up", err);
	if (r < 0)
		sqlite3_exec(x->writer, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int store_index_open(const char *path, const char *store_id, struct store_index **out, struct error *err)
{
	struct store_index *x = calloc(1, sizeof *x);
	int r;

	if (!x || !(x->path = strdup(path))) {
		free(x);
		return error_errno(err, ENOMEM, "cannot open the index %s", path);
	}
	snprintf(x->store_id, sizeof x->store_id, "%s", store_id);
	pthread_mutex_init(&x->write_lock, NULL);
	pthread_mutex_init(&x->pool_lock, NULL);
	r = open_db(x, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &x->writer, err);
	if (r == 0)
		r = set_up(x, err);
	if (r == -ERR_DAMAGED && x->writer)
		r = store_index_reset(x, err);
	if (r < 0) {
		store_index_close(x);
		return r;
	}
	*out = x;
	return 0;
}

static void connection_free(struct connection *c)
{
	sqlite3_finalize(c->sizes);
	sqlite3_finalize(c->places);
	sqlite3_close(c->db);
	free(c);
}

void store_index_close(struct store_index *x)
{
	if (!x)
		return;
	while (x->pool) {
		struct connection *c = x->pool;

		x->pool = c->next;
		connection_free(c);
	}
	sqlite3_close(x->writer);
	pthread_mutex_destroy(&x->write_lock);
	pthread_mutex_destroy(&x->pool_lock);
	free(x->path);
	free(x);
}

/* SQLite's own way to empty a damaged file in place, which other processes survive. */
int store_index_reset(struct store_index *x, struct error *err)
{
	int r;

	pthread_mutex_lock(&x->write_lock);
	sqlite3_table_column_metadata(x->writer, NULL, "packs", "id", NULL, NULL, NULL, NULL, NULL);
	sqlite3_db_config(x->writer, SQLITE_DBCONFIG_RESET_DATABASE, 1, 0);
	r = run(x, x->writer, "VACUUM", "empty", err);
	sqlite3_db_config(x->writer, SQLITE_DBCONFIG_RESET_DATABASE, 0, 0);
	if (r == 0)
		r = run(x, x->writer, "PRAGMA journal_mode=WAL", "empty", err);
	if (r == 0)
		r = set_up(x, err);
	pthread_mutex_unlock(&x->write_lock);
	return r;
}

static int connection_new(struct store_index *x, struct connection **out, struct error *err)
{
	static const char sizes[] = "SELECT plain FROM chunks WHERE hash=?1 LIMIT 1";
	static const char places[] = "SELECT p.id, c.offset, c.body, c.plain, c.method FROM chunks c"
				     " JOIN packs p ON p.pack=c.pack WHERE c.hash=?1";
	struct connection *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return error_errno(err, ENOMEM, "cannot open the index %s", x->path);
	r = open_db(x, SQLITE_OPEN_READWRITE, &c->db, err);
	if (r == 0 && (sqlite3_prepare_v3(c->db, sizes, -1, SQLITE_PREPARE_PERSISTENT, &c->sizes, NULL) != SQLITE_OK ||
		       sqlite3_prepare_v3(c->db, places, -1, SQLITE_PREPARE_PERSISTENT, &c->places, NULL) != SQLITE_OK))
		r = failed(x, c->db, "read", err);
	if (r < 0) {
		connection_free(c);
		return r;
	}
	*out = c;
	return 0;
}

/* A connection inside a read transaction, so that a batch costs the locks of one query. */
static int borrow(struct store_index *x, struct connection **out, struct error *err)
{
	int r;

	pthread_mutex_lock(&x->pool_lock);
	*out = x->pool;
	if (*out)
		x->pool = (*out)->next;
	pthread_mutex_unlock(&x->pool_lock);
	if (!*out) {
		r = connection_new(x, out, err);
		if (r < 0)
			return r;
	}
	r = run(x, (*out)->db, "BEGIN", "read", err);
	if (r < 0)
		connection_free(*out);
	return r;
}

/* A connection that saw a failure is not used again. */
static void give_back(struct store_index *x, struct connection *c, int r)
{
	sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL);
	if (r < 0) {
		connection_free(c);
		return;
	}
	pthread_mutex_lock(&x->pool_lock);
	c->next = x->pool;
	x->pool = c;
	pthread_mutex_unlock(&x->pool_lock);
}

int store_index_sizes(struct store_index *x, const struct hash *hashes, size_t n, uint32_t *plain_bytes,
		      struct error *err)
{
	struct connection *c;
	int r = borrow(x, &c, err), rc;

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++) {
		sqlite3_bind_blob(c->sizes, 1, hashes[i].bytes, HASH_BYTES, SQLITE_STATIC);
		rc = sqlite3_step(c->sizes);
		plain_bytes[i] = rc == SQLITE_ROW ? (uint32_t)sqlite3_column_int64(c->sizes, 0) : 0;
		if (rc != SQLITE_ROW && rc != SQLITE_DONE)
			r = failed(x, c->db, "read", err);
		sqlite3_reset(c->sizes);
	}
	give_back(x, c, r);
	return r;
}

/* The row that the statement stands on. False when it makes no sense. */
static bool read_place(sqlite3_stmt *st, struct store_place *p)
{
	if (sqlite3_column_bytes(st, 0) != PACK_ID_BYTES)
		return false;
	memcpy(p->pack.bytes, sqlite3_column_blob(st, 0), PACK_ID_BYTES);
	p->offset = (uint32_t)sqlite3_column_int64(st, 1);
	p->body_bytes = (uint32_t)sqlite3_column_int64(st, 2);
	p->plain_bytes = (uint32_t)sqlite3_column_int64(st, 3);
	p->method = (uint8_t)sqlite3_column_int(st, 4);
	p->found = true;
	return p->plain_bytes > 0 && p->plain_bytes <= CHUNK_MAX_BYTES && p->body_bytes > 0 &&
	       p->body_bytes <= p->plain_bytes && p->offset <= PACK_MAX_BYTES;
}

static int find_places(struct store_index *x, struct connection *c, const struct hash *hash, struct store_place *places,
		       size_t max, size_t *n, struct error *err)
{
	int rc = SQLITE_ROW, r = 0;

	*n = 0;
	sqlite3_bind_blob(c->places, 1, hash->bytes, HASH_BYTES, SQLITE_STATIC);
	while (*n < max && (rc = sqlite3_step(c->places)) == SQLITE_ROW && r == 0) {
		if (read_place(c->places, &places[*n]))
			(*n)++;
		else
			r = error_set(err, -ERR_DAMAGED, "the index %s is damaged", x->path);
	}
	if (r == 0 && rc != SQLITE_ROW && rc != SQLITE_DONE)
		r = failed(x, c->db, "read", err);
	sqlite3_reset(c->places);
	return r;
}

int store_index_places(struct store_index *x, const struct hash *hashes, size_t n, struct store_place *places,
		       struct error *err)
{
	struct connection *c;
	size_t got;
	int r = borrow(x, &c, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++) {
		places[i] = (struct store_place){0};
		r = find_places(x, c, &hashes[i], &places[i], 1, &got, err);
	}
	give_back(x, c, r);
	return r;
}

int store_index_copies(struct store_index *x, const struct hash *hash, struct store_place *places, size_t max,
		       size_t *n, struct error *err)
{
	struct connection *c;
	int r = borrow(x, &c, err);

	if (r < 0)
		return r;
	r = find_places(x, c, hash, places, max, n, err);
	give_back(x, c, r);
	return r;
}

int store_index_packs(struct store_index *x, struct store_index_pack **list, size_t *n, struct error *err)
{
	sqlite3_stmt *st = NULL;
	struct connection *c;
	size_t cap = 0;
	int r = borrow(x, &c, err), rc;

	*list = NULL;
	*n = 0;
	if (r < 0)
		return r;
	rc = sqlite3_prepare_v2(c->db, "SELECT id, bytes FROM packs ORDER BY id", -1, &st, NULL);
	while (rc == SQLITE_OK && r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		rc = SQLITE_OK;
		if (*n == cap) {
			struct store_index_pack *more = realloc(*list, (cap = cap ? 2 * cap : 64) * sizeof *more);

			if (!more) {
				r = error_errno(err, ENOMEM, "cannot read the index %s", x->path);
				break;
			}
			*list = more;
		}
		if (sqlite3_column_bytes(st, 0) != PACK_ID_BYTES) {
			r = error_set(err, -ERR_DAMAGED, "the index %s is damaged", x->path);
			break;
		}
		memcpy((*list)[*n].id.bytes, sqlite3_column_blob(st, 0), PACK_ID_BYTES);
		(*list)[(*n)++].pack_bytes = (uint64_t)sqlite3_column_int64(st, 1);
	}
	if (r == 0 && rc != SQLITE_DONE)
		r = failed(x, c->db, "read", err);
	sqlite3_finalize(st);
	give_back(x, c, r);
	if (r < 0) {
		free(*list);
		*list = NULL;
		*n = 0;
	}
	return r;
}

int store_index_totals(struct store_index *x, struct store_index_totals *out, struct error *err)
{
	static const char sql[] = "SELECT COUNT(*), TOTAL(chunks), TOTAL(plain), TOTAL(bytes) FROM packs";
	sqlite3_stmt *st = NULL;
	struct connection *c;
	int r = borrow(x, &c, err);

	if (r < 0)
		return r;
	if (sqlite3_prepare_v2(c->db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		*out = (struct store_index_totals){.packs = (uint64_t)sqlite3_column_int64(st, 0),
						   .chunks = (uint64_t)sqlite3_column_int64(st, 1),
						   .plain_bytes = (uint64_t)sqlite3_column_int64(st, 2),
						   .pack_bytes = (uint64_t)sqlite3_column_int64(st, 3)};
	else
		r = failed(x, c->db, "read", err);
	sqlite3_finalize(st);
	give_back(x, c, r);
	return r;
}

/* Forgets one pack inside a transaction. Its chunks are found by a scan: packs leave seldom, and many at a time. */
static int forget_packs(struct store_index *x, const struct pack_id *ids, size_t n, struct error *err)
{
	sqlite3_stmt *st = NULL;
	int r = run(x, x->writer,
		    "CREATE TEMP TABLE IF NOT EXISTS gone(pack INTEGER PRIMARY KEY); DELETE FROM temp.gone;", "change",
		    err);

	if (r < 0)
		return r;
	if (sqlite3_prepare_v2(x->writer, "INSERT OR IGNORE INTO temp.gone SELECT pack FROM packs WHERE id=?1", -1, &st,
			       NULL) != SQLITE_OK)
		return failed(x, x->writer, "change", err);
	for (size_t i = 0; i < n && r == 0; i++) {
		sqlite3_bind_blob(st, 1, ids[i].bytes, PACK_ID_BYTES, SQLITE_STATIC);
		if (sqlite3_step(st) != SQLITE_DONE)
			r = failed(x, x->writer, "change", err);
		sqlite3_reset(st);
	}
	sqlite3_finalize(st);
	if (r == 0)
		r = run(x, x->writer,
			"DELETE FROM chunks WHERE pack IN (SELECT pack FROM temp.gone);"
			"DELETE FROM packs WHERE pack IN (SELECT pack FROM temp.gone);",
			"change", err);
	return r;
}

static int insert_pack(struct store_index *x, const struct pack_index *pack, struct error *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(x->writer, "INSERT INTO packs(id, bytes, chunks, plain) VALUES(?1, ?2, ?3, ?4)", -1,
				    &st, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_bind_blob(st, 1, pack->id.bytes, PACK_ID_BYTES, SQLITE_STATIC);
		sqlite3_bind_int64(st, 2, (sqlite3_int64)pack->pack_bytes);
		sqlite3_bind_int64(st, 3, (sqlite3_int64)pack->n);
		sqlite3_bind_int64(st, 4, (sqlite3_int64)pack->plain_bytes);
		rc = sqlite3_step(st);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? 0 : failed(x, x->writer, "change", err);
}

static int insert_chunks(struct store_index *x, const struct pack_index *pack, struct error *err)
{
	sqlite3_int64 row = sqlite3_last_insert_rowid(x->writer);
	sqlite3_stmt *st = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(x->writer, "INSERT OR IGNORE INTO chunks VALUES(?1, ?2, ?3, ?4, ?5, ?6)", -1, &st,
			       NULL) != SQLITE_OK)
		return failed(x, x->writer, "change", err);
	for (size_t i = 0; i < pack->n && r == 0; i++) {
		const struct pack_entry *e = &pack->entries[i];

		sqlite3_bind_blob(st, 1, e->hash.bytes, HASH_BYTES, SQLITE_STATIC);
		sqlite3_bind_int64(st, 2, row);
		sqlite3_bind_int64(st, 3, e->offset);
		sqlite3_bind_int64(st, 4, e->body_bytes);
		sqlite3_bind_int64(st, 5, e->plain_bytes);
		sqlite3_bind_int64(st, 6, e->method);
		if (sqlite3_step(st) != SQLITE_DONE)
			r = failed(x, x->writer, "change", err);
		sqlite3_reset(st);
	}
	sqlite3_finalize(st);
	return r;
}

/* True when the pack is known already. */
static bool pack_known(struct store_index *x, const struct pack_id *id)
{
	sqlite3_stmt *st = NULL;
	bool known = false;

	if (sqlite3_prepare_v2(x->writer, "SELECT 1 FROM packs WHERE id=?1", -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_blob(st, 1, id->bytes, PACK_ID_BYTES, SQLITE_STATIC);
		known = sqlite3_step(st) == SQLITE_ROW;
	}
	sqlite3_finalize(st);
	return known;
}

static int end(struct store_index *x, int r, struct error *err)
{
	if (r == 0)
		r = run(x, x->writer, "COMMIT", "change", err);
	if (r < 0)
		sqlite3_exec(x->writer, "ROLLBACK", NULL, NULL, NULL);
	pthread_mutex_unlock(&x->write_lock);
	return r;
}

int store_index_add(struct store_index *x, const struct pack_index *pack, struct error *err)
{
	int r;

	pthread_mutex_lock(&x->write_lock);
	r = run(x, x->writer, "BEGIN IMMEDIATE", "change", err);
	if (r == 0 && !pack_known(x, &pack->id)) {
		r = insert_pack(x, pack, err);
		if (r == 0)
			r = insert_chunks(x, pack, err);
	}
	return end(x, r, err);
}

int store_index_remove(struct store_index *x, const struct pack_id *ids, size_t n, struct error *err)
{
	int r;

	if (n == 0)
		return 0;
	pthread_mutex_lock(&x->write_lock);
	r = run(x, x->writer, "BEGIN IMMEDIATE", "change", err);
	if (r == 0)
		r = forget_packs(x, ids, n, err);
	return end(x, r, err);
}
