/*
 * Frees what no snapshot needs. Alone in the store, by an exclusive lock. Nothing is removed before every snapshot and
 * every recipe has been read without a fault and every chunk they need has been found; and a pack that still holds
 * needed chunks goes only after each of them is durable, and was read back right, in another pack.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/room.h"

/* A pack that wastes more than this share is rewritten. */
#define MAX_WASTE_PERCENT 25
#define MAX_COPIES 8

enum fate { FATE_KEEP, FATE_DELETE, FATE_REWRITE };

struct candidate {
	struct store_pack_file file;
	uint64_t frames_bytes; /* cost of all frames */
	uint64_t needed_bytes; /* cost of those that snapshots need … */
	uint64_t own_bytes;    /* … and that this pack is to keep, being the first to claim them */
	uint64_t chunks, own_chunks;
	enum fate fate;
	bool unreadable;
};

struct prune {
	struct store *store;
	struct store_set live, segments, claimed;
	struct store_set doomed; /* ids of the packs that are to go */
	struct candidate *packs;
	size_t n_packs;
	struct store_pack_buffer fresh; /* what is rewritten goes here */
	bool fresh_ready;
	struct pack_id *moved; /* packs whose needed chunks are all in fresh or elsewhere */
	size_t n_moved;
	struct store_pruned done;
	uint64_t written_bytes;
	progress_fn *progress;
	void *arg;
};

static int report(struct prune *p, const char *phase, uint64_t done, uint64_t total)
{
	struct progress report = {.phase = phase, .done_bytes = done, .total_bytes = total};

	return p->progress ? p->progress(p->arg, &report) : 0;
}

static int need(void *arg, const struct recipe_chunk *chunks, size_t n, struct error *err)
{
	struct prune *p = arg;

	for (size_t i = 0; i < n; i++)
		if (store_set_add(&p->live, &chunks[i].hash) < 0)
			return error_errno(err, ENOMEM, "cannot gather what the snapshots need");
	return 0;
}

static bool segment_known(void *arg, const struct hash *segment)
{
	return store_set_has(&((struct prune *)arg)->segments, segment);
}

static int segment_walked(void *arg, const struct hash *segment, struct error *err)
{
	if (store_set_add(&((struct prune *)arg)->segments, segment) < 0)
		return error_errno(err, ENOMEM, "cannot gather what the snapshots need");
	return 0;
}

/* Everything that any snapshot needs. Any fault ends it: what cannot be read cannot be known to be unneeded. */
static int gather(struct prune *p, struct error *err)
{
	struct store_walk w = {
		.store = p->store, .need = need, .known = segment_known, .walked = segment_walked, .arg = p};
	struct store_snapshot *list;
	struct snapshot snap;
	size_t n;
	int r = store_list_snapshots(p->store, NULL, &list, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++) {
		r = store_snapshot_load(p->store, list[i].host, list[i].id, &snap, err);
		if (r == 0) {
			r = store_walk_snapshot(&w, &snap, err);
			snapshot_clear(&snap);
			if (r < 0)
				error_prefix(err, "%s@%s", list[i].host, list[i].id);
		}
		if (r == 0)
			r = report(p, "reading recipes", i + 1, n);
		else
			error_prefix(err, "nothing was removed");
	}
	free(list);
	return r;
}

/* Every needed chunk must be found, or a damaged pack that is left out of the index might hold it. */
static int check_live(struct prune *p, struct error *err)
{
	enum { BATCH = 1024 };
	struct hash batch[BATCH], h;
	uint32_t sizes[BATCH];
	char hex[HASH_HEX_BYTES];
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i <= p->live.size && r == 0; i++) {
		if (i < p->live.size) {
			h = p->live.at[i];
			if (bytes_are_zero(h.bytes, HASH_BYTES))
				continue;
			batch[n++] = h;
		}
		if (n < BATCH && i < p->live.size)
			continue;
		r = store_find_sizes(p->store, batch, n, sizes, err);
		for (size_t k = 0; k < n && r == 0; k++)
			if (sizes[k] == 0)
				r = error_set(
					err, -ERR_DAMAGED,
					"nothing was removed: chunk %s, which a snapshot needs, is missing from the "
					"store %s; run g4l store check",
					hash_format(&batch[k], hex), p->store->backend->location);
		n = 0;
	}
	return r;
}

/* Measures how much of a pack is needed; with claim, how much of that no other pack before it has. */
static int measure(struct prune *p, struct candidate *c, bool claim, struct error *err)
{
	struct error problem = {0};
	struct pack_index x;
	int r = store_pack_load(p->store, &c->file, &x, &problem);

	c->unreadable = r < 0;
	if (r == -ENOMEM)
		return error_set(err, r, "%s", problem.text);
	if (r < 0) {
		log_warning("left alone: %s", problem.text);
		return 0;
	}
	c->frames_bytes = c->needed_bytes = c->own_bytes = c->own_chunks = 0;
	c->chunks = x.n;
	for (size_t i = 0; i < x.n && r == 0; i++) {
		uint64_t cost = STORE_FRAME_COST(x.entries[i].body_bytes);
		int is_new = 1;

		c->frames_bytes += cost;
		if (!store_set_has(&p->live, &x.entries[i].hash))
			continue;
		c->needed_bytes += cost;
		if (claim && (is_new = store_set_add(&p->claimed, &x.entries[i].hash)) < 0)
			r = error_errno(err, ENOMEM, "cannot plan");
		if (is_new == 0) {
			c->own_bytes += cost;
			c->own_chunks++;
		}
	}
	pack_index_clear(&x);
	return r;
}

static int least_waste_first(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	uint64_t wx = x->frames_bytes - x->needed_bytes, wy = y->frames_bytes - y->needed_bytes;

	if (wx != wy)
		return wx < wy ? -1 : 1;
	return memcmp(x->file.id.bytes, y->file.id.bytes, PACK_ID_BYTES);
}

static int plan(struct prune *p, struct error *err)
{
	struct store_pack_file *files;
	int r = store_pack_list(p->store, &files, &p->n_packs, err);

	if (r < 0)
		return r;
	p->packs = calloc(p->n_packs ? p->n_packs : 1, sizeof *p->packs);
	p->moved = calloc(p->n_packs ? p->n_packs : 1, sizeof *p->moved);
	if (!p->packs || !p->moved)
		r = error_errno(err, ENOMEM, "cannot plan");
	for (size_t i = 0; i < p->n_packs && r == 0; i++) {
		p->packs[i].file = files[i];
		r = measure(p, &p->packs[i], false, err);
	}
	free(files);
	if (r < 0)
		return r;
	qsort(p->packs, p->n_packs, sizeof *p->packs, least_waste_first);
	for (size_t i = 0; i < p->n_packs && r == 0; i++) {
		struct candidate *c = &p->packs[i];

		if (c->unreadable)
			continue;
		r = measure(p, c, true, err);
		if (c->own_chunks == 0)
			c->fate = FATE_DELETE;
		else if ((c->frames_bytes - c->own_bytes) * 100 > c->frames_bytes * MAX_WASTE_PERCENT)
			c->fate = FATE_REWRITE;
	}
	return r;
}

static void count(struct prune *p, const struct candidate *c)
{
	if (c->fate == FATE_DELETE)
		p->done.packs_deleted++;
	else
		p->done.packs_rewritten++;
	p->done.chunks_deleted += c->chunks - c->own_chunks;
	p->done.freed_bytes += c->file.pack_bytes;
}

/* From the index first: should we be killed in between, the pack is found again and nothing is lost. */
static int remove_packs(struct prune *p, const struct pack_id *ids, size_t n, struct error *err)
{
	char name[PACK_NAME_BYTES];
	int r = store_index_remove(p->store->index, ids, n, err);

	for (size_t i = 0; i < n && r == 0; i++)
		r = store_backend_remove(p->store->backend, pack_name_format(&ids[i], name), err);
	return r;
}

/* Reads the frame at a place into the reader's run and checks it to the last byte. */
static bool frame_sound(struct prune *p, struct store_reader *rd, const struct hash *hash,
			const struct store_place *place, struct chunk_frame *frame)
{
	struct error ignored = {0};
	char name[PACK_NAME_BYTES];

	if (store_backend_get(p->store->backend, pack_name_format(&place->pack, name), place->offset, rd->run,
			      PACK_FRAME_HEADER_BYTES + place->body_bytes, &ignored) < 0 ||
	    pack_get_frame_header(rd->run, frame) < 0 || !hash_equal(&frame->hash, hash) ||
	    frame->body_bytes != place->body_bytes)
		return false;
	frame->body = rd->run + PACK_FRAME_HEADER_BYTES;
	return chunk_decode(rd->coder, frame, rd->plain, &ignored) == 0;
}

/* Reads every chunk of the pack that was just stored. */
static int check_fresh(struct prune *p, struct error *err)
{
	char name[PACK_NAME_BYTES], hex[HASH_HEX_BYTES];
	struct store_reader *rd;
	struct chunk_frame frame;
	int r = store_reader_borrow(p->store, &rd, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < p->fresh.n && r == 0; i++) {
		const struct pack_entry *e = &p->fresh.entries[i];
		struct store_place place = {.pack = p->fresh.id, .offset = e->offset, .body_bytes = e->body_bytes};

		if (!frame_sound(p, rd, &e->hash, &place, &frame))
			r = error_set(
				err, -ERR_DAMAGED,
				"%s does not hold chunk %s, which was just written there; the packs it came from were "
				"left where they are",
				pack_name_format(&p->fresh.id, name), hash_format(&e->hash, hex));
	}
	store_reader_return(p->store, rd);
	return r;
}

/* Makes what was gathered durable; only then may the packs that it came from go. */
static int finish_fresh(struct prune *p, struct error *err)
{
	int r = 0;

	if (p->fresh_ready && p->fresh.n) {
		r = store_pack_buffer_store(&p->fresh, p->store, err);
		if (r == 0)
			r = check_fresh(p, err);
		if (r == 0) {
			p->written_bytes += p->fresh.len + p->fresh.n * PACK_ENTRY_BYTES + PACK_FOOTER_BYTES;
			store_pack_buffer_restart(&p->fresh);
		}
	}
	if (r == 0 && p->n_moved)
		r = remove_packs(p, p->moved, p->n_moved, err);
	if (r == 0)
		p->n_moved = 0;
	return r;
}

static struct hash as_hash(const struct pack_id *id)
{
	struct hash h = {{0}};

	memcpy(h.bytes, id->bytes, PACK_ID_BYTES);
	return h;
}

static bool is_doomed(const struct prune *p, const struct pack_id *id)
{
	struct hash h = as_hash(id);

	return store_set_has(&p->doomed, &h);
}

/* True when a pack that stays holds the chunk, and it can be read. */
static bool safe_elsewhere(struct prune *p, struct store_reader *rd, const struct hash *hash)
{
	struct store_place places[MAX_COPIES];
	struct error ignored = {0};
	struct chunk_frame frame;
	size_t n = 0;

	if (store_index_copies(p->store->index, hash, places, MAX_COPIES, &n, &ignored) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_doomed(p, &places[i].pack) && frame_sound(p, rd, hash, &places[i], &frame))
			return true;
	return false;
}

/* Any sound copy, also from packs that are to go. */
static bool any_sound(struct prune *p, struct store_reader *rd, const struct hash *hash, struct chunk_frame *frame)
{
	struct store_place places[MAX_COPIES];
	struct error ignored = {0};
	size_t n = 0;

	if (store_index_copies(p->store->index, hash, places, MAX_COPIES, &n, &ignored) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (frame_sound(p, rd, hash, &places[i], frame))
			return true;
	return false;
}

/* Sees to it that one needed chunk of a doomed pack is in a pack that stays. */
static int move_chunk(struct prune *p, struct store_reader *rd, const struct hash *hash, const char *name,
		      struct error *err)
{
	char hex[HASH_HEX_BYTES];
	struct chunk_frame frame;
	int r = 0;

	if (store_pack_buffer_has(&p->fresh, hash) || safe_elsewhere(p, rd, hash))
		return 0;
	if (!any_sound(p, rd, hash, &frame))
		return error_set(err, -ERR_DAMAGED,
				 "chunk %s in %s is damaged, and a snapshot needs it; the pack was left where it is",
				 hash_format(hash, hex), name);
	if (!store_pack_buffer_fits(&p->fresh, frame.body_bytes))
		r = finish_fresh(p, err);
	if (r == 0 && store_pack_buffer_add(&p->fresh, &frame) < 0)
		r = error_errno(err, ENOMEM, "cannot rewrite %s", name);
	return r;
}

static int move_pack(struct prune *p, const struct candidate *c, struct error *err)
{
	char name[PACK_NAME_BYTES];
	struct store_reader *rd;
	struct pack_index x;
	int r;

	pack_name_format(&c->file.id, name);
	r = store_reader_borrow(p->store, &rd, err);
	if (r < 0)
		return r;
	if (!p->fresh_ready && store_pack_buffer_init(&p->fresh) < 0)
		r = error_errno(err, ENOMEM, "cannot rewrite %s", name);
	if (r == 0) {
		p->fresh_ready = true;
		r = store_pack_load(p->store, &c->file, &x, err);
	}
	if (r == 0) {
		for (size_t i = 0; i < x.n && r == 0; i++)
			if (store_set_has(&p->live, &x.entries[i].hash))
				r = move_chunk(p, rd, &x.entries[i].hash, name, err);
		pack_index_clear(&x);
	}
	if (r == 0)
		p->moved[p->n_moved++] = c->file.id;
	store_reader_return(p->store, rd);
	return r;
}

/* Packs that hold nothing needed go first: that makes room for what is rewritten. */
static int carry_out(struct prune *p, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < p->n_packs && r == 0; i++) {
		struct hash h = as_hash(&p->packs[i].file.id);

		if (p->packs[i].fate != FATE_KEEP && store_set_add(&p->doomed, &h) < 0)
			r = error_errno(err, ENOMEM, "cannot plan");
		if (p->packs[i].fate == FATE_DELETE && p->packs[i].needed_bytes == 0)
			p->moved[p->n_moved++] = p->packs[i].file.id;
	}
	if (r == 0)
		r = finish_fresh(p, err);
	for (size_t i = 0; i < p->n_packs && r == 0; i++) {
		const struct candidate *c = &p->packs[i];

		if (c->fate == FATE_REWRITE || (c->fate == FATE_DELETE && c->needed_bytes))
			r = move_pack(p, c, err);
		if (r == 0)
			r = report(p, "rewriting packs", i + 1, p->n_packs);
	}
	return r < 0 ? r : finish_fresh(p, err);
}

struct leftovers {
	char names[256][64];
	size_t n;
};

static int note_leftover(void *arg, const char *name, uint64_t size_bytes)
{
	struct leftovers *l = arg;

	if (l->n < 256 && strlen(name) < sizeof l->names[0])
		strcpy(l->names[l->n++], name);
	return 0;
}

/* What writers that died left half-written. Nobody writes now. */
static void remove_leftovers(struct store *s)
{
	struct leftovers *l = calloc(1, sizeof *l);
	struct error ignored = {0};

	if (l && store_backend_list(s->backend, "tmp/", note_leftover, l, &ignored) == 0)
		for (size_t i = 0; i < l->n; i++)
			store_backend_remove(s->backend, l->names[i], &ignored);
	free(l);
}

static int prune_locked(struct prune *p, bool dry_run, struct error *err)
{
	uint64_t own_bytes = 0;
	int r = store_catch_up(p->store, err);

	if (r == 0)
		r = gather(p, err);
	if (r == 0)
		r = check_live(p, err);
	if (r == 0)
		r = plan(p, err);
	if (r == 0 && !dry_run) {
		remove_leftovers(p->store);
		r = carry_out(p, err);
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->n_packs; i++) {
		if (p->packs[i].fate == FATE_KEEP)
			continue;
		count(p, &p->packs[i]);
		own_bytes += p->packs[i].own_bytes;
	}
	if (dry_run)
		p->written_bytes = own_bytes ? own_bytes + PACK_HEADER_BYTES + PACK_FOOTER_BYTES : 0;
	p->done.freed_bytes -= p->written_bytes < p->done.freed_bytes ? p->written_bytes : p->done.freed_bytes;
	return 0;
}

int store_prune(struct store *s, bool dry_run, struct store_pruned *out, progress_fn *progress, void *arg,
		struct error *err)
{
	struct prune p = {.store = s, .progress = progress, .arg = arg};
	int lock, r;

	*out = (struct store_pruned){0};
	r = store_lock_take(s, !dry_run, &lock, err);
	if (r < 0)
		return r;
	r = prune_locked(&p, dry_run, err);
	if (r == 0)
		*out = p.done;
	store_set_clear(&p.live);
	store_set_clear(&p.segments);
	store_set_clear(&p.claimed);
	store_set_clear(&p.doomed);
	if (p.fresh_ready)
		store_pack_buffer_clear(&p.fresh);
	free(p.packs);
	free(p.moved);
	store_lock_drop(lock);
	return r;
}
