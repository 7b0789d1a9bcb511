/*
 * From named stretches to a layout without holes. Whatever does not fit together ends as one region over the
 * whole disk: nothing is bent into shape here.
 */
#include "layout/regions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void stretches_free(struct stretches *s)
{
	free(s->at);
	*s = (struct stretches){0};
}

struct stretch *stretches_add(struct stretches *s, enum region_role role, uint64_t start, uint64_t length)
{
	struct stretch *grown;

	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 16;

		grown = realloc(s->at, cap * sizeof *grown);
		if (!grown)
			return NULL;
		s->at = grown;
		s->cap = cap;
	}
	grown = &s->at[s->n++];
	memset(grown, 0, sizeof *grown);
	grown->r.role = role;
	grown->r.start = start;
	grown->r.length = length;
	return grown;
}

void layout_add_note(struct layout *l, const char *fmt, ...)
{
	size_t used = strlen(l->note);
	va_list ap;

	if (used && used + 2 < sizeof l->note) {
		l->note[used++] = ' ';
		l->note[used] = '\0';
	}
	va_start(ap, fmt);
	vsnprintf(l->note + used, sizeof l->note - used, fmt, ap);
	va_end(ap);
}

int regions_whole(struct layout *l, struct error *err)
{
	struct region *r = calloc(1, sizeof *r);

	if (!r)
		return error_set(err, -ENOMEM, "no memory for the layout of a disk");
	r->length = l->size_bytes;
	r->role = REGION_PARTITION;
	free(l->regions);
	l->regions = r;
	l->n = 1;
	return 0;
}

int regions_damaged(struct layout *l, struct error *err, const char *fmt, ...)
{
	char text[sizeof l->note];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	l->damaged = true;
	layout_add_note(l, "%s; the disk is taken as a whole.", text);
	return regions_whole(l, err);
}

static int by_start(const void *a, const void *b)
{
	const struct region *x = &((const struct stretch *)a)->r, *y = &((const struct stretch *)b)->r;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void describe(const struct region *r, char *to, size_t to_bytes)
{
	if (r->role == REGION_PARTITION)
		snprintf(to, to_bytes, "partition %u", r->number);
	else
		snprintf(to, to_bytes, "a partition table at byte %" PRIu64, r->start);
}

/* 1: sound; 0: not, err says why. */
static int check_sorted(const struct layout *l, const struct stretches *s, struct error *err)
{
	char a[64], b[64];

	for (size_t i = 0; i < s->n; i++) {
		const struct region *r = &s->at[i].r, *next = i + 1 < s->n ? &s->at[i + 1].r : NULL;

		describe(r, a, sizeof a);
		if (!r->length || r->start > l->size_bytes || r->length > l->size_bytes - r->start) {
			error_set(err, -ERR_FORMAT, "%s does not lie on the disk", a);
			return 0;
		}
		if (next && next->start - r->start < r->length) {
			describe(next, b, sizeof b);
			error_set(err, -ERR_FORMAT, "%s and %s overlap", a, b);
			return 0;
		}
	}
	return 1;
}

static void put(struct layout *l, const struct region *r)
{
	struct region *last = l->n ? &l->regions[l->n - 1] : NULL;

	if (!r->length)
		return;
	/* Tables that touch are one. */
	if (last && last->role == REGION_TABLE && r->role == REGION_TABLE && last->start + last->length == r->start)
		last->length += r->length;
	else
		l->regions[l->n++] = *r;
}

int regions_build(struct layout *l, struct stretches *s, struct error *err)
{
	uint64_t at = 0;
	bool before_first = true; /* partition */

	if (s->n)
		qsort(s->at, s->n, sizeof *s->at, by_start);
	if (!check_sorted(l, s, err))
		return 0;
	free(l->regions);
	l->n = 0;
	l->regions = calloc(2 * s->n + 1, sizeof *l->regions);
	if (!l->regions)
		return error_set(err, -ENOMEM, "no memory for a layout of %zu regions", 2 * s->n + 1);
	for (size_t i = 0; i <= s->n; i++) {
		struct stretch *t = i < s->n ? &s->at[i] : NULL;
		uint64_t next = t ? t->r.start : l->size_bytes;
		/* What precedes the first partition holds boot loaders, and belongs to the table. */
		bool boot = before_first && t && t->r.role == REGION_PARTITION;

		put(l, &(struct region){.start = at, .length = next - at, .role = boot ? REGION_TABLE : REGION_GAP});
		if (!t)
			break;
		before_first = before_first && t->r.role != REGION_PARTITION;
		if (t->track_end > t->r.start + t->r.length) {
			uint64_t end = i + 1 < s->n ? s->at[i + 1].r.start : l->size_bytes;

			t->r.length = (t->track_end < end ? t->track_end : end) - t->r.start;
		}
		put(l, &t->r);
		at = t->r.start + t->r.length;
	}
	return 1;
}
