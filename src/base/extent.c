#include "base/extent.h"

#include <errno.h>
#include <stdlib.h>

void extents_free(struct extents *list)
{
	free(list->at);
	*list = (struct extents){0};
}

int extents_add_unordered(struct extents *list, uint64_t offset, uint64_t length)
{
	if (!length)
		return 0;
	if (length > UINT64_MAX - offset)
		return -ERANGE;
	if (list->n == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 16;
		struct extent *at = realloc(list->at, cap * sizeof *at);

		if (!at)
			return -ENOMEM;
		list->at = at;
		list->cap = cap;
	}
	list->at[list->n++] = (struct extent){offset, length};
	return 0;
}

int extents_add(struct extents *list, uint64_t offset, uint64_t length)
{
	struct extent *last = list->n ? &list->at[list->n - 1] : NULL;

	if (!length)
		return 0;
	if (length > UINT64_MAX - offset)
		return -ERANGE;
	if (last && offset < last->offset)
		return -EINVAL;
	if (last && offset - last->offset <= last->length) {
		uint64_t to = offset - last->offset + length;

		if (to > last->length)
			last->length = to;
		return 0;
	}
	return extents_add_unordered(list, offset, length);
}

static int by_offset(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

void extents_normalise(struct extents *list)
{
	size_t kept = 0;

	if (list->n < 2)
		return;
	qsort(list->at, list->n, sizeof *list->at, by_offset);
	for (size_t i = 1; i < list->n; i++) {
		struct extent *last = &list->at[kept];
		const struct extent *e = &list->at[i];

		if (e->offset - last->offset <= last->length) {
			uint64_t to = e->offset - last->offset + e->length;

			if (to > last->length)
				last->length = to;
		} else {
			list->at[++kept] = *e;
		}
	}
	list->n = kept + 1;
}

uint64_t extents_total(const struct extents *list)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < list->n; i++)
		sum += list->at[i].length;
	return sum;
}
