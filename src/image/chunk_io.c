/*
 * The choke point above sinks and sources: arguments are checked and work is counted here, so that implementations stay
 * naive. It also makes sure that a source delivered every chunk that was asked for, and none twice in its count.
 */
#include "image/chunk_io.h"

#include <errno.h>

#include "base/text.h"

int chunk_sink_have(struct chunk_sink *s, const struct hash *hashes, size_t n, bool *present, struct error *err)
{
	if (!n)
		return 0;
	if (n > CHUNK_IO_MAX_BATCH)
		return error_set(err, -EINVAL, "%s: asked for %zu chunks at once, %d are allowed", s->ops->name, n,
				 CHUNK_IO_MAX_BATCH);
	atomic_fetch_add_explicit(&s->asked, n, memory_order_relaxed);
	return s->ops->have(s, hashes, n, present, err);
}

int chunk_sink_put(struct chunk_sink *s, const struct chunk_frame *frames, size_t n, uint64_t *stored_bytes,
		   struct error *err)
{
	uint64_t bytes = 0, stored = 0;
	int rc;

	if (stored_bytes)
		*stored_bytes = 0;
	if (!n)
		return 0;
	for (size_t i = 0; i < n; i++) {
		const struct chunk_frame *f = &frames[i];

		if (!f->plain_bytes || f->plain_bytes > CHUNK_MAX_BYTES || !f->body_bytes ||
		    f->body_bytes > f->plain_bytes || f->method > CHUNK_ZSTD || !f->body)
			return error_set(err, -EINVAL, "%s: a chunk of %u bytes (%u stored) cannot be stored",
					 s->ops->name, f->plain_bytes, f->body_bytes);
		bytes += f->body_bytes;
	}
	rc = s->ops->put(s, frames, n, &stored, err);
	if (rc < 0)
		return rc;
	atomic_fetch_add_explicit(&s->put_chunks, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->put_bytes, bytes, memory_order_relaxed);
	if (stored_bytes)
		*stored_bytes = stored;
	return 0;
}

int chunk_sink_commit(struct chunk_sink *s, const struct snapshot *snapshot, char id[SNAPSHOT_ID_BYTES],
		      struct error *err)
{
	if (!text_is_name(snapshot->host))
		return error_set(err, -EINVAL, "\"%s\" is not a name for a host", snapshot->host);
	return s->ops->commit(s, snapshot, id, err);
}

void chunk_sink_close(struct chunk_sink *s)
{
	if (s)
		s->ops->close(s);
}

/* Counts what a source delivers and keeps wrong indices away from the caller. */
struct counted {
	chunk_got_fn *got;
	void *arg;
	size_t n, delivered;
};

static int count_one(void *arg, size_t index, const uint8_t *plain, size_t plain_bytes)
{
	struct counted *c = arg;

	if (index >= c->n || !plain_bytes || plain_bytes > CHUNK_MAX_BYTES || c->delivered == c->n)
		return -ERR_DAMAGED;
	c->delivered++;
	return c->got(c->arg, index, plain, plain_bytes);
}

int chunk_source_get(struct chunk_source *s, const struct hash *hashes, size_t n, chunk_got_fn *got, void *arg,
		     uint64_t *fetched_bytes, struct error *err)
{
	struct counted c = {.got = got, .arg = arg, .n = n};
	uint64_t fetched = 0;
	int rc;

	if (fetched_bytes)
		*fetched_bytes = 0;
	if (!n)
		return 0;
	if (n > CHUNK_IO_MAX_BATCH)
		return error_set(err, -EINVAL, "%s: asked for %zu chunks at once, %d are allowed", s->ops->name, n,
				 CHUNK_IO_MAX_BATCH);
	rc = s->ops->get(s, hashes, n, count_one, &c, &fetched, err);
	if (rc < 0)
		return rc;
	if (c.delivered != n)
		return error_set(err, -ERR_DAMAGED, "%s: %zu chunks were asked for, %zu came", s->ops->name, n,
				 c.delivered);
	atomic_fetch_add_explicit(&s->got_chunks, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->got_bytes, fetched, memory_order_relaxed);
	if (fetched_bytes)
		*fetched_bytes = fetched;
	return 0;
}

void chunk_source_close(struct chunk_source *s)
{
	if (s)
		s->ops->close(s);
}
