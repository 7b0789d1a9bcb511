/* The client's inner state and its pool of connections; inner matter of this room. */
#ifndef G4L_WIRE_POOL_H
#define G4L_WIRE_POOL_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "wire/client.h"

/* A connection that is kept alive between requests. */
struct wire_slot {
	CURL *curl;
	struct wire_slot *next;
};

struct wire_client {
	char url[300]; /* without a slash at the end */
	char pin[64];  /* as libcurl wants it */
	uint32_t first_wait_ms, silence_ms;
	wire_client_waiting_fn *waiting;
	void *arg;
	_Atomic uint32_t limit_ms;
	_Atomic bool cancelled;
	/* clock_ms() of the first failure since the server last answered anything; 0: it is not silent. Shared, so that
	 * what is tried last, after all else gave up, does not wait the whole limit once more. */
	_Atomic uint64_t silent_since_ms;
	pthread_mutex_t lock; /* of what follows */
	char token[WIRE_TOKEN_HEX_BYTES];
	struct wire_slot *idle;
};

/* A connection for the calling thread alone, or NULL when memory is out. */
struct wire_slot *wire_pool_take(struct wire_client *c);
void wire_pool_give(struct wire_client *c, struct wire_slot *slot);

#endif
