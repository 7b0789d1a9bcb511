/* An HTTPS server that speaks the agent's protocol over a store in memory, and fails as a script tells it. */
#ifndef G4L_TESTS_SCRIPT_SERVER_H
#define G4L_TESTS_SCRIPT_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "image/memory_store.h"
#include "wire/message.h"

enum script_action {
	SCRIPT_SERVE,	   /* as it should be */
	SCRIPT_STATUS,	   /* this status and code name */
	SCRIPT_CUT_UPLOAD, /* closes the connection after the first bytes of the body */
	SCRIPT_CUT_ANSWER, /* closes it in the middle of the answer */
	SCRIPT_SHORT_GET,  /* answers get with the first chunk only, and so that the answer is complete */
	SCRIPT_PART_GET,   /* answers get so that the answer is complete and ends inside the second chunk */
	SCRIPT_EMPTY_GET,  /* answers get with nothing */
	SCRIPT_OTHER_GET,  /* answers get with the chunks in another order */
	SCRIPT_OTHER_ID,   /* answers commit with the id of another snapshot */
	SCRIPT_GARBAGE,	   /* 200 with nonsense */
	SCRIPT_TOO_LONG,   /* 200 with what makes sense and goes on beyond every limit of the protocol */
	SCRIPT_SILENT,	   /* takes the request and says nothing more until the server is stopped */
};
/* Steps are used up in order, each by the first request whose path ends with `path`. */
struct script_step {
	const char *path;
	enum script_action action;
	unsigned status;
	const char *name;
};

struct script_server;

/* port 0: any. Never fails (asserts). */
struct script_server *script_server_start(struct memory_store *store, const char *token, unsigned short port);
/* The same that speaks an older TLS only. */
struct script_server *script_server_start_old(struct memory_store *store, const char *token);
void script_server_set(struct script_server *s, const struct script_step *steps, size_t n);
/* What hello answers from now on, with a session of the server's own. The job's memory stays the caller's. */
void script_server_set_job(struct script_server *s, const struct wire_job *job);
/* What progress answers. */
void script_server_set_cancel(struct script_server *s, bool cancel);
/* Progress is answered with this status and code name from now on. */
void script_server_end_job(struct script_server *s, unsigned status, const char *name);
/* How many steps are used up; how many requests came in all. */
size_t script_server_used(struct script_server *s);
size_t script_server_requests(struct script_server *s);
const char *script_server_url(const struct script_server *s);
unsigned short script_server_port(const struct script_server *s);
/* SHA-256 of the public key in hex. */
const char *script_server_pin(const struct script_server *s);
/* The body of the last finish. */
const char *script_server_last_body(const struct script_server *s);
void script_server_stop(struct script_server *s);

#endif
