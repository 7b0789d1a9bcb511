/*
 * The server's store as a chunk_sink and a chunk_source. Must never hand out a chunk that was not checked against its
 * hash, nor call a chunk delivered twice or out of order.
 */
#include <stdlib.h>
#include <string.h>

#include "wire/client.h"
#include "wire/request.h"

#define PUT_BODY_BYTES (8u << 20) /* a request to put is sent before it would grow beyond this */

struct wire_sink {
	struct chunk_sink sink;
	struct wire_client *client;
};
struct wire_source {
	struct chunk_source source;
	struct wire_client *client;
};

static int sink_have(struct chunk_sink *s, const struct hash *hashes, size_t n, bool *present, struct error *err)
{
	struct wire_sink *w = (struct wire_sink *)s;
	struct buf answer = {0};
	struct wire_request r = {.path = "/agent/v1/have",
				 .body = hashes,
				 .body_bytes = n * HASH_BYTES,
				 .of_job = true,
				 .answer = &answer,
				 .answer_max = WIRE_MAX_HASHES};
	int rc = wire_request_run(w->client, &r, err);

	if (rc == 0)
		rc = wire_present_decode(answer.data, answer.len, present, n, err);
	buf_free(&answer);
	return rc;
}

static int send_frames(struct wire_sink *w, const struct buf *body, uint64_t *stored_bytes, struct error *err)
{
	struct buf answer = {0};
	struct wire_request r = {.path = "/agent/v1/put",
				 .body = body->data,
				 .body_bytes = body->len,
				 .of_job = true,
				 .answer = &answer,
				 .answer_max = WIRE_MAX_JSON_BYTES};
	uint64_t stored = 0;
	int rc = wire_request_run(w->client, &r, err);

	if (rc == 0)
		rc = wire_put_answer_decode(answer.data, answer.len, &stored, err);
	*stored_bytes += stored;
	buf_free(&answer);
	return rc;
}

static int sink_put(struct chunk_sink *s, const struct chunk_frame *frames, size_t n, uint64_t *stored_bytes,
		    struct error *err)
{
	struct wire_sink *w = (struct wire_sink *)s;
	struct buf body = {0};
	uint64_t stored = 0;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = wire_frame_encode(&frames[i], &body);
		if (rc < 0) {
			error_errno(err, rc, "cannot prepare chunks for sending");
			break;
		}
		if (i + 1 == n || body.len + WIRE_FRAME_HEAD_BYTES + frames[i + 1].body_bytes > PUT_BODY_BYTES) {
			rc = send_frames(w, &body, &stored, err);
			body.len = 0;
		}
	}
	*stored_bytes = stored;
	buf_free(&body);
	return rc;
}

static int sink_commit(struct chunk_sink *s, const struct snapshot *snapshot, char id[SNAPSHOT_ID_BYTES],
		       struct error *err)
{
	struct wire_sink *w = (struct wire_sink *)s;
	struct snapshot copy = *snapshot; /* encoding sets its id only */
	struct buf body = {0}, answer = {0};
	struct wire_request r = {
		.path = "/agent/v1/commit", .of_job = true, .answer = &answer, .answer_max = WIRE_MAX_JSON_BYTES};
	int rc = snapshot_encode(&copy, &body, err);

	if (rc == 0) {
		r.body = body.data;
		r.body_bytes = body.len;
		rc = wire_request_run(w->client, &r, err);
	}
	if (rc == 0)
		rc = wire_commit_answer_decode(answer.data, answer.len, id, err);
	if (rc == 0 && strcmp(id, copy.id) != 0)
		rc = error_set(err, -ERR_FORMAT, "the server took the snapshot %s as %s", copy.id, id);
	buf_free(&answer);
	buf_free(&body);
	return rc;
}

static void sink_close(struct chunk_sink *s)
{
	free(s);
}

static const struct chunk_sink_ops sink_ops = {
	.name = "server", .have = sink_have, .put = sink_put, .commit = sink_commit, .close = sink_close};

int wire_client_open_sink(struct wire_client *c, struct chunk_sink **out, struct error *err)
{
	struct wire_sink *w = calloc(1, sizeof *w);

	if (!w)
		return error_errno(err, ENOMEM, "cannot prepare to send chunks");
	w->sink.ops = &sink_ops;
	w->client = c;
	*out = &w->sink;
	return 0;
}

/* Chunks on their way in. */
struct fetch {
	const struct hash *hashes;
	size_t n, next;	   /* chunks before `next` were delivered */
	size_t first;	   /* of this request */
	struct buf stream; /* bytes of a frame that is not complete */
	struct chunk_coder *coder;
	uint8_t *plain;
	chunk_got_fn *got;
	void *arg;
	uint64_t fetched;
};

static bool fetch_begin(struct wire_request *r)
{
	struct fetch *f = r->arg;
	bool advanced = f->next > f->first;

	f->first = f->next;
	f->stream.len = 0;
	r->body = f->hashes + f->next;
	r->body_bytes = (f->n - f->next) * HASH_BYTES;
	return advanced;
}

static int fetch_frame(struct fetch *f, const struct chunk_frame *frame, struct error *err)
{
	char hex[HASH_HEX_BYTES];
	int rc;

	if (f->next >= f->n || !hash_equal(&frame->hash, &f->hashes[f->next]))
		return error_set(err, -ERR_FORMAT, "the server sent chunk %s, which was not asked for here",
				 hash_format(&frame->hash, hex));
	if (frame->method == WIRE_METHOD_ERROR)
		return error_set(err, -ERR_DAMAGED, "the server cannot give chunk %s: %.*s",
				 hash_format(&frame->hash, hex), (int)frame->body_bytes, (const char *)frame->body);
	rc = chunk_decode(f->coder, frame, f->plain, err);
	if (rc < 0)
		return rc;
	f->fetched += frame->body_bytes;
	rc = f->got(f->arg, f->next, f->plain, frame->plain_bytes);
	if (rc < 0)
		return err && err->code == rc
			       ? rc
			       : error_set(err, rc, "a chunk that arrived could not be used: %s", error_name(rc));
	f->next++;
	return 0;
}

/* Takes bytes as they come and delivers every frame that is complete. */
static int fetch_receive(void *arg, const uint8_t *bytes, size_t n, struct error *err)
{
	struct fetch *f = arg;
	struct cursor c;
	size_t left;
	int rc;

	buf_put(&f->stream, bytes, n);
	if (f->stream.failed)
		return error_errno(err, ENOMEM, "cannot keep what the server sends");
	c = cursor_of(f->stream.data, f->stream.len);
	for (;;) {
		struct chunk_frame frame;

		rc = wire_frame_next(&c, true, &frame, err);
		if (rc <= 0)
			break;
		rc = fetch_frame(f, &frame, err);
		if (rc < 0)
			return rc;
	}
	if (rc < 0 && rc != -EAGAIN)
		return rc;
	left = cursor_left(&c);
	memmove(f->stream.data, c.at, left);
	f->stream.len = left;
	return 0;
}

/* Asks until all has come; the server may answer in parts, and a cut answer counts as far as it got. */
static int fetch_all(struct wire_client *client, struct fetch *f, struct error *err)
{
	while (f->next < f->n) {
		struct wire_request r = {.path = "/agent/v1/get",
					 .of_job = true,
					 .receive = fetch_receive,
					 .begin = fetch_begin,
					 .arg = f};
		int rc = wire_request_run(client, &r, err);

		if (rc < 0)
			return rc;
		if (f->stream.len != 0 || f->next == f->first)
			return error_set(err, -ERR_FORMAT, "the server's answer ends inside a chunk");
	}
	return 0;
}

static int source_get(struct chunk_source *s, const struct hash *hashes, size_t n, chunk_got_fn *got, void *arg,
		      uint64_t *fetched_bytes, struct error *err)
{
	struct wire_source *w = (struct wire_source *)s;
	struct fetch f = {.hashes = hashes, .n = n, .got = got, .arg = arg};
	struct error own = {0};
	int rc;

	f.coder = chunk_coder_new(1);
	f.plain = malloc(CHUNK_MAX_BYTES);
	if (!f.coder || !f.plain)
		rc = error_errno(err, ENOMEM, "cannot receive chunks");
	else
		rc = fetch_all(w->client, &f, err ? err : &own);
	*fetched_bytes = f.fetched;
	buf_free(&f.stream);
	free(f.plain);
	chunk_coder_free(f.coder);
	return rc;
}

static void source_close(struct chunk_source *s)
{
	free(s);
}

static const struct chunk_source_ops source_ops = {.name = "server", .get = source_get, .close = source_close};

int wire_client_open_source(struct wire_client *c, struct chunk_source **out, struct error *err)
{
	struct wire_source *w = calloc(1, sizeof *w);

	if (!w)
		return error_errno(err, ENOMEM, "cannot prepare to fetch chunks");
	w->source.ops = &source_ops;
	w->client = c;
	*out = &w->source;
	return 0;
}
