/*
 * HTTPS requests by libcurl: a pool of connections, one try, and the rules of trying again. Must never talk to a server
 * whose key does not have the pin, and never report a request as done that was not answered with 200.
 */
#include "wire/request.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "wire/pool.h"

#define PATIENCE_MS (24u * 3600 * 1000) /* for a server that is busy with what it was asked */

/* The state of one try. */
struct
try {
	struct wire_client *c;
	const struct wire_request *r;
	CURL *curl;
	struct buf error_body; /* of an answer other than 200 */
	int code;	       /* why our callbacks ended it */
	struct error *err;
};

static bool cancelled(const struct wire_client *c, const struct wire_request *r)
{
	return r->of_job && atomic_load(&c->cancelled);
}

static int take_good(struct try *t, const uint8_t *bytes, size_t n)
{
	const struct wire_request *r = t->r;

	if (r->receive)
		return r->receive(r->arg, bytes, n, t->err);
	if (n > r->answer_max - r->answer->len)
		return error_set(t->err, -ERR_FORMAT, "the server's answer to %s is longer than %zu bytes", r->path,
				 r->answer_max);
	buf_put(r->answer, bytes, n);
	return r->answer->failed ? error_errno(t->err, ENOMEM, "cannot keep the answer to %s", r->path) : 0;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *arg)
{
	struct try *t = arg;
	size_t n = size * count;
	long status = 0;

	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200) {
		t->code = take_good(t, (const uint8_t *)bytes, n);
		return t->code < 0 ? CURL_WRITEFUNC_ERROR : n;
	}
	/* What is too long for an error answer is not one; its status alone will do. */
	if (n <= WIRE_MAX_JSON_BYTES - t->error_body.len)
		buf_put(&t->error_body, bytes, n);
	return n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct try *t = arg;

	return cancelled(t->c, t->r) ? 1 : 0;
}

/* A pulled cable shall be noticed while bytes of ours wait for an acknowledgement. */
static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	unsigned ms = 30000;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
	return CURL_SOCKOPT_OK;
}

/* Ciphers in the order of preference. A processor without AES instructions encrypts ten times as fast with ChaCha20. */
static const char *ciphers(void)
{
	return __builtin_cpu_supports("aes")
		       ? "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
		       : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
}

/* What is the same for all requests of a connection. */
static int set_connection(const struct wire_client *c, CURL *curl)
{
	int bad = 0;

	bad |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	bad |= curl_easy_setopt(curl, CURLOPT_PROXY, "");
	bad |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	/* The certificate is the server's own: the pinned key is what proves it. An answer without a certificate would
	 * pass by the pin, which TLS 1.3 does not allow. */
	bad |= curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	bad |= curl_easy_setopt(curl, CURLOPT_TLS13_CIPHERS, ciphers());
	bad |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
	bad |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	bad |= curl_easy_setopt(curl, CURLOPT_PINNEDPUBLICKEY, c->pin);
	bad |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
	bad |= curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	bad |= curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, 10L);
	bad |= curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, 5L);
	bad |= curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, on_socket);
	bad |= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	bad |= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(c->silence_ms + 999) / 1000);
	bad |= curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 512L << 10);
	bad |= curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	bad |= curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	bad |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	return bad ? -EIO : 0;
}

static int set_request(struct try *t, const char *url, struct curl_slist *headers, char why[CURL_ERROR_SIZE])
{
	const struct wire_request *r = t->r;
	CURL *curl = t->curl;
	int bad = 0;

	curl_easy_reset(curl);
	bad |= set_connection(t->c, curl);
	bad |= curl_easy_setopt(curl, CURLOPT_URL, url);
	bad |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	bad |= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
	bad |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
	bad |= curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
	if (r->body) {
		bad |= curl_easy_setopt(curl, CURLOPT_POST, 1L);
		bad |= curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_bytes);
		bad |= curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body);
	}
	if (r->once) {
		bad |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 3000L);
		bad |= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 10000L);
	}
	return bad ? error_set(t->err, -EIO, "this build of libcurl lacks what the agent needs") : 0;
}

/* The headers of every request, or NULL when memory is out. */
static struct curl_slist *make_headers(struct wire_client *c, const struct wire_request *r)
{
	static const char *const fixed[] = {"Content-Type: application/octet-stream", "Expect:", "Accept:"};
	struct curl_slist *list = NULL, *more;
	char line[64 + WIRE_TOKEN_HEX_BYTES];

	pthread_mutex_lock(&c->lock);
	snprintf(line, sizeof line, "Authorization: Bearer %s", c->token);
	pthread_mutex_unlock(&c->lock);
	list = curl_slist_append(NULL, line);
	explicit_bzero(line, sizeof line);
	for (size_t i = r->body ? 0 : 1; list && i < sizeof fixed / sizeof fixed[0]; i++) {
		more = curl_slist_append(list, fixed[i]);
		if (!more) {
			curl_slist_free_all(list);
			return NULL;
		}
		list = more;
	}
	return list;
}

/* What libcurl's result means. *again: whether trying again can help. */
static int judge_transport(struct try *t, CURLcode result, const char *why, bool *again)
{
	if (cancelled(t->c, t->r))
		return error_set(t->err, -ERR_CANCELLED, "the job was cancelled");
	switch (result) {
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return error_set(t->err, -ERR_REFUSED,
				 "%s is not our server: its key is not the one this boot was told to trust", t->c->url);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return error_set(t->err, -ERR_USAGE, "%s is not the address of a server", t->c->url);
	case CURLE_OUT_OF_MEMORY:
		return error_errno(t->err, ENOMEM, "cannot ask the server");
	case CURLE_WRITE_ERROR:
		if (t->code < 0)
			return t->code;
		break;
	default:
		break;
	}
	*again = true;
	return error_set(t->err, -ERR_UNREACHABLE, "the server %s does not answer: %s", t->c->url,
			 why[0] ? why : curl_easy_strerror(result));
}

/* One try. */
static int try_once(struct wire_client *c, const struct wire_request *r, struct wire_slot *slot, bool *again,
		    struct error *err)
{
	struct try t = {.c = c, .r = r, .curl = slot->curl, .err = err};
	struct curl_slist *headers = make_headers(c, r);
	char url[sizeof c->url + 64], why[CURL_ERROR_SIZE] = "";
	long status = 0;
	CURLcode result;
	int rc;

	*again = false;
	if (!headers)
		return error_errno(err, ENOMEM, "cannot ask the server");
	snprintf(url, sizeof url, "%s%s", c->url, r->path);
	rc = set_request(&t, url, headers, why);
	if (rc < 0)
		goto out;
	if (r->answer)
		r->answer->len = 0;
	result = curl_easy_perform(t.curl);
	curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &status);
	if (result != CURLE_OK) {
		rc = judge_transport(&t, result, why, again);
	} else {
		atomic_store(&c->silent_since_ms, 0);
		if (status != 200) {
			const struct wire_status *st =
				wire_error_decode((unsigned)status, t.error_body.data, t.error_body.len, err);

			*again = st->later;
			rc = st->code;
		}
	}
out:
	buf_free(&t.error_body);
	curl_slist_free_all(headers);
	return rc;
}

/* Notes that the server is silent. Returns for how long it has been. */
static uint64_t silent_for_ms(struct wire_client *c, uint64_t now)
{
	uint64_t none = 0;

	/* A clock at 0 would mean "not silent". */
	if (atomic_compare_exchange_strong(&c->silent_since_ms, &none, now ? now : 1))
		return 0;
	return now > none ? now - none : 0;
}

/* Sleeps before the next try and tells of it. 0; -ERR_CANCELLED. */
static int wait_to_retry(struct wire_client *c, const struct wire_request *r, uint64_t wait_ms, uint64_t left_ms,
			 struct error *err)
{
	uint64_t start = clock_ms(), told = 0;

	for (;;) {
		uint64_t gone = clock_ms() - start;

		if (cancelled(c, r))
			return error_set(err, -ERR_CANCELLED, "the job was cancelled");
		if (c->waiting && (told == 0 || gone >= told)) {
			c->waiting(c->arg, err->text, (unsigned)((left_ms > gone ? left_ms - gone : 0) / 1000));
			told = gone + 1000;
		}
		if (gone >= wait_ms || gone >= left_ms)
			return 0;
		clock_sleep_ms(wait_ms - gone < 100 ? wait_ms - gone : 100);
	}
}

/* A quarter more or less, so that many PCs do not come back at the same moment. */
static uint64_t with_jitter(uint64_t ms)
{
	uint16_t dice;

	io_random(&dice, sizeof dice);
	return ms * 3 / 4 + ms * dice / (2 * UINT16_MAX);
}

static int give_up(const struct wire_client *c, uint64_t after_ms, struct error *err)
{
	char text[TEXT_SIZE_BYTES];

	return error_prefix(err, "gave up after %s of trying", text_duration((double)after_ms / 1000, text));
}

static int run_with_retries(struct wire_client *c, struct wire_request *r, struct wire_slot *slot, struct error *err)
{
	uint64_t began = clock_ms(), failing_since = 0, wait_ms = c->first_wait_ms;
	bool waited = false;
	int rc;

	for (;;) {
		uint64_t now, gone, limit = atomic_load(&c->limit_ms);
		bool again;

		if (cancelled(c, r))
			return error_set(err, -ERR_CANCELLED, "the job was cancelled");
		if (r->begin && r->begin(r)) {
			failing_since = 0;
			wait_ms = c->first_wait_ms;
		}
		rc = try_once(c, r, slot, &again, err);
		if (rc == 0 || !again || r->once)
			break;
		now = clock_ms();
		if (!failing_since || (r->patient && rc == -EBUSY && now - began < PATIENCE_MS))
			failing_since = now;
		gone = now - failing_since;
		if (rc == -ERR_UNREACHABLE) {
			uint64_t silent = silent_for_ms(c, now);

			gone = silent > gone ? silent : gone;
		}
		if (gone >= limit) {
			rc = give_up(c, gone, err);
			break;
		}
		waited = true;
		rc = wait_to_retry(c, r, with_jitter(wait_ms), limit - gone, err);
		if (rc < 0)
			break;
		wait_ms = wait_ms * 2 < 30ull * c->first_wait_ms ? wait_ms * 2 : 30ull * c->first_wait_ms;
	}
	if (waited && c->waiting)
		c->waiting(c->arg, NULL, 0);
	return rc;
}

int wire_request_run(struct wire_client *c, struct wire_request *r, struct error *err)
{
	struct error own = {0};
	struct wire_slot *slot = wire_pool_take(c);
	int rc;

	if (!slot)
		return error_errno(err, ENOMEM, "cannot ask the server");
	/* The sentence is needed here also when the caller does not want it. */
	rc = run_with_retries(c, r, slot, err ? err : &own);
	wire_pool_give(c, slot);
	return rc;
}
