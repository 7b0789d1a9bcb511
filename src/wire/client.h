/*
 * The agent's end of its conversation with the server (doc/PROTOCOL.md, section 1): HTTPS to the one server whose key
 * has the pin, kept-alive connections, and the rules of trying again. One client may be used by several threads.
 */
#ifndef G4L_WIRE_CLIENT_H
#define G4L_WIRE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/chunk_io.h"
#include "image/snapshot.h"
#include "wire/message.h"

struct wire_client;

/* Told while a request waits for its next try, about once a second, from the thread that waits; why is a sentence. When
 * that request was answered after all, told once more with why NULL. */
typedef void wire_client_waiting_fn(void *arg, const char *why, unsigned left_seconds);

struct wire_client_options {
	const char *url;		 /* https://ADDRESS:PORT */
	const char *pin;		 /* SHA-256 of the server's public key, 64 hex digits */
	uint32_t limit_ms;		 /* how long to try again; 0: 10 minutes */
	uint32_t first_wait_ms;		 /* before the second try, then doubling up to 30 times that; 0: 500 ms */
	uint32_t silence_ms;		 /* a connection on which nothing moves for so long is given up; 0: 2 minutes */
	wire_client_waiting_fn *waiting; /* may be NULL */
	void *arg;
};

/* 0; -ERR_USAGE for a URL or pin that cannot be; -ENOMEM. Nothing is sent yet. */
int wire_client_new(const struct wire_client_options *options, struct wire_client **out, struct error *err);
/* No other thread may still be using it. NULL is fine. */
void wire_client_free(struct wire_client *c);

/* What the next requests prove themselves with; hello replaces it by the session. -ERR_USAGE: not 64 hex digits. */
int wire_client_set_token(struct wire_client *c, const char *token, struct error *err);
/* From now on the requests of the job (hello, snapshot, sink, source) end soon with -ERR_CANCELLED; the others still
 * work. Only sets a flag: may be called from anywhere. */
void wire_client_cancel(struct wire_client *c);
/* Shortens or lengthens how long to try again. */
void wire_client_set_limit(struct wire_client *c, uint32_t limit_ms);

/*
 * All requests: 0; -ERR_UNREACHABLE when the server was silent for the limit; -ERR_REFUSED when it is not the server
 * with the pin; what its answer means (wire_status_of_answer()); -ERR_CANCELLED; -ENOMEM.
 */
int wire_client_hello(struct wire_client *c, const struct wire_hello *hello, struct wire_job *job, struct error *err);
/* One try only, with a short limit: the next heart-beat is the next try. */
int wire_client_progress(struct wire_client *c, const struct wire_progress *p, bool *cancel, struct error *err);
/* once: one try only, as for progress. */
int wire_client_log(struct wire_client *c, const struct wire_log *log, bool once, struct error *err);
/* snapshot_clear() after success. */
int wire_client_snapshot(struct wire_client *c, struct snapshot *out, struct error *err);
/* As long as the server says that it is busy (reading the snapshot back), up to a day. */
int wire_client_finish(struct wire_client *c, const struct wire_finish *f, enum wire_after *after, struct error *err);

/* The server's store behind the seam of the engine. The client outlives them. 0 or -ENOMEM. */
int wire_client_open_sink(struct wire_client *c, struct chunk_sink **out, struct error *err);
int wire_client_open_source(struct wire_client *c, struct chunk_source **out, struct error *err);

#endif
