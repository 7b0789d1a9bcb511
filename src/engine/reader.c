/* Reading in disk order; reader.h says how. Reads what the plan names and nothing else. */
#include "engine/reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* One request to the disk at most, so that progress and cancelling keep up. */
#define READ_MAX_BYTES (4u << 20)

int reader_window_init(struct reader_window *w)
{
	*w = (struct reader_window){.bytes = crew_buffer_new(RECIPE_WINDOW_BYTES)};
	return w->bytes ? 0 : -ENOMEM;
}

void reader_window_free(struct reader_window *w)
{
	crew_buffer_free(w->bytes, RECIPE_WINDOW_BYTES);
	free(w->runs);
	free(w->parts);
	*w = (struct reader_window){0};
}

void reader_init(struct reader *r, struct crew *crew, struct disk **disks, const struct plan *plans, size_t n_disks)
{
	*r = (struct reader){.crew = crew, .disks = disks, .plans = plans, .n_disks = n_disks};
	pthread_mutex_init(&r->ticket, NULL);
}

void reader_end(struct reader *r)
{
	pthread_mutex_destroy(&r->ticket);
}

/* Steps over what is read to the next extent with bytes left. NULL at the end of all disks. */
static const struct extent *next_extent(struct reader *r)
{
	for (; r->disk < r->n_disks; r->disk++, r->region = 0) {
		const struct plan *p = &r->plans[r->disk];

		for (; r->region < p->n; r->region++, r->extent = 0) {
			const struct extents *list = &p->regions[r->region].extents;

			for (; r->extent < list->n; r->extent++, r->done = 0)
				if (r->done < list->at[r->extent].length)
					return &list->at[r->extent];
		}
	}
	return NULL;
}

/* Notes a stretch that is going to be read. */
static int add_run(struct reader *r, struct reader_window *w, uint64_t offset, uint64_t length)
{
	const struct plan_region *region = &r->plans[r->disk].regions[r->region];
	struct reader_part *part = w->n_parts ? &w->parts[w->n_parts - 1] : NULL;

	if (w->n_runs == w->runs_cap) {
		size_t cap = w->runs_cap ? 2 * w->runs_cap : 1024;
		struct batch_run *runs = realloc(w->runs, cap * sizeof *runs);

		if (!runs)
			return -ENOMEM;
		w->runs = runs;
		w->runs_cap = cap;
	}
	if (!part || part->region != region) {
		struct reader_part *parts = realloc(w->parts, (w->n_parts + 1) * sizeof *parts);

		if (!parts)
			return -ENOMEM;
		w->parts = parts;
		part = &parts[w->n_parts++];
		*part = (struct reader_part){region, w->n_runs, 0};
	}
	w->runs[w->n_runs++] = (struct batch_run){w->bytes + w->used, offset, length};
	part->n_runs++;
	w->used += length;
	return 0;
}

static int read_runs(struct reader *r, struct reader_window *w, struct error *err)
{
	struct disk *d = r->disks[w->disk];

	for (size_t i = 0; i < w->n_runs; i++) {
		const struct batch_run *run = &w->runs[i];

		for (uint64_t done = 0; done < run->length;) {
			uint64_t n = run->length - done < READ_MAX_BYTES ? run->length - done : READ_MAX_BYTES;
			int rc = crew_report(r->crew);

			if (rc < 0)
				return rc;
			rc = disk_read(d, (uint8_t *)run->at + done, n, run->disk_offset + done, err);
			if (rc < 0) {
				error_prefix(err, "the backup ended at byte %" PRIu64 " of %s", run->disk_offset + done,
					     d->identity.path[0] ? d->identity.path : "the disk");
				return rc;
			}
			done += n;
		}
	}
	return 0;
}

static void show_region(struct reader *r, const struct reader_window *w)
{
	const struct plan_region *p = w->parts[0].region;
	char text[64];

	if (p->region.role == REGION_PARTITION && p->region.number)
		snprintf(text, sizeof text, "partition %u (%s)", p->region.number, p->kind);
	else
		snprintf(text, sizeof text, "%s", p->kind);
	crew_set_region(r->crew, text);
}

static int next_window(struct reader *r, struct reader_window *w, struct error *err)
{
	const struct extent *e = next_extent(r);
	int rc;

	w->n_runs = w->n_parts = 0;
	w->used = 0;
	if (!e)
		return 0;
	w->disk = (unsigned)r->disk;
	w->window = (e->offset + r->done) / RECIPE_WINDOW_BYTES;
	while (e && r->disk == w->disk && (e->offset + r->done) / RECIPE_WINDOW_BYTES == w->window) {
		uint64_t offset = e->offset + r->done, left = e->length - r->done;
		uint64_t in_window = RECIPE_WINDOW_BYTES - offset % RECIPE_WINDOW_BYTES;

		if (left > in_window)
			left = in_window;
		if (left > RECIPE_WINDOW_BYTES - w->used)
			return error_set(err, -EINVAL, "the plan of %s names bytes twice",
					 r->disks[w->disk]->identity.path);
		if (add_run(r, w, offset, left) < 0)
			return error_set(err, -ENOMEM, "out of memory for reading a disk");
		r->done += left;
		e = next_extent(r);
	}
	show_region(r, w);
	rc = read_runs(r, w, err);
	return rc < 0 ? rc : 1;
}

int reader_next(struct reader *r, struct reader_window *w, struct error *err)
{
	int rc;

	pthread_mutex_lock(&r->ticket);
	rc = crew_stopped(r->crew) ? 0 : next_window(r, w, err);
	pthread_mutex_unlock(&r->ticket);
	return rc;
}
