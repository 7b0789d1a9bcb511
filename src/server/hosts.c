/* Hosts in the state database. */
#include "server/hosts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

void host_clear(struct host *h)
{
	free(h->hello);
	*h = (struct host){0};
}

int host_mac_parse(const char *text, char to[MAC_TEXT_BYTES])
{
	size_t len = strlen(text), step = len == 12 ? 2 : 3;
	uint8_t mac[6], sum = 0;

	if (len != 12 && len != 17)
		return -EINVAL;
	for (size_t i = 0; i < 6; i++) {
		if (text_unhex(text + i * step, mac + i, 1) < 0)
			return -EINVAL;
		if (step == 3 && i < 5 && text[i * step + 2] != ':' && text[i * step + 2] != '-')
			return -EINVAL;
		sum |= mac[i];
	}
	if (sum == 0 || (mac[0] & 1))
		return -EINVAL;
	snprintf(to, MAC_TEXT_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return 0;
}

bool host_after_is_known(const char *after)
{
	return strcmp(after, "poweroff") == 0 || strcmp(after, "reboot") == 0 || strcmp(after, "stay") == 0;
}

static int add_macs(struct db *db, const struct host *h, struct error *err)
{
	for (size_t i = 0; i < h->n_macs; i++) {
		int r = db_run(db, err, "INSERT INTO host_macs VALUES(?,?,?)", "tti", h->macs[i], h->name, (int64_t)i);

		if (r == -EEXIST) {
			sqlite3_stmt *q = db_query(db, NULL, "SELECT host FROM host_macs WHERE mac=?", "t", h->macs[i]);
			char whose[64] = "";

			if (q && db_next(db, q, NULL) == 1)
				db_column(q, 0, whose, sizeof whose);
			sqlite3_finalize(q);
			return error_set(err, -EEXIST, "%s already belongs to the host %s", h->macs[i], whose);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int hosts_add(struct db *db, const struct host *h, struct error *err)
{
	int r = db_begin(db, true, err);

	if (r < 0)
		return r;
	r = db_run(db, err, "INSERT INTO hosts(name, after, created) VALUES(?,?,?)", "tti", h->name, h->after,
		   clock_unix());
	if (r == -EEXIST)
		error_set(err, -EEXIST, "there is a host %s already: remove it first, or choose another name", h->name);
	if (r >= 0)
		r = add_macs(db, h, err);
	return db_end(db, r < 0 ? r : 0, err);
}

#define HOST_COLUMNS "name, after, uuid, created, seen, hello"

static int take_host(struct db *db, sqlite3_stmt *q, struct host *out, struct error *err)
{
	sqlite3_stmt *macs;
	int r;

	*out = (struct host){0};
	db_column(q, 0, out->name, sizeof out->name);
	db_column(q, 1, out->after, sizeof out->after);
	db_column(q, 2, out->uuid, sizeof out->uuid);
	out->created = sqlite3_column_int64(q, 3);
	out->seen = sqlite3_column_int64(q, 4);
	if (sqlite3_column_bytes(q, 5) > 0) {
		out->hello = strdup((const char *)sqlite3_column_text(q, 5));
		if (!out->hello)
			return error_set(err, -ENOMEM, "out of memory");
	}
	macs = db_query(db, err, "SELECT mac FROM host_macs WHERE host=? ORDER BY position", "t", out->name);
	if (!macs) {
		host_clear(out);
		return -EIO;
	}
	while ((r = db_next(db, macs, err)) == 1 && out->n_macs < HOST_MAX_MACS) {
		db_column(macs, 0, out->macs[out->n_macs], MAC_TEXT_BYTES);
		out->n_macs++;
	}
	sqlite3_finalize(macs);
	if (r < 0)
		host_clear(out);
	return r < 0 ? r : 0;
}

int hosts_get(struct db *db, const char *name, struct host *out, struct error *err)
{
	sqlite3_stmt *q;
	int r = -EIO;

	db_lock(db);
	q = db_query(db, err, "SELECT " HOST_COLUMNS " FROM hosts WHERE name=?", "t", name);
	if (q)
		r = db_next(db, q, err);
	if (r == 1)
		r = take_host(db, q, out, err);
	else if (r == 0)
		r = error_set(err, -ENOENT, "there is no host %s: g4l host list shows the hosts, g4l host add adds one",
			      name);
	sqlite3_finalize(q);
	db_unlock(db);
	return r;
}

int hosts_list(struct db *db, struct host **list, size_t *n, struct error *err)
{
	struct host *at = NULL;
	size_t used = 0;
	sqlite3_stmt *q;
	int r = -EIO;

	db_lock(db);
	q = db_query(db, err, "SELECT " HOST_COLUMNS " FROM hosts ORDER BY name", NULL);
	while (q && (r = db_next(db, q, err)) == 1) {
		struct host *more = reallocarray(at, used + 1, sizeof *at);

		if (!more) {
			r = error_set(err, -ENOMEM, "out of memory");
			break;
		}
		at = more;
		r = take_host(db, q, &at[used], err);
		if (r < 0)
			break;
		used++;
	}
	sqlite3_finalize(q);
	db_unlock(db);
	if (r < 0) {
		while (used)
			host_clear(&at[--used]);
		free(at);
		return r;
	}
	*list = at;
	*n = used;
	return 0;
}

int hosts_remove(struct db *db, const char *name, struct error *err)
{
	int r = db_begin(db, true, err);
	int64_t job;

	if (r < 0)
		return r;
	job = db_number(db, 0,
			"SELECT id FROM jobs WHERE host=? AND local=0 AND state NOT IN "
			"('done','degraded','failed','cancelled')",
			"t", name);
	if (job)
		r = error_set(err, -EBUSY, "%s has job %lld, which is not over: cancel it first", name, (long long)job);
	else
		r = db_run(db, err, "DELETE FROM hosts WHERE name=?", "t", name);
	if (r == 0)
		r = error_set(err, -ENOENT, "there is no host %s", name);
	return db_end(db, r < 0 ? r : 0, err);
}

int hosts_saw(struct db *db, const char *name, const char *uuid, const char *hello, struct error *err)
{
	int r = db_run(db, err,
		       "UPDATE hosts SET seen=?, hello=?, uuid=CASE WHEN uuid='' THEN ? ELSE uuid END WHERE name=?",
		       "ittt", clock_unix(), hello, uuid, name);

	return r < 0 ? r : 0;
}
