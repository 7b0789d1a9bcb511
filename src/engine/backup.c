/*
 * Backup: plan the disks, then windows in disk order through read, cut, hash, ask, compress and put, then the recipe's
 * roots and the commit. The source is only read. Nothing becomes visible unless everything arrived.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "engine/backup_plans.h"
#include "engine/cutter.h"
#include "engine/reader.h"
#include "engine/segments.h"
#include "engine/sender.h"

/* What a worker needs: a window, what is put at once, and room for pieces, names and zstd's tables. */
#define WORKER_BYTES (RECIPE_WINDOW_BYTES + SENDER_BODY_BYTES + (8ull << 20))

/* The segments of one disk as they come, in no order. */
struct disk_recipe {
	struct recipe_root_entry *entries;
	uint64_t *order; /* the first disk offset of each, to put several segments of one window in order */
	size_t n, cap;
};

struct backup {
	struct crew crew;
	struct disk **disks;
	size_t n_disks;
	struct plan *plans;
	size_t n_plans;
	bool planned; /* by the caller */
	struct reader reader;
	struct sending sending;
	pthread_mutex_t recipe_lock;
	struct disk_recipe *recipes;
	struct snapshot *snapshot;
	uint64_t *read_before; /* the disks' counters when we began */
};

/* One worker's memory. */
struct worker {
	struct backup *backup;
	struct reader_window window;
	struct batch batch;
	struct segments segments;
	struct sender sender;
};

static int out_of_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory for a backup");
}

static int add_entry(struct backup *b, unsigned disk, uint64_t window, uint64_t order, const struct hash *h)
{
	struct disk_recipe *r = &b->recipes[disk];
	int rc = 0;

	pthread_mutex_lock(&b->recipe_lock);
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 256;
		struct recipe_root_entry *entries = realloc(r->entries, cap * sizeof *entries);
		uint64_t *orders = realloc(r->order, cap * sizeof *orders);

		if (entries)
			r->entries = entries;
		if (orders)
			r->order = orders;
		if (entries && orders)
			r->cap = cap;
		else
			rc = -ENOMEM;
	}
	if (rc == 0) {
		r->entries[r->n] = (struct recipe_root_entry){window, *h};
		r->order[r->n++] = order;
	}
	pthread_mutex_unlock(&b->recipe_lock);
	return rc;
}

/* segments_make() calls this for each segment: it is a chunk like others. */
static int send_segment(void *arg, const void *bytes, size_t len, struct error *err)
{
	struct worker *w = arg;
	struct recipe_segment s;
	struct hash h;
	uint64_t first;
	int rc = sender_send_bytes(&w->sender, bytes, len, &h, err);

	if (rc < 0)
		return rc;
	/* Reading it again costs little and proves that a restore will be able to. */
	rc = recipe_segment_decode(bytes, len, w->backup->disks[w->window.disk]->size_bytes, &s, err);
	if (rc < 0)
		return rc;
	first = s.n_extents ? s.extents[0].disk_offset : 0;
	recipe_segment_clear(&s);
	if (add_entry(w->backup, w->window.disk, w->window.window, first, &h) < 0)
		return out_of_memory(err);
	return 0;
}

static int store_window(struct worker *w, struct error *err)
{
	struct batch *b = &w->batch;
	int rc;

	batch_reset(b);
	for (size_t i = 0; i < w->window.n_parts; i++) {
		const struct reader_part *p = &w->window.parts[i];

		cutter_cut(b, w->window.runs + p->first_run, p->n_runs, p->region->cluster_origin,
			   cutter_unit_bytes(p->region->cluster_bytes));
	}
	if (b->rc < 0)
		return error_set(err, b->rc, "a window of the disk cannot be cut: %s", error_name(b->rc));
	rc = sender_send(&w->sender, b, err);
	if (rc == 0)
		rc = segments_make(&w->segments, w->window.window, b, send_segment, w, err);
	if (rc == 0)
		atomic_fetch_add(&w->backup->crew.done_bytes, w->window.used);
	return rc;
}

static int work(void *arg, unsigned number, struct error *err)
{
	struct worker w = {.backup = arg};
	int rc = reader_window_init(&w.window);

	if (rc == 0)
		rc = batch_init(&w.batch);
	if (rc == 0)
		rc = sender_init(&w.sender, &w.backup->sending, w.backup->crew.options->zstd_level);
	if (rc < 0)
		out_of_memory(err);
	while (rc == 0) {
		rc = reader_next(&w.backup->reader, &w.window, err);
		if (rc <= 0)
			break;
		rc = store_window(&w, err);
		if (rc == 0)
			rc = crew_report(&w.backup->crew);
	}
	sender_free(&w.sender);
	segments_free(&w.segments);
	batch_free(&w.batch);
	reader_window_free(&w.window);
	return rc;
}

struct ordered {
	struct recipe_root_entry entry;
	uint64_t order;
};

static int by_order(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;

	return (x->order > y->order) - (x->order < y->order);
}

/* Puts the segments of a disk in order. */
static int sort_recipe(struct disk_recipe *r)
{
	struct ordered *list = malloc((r->n ? r->n : 1) * sizeof *list);

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < r->n; i++)
		list[i] = (struct ordered){r->entries[i], r->order[i]};
	qsort(list, r->n, sizeof *list, by_order);
	for (size_t i = 0; i < r->n; i++)
		r->entries[i] = list[i].entry;
	free(list);
	return 0;
}

static int send_roots(struct backup *b, size_t disk, struct sender *sender, struct error *err)
{
	struct disk_recipe *r = &b->recipes[disk];
	struct snapshot_disk *d = &b->snapshot->disks[disk];
	size_t n = (r->n + RECIPE_ROOT_MAX_ENTRIES - 1) / RECIPE_ROOT_MAX_ENTRIES;
	int rc = 0;

	d->roots = calloc(n ? n : 1, sizeof *d->roots);
	if (!d->roots || sort_recipe(r) < 0)
		return out_of_memory(err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		size_t first = i * RECIPE_ROOT_MAX_ENTRIES, left = r->n - first;
		struct recipe_root root = {r->entries + first,
					   left < RECIPE_ROOT_MAX_ENTRIES ? left : RECIPE_ROOT_MAX_ENTRIES};
		struct buf bytes = {0};

		rc = recipe_root_encode(&root, &bytes, err);
		if (rc == 0)
			rc = sender_send_bytes(sender, bytes.data, bytes.len, &d->roots[i], err);
		if (rc == 0)
			d->n_roots++;
		buf_free(&bytes);
	}
	return rc;
}

static void describe_region(const struct plan_region *p, struct snapshot_region *r)
{
	static const char *const roles[] = {
		[REGION_TABLE] = "table", [REGION_PARTITION] = "partition", [REGION_GAP] = "gap"};

	r->start = p->region.start;
	r->length = p->region.length;
	r->number = p->region.number;
	snprintf(r->role, sizeof r->role, "%s", roles[p->region.role]);
	snprintf(r->copied, sizeof r->copied, "%s", p->skipped ? "none" : p->used_only ? "used" : "raw");
	text_printable(p->kind, r->kind, sizeof r->kind);
	text_printable(p->region.type, r->type, sizeof r->type);
	text_printable(p->region.uuid, r->uuid, sizeof r->uuid);
	text_printable(p->region.label, r->label, sizeof r->label);
	text_printable(p->note, r->note, sizeof r->note);
	r->used_bytes = p->used_bytes;
}

static int describe_disk(const struct disk *d, const struct plan *p, struct snapshot_disk *s)
{
	text_printable(d->identity.path, s->path, sizeof s->path);
	text_printable(d->identity.model, s->model, sizeof s->model);
	text_printable(d->identity.serial, s->serial, sizeof s->serial);
	text_printable(d->identity.wwn, s->wwn, sizeof s->wwn);
	text_printable(d->identity.bus, s->bus, sizeof s->bus);
	text_printable(p->layout.disk_id, s->disk_id, sizeof s->disk_id);
	snprintf(s->table, sizeof s->table, "%s", layout_table_name(p->layout.table));
	s->size_bytes = d->size_bytes;
	s->sector_bytes = d->sector_bytes;
	s->used_bytes = p->used_bytes;
	s->regions = calloc(p->n ? p->n : 1, sizeof *s->regions);
	if (!s->regions)
		return -ENOMEM;
	s->n_regions = p->n;
	for (size_t i = 0; i < p->n; i++)
		describe_region(&p->regions[i], &s->regions[i]);
	return 0;
}

/* Fills in what is known before anything is stored. */
static int describe(struct backup *b, struct error *err)
{
	struct snapshot *s = b->snapshot;

	snprintf(s->version, sizeof s->version, "%s", G4L_VERSION);
	s->degraded = false;
	s->disk_bytes = s->used_bytes = s->metadata_bytes = 0;
	s->disks = calloc(b->n_disks, sizeof *s->disks);
	if (!s->disks)
		return out_of_memory(err);
	s->n_disks = b->n_disks;
	for (size_t i = 0; i < b->n_disks; i++) {
		if (describe_disk(b->disks[i], &b->plans[i], &s->disks[i]) < 0)
			return out_of_memory(err);
		s->degraded |= b->plans[i].degraded;
		s->disk_bytes += b->disks[i]->size_bytes;
		s->used_bytes += b->plans[i].used_bytes;
		s->metadata_bytes += b->plans[i].metadata_bytes;
	}
	return 0;
}

static int plan_disks(struct backup *b, struct error *err)
{
	int rc = crew_phase(&b->crew, "planning", 0);

	for (size_t i = 0; rc == 0 && i < b->n_disks; i++) {
		b->read_before[i] = atomic_load(&b->disks[i]->read_bytes);
		if (b->planned)
			continue;
		rc = plan_make(b->disks[i], &b->plans[i], err);
		if (rc < 0)
			error_prefix(err, "%s",
				     b->disks[i]->identity.path[0] ? b->disks[i]->identity.path : "the disk");
		else
			b->n_plans++;
		if (rc == 0)
			rc = crew_report(&b->crew);
	}
	return rc;
}

/* The figures of the snapshot, as far as they are known before the commit. */
static void count(struct backup *b, double began)
{
	struct snapshot *s = b->snapshot;

	s->chunks = atomic_load(&b->sending.chunks);
	s->new_chunks = atomic_load(&b->sending.new_chunks);
	s->new_bytes = atomic_load(&b->sending.new_bytes);
	s->stored_bytes = atomic_load(&b->sending.stored_bytes);
	s->read_bytes = 0;
	for (size_t i = 0; i < b->n_disks; i++)
		s->read_bytes += atomic_load(&b->disks[i]->read_bytes) - b->read_before[i];
	s->seconds = clock_seconds() - began;
}

/* After the windows: roots, figures, commit. */
static int finish(struct backup *b, double began, struct error *err)
{
	struct sender sender;
	int rc = crew_phase(&b->crew, "committing", 0);

	if (rc < 0)
		return rc;
	if (sender_init(&sender, &b->sending, b->crew.options->zstd_level) < 0)
		rc = out_of_memory(err);
	for (size_t i = 0; rc == 0 && i < b->n_disks; i++)
		rc = send_roots(b, i, &sender, err);
	sender_free(&sender);
	if (rc < 0)
		return rc;
	count(b, began);
	if (b->sending.dry_run)
		return 0;
	return chunk_sink_commit(b->sending.sink, b->snapshot, b->snapshot->id, err);
}

static int run(struct backup *b, struct error *err)
{
	double began = clock_seconds();
	uint64_t total = 0;
	int rc = plan_disks(b, err);

	if (rc == 0)
		rc = describe(b, err);
	for (size_t i = 0; rc == 0 && i < b->n_disks; i++)
		total += b->plans[i].used_bytes;
	if (rc == 0)
		rc = crew_phase(&b->crew, "reading", total);
	if (rc == 0) {
		reader_init(&b->reader, &b->crew, b->disks, b->plans, b->n_disks);
		rc = crew_run(&b->crew, crew_threads(b->crew.options, 1, WORKER_BYTES), work, b);
		reader_end(&b->reader);
	}
	if (rc == 0 && atomic_load(&b->crew.done_bytes) != total)
		rc = error_set(err, -EINVAL, "the backup read %" PRIu64 " bytes of the %" PRIu64 " that it had planned",
			       atomic_load(&b->crew.done_bytes), total);
	return rc == 0 ? finish(b, began, err) : rc;
}

static void free_backup(struct backup *b)
{
	for (size_t i = 0; i < b->n_plans; i++)
		plan_free(&b->plans[i]);
	for (size_t i = 0; b->recipes && i < b->n_disks; i++) {
		free(b->recipes[i].entries);
		free(b->recipes[i].order);
	}
	if (!b->planned)
		free(b->plans);
	free(b->recipes);
	free(b->read_before);
	claims_free(&b->sending.claims);
	pthread_mutex_destroy(&b->recipe_lock);
}

/* Takes back what describe() and send_roots() put into the snapshot. */
static void forget_disks(struct snapshot *s)
{
	for (size_t i = 0; i < s->n_disks; i++) {
		free(s->disks[i].regions);
		free(s->disks[i].roots);
	}
	free(s->disks);
	s->disks = NULL;
	s->n_disks = 0;
}

int backup_run_plans(struct disk **disks, struct plan *plans, size_t n_disks, struct chunk_sink *sink,
		     struct snapshot *snapshot, bool dry_run, const struct engine_options *options, struct error *err)
{
	static const struct engine_options defaults;
	struct backup b = {.disks = disks, .n_disks = n_disks, .snapshot = snapshot, .planned = plans != NULL};
	struct error why = {0};
	int rc;

	if (!n_disks || (!sink && !dry_run) || snapshot->disks)
		return error_set(err, -EINVAL, "a backup needs a disk, a store and an empty snapshot");
	crew_init(&b.crew, options ? options : &defaults);
	b.sending.sink = sink;
	b.sending.dry_run = dry_run;
	b.sending.crew = &b.crew;
	rc = claims_init(&b.sending.claims);
	pthread_mutex_init(&b.recipe_lock, NULL);
	b.plans = plans ? plans : calloc(n_disks, sizeof *b.plans);
	b.recipes = calloc(n_disks, sizeof *b.recipes);
	b.read_before = calloc(n_disks, sizeof *b.read_before);
	rc = rc == 0 && b.plans && b.recipes && b.read_before ? run(&b, &why) : out_of_memory(&why);
	if (rc < 0) {
		crew_fail(&b.crew, rc, &why);
		forget_disks(snapshot);
	}
	free_backup(&b);
	return crew_end(&b.crew, err);
}

int backup_run(struct disk **disks, size_t n_disks, struct chunk_sink *sink, struct snapshot *snapshot, bool dry_run,
	       const struct engine_options *options, struct error *err)
{
	return backup_run_plans(disks, NULL, n_disks, sink, snapshot, dry_run, options, err);
}
