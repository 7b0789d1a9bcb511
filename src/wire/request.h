/* One request with its retries; inner matter of this room. */
#ifndef G4L_WIRE_REQUEST_H
#define G4L_WIRE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "wire/client.h"

/* Gets the bytes of a 200 answer as they come. Returns 0 or a negative code, which ends the request for good. */
typedef int wire_receive_fn(void *arg, const uint8_t *bytes, size_t n, struct error *err);

struct wire_request {
	const char *path; /* "/agent/v1/have" */
	const void *body; /* NULL: a GET */
	size_t body_bytes;
	bool once;    /* no second try */
	bool of_job;  /* ended by wire_client_cancel() */
	bool patient; /* "busy" is no failure: the server works on the answer */
	/* Where the answer goes: into answer, at most answer_max bytes, or to receive. */
	struct buf *answer;
	size_t answer_max;
	wire_receive_fn *receive;
	/* With receive: called before each try; makes the body ask for what is still missing. Returns whether the try
	 * before got anything of use: then the time for trying again begins anew. */
	bool (*begin)(struct wire_request *r);
	void *arg;
};

/* As said above wire_client_hello(). */
int wire_request_run(struct wire_client *c, struct wire_request *r, struct error *err);

#endif
