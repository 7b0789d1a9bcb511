/*
 * One segment of a restore: compare, fetch, write, and later read back. Every write goes through write_extent(), which
 * is given nothing but extents of the recipe.
 */
#include "engine/restore_work.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/extent.h"

/* How many chunks of a segment tell whether comparing the others is worth reading the target. */
#define SAMPLES 4
/* What of a stretch of zeros is looked at first. */
#define PROBE_BYTES 4096

int restore_worker_init(struct restore_worker *w)
{
	w->buffer = crew_buffer_new(CHUNK_MAX_BYTES);
	w->zeros = calloc(1, CHUNK_MAX_BYTES);
	return w->buffer && w->zeros ? 0 : -ENOMEM;
}

void restore_worker_free(struct restore_worker *w)
{
	crew_buffer_free(w->buffer, CHUNK_MAX_BYTES);
	free(w->zeros);
}

static bool at_ends(const struct restore *r, uint64_t offset, uint64_t length)
{
	uint64_t size = r->source_disk->size_bytes;

	return offset < RESTORE_END_BYTES || size < RESTORE_END_BYTES || offset + length > size - RESTORE_END_BYTES;
}

bool restore_touches_ends(const struct restore *r, uint64_t window)
{
	return at_ends(r, window * RECIPE_WINDOW_BYTES, RECIPE_WINDOW_BYTES);
}

static enum restore_pass pass_of_extent(const struct restore *r, const struct recipe_extent *e)
{
	enum restore_pass pass = at_ends(r, e->disk_offset, e->length) ? RESTORE_ENDS : RESTORE_BODY;

	for (size_t i = 0; i < r->n_clear; i++) {
		const struct extent *c = &r->clear[i];

		if (e->disk_offset >= c->offset + c->length || c->offset >= e->disk_offset + e->length)
			continue;
		if (c->offset == 0)
			return RESTORE_HEAD;
		pass = RESTORE_TAIL;
	}
	return pass;
}

/* A span is written at once, so the latest pass that any of its extents wants is the span's. */
static enum restore_pass pass_of(const struct restore *r, const struct span_list *l, const struct span *s)
{
	enum restore_pass latest = RESTORE_BODY;

	for (size_t i = 0; i < s->n; i++) {
		enum restore_pass pass = pass_of_extent(r, span_extent(l, s, i));

		if (pass > latest)
			latest = pass;
	}
	return latest;
}

static bool in_this_pass(const struct restore *r, const struct span_list *l, const struct span *s)
{
	return pass_of(r, l, s) == r->pass;
}

/* How far from the disk's start the extents reach without a hole, and how many bytes of its last sector they cover.
 * Segments come in order of the disk. */
static void measure_ends(const struct recipe_segment *s, const struct snapshot_disk *d, uint64_t *head, uint64_t *tail)
{
	uint64_t last = d->size_bytes - d->sector_bytes;

	for (size_t i = 0; i < s->n_extents; i++) {
		uint64_t from = s->extents[i].disk_offset, to = from + s->extents[i].length;

		if (from <= *head && to > *head)
			*head = to;
		if (to > last)
			*tail += to - (from > last ? from : last);
	}
}

/* Where tables, boot sectors and the superblocks of file systems without a table lie. */
#define HEAD_MAX_BYTES (128ull << 10)

int restore_find_table(struct restore *r, struct error *err)
{
	const struct snapshot_disk *d = r->source_disk;
	uint64_t head = 0, tail = 0, fetched = 0, most = d->size_bytes - d->sector_bytes;

	if (d->size_bytes < 4ull * d->sector_bytes)
		return 0;
	for (size_t i = 0; i < r->recipe.n; i++) {
		struct span_list l;
		int rc;

		if (!restore_touches_ends(r, r->recipe.entries[i].window))
			continue;
		rc = span_list_load(r->source, &r->recipe.entries[i], d->size_bytes, &l, &fetched, err);
		if (rc < 0)
			return rc;
		measure_ends(&l.segment, d, &head, &tail);
		span_list_free(&l);
	}
	atomic_fetch_add(&r->fetched_bytes, fetched);
	most = most < HEAD_MAX_BYTES ? most : HEAD_MAX_BYTES;
	if (head >= 2ull * d->sector_bytes)
		r->clear[r->n_clear++] = (struct extent){0, head < most ? head : most};
	if (tail == d->sector_bytes)
		r->clear[r->n_clear++] = (struct extent){d->size_bytes - d->sector_bytes, d->sector_bytes};
	/* A larger target may end with the backup of an older table; ours is put there at the end. */
	if (r->target->size_bytes > d->size_bytes && strcmp(d->table, "gpt") == 0)
		r->clear[r->n_clear++] = (struct extent){r->target->size_bytes - d->sector_bytes, d->sector_bytes};
	return 0;
}

/* Called before every write; takes the table away before the first one. */
static int begin_writing(struct restore_worker *w, struct error *err)
{
	struct restore *r = w->restore;
	int rc = 0;

	pthread_mutex_lock(&r->begin_lock);
	for (size_t i = 0; !r->begun && rc == 0 && i < r->n_clear; i++)
		rc = disk_write(r->target, w->zeros, r->clear[i].length, r->clear[i].offset, err);
	if (!r->begun && r->n_clear && rc == 0)
		rc = disk_flush(r->target, err);
	if (rc == 0)
		r->begun = true;
	pthread_mutex_unlock(&r->begin_lock);
	return rc;
}

static int write_extent(struct restore_worker *w, uint64_t offset, const uint8_t *from, size_t length,
			struct error *err)
{
	int rc = begin_writing(w, err);

	return rc == 0 ? disk_write(w->restore->target, from, length, offset, err) : rc;
}

/* Reads what the target holds for a whole span, in the chunk's order. */
static int read_span(struct restore_worker *w, const struct span_list *l, const struct span *s, struct error *err)
{
	size_t at = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->n; i++) {
		const struct recipe_extent *e = span_extent(l, s, i);

		rc = disk_read(w->restore->target, w->buffer + at, e->length, e->disk_offset, err);
		at += e->length;
	}
	return rc;
}

/* True when the target holds a whole span already. What cannot be read is not in place. */
static bool span_in_place(struct restore_worker *w, const struct span_list *l, const struct span *s)
{
	struct hash found;

	if (read_span(w, l, s, NULL) < 0)
		return false;
	found = hash_of(w->buffer, s->bytes);
	return hash_equal(&found, &l->segment.chunks[s->chunk].hash);
}

static bool zeros_at(struct restore_worker *w, uint64_t offset, uint64_t length)
{
	return disk_read(w->restore->target, w->buffer, length, offset, NULL) == 0 && bytes_are_zero(w->buffer, length);
}

/* True when the target holds zeros there. A short look first, so that a target full of other things costs no pass. */
static bool zeros_in_place(struct restore_worker *w, uint64_t offset, uint64_t length)
{
	if (length > PROBE_BYTES && !zeros_at(w, offset, PROBE_BYTES))
		return false;
	return zeros_at(w, offset, length);
}

/* True when the target holds an extent of a chunk already. */
static bool extent_in_place(struct restore_worker *w, const struct recipe_extent *e, const uint8_t *plain)
{
	return disk_read(w->restore->target, w->buffer, e->length, e->disk_offset, NULL) == 0 &&
	       memcmp(w->buffer, plain + e->chunk_offset, e->length) == 0;
}

static void mark_written(uint8_t *bits, const struct span_list *l, const struct span *s)
{
	for (size_t i = 0; i < s->n; i++)
		bits[l->order[s->first + i] / 8] |= (uint8_t)(1u << (l->order[s->first + i] % 8));
}

static bool was_written(const uint8_t *bits, const struct span_list *l, const struct span *s)
{
	return bits[l->order[s->first] / 8] >> (l->order[s->first] % 8) & 1;
}

/* Whether comparing this segment with the target is worth it: in the body when a sample is in place, later always. */
static bool worth_comparing(struct restore_worker *w, const struct span_list *l)
{
	size_t n = 0, seen = 0, step;

	if (w->restore->options->full)
		return false;
	if (w->restore->pass != RESTORE_BODY)
		return true;
	for (size_t k = 0; k < l->n; k++)
		n += l->spans[k].whole && in_this_pass(w->restore, l, &l->spans[k]);
	step = n / SAMPLES + 1;
	for (size_t k = 0; k < l->n; k++) {
		const struct span *s = &l->spans[k];

		if (s->whole && in_this_pass(w->restore, l, s) && seen++ % step == step / 2 && span_in_place(w, l, s))
			return true;
	}
	return n == 0;
}

/* The writing of one segment. */
struct writing {
	struct restore_worker *w;
	struct span_list list;
	bool *needed;	  /* by span */
	uint32_t *chunks; /* to be fetched */
	size_t n_chunks;
	uint32_t *first_of; /* by chunk: index + 1 of its first needed span */
	uint32_t *next_of;  /* by span: index + 1 of the next needed span of the same chunk */
	uint8_t *bits;
	bool compare;	  /* what is in place is not written again */
	struct error err; /* of a write in got_chunk() */
};

static void count_written(struct writing *x, uint64_t bytes)
{
	atomic_fetch_add(&x->w->restore->written_bytes, bytes);
	atomic_fetch_add(&x->w->restore->crew.done_bytes, bytes);
}

static void count_skipped(struct writing *x, uint64_t bytes)
{
	struct restore *r = x->w->restore;

	atomic_fetch_add(&r->skipped_bytes, bytes);
	atomic_fetch_add(&r->crew.skipped_bytes, bytes);
	atomic_fetch_add(&r->crew.done_bytes, bytes);
}

/* Writes those parts of a stretch of zeros that are not in place. */
static int write_zeros(struct writing *x, const struct span *s, struct error *err)
{
	const struct recipe_extent *e = span_extent(&x->list, s, 0);
	bool full = x->w->restore->options->full;
	int rc = 0;

	for (uint64_t done = 0, n; rc == 0 && done < e->length; done += n) {
		n = e->length - done < CHUNK_MAX_BYTES ? e->length - done : CHUNK_MAX_BYTES;
		if (!full && zeros_in_place(x->w, e->disk_offset + done, n)) {
			count_skipped(x, n);
			continue;
		}
		rc = write_extent(x->w, e->disk_offset + done, x->w->zeros, n, err);
		if (rc == 0)
			count_written(x, n);
		mark_written(x->bits, &x->list, s);
	}
	return rc;
}

/* span_fetch() calls this for each chunk: writes it wherever it is needed. */
static int got_chunk(void *arg, size_t chunk, const uint8_t *plain, size_t plain_bytes)
{
	struct writing *x = arg;
	int rc = crew_report(&x->w->restore->crew);

	for (uint32_t k = x->first_of[chunk]; rc == 0 && k; k = x->next_of[k - 1]) {
		const struct span *s = &x->list.spans[k - 1];

		/* A part of a chunk can be compared only now that the chunk is here. */
		if (x->compare && !s->whole && extent_in_place(x->w, span_extent(&x->list, s, 0), plain)) {
			count_skipped(x, s->bytes);
			continue;
		}
		for (size_t i = 0; rc == 0 && i < s->n; i++) {
			const struct recipe_extent *e = span_extent(&x->list, s, i);

			rc = write_extent(x->w, e->disk_offset, plain + e->chunk_offset, e->length, &x->err);
		}
		if (rc == 0) {
			mark_written(x->bits, &x->list, s);
			count_written(x, s->bytes);
		}
	}
	return rc;
}

/* Decides what is needed and writes zeros on the way. */
static int choose(struct writing *x, struct error *err)
{
	struct span_list *l = &x->list;
	int rc = 0;

	x->compare = worth_comparing(x->w, l);
	for (size_t k = l->n; rc == 0 && k-- > 0;) {
		const struct span *s = &l->spans[k];

		if (!in_this_pass(x->w->restore, l, s))
			continue;
		if (s->chunk == RECIPE_ZERO) {
			rc = write_zeros(x, s, err);
		} else if (x->compare && s->whole && span_in_place(x->w, l, s)) {
			count_skipped(x, s->bytes);
		} else {
			x->next_of[k] = x->first_of[s->chunk];
			x->first_of[s->chunk] = (uint32_t)k + 1;
		}
		if (rc == 0)
			rc = crew_report(&x->w->restore->crew);
	}
	for (size_t c = 0; c < l->segment.n_chunks; c++)
		if (x->first_of[c])
			x->chunks[x->n_chunks++] = (uint32_t)c;
	return rc;
}

static int write_spans(struct writing *x, size_t index, struct error *err)
{
	struct restore *r = x->w->restore;
	const struct recipe_segment *s = &x->list.segment;
	uint64_t fetched = 0;
	int rc;

	x->chunks = calloc(s->n_chunks + 1, sizeof *x->chunks);
	x->first_of = calloc(s->n_chunks + 1, sizeof *x->first_of);
	x->next_of = calloc(x->list.n + 1, sizeof *x->next_of);
	if (!r->written[index])
		r->written[index] = calloc(1, s->n_extents / 8 + 1);
	x->bits = r->written[index];
	if (!x->chunks || !x->first_of || !x->next_of || !x->bits)
		return error_set(err, -ENOMEM, "out of memory for a restore");
	rc = choose(x, err);
	if (rc == 0)
		rc = span_fetch(r->source, s, x->chunks, x->n_chunks, got_chunk, x, &fetched, err);
	if (x->err.code && err)
		*err = x->err; /* the disk's own sentence says more than the source's */
	atomic_fetch_add(&r->fetched_bytes, fetched);
	atomic_fetch_add(&r->crew.stored_bytes, fetched);
	return x->err.code ? x->err.code : rc;
}

static int load(struct restore_worker *w, size_t index, struct span_list *l, struct error *err)
{
	struct restore *r = w->restore;
	uint64_t fetched = 0;
	int rc = span_list_load(r->source, &r->recipe.entries[index], r->source_disk->size_bytes, l, &fetched, err);

	atomic_fetch_add(&r->fetched_bytes, fetched);
	return rc;
}

int restore_write_segment(struct restore_worker *w, size_t index, struct error *err)
{
	struct writing x = {.w = w};
	int rc = load(w, index, &x.list, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; w->restore->pass == RESTORE_BODY && i < x.list.n; i++)
		atomic_fetch_add(&w->restore->recipe_bytes, x.list.spans[i].bytes);
	rc = write_spans(&x, index, err);
	free(x.chunks);
	free(x.first_of);
	free(x.next_of);
	span_list_free(&x.list);
	return rc;
}

static int not_as_written(const struct restore *r, uint64_t offset, struct error *err)
{
	return error_set(err, -ERR_DAMAGED,
			 "%s does not hold at byte %" PRIu64
			 " what was written there: the disk or its cable is failing; the restore is not usable",
			 r->target->identity.path[0] ? r->target->identity.path : "the target disk", offset);
}

/* The reading back of extents that are not a whole chunk: the chunk is fetched once more and compared. */
struct comparing {
	struct restore_worker *w;
	const struct span_list *list;
	const struct span *span;
	struct error err;
};

static int compare_chunk(void *arg, size_t chunk, const uint8_t *plain, size_t plain_bytes)
{
	struct comparing *c = arg;
	const struct recipe_extent *e = span_extent(c->list, c->span, 0);
	int rc = disk_read(c->w->restore->target, c->w->buffer, e->length, e->disk_offset, &c->err);

	if (rc == 0 && memcmp(c->w->buffer, plain + e->chunk_offset, e->length) != 0)
		rc = not_as_written(c->w->restore, e->disk_offset, &c->err);
	return rc;
}

static int check_partial(struct restore_worker *w, const struct span_list *l, const struct span *s, struct error *err)
{
	struct comparing c = {.w = w, .list = l, .span = s};
	uint64_t fetched = 0;
	int rc = span_fetch(w->restore->source, &l->segment, &s->chunk, 1, compare_chunk, &c, &fetched, err);

	atomic_fetch_add(&w->restore->fetched_bytes, fetched);
	if (c.err.code && err)
		*err = c.err;
	return c.err.code ? c.err.code : rc;
}

static int check_zeros(struct restore_worker *w, const struct recipe_extent *e, struct error *err)
{
	for (uint64_t done = 0; done < e->length;) {
		uint64_t n = e->length - done < CHUNK_MAX_BYTES ? e->length - done : CHUNK_MAX_BYTES;
		int rc = disk_read(w->restore->target, w->buffer, n, e->disk_offset + done, err);

		if (rc < 0)
			return rc;
		if (!bytes_are_zero(w->buffer, n))
			return not_as_written(w->restore, e->disk_offset + done, err);
		done += n;
	}
	return 0;
}

static int check_span(struct restore_worker *w, const struct span_list *l, const struct span *s, struct error *err)
{
	struct hash found;
	int rc;

	if (s->chunk == RECIPE_ZERO)
		return check_zeros(w, span_extent(l, s, 0), err);
	if (!s->whole)
		return check_partial(w, l, s, err);
	rc = read_span(w, l, s, err);
	if (rc < 0)
		return rc;
	found = hash_of(w->buffer, s->bytes);
	if (!hash_equal(&found, &l->segment.chunks[s->chunk].hash))
		return not_as_written(w->restore, span_extent(l, s, 0)->disk_offset, err);
	return 0;
}

int restore_check_segment(struct restore_worker *w, size_t index, struct error *err)
{
	struct restore *r = w->restore;
	const uint8_t *bits = r->written[index];
	struct span_list l;
	int rc;

	if (!bits)
		return 0;
	rc = load(w, index, &l, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		const struct span *s = &l.spans[i];

		if (!was_written(bits, &l, s) || !in_this_pass(r, &l, s))
			continue;
		rc = check_span(w, &l, s, err);
		atomic_fetch_add(&r->crew.done_bytes, s->bytes);
		if (rc == 0)
			rc = crew_report(&r->crew);
	}
	span_list_free(&l);
	return rc;
}
