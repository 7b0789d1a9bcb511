/* Verify: reads every chunk that a snapshot needs, and compares a disk with what its recipe says. Writes nothing. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine/crew.h"
#include "engine/recipe_load.h"

#define WORKER_BYTES (16ull << 20)

struct verify {
	struct crew crew;
	struct chunk_source *source;
	const struct snapshot_disk *disk;
	struct disk *against; /* or NULL */
	struct recipe_list recipe;
	_Atomic size_t next;
	_Atomic uint64_t recipe_bytes; /* that all extents of the disk's recipe cover */
	pthread_mutex_t lock;	       /* the result */
	struct verify_result *result;
};

/* One segment at work. */
struct segment_check {
	struct verify *v;
	struct span_list list;
	uint32_t *first_of; /* by chunk: index + 1 of its first extent */
	uint32_t *next_of;  /* by extent: index + 1 of the chunk's next one */
	uint8_t *buffer;    /* CHUNK_MAX_BYTES */
	struct verify_result found;
	struct error err;
};

/* Compares a stretch of the disk; expected NULL: zeros. */
static int compare(struct segment_check *c, uint64_t offset, const uint8_t *expected, size_t length)
{
	int rc = disk_read(c->v->against, c->buffer, length, offset, &c->err);

	if (rc < 0)
		return rc;
	if (expected ? memcmp(c->buffer, expected, length) == 0 : bytes_are_zero(c->buffer, length))
		return 0;
	for (size_t i = 0; i < length; i++) {
		if (c->buffer[i] == (expected ? expected[i] : 0))
			continue;
		if (c->found.different_bytes++ == 0 || offset + i < c->found.first_difference)
			c->found.first_difference = offset + i;
	}
	return 0;
}

static int got_chunk(void *arg, size_t chunk, const uint8_t *plain, size_t plain_bytes)
{
	struct segment_check *c = arg;
	int rc = crew_report(&c->v->crew);

	c->found.chunks++;
	c->found.plain_bytes += plain_bytes;
	for (uint32_t k = c->first_of[chunk]; rc == 0 && k; k = c->next_of[k - 1]) {
		const struct recipe_extent *e = &c->list.segment.extents[k - 1];

		if (c->v->against)
			rc = compare(c, e->disk_offset, plain + e->chunk_offset, e->length);
		atomic_fetch_add(&c->v->crew.done_bytes, e->length);
	}
	return rc;
}

static int check_zeros(struct segment_check *c, const struct recipe_extent *e)
{
	int rc = 0;

	for (uint64_t done = 0; rc == 0 && c->v->against && done < e->length;) {
		uint64_t n = e->length - done < CHUNK_MAX_BYTES ? e->length - done : CHUNK_MAX_BYTES;

		rc = compare(c, e->disk_offset + done, NULL, n);
		done += n;
	}
	atomic_fetch_add(&c->v->crew.done_bytes, e->length);
	return rc;
}

static int check_lists(struct segment_check *c, struct error *err)
{
	const struct recipe_segment *s = &c->list.segment;
	uint32_t *chunks = calloc(s->n_chunks + 1, sizeof *chunks);
	int rc = 0;

	c->first_of = calloc(s->n_chunks + 1, sizeof *c->first_of);
	c->next_of = calloc(s->n_extents + 1, sizeof *c->next_of);
	if (!chunks || !c->first_of || !c->next_of) {
		free(chunks);
		return error_set(err, -ENOMEM, "out of memory for verifying");
	}
	for (size_t i = s->n_extents; rc == 0 && i-- > 0;) {
		const struct recipe_extent *e = &s->extents[i];

		if (e->chunk == RECIPE_ZERO) {
			rc = check_zeros(c, e);
			continue;
		}
		c->next_of[i] = c->first_of[e->chunk];
		c->first_of[e->chunk] = (uint32_t)i + 1;
	}
	for (size_t i = 0; i < s->n_chunks; i++)
		chunks[i] = (uint32_t)i;
	if (rc == 0)
		rc = span_fetch(c->v->source, s, chunks, s->n_chunks, got_chunk, c, &c->found.fetched_bytes, err);
	free(chunks);
	if (c->err.code && err)
		*err = c->err;
	return c->err.code ? c->err.code : rc;
}

static void add_result(struct verify *v, const struct verify_result *found)
{
	pthread_mutex_lock(&v->lock);
	v->result->chunks += found->chunks;
	v->result->plain_bytes += found->plain_bytes;
	v->result->fetched_bytes += found->fetched_bytes;
	v->result->different_bytes += found->different_bytes;
	if (found->first_difference < v->result->first_difference)
		v->result->first_difference = found->first_difference;
	pthread_mutex_unlock(&v->lock);
}

static int check_segment(struct verify *v, size_t index, uint8_t *buffer, struct error *err)
{
	struct segment_check c = {.v = v, .buffer = buffer, .found.first_difference = UINT64_MAX};
	int rc = span_list_load(v->source, &v->recipe.entries[index], v->disk->size_bytes, &c.list,
				&c.found.fetched_bytes, err);

	if (rc < 0)
		return rc;
	c.found.chunks = 1;
	for (size_t i = 0; i < c.list.segment.n_extents; i++)
		atomic_fetch_add(&v->recipe_bytes, c.list.segment.extents[i].length);
	rc = check_lists(&c, err);
	add_result(v, &c.found);
	free(c.first_of);
	free(c.next_of);
	span_list_free(&c.list);
	return rc;
}

static int work(void *arg, unsigned number, struct error *err)
{
	struct verify *v = arg;
	uint8_t *buffer = crew_buffer_new(CHUNK_MAX_BYTES);
	int rc = buffer ? 0 : error_set(err, -ENOMEM, "out of memory for verifying");

	while (rc == 0 && !crew_stopped(&v->crew)) {
		size_t i = atomic_fetch_add(&v->next, 1);

		if (i >= v->recipe.n)
			break;
		rc = check_segment(v, i, buffer, err);
		if (rc == 0)
			rc = crew_report(&v->crew);
	}
	crew_buffer_free(buffer, CHUNK_MAX_BYTES);
	return rc;
}

/* One disk of the snapshot. */
static int verify_disk(struct verify *v, struct error *err)
{
	int rc = recipe_list_load(v->source, v->disk, &v->recipe, err);

	if (rc < 0)
		return rc;
	v->result->chunks += v->disk->n_roots;
	v->result->fetched_bytes += v->recipe.fetched_bytes;
	atomic_store(&v->next, 0);
	atomic_store(&v->recipe_bytes, 0);
	rc = crew_run(&v->crew, crew_threads(v->crew.options, 1, WORKER_BYTES), work, v);
	recipe_list_free(&v->recipe);
	if (rc == 0 && atomic_load(&v->recipe_bytes) != v->disk->used_bytes)
		rc = error_set(err, -ERR_DAMAGED,
			       "the snapshot is damaged: its recipe covers %" PRIu64
			       " bytes of a disk instead of %" PRIu64,
			       atomic_load(&v->recipe_bytes), v->disk->used_bytes);
	return rc;
}

static int run(struct verify *v, const struct snapshot *snapshot, size_t index, struct error *err)
{
	uint64_t total = 0;
	int rc;

	for (size_t i = 0; i < snapshot->n_disks; i++)
		total += !v->against || i == index ? snapshot->disks[i].used_bytes : 0;
	rc = crew_phase(&v->crew, "checking", total);
	if (v->against) /* what counts is what the medium holds */
		disk_drop_cache(v->against, 0, v->against->size_bytes);
	for (size_t i = 0; rc == 0 && i < snapshot->n_disks; i++) {
		if (v->against && i != index)
			continue;
		v->disk = &snapshot->disks[i];
		rc = verify_disk(v, err);
	}
	return rc;
}

int verify_run(struct chunk_source *source, const struct snapshot *snapshot, size_t index, struct disk *against,
	       const struct engine_options *options, struct verify_result *result, struct error *err)
{
	static const struct engine_options defaults;
	struct verify v = {.source = source, .against = against, .result = result};
	double began = clock_seconds();
	struct error why = {0};
	int rc;

	*result = (struct verify_result){.first_difference = UINT64_MAX};
	if (against && index >= snapshot->n_disks)
		return error_set(err, -EINVAL, "the snapshot has %zu disks", snapshot->n_disks);
	if (against && against->size_bytes < snapshot->disks[index].size_bytes)
		return error_set(err, -ERR_REFUSED,
				 "%s is smaller than the disk in the snapshot (%" PRIu64 " bytes instead of %" PRIu64
				 ")",
				 against->identity.path, against->size_bytes, snapshot->disks[index].size_bytes);
	crew_init(&v.crew, options ? options : &defaults);
	pthread_mutex_init(&v.lock, NULL);
	rc = run(&v, snapshot, index, &why);
	if (rc < 0)
		crew_fail(&v.crew, rc, &why);
	pthread_mutex_destroy(&v.lock);
	result->seconds = clock_seconds() - began;
	rc = crew_end(&v.crew, err);
	if (rc == 0 && result->different_bytes)
		rc = error_set(err, -EILSEQ,
			       "%s differs from the snapshot in %" PRIu64 " bytes, first at byte %" PRIu64,
			       against->identity.path[0] ? against->identity.path : "the disk", result->different_bytes,
			       result->first_difference);
	return rc;
}
