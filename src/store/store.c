/* Making, opening and closing a store. The rooms's verbs are in the files beside this one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/room.h"

#define SHARED_WAIT_MS 60000
#define EXCLUSIVE_WAIT_MS 30000
#define FLUSH_AFTER_MS 20000
#define RETRY_AFTER_MS 1000

static int open_backend(const char *location, bool create, struct store_backend **out, struct error *err)
{
	const char *scheme = strstr(location, "://");

	if (location[0] == '\0')
		return error_set(err, -ERR_USAGE, "the store's place is empty: name a folder");
	if (scheme)
		return error_set(err, -ERR_USAGE, "%s: this version keeps stores in folders only, not at %.*s://",
				 location, (int)(scheme - location), location);
	return store_directory_open(location, create, out, err);
}

/* What a new store may find in its folder: an interrupted init, or a file system's own folder. */
static int found_other(void *arg, const char *name, uint64_t size_bytes)
{
	if (strncmp(name, "tmp/", 4) == 0 || strncmp(name, "lost+found", 10) == 0)
		return 0;
	snprintf(arg, 256, "%s", name);
	return -ENOTEMPTY;
}

int store_init(const char *location, struct error *err)
{
	struct store_backend *b;
	char other[256] = "";
	uint64_t size_bytes;
	int r = open_backend(location, true, &b, err);

	if (r < 0)
		return r;
	if (store_backend_size(b, STORE_CONFIG_NAME, &size_bytes, err) == 0) {
		r = error_set(err, -EEXIST, "%s is a store already", location);
		goto out;
	}
	r = store_backend_list(b, "", found_other, other, err);
	if (r == -ENOTEMPTY)
		r = error_set(err, r, "%s is not empty (it holds %s): name a new folder for the store", location,
			      other);
	if (r < 0)
		goto out;
	r = store_config_write(b, err);
	if (r == -EEXIST)
		r = error_set(err, r, "%s is a store already", location);
out:
	store_backend_close(b);
	if (r == 0)
		error_clear(err);
	return r;
}

/* The index's folder may be missing: it is only a cache. */
static int open_index(struct store *s, const char *cache_path, struct error *err)
{
	char folder[600];
	char *slash;
	int r;

	snprintf(folder, sizeof folder, "%s", cache_path);
	slash = strrchr(folder, '/');
	if (slash) {
		*slash = '\0';
		if (mkdir(folder, 0700) < 0 && errno != EEXIST)
			return error_errno(err, errno, "cannot make the folder %s for the store's index", folder);
	}
	r = store_index_open(cache_path, s->id, &s->index, err);
	if (r == -ERR_DAMAGED) {
		char wal[620];

		log_warning("%s cannot be used and is made anew", cache_path);
		unlink(cache_path);
		snprintf(wal, sizeof wal, "%s-wal", cache_path);
		unlink(wal);
		snprintf(wal, sizeof wal, "%s-shm", cache_path);
		unlink(wal);
		r = store_index_open(cache_path, s->id, &s->index, err);
	}
	return r < 0 ? r : store_catch_up(s, err);
}

int store_open_on(struct store_backend *b, const char *cache_path, const char *lock_path, struct store **out,
		  struct error *err)
{
	struct store *s = calloc(1, sizeof *s);
	int r;

	if (s)
		s->lock_path = strdup(lock_path);
	if (!s || !s->lock_path) {
		free(s);
		store_backend_close(b);
		return error_errno(err, ENOMEM, "cannot open the store");
	}
	s->backend = b;
	s->shared_wait_ms = SHARED_WAIT_MS;
	s->exclusive_wait_ms = EXCLUSIVE_WAIT_MS;
	s->flush_after_ms = FLUSH_AFTER_MS;
	s->retry_after_ms = RETRY_AFTER_MS;
	pthread_mutex_init(&s->sync_lock, NULL);
	pthread_mutex_init(&s->pool_lock, NULL);
	pthread_mutex_init(&s->writer_lock, NULL);
	r = store_config_read(b, s->id, err);
	if (r == 0)
		r = open_index(s, cache_path, err);
	if (r < 0) {
		store_close(s);
		return r;
	}
	*out = s;
	return 0;
}

int store_open(const char *location, struct store **out, struct error *err)
{
	struct store_backend *b;
	char cache[600], lock[600];
	int r = open_backend(location, false, &b, err);

	if (r < 0)
		return r;
	snprintf(cache, sizeof cache, "%s/cache/index.sqlite", location);
	snprintf(lock, sizeof lock, "%s/lock", location);
	return store_open_on(b, cache, lock, out, err);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_writer_free(s->writer);
	store_readers_free(s);
	store_index_close(s->index);
	store_backend_close(s->backend);
	pthread_mutex_destroy(&s->sync_lock);
	pthread_mutex_destroy(&s->pool_lock);
	pthread_mutex_destroy(&s->writer_lock);
	free(s->lock_path);
	free(s);
}

static int count_one(void *arg, const char *name, uint64_t size_bytes)
{
	++*(uint64_t *)arg;
	return 0;
}

int store_get_facts(struct store *s, struct store_facts *out, struct error *err)
{
	struct store_index_totals t = {0};
	int r = store_catch_up(s, err);

	if (r == 0)
		r = store_index_totals(s->index, &t, err);
	if (r < 0)
		return r;
	*out = (struct store_facts){.version = STORE_VERSION,
				    .packs = t.packs,
				    .chunks = t.chunks,
				    .plain_bytes = t.plain_bytes,
				    .stored_bytes = t.pack_bytes};
	memcpy(out->id, s->id, sizeof out->id);
	return store_backend_list(s->backend, STORE_SNAPSHOTS_PREFIX, count_one, &out->snapshots, err);
}

int store_rebuild_index(struct store *s, progress_fn *progress, void *arg, struct error *err)
{
	int lock, r = store_lock_take(s, false, &lock, err);

	if (r < 0)
		return r;
	r = store_rebuild(s, progress, arg, err);
	store_lock_drop(lock);
	return r;
}
