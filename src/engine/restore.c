/*
 * Restore: compares what is in place, fetches and writes the rest, reads back what was written. Writes only inside the
 * extents of the recipe. What makes a disk look whole, at its start and in its last sector, is taken away before the
 * first write and written last, the start at the very end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "engine/restore_work.h"
#include "layout/gpt_move.h"

/* What a worker holds: one chunk for comparing, a segment, and what its source needs for an answer. */
#define WORKER_BYTES (16ull << 20)

static int work(void *arg, unsigned number, struct error *err)
{
	struct restore *r = arg;
	struct restore_worker w = {.restore = r};
	int rc = restore_worker_init(&w);

	if (rc < 0)
		error_set(err, rc, "out of memory for a restore");
	while (rc == 0 && !crew_stopped(&r->crew)) {
		size_t i = atomic_fetch_add(&r->next, 1);

		if (i >= r->recipe.n)
			break;
		if (r->pass != RESTORE_BODY && !restore_touches_ends(r, r->recipe.entries[i].window))
			continue;
		rc = r->checking ? restore_check_segment(&w, i, err) : restore_write_segment(&w, i, err);
		if (rc == 0)
			rc = crew_report(&r->crew);
	}
	restore_worker_free(&w);
	return rc;
}

/* One walk over all segments. */
static int walk(struct restore *r, const char *phase, uint64_t total)
{
	int rc = crew_phase(&r->crew, phase, total);

	atomic_store(&r->next, 0);
	return rc == 0 ? crew_run(&r->crew, r->pass != RESTORE_BODY ? 1 : r->threads, work, r) : rc;
}

/* Writes what the pass is about, makes it durable, reads it back. */
static int write_pass(struct restore *r, enum restore_pass pass, struct error *err)
{
	uint64_t before = atomic_load(&r->written_bytes);
	bool body = pass == RESTORE_BODY;
	int rc;

	r->pass = pass;
	r->checking = false;
	/* The passes behind the body are short; as phases of their own they would count from zero again. */
	rc = walk(r, body ? "writing" : "finishing", body ? r->source_disk->used_bytes : 0);
	if (rc < 0 || atomic_load(&r->written_bytes) == before)
		return rc;
	rc = disk_flush(r->target, err);
	if (rc < 0 || r->options->no_read_back)
		return rc;
	disk_drop_cache(r->target, 0, r->target->size_bytes);
	r->checking = true;
	return walk(r, body ? "checking" : "finishing", body ? atomic_load(&r->written_bytes) - before : 0);
}

static int check_target(const struct snapshot_disk *s, const struct disk *target, struct error *err)
{
	const char *path = target->identity.path[0] ? target->identity.path : "the target disk";
	char wanted[TEXT_SIZE_BYTES], found[TEXT_SIZE_BYTES];

	if (target->read_only)
		return error_set(err, -ERR_REFUSED, "%s is open for reading only: nothing can be restored to it", path);
	if (target->size_bytes < s->size_bytes)
		return error_set(err, -ERR_REFUSED,
				 "%s is too small: it has %s (%" PRIu64
				 " bytes), the disk in the snapshot had %s (%" PRIu64
				 " bytes); choose a disk that is at least as large",
				 path, text_size(target->size_bytes, found), target->size_bytes,
				 text_size(s->size_bytes, wanted), s->size_bytes);
	if (target->sector_bytes != s->sector_bytes)
		return error_set(err, -ERR_REFUSED,
				 "%s has sectors of %" PRIu32 " bytes, the disk in the snapshot had %" PRIu32
				 ": its tables and file systems would not work there",
				 path, target->sector_bytes, s->sector_bytes);
	return 0;
}

/* What an earlier try wrote may be in the page cache only: it never reached the medium, or reached it wrongly. What is
 * skipped as being in place must lie on the medium. */
static int forget_cached(struct restore *r, struct error *err)
{
	int rc = disk_flush(r->target, err);

	if (rc == 0)
		disk_drop_cache(r->target, 0, r->target->size_bytes);
	return rc;
}

/* A recipe that lacks a part must not end as a restore that succeeded. The body's pass has seen all of it. */
static int check_recipe(const struct restore *r, struct error *err)
{
	uint64_t covers = atomic_load(&r->recipe_bytes);

	if (covers == r->source_disk->used_bytes)
		return 0;
	return error_set(err, -ERR_DAMAGED,
			 "the snapshot is damaged: its recipe covers %" PRIu64 " bytes of the disk instead of %" PRIu64,
			 covers, r->source_disk->used_bytes);
}

static int run(struct restore *r, struct chunk_source *source, struct error *err)
{
	int rc = crew_phase(&r->crew, "planning", 0);

	if (rc == 0)
		rc = recipe_list_load(source, r->source_disk, &r->recipe, err);
	if (rc < 0)
		return rc;
	atomic_fetch_add(&r->fetched_bytes, r->recipe.fetched_bytes);
	r->written = calloc(r->recipe.n ? r->recipe.n : 1, sizeof *r->written);
	if (!r->written)
		return error_set(err, -ENOMEM, "out of memory for a restore");
	rc = restore_find_table(r, err);
	if (rc == 0)
		rc = forget_cached(r, err);
	if (rc == 0)
		rc = write_pass(r, RESTORE_BODY, err);
	if (rc == 0)
		rc = check_recipe(r, err);
	if (rc == 0)
		rc = write_pass(r, RESTORE_ENDS, err);
	/* From here on nothing may be cleared: what was cleared is compared before it is written. */
	r->begun = true;
	if (rc == 0)
		rc = write_pass(r, RESTORE_TAIL, err);
	if (rc == 0)
		rc = write_pass(r, RESTORE_HEAD, err);
	if (rc == 0 && strcmp(r->source_disk->table, "gpt") == 0 &&
	    r->target->size_bytes > r->source_disk->size_bytes) {
		rc = layout_gpt_fit(r->target, r->source_disk->size_bytes, err);
		if (rc == 0)
			rc = disk_flush(r->target, err);
	}
	return rc;
}

int restore_run(struct chunk_source *source, const struct snapshot *snapshot, size_t index, struct disk *target,
		const struct restore_options *options, struct restore_result *result, struct error *err)
{
	static const struct restore_options defaults;
	struct restore r = {.source = source, .target = target, .options = options ? options : &defaults};
	double began = clock_seconds();
	uint64_t read_before = atomic_load(&target->read_bytes);
	struct error why = {0};
	int rc;

	*result = (struct restore_result){0};
	if (index >= snapshot->n_disks)
		return error_set(err, -EINVAL, "the snapshot has %zu disks", snapshot->n_disks);
	r.source_disk = &snapshot->disks[index];
	rc = check_target(r.source_disk, target, err);
	if (rc < 0)
		return rc;
	crew_init(&r.crew, &r.options->engine);
	pthread_mutex_init(&r.begin_lock, NULL);
	r.threads = crew_threads(&r.options->engine, 1, WORKER_BYTES);
	rc = run(&r, source, &why);
	if (rc < 0)
		crew_fail(&r.crew, rc, &why);
	for (size_t i = 0; r.written && i < r.recipe.n; i++)
		free(r.written[i]);
	free(r.written);
	recipe_list_free(&r.recipe);
	pthread_mutex_destroy(&r.begin_lock);
	*result = (struct restore_result){.written_bytes = atomic_load(&r.written_bytes),
					  .skipped_bytes = atomic_load(&r.skipped_bytes),
					  .fetched_bytes = atomic_load(&r.fetched_bytes),
					  .read_bytes = atomic_load(&target->read_bytes) - read_before,
					  .seconds = clock_seconds() - began};
	return crew_end(&r.crew, err);
}
