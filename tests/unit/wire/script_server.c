#include "script_server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/message.h"

struct script_server {
	struct MHD_Daemon *daemon;
	struct memory_store *store;
	char token[WIRE_TOKEN_HEX_BYTES];
	char url[64], pin[HASH_HEX_BYTES], key_pem[4096], cert_pem[4096];
	unsigned short port;
	pthread_mutex_t lock;
	const struct script_step *steps;
	size_t n_steps, used, requests;
	char last_body[4096];
	struct wire_job job;
	bool cancel;
	struct script_step ended; /* how progress is answered; action SCRIPT_STATUS when it is set */
	_Atomic bool stopping;
};

struct call {
	struct script_step step;
	struct buf body;
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void read_bio(BIO *bio, char *to, size_t bytes)
{
	int n = BIO_read(bio, to, (int)bytes - 1);

	must(n > 0);
	to[n] = '\0';
	BIO_free(bio);
}

static void make_certificate(struct script_server *s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *bio;
	unsigned char *der = NULL;
	struct hash h;
	int n;

	must(key && x);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"script", -1,
				   -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	must(X509_sign(x, key, EVP_sha256()) > 0);
	n = i2d_PUBKEY(key, &der);
	must(n > 0);
	h = hash_of(der, (size_t)n);
	hash_format(&h, s->pin);
	OPENSSL_free(der);
	bio = BIO_new(BIO_s_mem());
	must(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	read_bio(bio, s->key_pem, sizeof s->key_pem);
	bio = BIO_new(BIO_s_mem());
	must(PEM_write_bio_X509(bio, x) == 1);
	read_bio(bio, s->cert_pem, sizeof s->cert_pem);
	X509_free(x);
	EVP_PKEY_free(key);
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static void serve_have(struct script_server *s, const struct buf *body, struct buf *out)
{
	const struct hash *hashes;
	bool *present;
	size_t n;
	struct chunk_sink *sink;

	must(wire_hashes_view(body->data, body->len, &hashes, &n, NULL) == 0);
	present = calloc(n, sizeof *present);
	must(present && memory_store_open_sink(s->store, &sink, NULL) == 0);
	must(chunk_sink_have(sink, hashes, n, present, NULL) == 0);
	wire_present_encode(present, n, out);
	chunk_sink_close(sink);
	free(present);
}

static void serve_put(struct script_server *s, const struct buf *body, struct buf *out)
{
	struct cursor c = cursor_of(body->data, body->len);
	struct chunk_frame f;
	struct chunk_sink *sink;
	uint64_t sum = 0;
	int rc;

	must(memory_store_open_sink(s->store, &sink, NULL) == 0);
	while ((rc = wire_frame_next(&c, false, &f, NULL)) == 1) {
		uint64_t stored = 0;

		must(chunk_sink_put(sink, &f, 1, &stored, NULL) == 0);
		sum += stored;
	}
	must(rc == 0);
	wire_put_answer_encode(sum, out);
	chunk_sink_close(sink);
}

struct give {
	const struct hash *hashes;
	struct chunk_coder *coder;
	struct buf *out;
};

static int give_chunk(void *arg, size_t index, const uint8_t *plain, size_t n)
{
	struct give *g = arg;
	struct chunk_frame f;
	uint8_t *body = malloc(n);

	must(body && chunk_encode(g->coder, &g->hashes[index], plain, n, body, &f) == 0);
	must(wire_frame_encode(&f, g->out) == 0);
	free(body);
	return 0;
}

static void serve_get(struct script_server *s, const struct buf *body, enum script_action how, struct buf *out)
{
	struct give g = {.out = out};
	struct chunk_source *source;
	struct error err = {0};
	uint64_t fetched;
	size_t n, first = how == SCRIPT_OTHER_GET ? 1 : 0;

	must(wire_hashes_view(body->data, body->len, &g.hashes, &n, NULL) == 0);
	if (how == SCRIPT_EMPTY_GET)
		n = 0;
	else if (how == SCRIPT_SHORT_GET)
		n = 1;
	else if (how == SCRIPT_PART_GET)
		n = 2;
	g.coder = chunk_coder_new(1);
	must(g.coder && memory_store_open_source(s->store, &source, NULL) == 0);
	for (size_t i = first; i < n; i++) {
		struct give one = {.hashes = g.hashes + i, .coder = g.coder, .out = out};

		if (chunk_source_get(source, &g.hashes[i], 1, give_chunk, &one, &fetched, &err) < 0)
			wire_frame_encode_error(&g.hashes[i], err.text, out);
	}
	if (how == SCRIPT_PART_GET)
		out->len -= 100;
	chunk_source_close(source);
	chunk_coder_free(g.coder);
}

static void serve_hello(struct script_server *s, struct buf *out)
{
	struct wire_job job = s->job;

	memset(job.session, 'c', sizeof job.session - 1);
	memcpy(s->token, job.session, sizeof s->token);
	wire_job_encode(&job, out);
}

static void serve_commit(struct script_server *s, const struct buf *body, enum script_action how, struct buf *out)
{
	struct snapshot snap;
	struct chunk_sink *sink;
	char id[SNAPSHOT_ID_BYTES];

	must(snapshot_decode(body->data, body->len, &snap, NULL) == 0);
	must(memory_store_open_sink(s->store, &sink, NULL) == 0);
	must(chunk_sink_commit(sink, &snap, id, NULL) == 0);
	chunk_sink_close(sink);
	snapshot_clear(&snap);
	if (how == SCRIPT_OTHER_ID)
		id[0] = id[0] == '0' ? '1' : '0';
	wire_commit_answer_encode(id, out);
}

static void serve_snapshot(struct script_server *s, struct buf *out)
{
	struct snapshot snap;

	must(memory_store_read_snapshot(s->store, 0, &snap, NULL) == 0);
	must(snapshot_encode(&snap, out, NULL) == 0);
	snapshot_clear(&snap);
}

static void serve(struct script_server *s, const char *path, const struct call *call, struct buf *out)
{
	if (ends_with(path, "/hello"))
		serve_hello(s, out);
	else if (ends_with(path, "/have"))
		serve_have(s, &call->body, out);
	else if (ends_with(path, "/put"))
		serve_put(s, &call->body, out);
	else if (ends_with(path, "/get"))
		serve_get(s, &call->body, call->step.action, out);
	else if (ends_with(path, "/commit"))
		serve_commit(s, &call->body, call->step.action, out);
	else if (ends_with(path, "/snapshot"))
		serve_snapshot(s, out);
	else if (ends_with(path, "/progress"))
		wire_cancel_encode(s->cancel, out);
	else if (ends_with(path, "/finish"))
		wire_finish_answer_encode(WIRE_REBOOT, out);
	else
		buf_put(out, "{}", 2);
}

struct cut {
	struct buf bytes;
};

static ssize_t cut_reader(void *arg, uint64_t pos, char *to, size_t max)
{
	struct cut *c = arg;
	size_t half = c->bytes.len / 2, n;

	if (pos >= half)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	n = half - (size_t)pos < max ? half - (size_t)pos : max;
	memcpy(to, c->bytes.data + pos, n);
	return (ssize_t)n;
}

static void cut_free(void *arg)
{
	struct cut *c = arg;

	buf_free(&c->bytes);
	free(c);
}

/* Ends the connection when the server is stopped, or after half a minute. */
static enum MHD_Result be_silent(const struct script_server *s)
{
	for (int n = 0; n < 3000 && !s->stopping; n++)
		clock_sleep_ms(10);
	return MHD_NO;
}

static enum MHD_Result answer(struct script_server *s, struct MHD_Connection *conn, const char *path, struct call *call)
{
	struct buf out = {0};
	struct MHD_Response *r;
	unsigned status = 200;
	enum MHD_Result rc;

	if (call->step.action == SCRIPT_SILENT)
		return be_silent(s);
	if (call->step.action == SCRIPT_STATUS) {
		status = call->step.status;
		buf_printf(&out, "{\"error\": \"as the script says\", \"code\": \"%s\"}", call->step.name);
	} else if (call->step.action == SCRIPT_GARBAGE) {
		buf_put(&out, "garbage!", 8);
	} else {
		pthread_mutex_lock(&s->lock);
		serve(s, path, call, &out);
		pthread_mutex_unlock(&s->lock);
	}
	if (call->step.action == SCRIPT_TOO_LONG) {
		uint8_t *blanks = buf_add(&out, WIRE_MAX_JSON_BYTES);

		must(blanks);
		memset(blanks, ' ', WIRE_MAX_JSON_BYTES);
	}
	if (call->step.action == SCRIPT_CUT_ANSWER) {
		struct cut *c = calloc(1, sizeof *c);

		must(c);
		c->bytes = out;
		r = MHD_create_response_from_callback(out.len, 1 << 16, cut_reader, c, cut_free);
	} else {
		r = MHD_create_response_from_buffer(out.len, out.data, MHD_RESPMEM_MUST_COPY);
		buf_free(&out);
	}
	rc = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return rc;
}

static struct call *begin_call(struct script_server *s, struct MHD_Connection *conn, const char *path)
{
	struct call *call = calloc(1, sizeof *call);
	const char *auth = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Authorization");

	must(call);
	pthread_mutex_lock(&s->lock);
	s->requests++;
	if (s->used < s->n_steps && ends_with(path, s->steps[s->used].path))
		call->step = s->steps[s->used++];
	if (s->ended.action == SCRIPT_STATUS && ends_with(path, "/progress"))
		call->step = s->ended;
	if (!auth || strncmp(auth, "Bearer ", 7) != 0 || strcmp(auth + 7, s->token) != 0)
		call->step = (struct script_step){.action = SCRIPT_STATUS, .status = 401, .name = "token"};
	pthread_mutex_unlock(&s->lock);
	return call;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *path, const char *method,
				  const char *version, const char *data, size_t *data_bytes, void **con_cls)
{
	struct script_server *s = arg;
	struct call *call = *con_cls;

	if (!call) {
		*con_cls = begin_call(s, conn, path);
		return MHD_YES;
	}
	if (*data_bytes) {
		if (call->step.action == SCRIPT_CUT_UPLOAD)
			return MHD_NO;
		buf_put(&call->body, data, *data_bytes);
		*data_bytes = 0;
		return MHD_YES;
	}
	if (ends_with(path, "/finish"))
		snprintf(s->last_body, sizeof s->last_body, "%.*s", (int)call->body.len, (const char *)call->body.data);
	return answer(s, conn, path, call);
}

static void on_completed(void *arg, struct MHD_Connection *conn, void **con_cls, enum MHD_RequestTerminationCode why)
{
	struct call *call = *con_cls;

	if (call)
		buf_free(&call->body);
	free(call);
	*con_cls = NULL;
}

static struct script_server *start(struct memory_store *store, const char *token, unsigned short port, const char *tls)
{
	struct script_server *s = calloc(1, sizeof *s);
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	must(s);
	s->store = store;
	snprintf(s->token, sizeof s->token, "%s", token);
	s->job = (struct wire_job){.job = 7, .kind = WIRE_BACKUP, .host = "john", .after = WIRE_STAY};
	s->cancel = true;
	pthread_mutex_init(&s->lock, NULL);
	make_certificate(s);
	s->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_TLS,
				     port, NULL, NULL, on_request, s, MHD_OPTION_HTTPS_MEM_KEY, s->key_pem,
				     MHD_OPTION_HTTPS_MEM_CERT, s->cert_pem, MHD_OPTION_SOCK_ADDR, &at,
				     MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_HTTPS_PRIORITIES, tls,
				     MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
	must(s->daemon);
	s->port = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
	snprintf(s->url, sizeof s->url, "https://127.0.0.1:%u", s->port);
	return s;
}

struct script_server *script_server_start(struct memory_store *store, const char *token, unsigned short port)
{
	return start(store, token, port, "NORMAL");
}

struct script_server *script_server_start_old(struct memory_store *store, const char *token)
{
	return start(store, token, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.2");
}

void script_server_set(struct script_server *s, const struct script_step *steps, size_t n)
{
	pthread_mutex_lock(&s->lock);
	s->steps = steps;
	s->n_steps = n;
	s->used = s->requests = 0;
	pthread_mutex_unlock(&s->lock);
}

void script_server_set_job(struct script_server *s, const struct wire_job *job)
{
	s->job = *job;
}

void script_server_set_cancel(struct script_server *s, bool cancel)
{
	s->cancel = cancel;
}

void script_server_end_job(struct script_server *s, unsigned status, const char *name)
{
	s->ended = (struct script_step){.action = SCRIPT_STATUS, .status = status, .name = name};
}

size_t script_server_used(struct script_server *s)
{
	return s->used;
}

size_t script_server_requests(struct script_server *s)
{
	return s->requests;
}

const char *script_server_url(const struct script_server *s)
{
	return s->url;
}

unsigned short script_server_port(const struct script_server *s)
{
	return s->port;
}

const char *script_server_pin(const struct script_server *s)
{
	return s->pin;
}

const char *script_server_last_body(const struct script_server *s)
{
	return s->last_body;
}

void script_server_stop(struct script_server *s)
{
	s->stopping = true;
	MHD_stop_daemon(s->daemon);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
