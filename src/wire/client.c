/*
 * The client and the small requests: hello, progress, log, snapshot, finish.
 */
#include "wire/client.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "wire/pool.h"
#include "wire/request.h"

struct wire_slot *wire_pool_take(struct wire_client *c)
{
	struct wire_slot *slot;

	pthread_mutex_lock(&c->lock);
	slot = c->idle;
	if (slot)
		c->idle = slot->next;
	pthread_mutex_unlock(&c->lock);
	if (slot)
		return slot;
	slot = calloc(1, sizeof *slot);
	if (!slot)
		return NULL;
	slot->curl = curl_easy_init();
	if (!slot->curl) {
		free(slot);
		return NULL;
	}
	return slot;
}

void wire_pool_give(struct wire_client *c, struct wire_slot *slot)
{
	pthread_mutex_lock(&c->lock);
	slot->next = c->idle;
	c->idle = slot;
	pthread_mutex_unlock(&c->lock);
}

/* "sha256//" and the hash in base 64. */
static int set_pin(struct wire_client *c, const char *hex)
{
	struct hash h;
	unsigned char base64[64];

	if (!hex || hash_parse(hex, &h) < 0)
		return -EINVAL;
	EVP_EncodeBlock(base64, h.bytes, HASH_BYTES);
	snprintf(c->pin, sizeof c->pin, "sha256//%s", (const char *)base64);
	return 0;
}

static int set_url(struct wire_client *c, const char *url)
{
	size_t len = url ? strlen(url) : 0;

	while (len > 0 && url[len - 1] == '/')
		len--;
	if (len <= 8 || len >= sizeof c->url || strncmp(url, "https://", 8) != 0)
		return -EINVAL;
	memcpy(c->url, url, len);
	c->url[len] = '\0';
	return 0;
}

int wire_client_new(const struct wire_client_options *options, struct wire_client **out, struct error *err)
{
	struct wire_client *c = calloc(1, sizeof *c);

	if (!c)
		return error_errno(err, ENOMEM, "cannot prepare to talk to the server");
	pthread_mutex_init(&c->lock, NULL);
	atomic_store(&c->limit_ms, options->limit_ms ? options->limit_ms : 10 * 60 * 1000);
	c->first_wait_ms = options->first_wait_ms ? options->first_wait_ms : 500;
	c->silence_ms = options->silence_ms ? options->silence_ms : 2 * 60 * 1000;
	c->waiting = options->waiting;
	c->arg = options->arg;
	if (set_url(c, options->url) < 0) {
		wire_client_free(c);
		return error_set(err, -ERR_USAGE, "the server's address must be https://ADDRESS:PORT");
	}
	if (set_pin(c, options->pin) < 0) {
		wire_client_free(c);
		return error_set(err, -ERR_USAGE, "the pin of the server's key must be 64 hex digits");
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
		wire_client_free(c);
		return error_errno(err, ENOMEM, "cannot start libcurl");
	}
	*out = c;
	return 0;
}

void wire_client_free(struct wire_client *c)
{
	struct wire_slot *slot;

	if (!c)
		return;
	while ((slot = c->idle)) {
		c->idle = slot->next;
		curl_easy_cleanup(slot->curl);
		free(slot);
	}
	pthread_mutex_destroy(&c->lock);
	explicit_bzero(c->token, sizeof c->token);
	free(c);
}

int wire_client_set_token(struct wire_client *c, const char *token, struct error *err)
{
	uint8_t bytes[WIRE_TOKEN_BYTES];

	if (!token || strlen(token) != WIRE_TOKEN_HEX_BYTES - 1 || text_unhex(token, bytes, sizeof bytes) < 0)
		return error_set(err, -ERR_USAGE, "the token must be %d hex digits", WIRE_TOKEN_HEX_BYTES - 1);
	pthread_mutex_lock(&c->lock);
	memcpy(c->token, token, WIRE_TOKEN_HEX_BYTES);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

void wire_client_cancel(struct wire_client *c)
{
	atomic_store(&c->cancelled, true);
}

void wire_client_set_limit(struct wire_client *c, uint32_t limit_ms)
{
	atomic_store(&c->limit_ms, limit_ms);
}

enum ask_how { ASK_ALWAYS, ASK_ONCE, ASK_OF_JOB, ASK_PATIENTLY };

/* A request with a JSON body (which is freed) and a JSON answer. */
static int ask(struct wire_client *c, const char *path, int encoded, struct buf *body, enum ask_how how,
	       struct buf *answer, struct error *err)
{
	struct wire_request r = {.path = path,
				 .body = body->data,
				 .body_bytes = body->len,
				 .once = how == ASK_ONCE,
				 .of_job = how == ASK_OF_JOB,
				 .patient = how == ASK_PATIENTLY,
				 .answer = answer,
				 .answer_max = WIRE_MAX_JSON_BYTES};
	int rc;

	if (encoded < 0)
		rc = error_errno(err, encoded, "cannot make the request %s", path);
	else if (body->len > WIRE_MAX_JSON_BYTES)
		rc = error_set(err, -EFBIG, "the request %s has %zu bytes, more than the protocol allows", path,
			       body->len);
	else
		rc = wire_request_run(c, &r, err);
	buf_free(body);
	return rc;
}

int wire_client_hello(struct wire_client *c, const struct wire_hello *hello, struct wire_job *job, struct error *err)
{
	struct buf body = {0}, answer = {0};
	int rc = ask(c, "/agent/v1/hello", wire_hello_encode(hello, &body), &body, ASK_OF_JOB, &answer, err);

	if (rc == 0) {
		rc = wire_job_decode(answer.data, answer.len, job, err);
		if (rc == 0)
			rc = wire_client_set_token(c, job->session, err);
		if (rc < 0)
			wire_job_clear(job);
	}
	buf_free(&answer);
	return rc;
}

int wire_client_progress(struct wire_client *c, const struct wire_progress *p, bool *cancel, struct error *err)
{
	struct buf body = {0}, answer = {0};
	int rc = ask(c, "/agent/v1/progress", wire_progress_encode(p, &body), &body, ASK_ONCE, &answer, err);

	*cancel = false;
	if (rc == 0)
		rc = wire_cancel_decode(answer.data, answer.len, cancel, err);
	buf_free(&answer);
	return rc;
}

int wire_client_log(struct wire_client *c, const struct wire_log *log, bool once, struct error *err)
{
	struct buf body = {0}, answer = {0};
	int rc =
		ask(c, "/agent/v1/log", wire_log_encode(log, &body), &body, once ? ASK_ONCE : ASK_ALWAYS, &answer, err);

	buf_free(&answer);
	return rc;
}

int wire_client_finish(struct wire_client *c, const struct wire_finish *f, enum wire_after *after, struct error *err)
{
	struct buf body = {0}, answer = {0};
	int rc = ask(c, "/agent/v1/finish", wire_finish_encode(f, &body), &body, ASK_PATIENTLY, &answer, err);

	if (rc == 0)
		rc = wire_finish_answer_decode(answer.data, answer.len, after, err);
	buf_free(&answer);
	return rc;
}

int wire_client_snapshot(struct wire_client *c, struct snapshot *out, struct error *err)
{
	struct buf answer = {0};
	struct wire_request r = {
		.path = "/agent/v1/snapshot", .of_job = true, .answer = &answer, .answer_max = SNAPSHOT_MAX_BYTES};
	int rc = wire_request_run(c, &r, err);

	if (rc == 0)
		rc = snapshot_decode(answer.data, answer.len, out, err);
	buf_free(&answer);
	return rc;
}
