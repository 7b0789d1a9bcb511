/* The store as a chunk source. The work is done in fetch.c; this file holds the lock that keeps prune away. */
#include <stdlib.h>

#include "store/room.h"

struct store_source {
	struct chunk_source source;
	struct store *store;
	int lock;
};

static struct store_source *source_of(struct chunk_source *s)
{
	return (struct store_source *)((char *)s - offsetof(struct store_source, source));
}

static int source_get(struct chunk_source *cs, const struct hash *hashes, size_t n, chunk_got_fn *got, void *arg,
		      uint64_t *fetched_bytes, struct error *err)
{
	return store_fetch(source_of(cs)->store, hashes, n, got, arg, fetched_bytes, err);
}

static void source_close(struct chunk_source *cs)
{
	struct store_source *k = source_of(cs);

	store_lock_drop(k->lock);
	free(k);
}

static const struct chunk_source_ops store_source_ops = {
	.name = "store",
	.get = source_get,
	.close = source_close,
};

int store_open_source(struct store *s, struct chunk_source **out, struct error *err)
{
	struct store_source *k = calloc(1, sizeof *k);
	int r;

	if (!k)
		return error_errno(err, ENOMEM, "cannot open the store for reading");
	k->source.ops = &store_source_ops;
	k->store = s;
	r = store_lock_take(s, false, &k->lock, err);
	if (r == 0) {
		r = store_catch_up(s, err);
		if (r < 0)
			store_lock_drop(k->lock);
	}
	if (r < 0) {
		free(k);
		return r;
	}
	*out = &k->source;
	return 0;
}
