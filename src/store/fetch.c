/*
 * Chunks by hash. Places are looked up together, sorted as they lie in the packs, and read in runs. Nothing leaves here
 * whose envelope or hash was not checked; where one copy is damaged, the others are tried.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/room.h"

/* Frames that are at most this far apart are read in one go. */
#define MAX_GAP_BYTES (64u << 10)
#define MAX_COPIES 8

struct item {
	const struct hash *hash;
	size_t number; /* in the caller's list */
	struct store_place place;
};

struct job;
/* Takes a frame whose header is right; frame NULL: there is none, and err says why. 0 to go on; 1: its content is
 * damaged (err says how), try another copy; negative: stop. */
typedef int item_fn(struct job *j, const struct item *it, const struct chunk_frame *frame, struct error *err);

struct job {
	struct store *store;
	struct store_reader *reader;
	item_fn *take;
	chunk_got_fn *got;	   /* whole chunks … */
	store_frame_fn *got_frame; /* … or frames */
	bool verify;
	void *arg;
	uint64_t fetched_bytes;
};

static uint64_t end_of(const struct store_place *p)
{
	return (uint64_t)p->offset + PACK_FRAME_HEADER_BYTES + p->body_bytes;
}

/* The frame at p, when its header is the one that is expected there. */
static bool frame_at(const uint8_t *p, const struct item *it, const struct store_place *place,
		     struct chunk_frame *frame)
{
	if (pack_get_frame_header(p, frame) < 0 || !hash_equal(&frame->hash, it->hash) ||
	    frame->body_bytes != place->body_bytes || frame->plain_bytes != place->plain_bytes ||
	    frame->method != place->method)
		return false;
	frame->body = p + PACK_FRAME_HEADER_BYTES;
	return true;
}

/* The place that the pack itself gives for a chunk, which may differ from what a damaged local index says. */
static bool place_in_pack(struct store *s, const struct hash *hash, struct store_place *place)
{
	struct store_pack_file file = {.id = place->pack};
	struct error ignored = {0};
	char name[PACK_NAME_BYTES];
	struct pack_index x;
	bool found = false;

	if (store_backend_size(s->backend, pack_name_format(&place->pack, name), &file.pack_bytes, &ignored) < 0 ||
	    store_pack_load(s, &file, &x, &ignored) < 0)
		return false;
	for (size_t i = 0; i < x.n && !found; i++) {
		const struct pack_entry *e = &x.entries[i];

		if (!hash_equal(&e->hash, hash))
			continue;
		found = true;
		place->offset = e->offset;
		place->body_bytes = e->body_bytes;
		place->plain_bytes = e->plain_bytes;
		place->method = e->method;
	}
	pack_index_clear(&x);
	return found;
}

/* Reads one copy by itself. As item_fn. */
static int take_copy(struct job *j, const struct item *it, const struct store_place *place, struct error *err)
{
	size_t len = PACK_FRAME_HEADER_BYTES + place->body_bytes;
	char name[PACK_NAME_BYTES], hex[HASH_HEX_BYTES];
	struct chunk_frame frame;
	int r = store_backend_get(j->store->backend, pack_name_format(&place->pack, name), place->offset,
				  j->reader->run, len, err);

	if (r < 0)
		return 1;
	j->fetched_bytes += len;
	if (!frame_at(j->reader->run, it, place, &frame)) {
		error_set(err, -ERR_DAMAGED, "%s is damaged: it does not hold chunk %s at byte %u", name,
			  hash_format(it->hash, hex), place->offset);
		return 1;
	}
	r = j->take(j, it, &frame, err);
	if (r == 1)
		error_prefix(err, "%s, byte %u", name, place->offset);
	return r;
}

/* One chunk whose first place did not serve, from any place that does. */
static int take_any(struct job *j, const struct item *it, struct error *err)
{
	struct store_place places[MAX_COPIES];
	struct error problem = {0};
	char hex[HASH_HEX_BYTES];
	size_t n = 0;
	int r = store_index_copies(j->store->index, it->hash, places, MAX_COPIES, &n, err);

	if (r < 0)
		return r;
	r = 1;
	for (size_t i = 0; i < n && r == 1; i++) {
		struct store_place p = places[i];

		error_clear(&problem);
		r = take_copy(j, it, &p, &problem);
		if (r == 1 && place_in_pack(j->store, it->hash, &p) &&
		    (p.offset != places[i].offset || p.body_bytes != places[i].body_bytes)) {
			log_warning("the local index is wrong: run g4l store rebuild-index %s",
				    j->store->backend->location);
			r = take_copy(j, it, &p, &problem);
		}
	}
	if (r != 1) {
		if (r < 0 && err && problem.code)
			*err = problem;
		return r;
	}
	hash_format(it->hash, hex);
	if (n == 0)
		error_set(&problem, -ERR_DAMAGED, "chunk %s is missing from the store %s", hex,
			  j->store->backend->location);
	else if (problem.code == -ENOENT || problem.code == -ERANGE)
		problem.code = -ERR_DAMAGED;
	r = j->take(j, it, NULL, &problem);
	if (r < 0 && err && problem.code)
		*err = problem;
	return r;
}

/* How many items from the first one on can be read with one call. */
static size_t run_length(const struct item *items, size_t n)
{
	const struct store_place *first = &items[0].place;
	size_t i = 1;

	for (; first->found && i < n; i++) {
		const struct store_place *before = &items[i - 1].place, *p = &items[i].place;
		bool same = p->found && memcmp(p->pack.bytes, first->pack.bytes, PACK_ID_BYTES) == 0;

		if (!same || p->offset < before->offset || end_of(p) < end_of(before) ||
		    (p->offset > end_of(before) && p->offset - end_of(before) > MAX_GAP_BYTES) ||
		    end_of(p) - first->offset > STORE_READ_BYTES)
			break;
	}
	return i;
}

static int take_run(struct job *j, const struct item *items, size_t n, struct error *err)
{
	const struct store_place *first = &items[0].place;
	struct error problem = {0};
	char name[PACK_NAME_BYTES];
	bool whole = false;
	int r = 0;

	if (first->found) {
		size_t len = (size_t)(end_of(&items[n - 1].place) - first->offset);

		whole = store_backend_get(j->store->backend, pack_name_format(&first->pack, name), first->offset,
					  j->reader->run, len, &problem) == 0;
		j->fetched_bytes += whole ? len : 0;
	}
	for (size_t i = 0; i < n && r == 0; i++) {
		struct chunk_frame frame;

		r = 1;
		error_clear(&problem);
		if (whole && frame_at(j->reader->run + (items[i].place.offset - first->offset), &items[i],
				      &items[i].place, &frame))
			r = j->take(j, &items[i], &frame, &problem);
		if (r == 1) {
			whole = false; /* the run's memory is used for single reads from here on */
			r = take_any(j, &items[i], err);
		} else if (r < 0 && err && problem.code) {
			*err = problem;
		}
	}
	return r;
}

static int by_place(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int c = memcmp(x->place.pack.bytes, y->place.pack.bytes, PACK_ID_BYTES);

	if (c == 0)
		c = x->place.offset < y->place.offset ? -1 : x->place.offset > y->place.offset;
	return c ? c : (x->number < y->number ? -1 : 1);
}

/* Looks all hashes up; what is not known may have been written by somebody else a moment ago. */
static int find_items(struct store *s, const struct hash *hashes, size_t n, struct item *items, struct error *err)
{
	struct store_place *places = calloc(n, sizeof *places);
	bool missing = false;
	int r;

	if (!places)
		return error_errno(err, ENOMEM, "cannot look up chunks");
	r = store_find_places(s, hashes, n, places, err);
	for (size_t i = 0; i < n && r == 0; i++)
		missing = missing || !places[i].found;
	if (r == 0 && missing)
		r = store_catch_up(s, err);
	if (r == 0 && missing)
		r = store_find_places(s, hashes, n, places, err);
	for (size_t i = 0; i < n && r == 0; i++)
		items[i] = (struct item){.hash = &hashes[i], .number = i, .place = places[i]};
	free(places);
	return r;
}

static int run_job(struct job *j, const struct hash *hashes, size_t n, bool in_order, struct error *err)
{
	struct item *items;
	int r;

	if (n == 0)
		return 0;
	items = calloc(n, sizeof *items);
	if (!items)
		return error_errno(err, ENOMEM, "cannot read chunks");
	r = find_items(j->store, hashes, n, items, err);
	if (r == 0)
		r = store_reader_borrow(j->store, &j->reader, err);
	if (r < 0) {
		free(items);
		return r;
	}
	if (!in_order)
		qsort(items, n, sizeof *items, by_place);
	for (size_t i = 0, len; i < n && r == 0; i += len) {
		len = run_length(items + i, n - i);
		r = take_run(j, items + i, len, err);
	}
	store_reader_return(j->store, j->reader);
	free(items);
	return r;
}

static int take_chunk(struct job *j, const struct item *it, const struct chunk_frame *frame, struct error *err)
{
	if (!frame)
		return err->code;
	if (chunk_decode(j->reader->coder, frame, j->reader->plain, err) < 0)
		return 1;
	return j->got(j->arg, it->number, j->reader->plain, frame->plain_bytes);
}

static int take_frame(struct job *j, const struct item *it, const struct chunk_frame *frame, struct error *err)
{
	if (frame && j->verify && chunk_decode(j->reader->coder, frame, j->reader->plain, err) < 0)
		return 1;
	return j->got_frame(j->arg, it->number, frame, frame ? NULL : err);
}

int store_fetch(struct store *s, const struct hash *hashes, size_t n, chunk_got_fn *got, void *arg,
		uint64_t *fetched_bytes, struct error *err)
{
	struct job j = {.store = s, .take = take_chunk, .got = got, .arg = arg};
	int r = run_job(&j, hashes, n, false, err);

	if (fetched_bytes)
		*fetched_bytes = j.fetched_bytes;
	return r;
}

int store_get_frames(struct store *s, const struct hash *hashes, size_t n, bool in_order, bool verify,
		     store_frame_fn *got, void *arg, uint64_t *fetched_bytes, struct error *err)
{
	struct job j = {.store = s, .take = take_frame, .got_frame = got, .verify = verify, .arg = arg};
	int r = run_job(&j, hashes, n, in_order, err);

	if (fetched_bytes)
		*fetched_bytes = j.fetched_bytes;
	return r;
}

static int append(void *arg, size_t number, const uint8_t *plain, size_t plain_bytes)
{
	struct buf *out = arg;

	buf_put(out, plain, plain_bytes);
	return out->failed ? -ENOMEM : 0;
}

int store_fetch_one(struct store *s, const struct hash *hash, struct buf *out, struct error *err)
{
	return store_fetch(s, hash, 1, append, out, NULL, err);
}
