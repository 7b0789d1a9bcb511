/*
 * The store as a chunk sink. What arrives is checked before it is kept: a machine with bad memory, or a hostile one,
 * must not poison what others rely on.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/room.h"

struct store_sink {
	struct chunk_sink sink;
	struct store *store;
	int lock;
	bool own; /* what is put was hashed in this process */
};

static struct store_sink *sink_of(struct chunk_sink *s)
{
	return (struct store_sink *)((char *)s - offsetof(struct store_sink, sink));
}

/* Only what is durable counts: a pack that is still in memory may never reach the disk. */
static int sink_have(struct chunk_sink *cs, const struct hash *hashes, size_t n, bool *present, struct error *err)
{
	struct store_sink *k = sink_of(cs);
	uint32_t *sizes = malloc((n ? n : 1) * sizeof *sizes);
	int r;

	if (!sizes)
		return error_errno(err, ENOMEM, "cannot look up chunks");
	r = store_find_sizes(k->store, hashes, n, sizes, err);
	for (size_t i = 0; i < n && r == 0; i++)
		present[i] = sizes[i] != 0;
	free(sizes);
	return r;
}

/* Stores a frame that the index does not know. When packs were stored since the index was asked, it is asked again: the
 * frame may be in one of them. */
static int put_checked(struct store *s, const struct chunk_frame *frame, uint64_t generation, bool *added,
		       struct error *err)
{
	int r = store_writer_put(s->writer, frame, generation, added, err);

	while (r == -EAGAIN) {
		uint32_t size;

		generation = store_writer_generation(s->writer);
		r = store_find_sizes(s, &frame->hash, 1, &size, err);
		if (r < 0 || size)
			return r;
		r = store_writer_put(s->writer, frame, generation, added, err);
	}
	return r;
}

static int check_envelope(const struct chunk_frame *f, struct error *err)
{
	char hex[HASH_HEX_BYTES];

	if (f->plain_bytes == 0 || f->plain_bytes > CHUNK_MAX_BYTES || f->body_bytes == 0 ||
	    f->body_bytes > f->plain_bytes || f->method > CHUNK_ZSTD ||
	    (f->method == CHUNK_PLAIN && f->body_bytes != f->plain_bytes))
		return error_set(err, -ERR_DAMAGED,
				 "chunk %s arrived with impossible sizes (%u bytes in %u, method %u)",
				 hash_format(&f->hash, hex), f->plain_bytes, f->body_bytes, f->method);
	return 0;
}

/* reader NULL: the frame is taken at its word. */
static int put_new(struct store *s, struct store_reader *reader, const struct chunk_frame *frame, uint64_t generation,
		   uint64_t *stored_bytes, struct error *err)
{
	bool added = false;
	int r = check_envelope(frame, err);

	if (r == 0 && reader)
		r = chunk_decode(reader->coder, frame, reader->plain, err);
	if (r == 0)
		r = put_checked(s, frame, generation, &added, err);
	if (r == 0 && added)
		*stored_bytes += STORE_FRAME_COST(frame->body_bytes);
	return r;
}

static int sink_put(struct chunk_sink *cs, const struct chunk_frame *frames, size_t n, uint64_t *stored_bytes,
		    struct error *err)
{
	const struct store_sink *k = sink_of(cs);
	struct store *s = k->store;
	struct hash *hashes = malloc((n ? n : 1) * sizeof *hashes);
	uint32_t *sizes = malloc((n ? n : 1) * sizeof *sizes);
	struct store_reader *reader = NULL;
	uint64_t generation = store_writer_generation(s->writer), stored = 0;
	int r = hashes && sizes ? 0 : error_errno(err, ENOMEM, "cannot take chunks");

	for (size_t i = 0; i < n && r == 0; i++)
		hashes[i] = frames[i].hash;
	if (r == 0)
		r = store_find_sizes(s, hashes, n, sizes, err);
	if (r == 0 && !k->own)
		r = store_reader_borrow(s, &reader, err);
	for (size_t i = 0; i < n && r == 0; i++)
		if (sizes[i] == 0)
			r = put_new(s, reader, &frames[i], generation, &stored, err);
	if (reader)
		store_reader_return(s, reader);
	free(hashes);
	free(sizes);
	if (stored_bytes)
		*stored_bytes = stored;
	return r;
}

/* Durable chunks first, then the proof that nothing is missing, then the snapshot. */
static int sink_commit(struct chunk_sink *cs, const struct snapshot *snapshot, char id[SNAPSHOT_ID_BYTES],
		       struct error *err)
{
	struct store *s = sink_of(cs)->store;
	int r = store_writer_flush(s->writer, err);

	if (r == 0)
		r = store_check_needs(s, snapshot, err);
	return r < 0 ? r : store_snapshot_create(s, snapshot, id, err);
}

/* What arrived is kept for the next try. The last sink takes the writer with it. */
static void sink_close(struct chunk_sink *cs)
{
	struct store_sink *k = sink_of(cs);
	struct store *s = k->store;
	struct store_writer *last = NULL;
	struct error err = {0};

	if (store_writer_flush(s->writer, &err) < 0)
		log_warning("chunks that arrived could not be kept: %s", err.text);
	pthread_mutex_lock(&s->writer_lock);
	if (--s->n_sinks == 0) {
		last = s->writer;
		s->writer = NULL;
	}
	pthread_mutex_unlock(&s->writer_lock);
	store_writer_free(last);
	store_lock_drop(k->lock);
	free(k);
}

static const struct chunk_sink_ops store_sink_ops = {
	.name = "store",
	.have = sink_have,
	.put = sink_put,
	.commit = sink_commit,
	.close = sink_close,
};

static int open_sink(struct store *s, bool own, struct chunk_sink **out, struct error *err)
{
	struct store_sink *k = calloc(1, sizeof *k);
	int r;

	if (!k)
		return error_errno(err, ENOMEM, "cannot open the store for writing");
	k->sink.ops = &store_sink_ops;
	k->store = s;
	k->own = own;
	r = store_lock_take(s, false, &k->lock, err);
	if (r < 0) {
		free(k);
		return r;
	}
	r = store_catch_up(s, err); /* under the lock: from here on nobody takes packs away */
	if (r == 0) {
		pthread_mutex_lock(&s->writer_lock);
		if (s->n_sinks == 0)
			r = store_writer_new(s, &s->writer, err);
		if (r == 0)
			s->n_sinks++;
		pthread_mutex_unlock(&s->writer_lock);
	}
	if (r < 0) {
		store_lock_drop(k->lock);
		free(k);
		return r;
	}
	*out = &k->sink;
	return 0;
}

int store_open_sink(struct store *s, struct chunk_sink **out, struct error *err)
{
	return open_sink(s, false, out, err);
}

int store_open_own_sink(struct store *s, struct chunk_sink **out, struct error *err)
{
	return open_sink(s, true, out, err);
}
