/* Inner matter of the agent's API: one request and what it is answered with. */
#ifndef G4L_SERVER_API_AGENT_H
#define G4L_SERVER_API_AGENT_H

#include "server/http.h"
#include "server/jobs.h"
#include "server/server.h"
#include "wire/message.h"

struct agent_call {
	struct server *server;
	const struct http_request *q;
	struct http_reply *reply;
	struct error *err;
	struct job job;		   /* as it was when the request came */
	struct live *live;	   /* NULL for hello, and when the job is over */
	const struct hash *wanted; /* get */
};

/* api_session.c. Each fills the reply's body, or returns a negative code with err. */
int agent_hello(struct agent_call *c);
int agent_finish(struct agent_call *c);

/* The hash under which a token of 64 hex digits is kept. 0 or -EACCES. */
int agent_token_hash(const char *hex, struct hash *out);
/* An error as the protocol gives it. */
void reply_wire_error(struct http_reply *reply, const struct error *err);

#endif
