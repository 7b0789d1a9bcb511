/* What every layout must be, however it came about; and tables made by hand, for both test programs. */
#ifndef G4L_TESTS_LAYOUT_CHECK_H
#define G4L_TESTS_LAYOUT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "layout/layout.h"

/* Regions cover the disk without holes; a damaged layout says why. */
static inline void check_covers(const struct disk *d, const struct layout *l)
{
	uint64_t at = 0;

	assert_true(l->size_bytes == d->size_bytes);
	assert_true(l->n > 0);
	for (size_t i = 0; i < l->n; i++) {
		assert_true(l->regions[i].start == at);
		assert_true(l->regions[i].length > 0);
		assert_true(l->regions[i].length <= d->size_bytes - at);
		at += l->regions[i].length;
	}
	assert_true(at == d->size_bytes);
	if (l->damaged)
		assert_true(l->note[0] != '\0');
}

static inline void read_layout(struct disk *d, struct layout *l)
{
	struct error err = {0};

	if (layout_read(d, l, &err) < 0)
		fail_msg("%s", err.text);
	check_covers(d, l);
}

static inline void check_region(const struct region *r, enum region_role role, unsigned number, uint64_t start,
				uint64_t length)
{
	assert_int_equal(r->role, role);
	assert_int_equal(r->number, number);
	assert_true(r->start == start);
	assert_true(r->length == length);
}

/* One region that will be copied whole. */
static inline void check_whole(struct disk *d, bool damaged, const char *note)
{
	struct layout l;

	read_layout(d, &l);
	assert_int_equal(l.n, 1);
	check_region(l.regions, REGION_PARTITION, 0, 0, d->size_bytes);
	assert_int_equal(l.damaged, damaged);
	if (!strstr(l.note, note))
		fail_msg("\"%s\" does not say \"%s\"", l.note, note);
	layout_free(&l);
}

#endif
