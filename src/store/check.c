/*
 * Looks at everything and changes nothing. First the packs, in several threads where every byte is to be read; then
 * every snapshot's recipe against what the packs turned out to hold. What is found is told piece by piece, and looking
 * goes on.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store/room.h"

#define MAX_THREADS 8

struct check {
	struct store *store;
	bool read_data;
	store_damage_fn *found;
	void *found_arg;
	progress_fn *progress;
	void *arg;
	struct store_pack_file *files;
	size_t n_files;
	_Atomic size_t next_file;
	pthread_mutex_t lock; /* guards what follows and both callbacks */
	struct store_set bad; /* chunks with a damaged copy */
	uint64_t n_damages, done_bytes, total_bytes;
	bool index_wrong;
	int stopped; /* the code that ends it all */
	struct error err;
	/* The snapshot at hand. */
	uint64_t missing, damaged, unlike;
	char example[HASH_HEX_BYTES];
	struct store_set sound; /* segments all of whose chunks are well */
	bool segment_ill;
};

static void tell(struct check *c, const char *object, const char *what, const char *snapshot)
{
	struct store_damage d = {.object = object, .what = what, .snapshot = snapshot};

	pthread_mutex_lock(&c->lock);
	c->n_damages++;
	if (c->found)
		c->found(c->found_arg, &d);
	pthread_mutex_unlock(&c->lock);
}

/* Failures that say nothing about the store's bytes end the check; all others are damage. */
static bool ends_check(int r)
{
	return r == -ENOMEM || r == -ERR_CANCELLED || r == -ECANCELED || r == -EBUSY || r == -EMFILE || r == -ENFILE;
}

static int advance(struct check *c, const char *phase, uint64_t bytes)
{
	struct progress p = {.phase = phase, .total_bytes = c->total_bytes};
	int r;

	pthread_mutex_lock(&c->lock);
	c->done_bytes += bytes;
	p.done_bytes = c->done_bytes;
	if (c->progress && c->stopped == 0)
		c->stopped = c->progress(c->arg, &p);
	r = c->stopped;
	pthread_mutex_unlock(&c->lock);
	return r;
}

static void note_bad(struct check *c, const struct hash *hash)
{
	pthread_mutex_lock(&c->lock);
	if (store_set_add(&c->bad, hash) < 0)
		c->stopped = error_errno(&c->err, ENOMEM, "cannot check the store");
	pthread_mutex_unlock(&c->lock);
}

static void check_frame(struct check *c, struct store_reader *rd, const uint8_t *at, const struct pack_entry *e,
			const char *name)
{
	struct error problem = {0};
	struct chunk_frame f;
	char hex[HASH_HEX_BYTES];

	hash_format(&e->hash, hex);
	if (pack_get_frame_header(at, &f) < 0 || !hash_equal(&f.hash, &e->hash) || f.body_bytes != e->body_bytes ||
	    f.plain_bytes != e->plain_bytes || f.method != e->method) {
		error_set(&problem, -ERR_DAMAGED,
			  "the header of chunk %s at byte %u does not agree with the pack's index", hex, e->offset);
	} else {
		f.body = at + PACK_FRAME_HEADER_BYTES;
		if (chunk_decode(rd->coder, &f, rd->plain, &problem) == 0)
			return;
		error_prefix(&problem, "chunk %s at byte %u", hex, e->offset);
	}
	note_bad(c, &e->hash);
	tell(c, name, problem.text, NULL);
}

static uint64_t end_of(const struct pack_entry *e)
{
	return (uint64_t)e->offset + PACK_FRAME_HEADER_BYTES + e->body_bytes;
}

/* Reads all frames, as many at a time as fit the reader's memory. */
static int check_frames(struct check *c, struct store_reader *rd, const struct pack_index *x, const char *name)
{
	int r = 0;

	for (size_t i = 0, n; i < x->n && r == 0; i += n) {
		uint64_t start = x->entries[i].offset;
		struct error problem = {0};

		for (n = 1; i + n < x->n && end_of(&x->entries[i + n]) - start <= STORE_READ_BYTES;)
			n++;
		r = store_backend_get(c->store->backend, name, start, rd->run,
				      (size_t)(end_of(&x->entries[i + n - 1]) - start), &problem);
		if (r < 0) {
			for (size_t k = i; k < i + n; k++)
				note_bad(c, &x->entries[k].hash);
			tell(c, name, problem.text, NULL);
		}
		for (size_t k = i; k < i + n && r == 0; k++)
			check_frame(c, rd, rd->run + (x->entries[k].offset - start), &x->entries[k], name);
		r = advance(c, "reading packs", end_of(&x->entries[i + n - 1]) - start);
	}
	return r;
}

/* The local index is a cache: when it disagrees it is wrong, and is made anew. */
static int compare_index(struct check *c, const struct pack_index *x, struct error *err)
{
	struct store_place *places = calloc(x->n ? x->n : 1, sizeof *places);
	struct hash *hashes = calloc(x->n ? x->n : 1, sizeof *hashes);
	int r = places && hashes ? 0 : error_errno(err, ENOMEM, "cannot check the index");

	for (size_t i = 0; i < x->n && r == 0; i++)
		hashes[i] = x->entries[i].hash;
	if (r == 0)
		r = store_find_places(c->store, hashes, x->n, places, err);
	for (size_t i = 0; i < x->n && r == 0; i++) {
		const struct pack_entry *e = &x->entries[i];
		const struct store_place *p = &places[i];
		bool here = p->found && memcmp(p->pack.bytes, x->id.bytes, PACK_ID_BYTES) == 0;

		if (!p->found || p->plain_bytes != e->plain_bytes ||
		    (here && (p->offset != e->offset || p->body_bytes != e->body_bytes || p->method != e->method))) {
			pthread_mutex_lock(&c->lock);
			c->index_wrong = true;
			pthread_mutex_unlock(&c->lock);
		}
	}
	free(places);
	free(hashes);
	return r;
}

static int check_pack(struct check *c, struct store_reader *rd, const struct store_pack_file *file, struct error *err)
{
	uint8_t header[PACK_HEADER_BYTES];
	char name[PACK_NAME_BYTES];
	struct pack_index x;
	int r = store_pack_load(c->store, file, &x, err);

	pack_name_format(&file->id, name);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return ends_check(r) ? r
				     : (tell(c, name, err->text, NULL), advance(c, "reading packs", file->pack_bytes));
	r = store_backend_get(c->store->backend, name, 0, header, sizeof header, err);
	if (r == 0)
		r = pack_check_header(header, &file->id, name, err);
	if (r < 0 && !ends_check(r)) {
		tell(c, name, err->text, NULL);
		r = 0;
	}
	if (r == 0)
		r = compare_index(c, &x, err);
	if (r == 0)
		r = c->read_data ? check_frames(c, rd, &x, name) : advance(c, "reading packs", file->pack_bytes);
	pack_index_clear(&x);
	return r;
}

static void *check_thread(void *arg)
{
	struct check *c = arg;
	struct store_reader *rd = NULL;
	struct error err = {0};
	int r = store_reader_borrow(c->store, &rd, &err);
	size_t i;

	while (r == 0 && (i = atomic_fetch_add(&c->next_file, 1)) < c->n_files) {
		error_clear(&err);
		r = check_pack(c, rd, &c->files[i], &err);
	}
	if (rd)
		store_reader_return(c->store, rd);
	if (r < 0) {
		pthread_mutex_lock(&c->lock);
		c->stopped = r;
		if (c->err.code == 0)
			c->err = err;
		pthread_mutex_unlock(&c->lock);
		atomic_store(&c->next_file, c->n_files);
	}
	return NULL;
}

static int check_packs(struct check *c, struct error *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t wanted = cpus > 1 ? (cpus < MAX_THREADS ? (size_t)cpus : MAX_THREADS) : 1, n = 0;
	pthread_t threads[MAX_THREADS];
	int r = store_pack_list(c->store, &c->files, &c->n_files, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < c->n_files; i++)
		c->total_bytes += c->files[i].pack_bytes;
	while (n + 1 < wanted && pthread_create(&threads[n], NULL, check_thread, c) == 0)
		n++;
	check_thread(c);
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	if (c->stopped < 0) {
		if (err)
			*err = c->err;
		return c->stopped;
	}
	if (!c->index_wrong)
		return 0;
	log_warning("the local index did not agree with the packs and is made anew");
	return store_rebuild(c->store, NULL, NULL, err);
}

static void note_ill(struct check *c, const struct hash *hash, uint64_t *counter)
{
	if (c->example[0] == '\0')
		hash_format(hash, c->example);
	++*counter;
	c->segment_ill = true;
}

static int need(void *arg, const struct recipe_chunk *chunks, size_t n, struct error *err)
{
	struct check *c = arg;
	struct hash *hashes = calloc(n ? n : 1, sizeof *hashes);
	uint32_t *sizes = calloc(n ? n : 1, sizeof *sizes);
	int r = hashes && sizes ? 0 : error_errno(err, ENOMEM, "cannot check a recipe");

	c->segment_ill = false;
	for (size_t i = 0; i < n && r == 0; i++)
		hashes[i] = chunks[i].hash;
	if (r == 0)
		r = store_find_sizes(c->store, hashes, n, sizes, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (sizes[i] == 0)
			note_ill(c, &hashes[i], &c->missing);
		else if (store_set_has(&c->bad, &hashes[i]))
			note_ill(c, &hashes[i], &c->damaged);
		else if (chunks[i].plain_bytes && sizes[i] != chunks[i].plain_bytes)
			note_ill(c, &hashes[i], &c->unlike);
	}
	free(hashes);
	free(sizes);
	return r;
}

static bool segment_sound(void *arg, const struct hash *segment)
{
	return store_set_has(&((struct check *)arg)->sound, segment);
}

static int segment_walked(void *arg, const struct hash *segment, struct error *err)
{
	struct check *c = arg;

	if (!c->segment_ill && store_set_add(&c->sound, segment) < 0)
		return error_errno(err, ENOMEM, "cannot check a recipe");
	return 0;
}

static int check_snapshot(struct check *c, const struct store_snapshot *one, struct error *err)
{
	struct store_walk w = {
		.store = c->store, .need = need, .known = segment_sound, .walked = segment_walked, .arg = c};
	char object[STORE_SNAPSHOT_NAME_BYTES], name[128], what[300];
	struct snapshot snap;
	int r = store_snapshot_load(c->store, one->host, one->id, &snap, err);

	store_snapshot_name(one->host, one->id, object);
	snprintf(name, sizeof name, "%s@%s", one->host, one->id);
	if (r == -ENOENT)
		return 0;
	c->missing = c->damaged = c->unlike = 0;
	c->example[0] = '\0';
	if (r == 0) {
		r = store_walk_snapshot(&w, &snap, err);
		snapshot_clear(&snap);
	}
	if (r < 0 && ends_check(r))
		return r;
	if (r < 0)
		tell(c, object, err->text, name);
	if (c->missing || c->damaged || c->unlike) {
		snprintf(what, sizeof what,
			 "of its chunks %llu are missing, %llu damaged and %llu of another size (the first is %s)",
			 (unsigned long long)c->missing, (unsigned long long)c->damaged, (unsigned long long)c->unlike,
			 c->example);
		tell(c, object, what, name);
	}
	return 0;
}

static int check_snapshots(struct check *c, struct error *err)
{
	struct store_snapshot *list;
	size_t n;
	int r = store_list_snapshots(c->store, NULL, &list, &n, err);

	if (r < 0)
		return r;
	c->done_bytes = 0;
	c->total_bytes = n;
	for (size_t i = 0; i < n && r == 0; i++) {
		error_clear(err);
		r = check_snapshot(c, &list[i], err);
		if (r == 0)
			r = advance(c, "reading recipes", 1);
	}
	free(list);
	return r;
}

int store_check(struct store *s, bool read_data, store_damage_fn *found, void *found_arg, progress_fn *progress,
		void *arg, struct error *err)
{
	struct check *c = calloc(1, sizeof *c);
	struct error own = {0};
	int lock = -1, r;

	if (!c)
		return error_errno(err, ENOMEM, "cannot check the store");
	*c = (struct check){.store = s,
			    .read_data = read_data,
			    .found = found,
			    .found_arg = found_arg,
			    .progress = progress,
			    .arg = arg};
	pthread_mutex_init(&c->lock, NULL);
	r = store_lock_take(s, false, &lock, &own);
	if (r < 0)
		goto out;
	r = store_catch_up(s, &own);
	if (r == 0)
		r = check_packs(c, &own);
	if (r == 0)
		r = check_snapshots(c, &own);
	store_lock_drop(lock);
	if (r == 0 && c->n_damages)
		r = error_set(&own, -ERR_DAMAGED, "%llu pieces of damage were found in the store %s",
			      (unsigned long long)c->n_damages, s->backend->location);
out:
	if (err)
		*err = own;
	if (r == 0)
		error_clear(err);
	store_set_clear(&c->bad);
	store_set_clear(&c->sound);
	pthread_mutex_destroy(&c->lock);
	free(c->files);
	free(c);
	return r;
}
