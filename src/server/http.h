/*
 * Listening sockets and HTTP by libmicrohttpd: collects a request whole, hands it to a handler, sends its reply. What a
 * request means is not its business. Limits on bodies, headers, time and connections are kept here.
 */
#ifndef G4L_SERVER_HTTP_H
#define G4L_SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct http_request {
	const char *method, *path;
	const char *bearer; /* the token of "Authorization: Bearer", or NULL */
	const char *range;  /* the header, or NULL */
	const uint8_t *body;
	size_t body_bytes;
	char who[64]; /* "uid 0" on the Unix socket, else the peer's address */
	bool trusted; /* came by the Unix socket */
	/* A parameter of the query, or NULL. */
	const char *(*query)(const struct http_request *r, const char *name);
	void *connection;
};

/* What is sent: body, or a part of a file, perhaps with some bytes of it replaced. Zero-initialised it is an empty 200.
 */
struct http_reply {
	unsigned status; /* 0: 200 */
	struct buf body;
	const char *type; /* content type; NULL: application/json */
	struct http_file *file;
	char content_range[80]; /* "" : none */
	bool accept_ranges;
};

/* A file whose bytes [patch_at, patch_at + patch.len) are those of patch. Freed with the reply. */
struct http_file {
	int fd;
	uint64_t begin, length; /* what is sent */
	uint64_t patch_at;
	struct buf patch;
};
void http_file_free(struct http_file *f);

/* Fills the reply, which is zeroed. Called from the connection's own thread; may wait. */
typedef void http_handler_fn(void *arg, const struct http_request *request, struct http_reply *reply);

/* How many bytes of a request's body are worth keeping, from its header alone. 0: none; it is received and dropped, and
 * the handler, which refuses the request anyway, gets an empty one. So nobody fills our memory before showing a token.
 */
typedef size_t http_limit_fn(void *arg, const char *path, const char *bearer);

struct http_options {
	int fd;				/* a listening socket; taken over, also on failure */
	bool unix_socket;		/* the peers are local users */
	const char *key_pem, *cert_pem; /* for HTTPS, else NULL */
	size_t max_body_bytes;
	unsigned max_connections, max_connections_per_address; /* 0: no limit per address */
	http_limit_fn *limit; /* at most max_body_bytes count; NULL: max_body_bytes for everybody */
	http_handler_fn *handler;
	void *arg;
};

struct http;
int http_start(const struct http_options *options, struct http **out, struct error *err);
/* Closes the listener first; connections are ended and their threads joined. */
void http_stop(struct http *h);

/* A listening TCP socket; address "": all. *bound gets the port, also when port is 0. The descriptor or negative. */
int http_listen_tcp(const char *address, unsigned port, unsigned *bound, struct error *err);
/* A listening Unix socket with mode 0660 and group (""; unchanged). Replaces a socket that nobody listens on;
 * -EADDRINUSE. */
int http_listen_unix(const char *path, const char *group, struct error *err);

#endif
