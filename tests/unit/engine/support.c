/* Made-up disks and short calls for the engine's tests. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/recipe.h"

#define PIECE (1ull << 20)

uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

uint64_t random_below(uint64_t *state, uint64_t n)
{
	return (random_next(state) >> 11) % n;
}

static void fill_noise(uint8_t *p, size_t n, uint64_t *state)
{
	for (size_t i = 0; i < n; i += 8) {
		uint64_t v = random_next(state) * 0x9e3779b97f4a7c15u;

		memcpy(p + i, &v, n - i < 8 ? n - i : 8);
	}
}

void mix_fill(uint8_t *p, size_t n, uint64_t *state)
{
	for (size_t at = 0; at < n;) {
		size_t len = 1 + random_below(state, 300000), kind = random_below(state, 4);

		if (len > n - at)
			len = n - at;
		if (kind == 0)
			memset(p + at, 0, len);
		else if (kind == 1)
			for (size_t i = 0; i < len; i++)
				p[at + i] = (uint8_t)("the quick brown fox "[i % 20] + at % 7);
		else if (kind == 2 || at < len)
			fill_noise(p + at, len, state);
		else
			memcpy(p + at, p + random_below(state, at - len + 1) / 4096 * 4096, len);
		at += len;
	}
}

/* Whether MiB number i of n is filled: both ends, both sides of a window's end, and every so many in between. All else
 * stays zeros, so that disks large enough for two windows cost little. Small disks are filled whole. */
static bool is_filled(uint64_t i, uint64_t n, uint64_t every)
{
	uint64_t in_window = i % (RECIPE_WINDOW_BYTES / PIECE);

	return n <= 24 || i < 2 || i + 3 > n || in_window == 0 || in_window == RECIPE_WINDOW_BYTES / PIECE - 1 ||
	       i % every == 0;
}

static struct disk *filled_disk(uint64_t size_bytes, uint32_t sector_bytes, uint64_t seed, uint64_t every,
				void (*fill)(uint8_t *, size_t, uint64_t *))
{
	uint64_t n = (size_bytes + PIECE - 1) / PIECE, run;
	struct disk *d;
	uint8_t *bytes = malloc(size_bytes);

	if (!bytes || disk_open_memory(size_bytes, sector_bytes, &d, NULL) < 0)
		abort();
	for (uint64_t i = 0; i < n; i += run) {
		uint64_t at = i * PIECE, len;

		for (run = 0; i + run < n && is_filled(i + run, n, every); run++)
			;
		len = run * PIECE < size_bytes - at ? run * PIECE : size_bytes - at;
		fill(bytes, len, &seed);
		if (disk_write(d, bytes, len, at, NULL) < 0)
			abort();
		run += !run;
	}
	free(bytes);
	snprintf(d->identity.path, sizeof d->identity.path, "disk-%llu", (unsigned long long)seed);
	return d;
}

struct disk *mixed_disk(uint64_t size_bytes, uint32_t sector_bytes, uint64_t seed)
{
	return filled_disk(size_bytes, sector_bytes, seed, 12, mix_fill);
}

struct disk *noise_disk(uint64_t size_bytes, uint32_t sector_bytes, uint64_t seed)
{
	return filled_disk(size_bytes, sector_bytes, seed, 10, fill_noise);
}

uint8_t *disk_bytes(struct disk *d)
{
	uint8_t *bytes = malloc(d->size_bytes);

	if (!bytes || disk_read(d, bytes, d->size_bytes, 0, NULL) < 0)
		abort();
	return bytes;
}

void one_region_plan(struct plan *p, const struct disk *d, uint32_t cluster_bytes)
{
	*p = (struct plan){0};
	p->regions = calloc(1, sizeof *p->regions);
	if (!p->regions)
		abort();
	p->n = 1;
	p->layout.size_bytes = d->size_bytes;
	p->layout.sector_bytes = d->sector_bytes;
	p->regions->region.length = d->size_bytes;
	p->regions->region.role = REGION_PARTITION;
	snprintf(p->regions->kind, sizeof p->regions->kind, "made-up");
	p->regions->used_only = true;
	p->regions->cluster_bytes = cluster_bytes;
}

void random_plan(struct plan *p, const struct disk *d, unsigned percent, uint64_t *state)
{
	uint64_t n = d->size_bytes / d->sector_bytes + (d->size_bytes % d->sector_bytes != 0), longest;
	struct plan_region *r;

	one_region_plan(p, d, 512u << random_below(state, 8));
	r = p->regions;
	r->cluster_origin = random_below(state, 100) * d->sector_bytes;
	longest = 1 + random_below(state, 3000);
	for (uint64_t at = 0; at < n;) {
		uint64_t len = 1 + random_below(state, longest), offset = at * d->sector_bytes;
		uint64_t bytes = len * d->sector_bytes;

		if (bytes > d->size_bytes - offset)
			bytes = d->size_bytes - offset;
		if (random_below(state, 100) < percent && extents_add(&r->extents, offset, bytes) < 0)
			abort();
		at += len;
	}
	r->used_bytes = p->used_bytes = extents_total(&r->extents);
}

int backup_to(struct memory_store *m, struct disk *d, struct plan *plan, const struct engine_options *o,
	      struct snapshot *s, struct error *err)
{
	struct chunk_sink *sink;
	int rc = memory_store_open_sink(m, &sink, err);

	*s = (struct snapshot){.host = "test", .time = 1700000000};
	if (rc < 0)
		return rc;
	rc = backup_run_plans(&d, plan, 1, sink, s, false, o, err);
	chunk_sink_close(sink);
	return rc;
}

int restore_from(struct memory_store *m, const struct snapshot *s, struct disk *target, const struct restore_options *o,
		 struct restore_result *r, struct error *err)
{
	struct chunk_source *source;
	int rc = memory_store_open_source(m, &source, err);

	if (rc < 0)
		return rc;
	rc = restore_run(source, s, 0, target, o, r, err);
	chunk_source_close(source);
	return rc;
}

int verify_in(struct memory_store *m, const struct snapshot *s, struct disk *against, struct verify_result *r,
	      struct error *err)
{
	struct chunk_source *source;
	int rc = memory_store_open_source(m, &source, err);

	if (rc < 0)
		return rc;
	rc = verify_run(source, s, 0, against, NULL, r, err);
	chunk_source_close(source);
	return rc;
}
