/*
 * Building a layout: tables name stretches, and what nobody named becomes gaps. Private to this room.
 */
#ifndef G4L_LAYOUT_REGIONS_H
#define G4L_LAYOUT_REGIONS_H

#include "layout/layout.h"

/* What the readers of tables collect. Zero-initialise; stretches_free() when done. */
struct stretches {
	struct stretch {
		struct region r;
		uint64_t track_end; /* a table may grow up to here, as far as nobody else is there; 0: it does not */
	} * at;
	size_t n, cap;
};

void stretches_free(struct stretches *s);
/* A zeroed stretch to fill in, or NULL when memory is out. Valid until the next call. */
struct stretch *stretches_add(struct stretches *s, enum region_role role, uint64_t start, uint64_t length);

/* Turns the stretches into l->regions, covering the disk: what lies before the first partition becomes table too, the
 * rest gaps. 1: done; 0: two overlap or one leaves the disk, err says which and l is unchanged; -ENOMEM. */
int regions_build(struct layout *l, struct stretches *s, struct error *err);

/* One region over the whole disk, without a table's knowledge. 0 or -ENOMEM. */
int regions_whole(struct layout *l, struct error *err);

/* The same for a table that cannot be trusted: marks damage and adds the sentence to the note. */
int regions_damaged(struct layout *l, struct error *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Adds a sentence to l->note, cut where it is full. */
void layout_add_note(struct layout *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
