/* Snapshots as objects: snapshots/HOST/ID. Created once, never changed; read with every check that there is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "store/room.h"

char *store_snapshot_name(const char *host, const char *id, char to[STORE_SNAPSHOT_NAME_BYTES])
{
	snprintf(to, STORE_SNAPSHOT_NAME_BYTES, "%s%s/%s", STORE_SNAPSHOTS_PREFIX, host, id);
	return to;
}

/* The whole object. */
static int read_object(struct store *s, const char *name, struct buf *out, struct error *err)
{
	uint64_t size_bytes;
	uint8_t *to;
	int r = store_backend_size(s->backend, name, &size_bytes, err);

	if (r < 0)
		return r;
	if (size_bytes == 0 || size_bytes > SNAPSHOT_MAX_BYTES)
		return error_set(err, -ERR_DAMAGED, "%s cannot be a snapshot: it has %llu bytes", name,
				 (unsigned long long)size_bytes);
	to = buf_add(out, (size_t)size_bytes);
	if (!to)
		return error_errno(err, ENOMEM, "cannot read %s", name);
	return store_backend_get(s->backend, name, 0, to, (size_t)size_bytes, err);
}

int store_snapshot_load(struct store *s, const char *host, const char *id, struct snapshot *out, struct error *err)
{
	char name[STORE_SNAPSHOT_NAME_BYTES];
	struct buf bytes = {0};
	int r = read_object(s, store_snapshot_name(host, id, name), &bytes, err);

	if (r == 0) {
		r = snapshot_decode(bytes.data, bytes.len, out, err);
		if (r < 0)
			error_prefix(err, "%s", name);
	}
	buf_free(&bytes);
	if (r == 0 && (strcmp(out->host, host) != 0 || strcmp(out->id, id) != 0)) {
		snapshot_clear(out);
		r = error_set(err, -ERR_DAMAGED, "%s holds another snapshot than its name says", name);
	}
	return r;
}

int store_snapshot_create(struct store *s, const struct snapshot *snapshot, char id[SNAPSHOT_ID_BYTES],
			  struct error *err)
{
	struct snapshot copy = *snapshot; /* encoding sets the id and nothing else */
	char name[STORE_SNAPSHOT_NAME_BYTES];
	struct buf bytes = {0}, there = {0};
	int r;

	if (!text_is_name(snapshot->host))
		return error_set(err, -EINVAL, "'%.63s' cannot be the name of a host", snapshot->host);
	r = snapshot_encode(&copy, &bytes, err);
	if (r < 0)
		goto out;
	store_snapshot_name(copy.host, copy.id, name);
	r = store_backend_create(s->backend, name, bytes.data, bytes.len, err);
	if (r == -EEXIST) {
		struct error ignored = {0};

		error_clear(err);
		r = read_object(s, name, &there, &ignored);
		if (r < 0 || there.len != bytes.len || memcmp(there.data, bytes.data, bytes.len) != 0)
			r = store_backend_put(s->backend, name, &bytes, 1, err); /* a damaged one is healed */
	}
	if (r == 0)
		memcpy(id, copy.id, SNAPSHOT_ID_BYTES);
out:
	buf_free(&bytes);
	buf_free(&there);
	return r;
}

struct list {
	struct store_snapshot *at;
	size_t n, cap;
};

static bool is_id(const char *text)
{
	return strlen(text) == SNAPSHOT_ID_BYTES - 1 && strspn(text, "0123456789abcdef") == SNAPSHOT_ID_BYTES - 1;
}

/* Notes an object's name; what is not named as a snapshot is somebody else's. */
static int list_one(void *arg, const char *name, uint64_t size_bytes)
{
	const char *host = name + strlen(STORE_SNAPSHOTS_PREFIX), *slash = strchr(host, '/');
	struct list *l = arg;
	struct store_snapshot *at;

	if (!slash || (size_t)(slash - host) >= sizeof at->host || !is_id(slash + 1))
		return 0;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;
		struct store_snapshot *more = realloc(l->at, cap * sizeof *more);

		if (!more)
			return -ENOMEM;
		l->at = more;
		l->cap = cap;
	}
	at = &l->at[l->n++];
	*at = (struct store_snapshot){0};
	memcpy(at->host, host, (size_t)(slash - host));
	memcpy(at->id, slash + 1, SNAPSHOT_ID_BYTES);
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct store_snapshot *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return strcmp(x->id, y->id);
}

static int list_names(struct store *s, const char *host, struct list *l, struct error *err)
{
	char prefix[STORE_SNAPSHOT_NAME_BYTES];

	if (host && !text_is_name(host))
		return error_set(err, -EINVAL, "'%.63s' cannot be the name of a host", host);
	snprintf(prefix, sizeof prefix, "%s%s%s", STORE_SNAPSHOTS_PREFIX, host ? host : "", host ? "/" : "");
	return store_backend_list(s->backend, prefix, list_one, l, err);
}

int store_list_snapshots(struct store *s, const char *host, struct store_snapshot **list, size_t *n, struct error *err)
{
	struct list l = {0};
	int r = list_names(s, host, &l, err);

	for (size_t i = 0; i < l.n && r == 0;) {
		struct error problem = {0};
		struct snapshot snap;

		r = store_snapshot_load(s, l.at[i].host, l.at[i].id, &snap, &problem);
		if (r == -ENOENT) { /* forgotten meanwhile */
			l.at[i] = l.at[--l.n];
			r = 0;
			continue;
		}
		l.at[i].damaged = r == -ERR_DAMAGED || r == -ERR_VERSION;
		if (l.at[i].damaged)
			log_warning("%s", problem.text);
		else if (r < 0)
			error_set(err, r, "%s", problem.text);
		if (r == 0) {
			l.at[i].time = snap.time;
			l.at[i].time_ns = snap.time_ns;
			snapshot_clear(&snap);
		}
		r = l.at[i].damaged ? 0 : r;
		i++;
	}
	if (r < 0) {
		free(l.at);
		return r;
	}
	if (l.n)
		qsort(l.at, l.n, sizeof *l.at, by_time);
	*list = l.at;
	*n = l.n;
	return 0;
}

/* The newest one. A damaged one might be newer than all others, so it is not for us to choose then. */
static int pick_latest(struct store *s, const char *host, char id[SNAPSHOT_ID_BYTES], struct error *err)
{
	struct store_snapshot *list;
	size_t n;
	int r = store_list_snapshots(s, host, &list, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++)
		if (list[i].damaged)
			r = error_set(err, -ERR_DAMAGED,
				      "snapshots/%s/%s is damaged, so it cannot be told which snapshot is the latest: "
				      "name one",
				      host, list[i].id);
	if (r == 0 && n == 0)
		r = error_set(err, -ENOENT, "the store %s has no snapshot of %s", s->backend->location, host);
	if (r == 0)
		memcpy(id, list[n - 1].id, SNAPSHOT_ID_BYTES);
	free(list);
	return r;
}

static int pick_prefix(struct store *s, const char *host, const char *which, char id[SNAPSHOT_ID_BYTES],
		       struct error *err)
{
	struct list l = {0};
	size_t matches = 0, len = strlen(which);
	int r = list_names(s, host, &l, err);

	for (size_t i = 0; i < l.n && r == 0; i++) {
		if (strncmp(l.at[i].id, which, len) != 0)
			continue;
		matches++;
		memcpy(id, l.at[i].id, SNAPSHOT_ID_BYTES);
	}
	if (r == 0 && matches > 1)
		r = error_set(err, -EINVAL, "'%.40s' fits %zu snapshots of %s: give more of its id", which, matches,
			      host);
	if (r == 0 && matches == 0 && l.n == 0)
		r = error_set(err, -ENOENT, "the store %s has no snapshot of %s", s->backend->location, host);
	if (r == 0 && matches == 0)
		r = error_set(err, -ENOENT, "none of the %zu snapshots of %s has an id that begins with '%.40s'", l.n,
			      host, which);
	free(l.at);
	return r;
}

int store_read_snapshot(struct store *s, const char *host, const char *which, struct snapshot *out, struct error *err)
{
	char id[SNAPSHOT_ID_BYTES];
	int r;

	if (!host)
		return error_set(err, -EINVAL, "a snapshot is read by its host's name");
	if (!which || strcmp(which, "latest") == 0)
		r = pick_latest(s, host, id, err);
	else if (*which == '\0')
		r = error_set(err, -EINVAL, "the snapshot's id is empty");
	else
		r = pick_prefix(s, host, which, id, err);
	return r < 0 ? r : store_snapshot_load(s, host, id, out, err);
}
