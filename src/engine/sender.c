/* Asking, compressing and putting; sender.h says what is promised. Never puts a chunk that the sink says it has. */
#include "engine/sender.h"

#include <stdlib.h>

#define MAX_FRAMES 256
/* A dry run remembers what it has counted up to this many chunks; beyond, repeated chunks count again. */
#define DRY_RUN_MAX_CLAIMS (2u << 20)

int sender_init(struct sender *s, struct sending *shared, int zstd_level)
{
	*s = (struct sender){.shared = shared};
	s->coder = chunk_coder_new(zstd_level ? zstd_level : 1);
	s->bodies = crew_buffer_new(SENDER_BODY_BYTES);
	s->scratch = malloc(CHUNK_MAX_BYTES);
	s->frames = calloc(MAX_FRAMES, sizeof *s->frames);
	s->hashes = calloc(CHUNK_IO_MAX_BATCH, sizeof *s->hashes);
	s->index = calloc(CHUNK_IO_MAX_BATCH, sizeof *s->index);
	s->present = calloc(CHUNK_IO_MAX_BATCH, sizeof *s->present);
	if (!s->coder || !s->bodies || !s->scratch || !s->frames || !s->hashes || !s->index || !s->present)
		return -ENOMEM;
	return 0;
}

void sender_free(struct sender *s)
{
	chunk_coder_free(s->coder);
	crew_buffer_free(s->bodies, SENDER_BODY_BYTES);
	free(s->scratch);
	free(s->frames);
	free(s->hashes);
	free(s->index);
	free(s->present);
	*s = (struct sender){0};
}

/* Puts the frames that have gathered. */
static int flush(struct sender *s, struct error *err)
{
	struct sending *all = s->shared;
	uint64_t stored = 0;
	int rc;

	if (!s->n_frames)
		return 0;
	rc = chunk_sink_put(all->sink, s->frames, s->n_frames, &stored, err);
	s->n_frames = 0;
	s->bodies_used = 0;
	if (rc < 0)
		return rc;
	atomic_fetch_add(&all->stored_bytes, stored);
	atomic_fetch_add(&all->crew->stored_bytes, stored);
	return crew_report(all->crew);
}

/* Compresses one chunk that is missing, and puts what has gathered when it is enough. `plain` must live until the next
 * flush(), unless it is the scratch. */
static int add_frame(struct sender *s, const struct hash *h, const uint8_t *plain, uint32_t plain_bytes,
		     struct error *err)
{
	struct sending *all = s->shared;
	struct chunk_frame *f = &s->frames[s->n_frames];
	int rc;

	atomic_fetch_add(&all->new_chunks, 1);
	atomic_fetch_add(&all->new_bytes, plain_bytes);
	atomic_fetch_add(&all->crew->new_bytes, plain_bytes);
	if (all->dry_run)
		return 0;
	rc = chunk_encode(s->coder, h, plain, plain_bytes, s->bodies + s->bodies_used, f);
	if (rc < 0)
		return error_set(err, rc, "a chunk of %u bytes cannot be packed", plain_bytes);
	if (f->body == s->scratch) {
		memcpy(s->bodies + s->bodies_used, s->scratch, f->body_bytes);
		f->body = s->bodies + s->bodies_used;
	}
	s->bodies_used += f->body_bytes;
	s->n_frames++;
	if (s->n_frames == MAX_FRAMES || s->bodies_used > SENDER_BODY_BYTES - CHUNK_MAX_BYTES)
		return flush(s, err);
	return 0;
}

/* Asks the sink for the n claimed hashes. */
static int ask(struct sender *s, size_t n, struct error *err)
{
	if (s->shared->sink)
		return chunk_sink_have(s->shared->sink, s->hashes, n, s->present, err);
	memset(s->present, 0, n * sizeof *s->present);
	return 0;
}

/* The sink has this group. In a dry run it has not, and the claims stand for it. */
static void release(struct sender *s, size_t n)
{
	struct claims *c = &s->shared->claims;

	if (!s->shared->dry_run || claims_held(c) > DRY_RUN_MAX_CLAIMS)
		claims_release(c, s->hashes, n);
}

/* Sends chunks from *next on, as many as one question can hold. */
static int send_group(struct sender *s, const struct batch *b, size_t *next, struct error *err)
{
	size_t n = 0;
	int rc;

	for (; *next < b->n_chunks && n < CHUNK_IO_MAX_BATCH; ++*next) {
		rc = claims_take(&s->shared->claims, &b->chunks[*next].hash);
		if (rc < 0)
			return error_set(err, rc, "out of memory for the names of chunks");
		if (!rc)
			continue;
		s->hashes[n] = b->chunks[*next].hash;
		s->index[n++] = *next;
	}
	rc = ask(s, n, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const struct batch_chunk *c = &b->chunks[s->index[i]];

		if (!s->present[i])
			rc = add_frame(s, &c->hash, batch_plain(b, c, s->scratch), c->plain_bytes, err);
	}
	if (rc == 0)
		rc = flush(s, err);
	if (rc == 0)
		release(s, n);
	return rc;
}

int sender_send(struct sender *s, const struct batch *b, struct error *err)
{
	int rc = 0;

	atomic_fetch_add(&s->shared->chunks, b->n_chunks);
	for (size_t next = 0; rc == 0 && next < b->n_chunks;)
		rc = send_group(s, b, &next, err);
	return rc;
}

int sender_send_bytes(struct sender *s, const void *bytes, size_t len, struct hash *hash, struct error *err)
{
	struct piece piece = {.at = bytes, .length = (uint32_t)len};
	struct batch_chunk chunk = {.n_pieces = 1, .plain_bytes = (uint32_t)len};
	struct batch b = {.pieces = &piece, .n_pieces = 1, .chunks = &chunk, .n_chunks = 1};

	if (!len || len > CHUNK_MAX_BYTES)
		return error_set(err, -EINVAL, "a part of a recipe has %zu bytes", len);
	*hash = chunk.hash = hash_of(bytes, len);
	return sender_send(s, &b, err);
}
