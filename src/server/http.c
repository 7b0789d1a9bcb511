/* libmicrohttpd, one thread a connection. */
#include "server/http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/text.h"

#define IDLE_SECONDS 120
#define HEADER_BYTES (256u << 10) /* also the piece in which bodies are read */
#define STACK_BYTES (2u << 20)
#define FILE_BLOCK_BYTES (256u << 10)

struct http {
	struct MHD_Daemon *daemon;
	struct http_options options;
};

/* One request while it is received. */
struct incoming {
	struct buf body;
	size_t max; /* bytes of the body that are kept; 0: none, without a word */
	bool too_large;
};

void http_file_free(struct http_file *f)
{
	if (!f)
		return;
	if (f->fd >= 0)
		close(f->fd);
	buf_free(&f->patch);
	free(f);
}

static const char *query_of(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

static void who_is_it(const struct http *h, struct MHD_Connection *c, char to[64])
{
	const union MHD_ConnectionInfo *info;

	snprintf(to, 64, "?");
	if (h->options.unix_socket) {
		struct ucred peer;
		socklen_t len = sizeof peer;

		info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
		if (info && getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
			snprintf(to, 64, "uid %u", peer.uid);
		return;
	}
	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info && info->client_addr->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)info->client_addr)->sin_addr, to, 64);
}

/* The reader of a file reply: the file's bytes with the patch laid over them. */
static ssize_t read_file(void *arg, uint64_t pos, char *to, size_t max)
{
	const struct http_file *f = arg;
	uint64_t at = f->begin + pos, end;
	ssize_t n;

	if (pos >= f->length)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (max > f->length - pos)
		max = (size_t)(f->length - pos);
	n = pread(f->fd, to, max, (off_t)at);
	if (n <= 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	end = at + (uint64_t)n;
	if (f->patch.len && at < f->patch_at + f->patch.len && end > f->patch_at) {
		uint64_t from = at > f->patch_at ? at : f->patch_at;
		uint64_t until = end < f->patch_at + f->patch.len ? end : f->patch_at + f->patch.len;

		memcpy(to + (from - at), f->patch.data + (from - f->patch_at), (size_t)(until - from));
	}
	return n;
}

static void free_file(void *arg)
{
	http_file_free(arg);
}

static struct MHD_Response *response_of(struct http_reply *reply)
{
	struct MHD_Response *m;

	if (reply->file) {
		m = MHD_create_response_from_callback(reply->file->length, FILE_BLOCK_BYTES, read_file, reply->file,
						      free_file);
		if (!m)
			http_file_free(reply->file);
		buf_free(&reply->body);
		return m;
	}
	m = MHD_create_response_from_buffer(reply->body.len, reply->body.data, MHD_RESPMEM_MUST_FREE);
	if (!m)
		buf_free(&reply->body);
	return m;
}

static enum MHD_Result send_reply(struct MHD_Connection *c, struct http_reply *reply)
{
	struct MHD_Response *m;
	enum MHD_Result r;

	if (reply->body.failed) {
		buf_free(&reply->body);
		reply->status = 500;
	}
	m = response_of(reply);
	if (!m)
		return MHD_NO;
	MHD_add_response_header(m, "Content-Type", reply->type ? reply->type : "application/json");
	if (reply->content_range[0])
		MHD_add_response_header(m, "Content-Range", reply->content_range);
	if (reply->accept_ranges)
		MHD_add_response_header(m, "Accept-Ranges", "bytes");
	r = MHD_queue_response(c, reply->status ? reply->status : 200, m);
	MHD_destroy_response(m);
	return r;
}

static enum MHD_Result send_too_large(struct MHD_Connection *c)
{
	struct http_reply reply = {.status = 413};

	buf_printf(&reply.body, "{\"error\": \"the body is too large\", \"code\": \"format\"}");
	return send_reply(c, &reply);
}

static const char *bearer_of(struct MHD_Connection *c)
{
	const char *auth = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");

	return auth && strncmp(auth, "Bearer ", 7) == 0 ? auth + 7 : NULL;
}

static enum MHD_Result handle(struct http *h, struct MHD_Connection *c, const char *path, const char *method,
			      struct incoming *in)
{
	struct http_request request = {.method = method,
				       .path = path,
				       .bearer = bearer_of(c),
				       .range = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Range"),
				       .body = in->body.data,
				       .body_bytes = in->body.len,
				       .trusted = h->options.unix_socket,
				       .query = query_of,
				       .connection = c};
	struct http_reply reply = {0};

	who_is_it(h, c, request.who);
	h->options.handler(h->options.arg, &request, &reply);
	return send_reply(c, &reply);
}

/* True when the header announces more than is allowed. */
static bool announces_too_much(const struct incoming *in, struct MHD_Connection *c)
{
	const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Length");
	uint64_t n;

	return in->max && length && (text_u64(length, UINT64_MAX, &n) < 0 || n > in->max);
}

static void take_body(struct incoming *in, const char *data, size_t n)
{
	if (!in->max)
		return;
	if (n > in->max - in->body.len)
		in->too_large = true;
	if (in->too_large)
		buf_free(&in->body);
	else
		buf_put(&in->body, data, n);
}

static size_t body_limit(const struct http *h, struct MHD_Connection *c, const char *path)
{
	size_t max =
		h->options.limit ? h->options.limit(h->options.arg, path, bearer_of(c)) : h->options.max_body_bytes;

	return max < h->options.max_body_bytes ? max : h->options.max_body_bytes;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method,
				  const char *version, const char *data, size_t *data_bytes, void **context)
{
	struct http *h = arg;
	struct incoming *in = *context;

	(void)version;
	if (!in) {
		in = calloc(1, sizeof *in);
		if (!in)
			return MHD_NO;
		*context = in;
		in->max = body_limit(h, c, url);
		if (announces_too_much(in, c)) {
			in->too_large = true;
			return send_too_large(c);
		}
		return MHD_YES;
	}
	if (*data_bytes) {
		take_body(in, data, *data_bytes);
		*data_bytes = 0;
		return in->body.failed ? MHD_NO : MHD_YES;
	}
	return in->too_large ? send_too_large(c) : handle(h, c, url, method, in);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **context, enum MHD_RequestTerminationCode code)
{
	struct incoming *in = *context;

	(void)arg;
	(void)c;
	(void)code;
	if (in) {
		buf_free(&in->body);
		free(in);
	}
	*context = NULL;
}

static void on_message(void *arg, const char *fmt, va_list ap)
{
	char text[500];
	size_t n;

	(void)arg;
	vsnprintf(text, sizeof text, fmt, ap);
	n = strcspn(text, "\n");
	text[n] = '\0';
	log_debug("http: %s", text);
}

int http_start(const struct http_options *options, struct http **out, struct error *err)
{
	struct http *h = calloc(1, sizeof *h);
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC |
			 MHD_USE_ERROR_LOG | (options->cert_pem ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->key_pem},
				       {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->cert_pem},
				       {MHD_OPTION_END, 0, NULL}};

	if (!h) {
		close(options->fd);
		return error_set(err, -ENOMEM, "out of memory");
	}
	h->options = *options;
	if (!options->cert_pem)
		tls[0] = tls[2];
	h->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL,
		MHD_OPTION_LISTEN_SOCKET, options->fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_LIMIT,
		options->max_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->max_connections_per_address,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES, MHD_OPTION_THREAD_STACK_SIZE,
		(size_t)STACK_BYTES, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	if (!h->daemon) {
		close(options->fd);
		free(h);
		return error_set(err, -EIO, "the HTTP server cannot be started");
	}
	*out = h;
	return 0;
}

void http_stop(struct http *h)
{
	if (!h)
		return;
	MHD_stop_daemon(h->daemon);
	free(h);
}
