/* A g4ld without sockets and without its conductor's thread: requests are calls, rounds are made by the test. */
#ifndef G4L_TESTS_SERVER_FIXTURE_H
#define G4L_TESTS_SERVER_FIXTURE_H

#include <jansson.h>

#include "server/jobs.h"
#include "server/server.h"

#define MAC "52:54:00:11:22:33"
#define UUID "11111111-2222-3333-4444-555555555555"

struct fixture {
	struct server s;
	char dir[64];
	char session[65]; /* of the last hello */
};

/* Makes a folder with an empty store, and opens. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* As kill -9 and a new start: nothing is said to anybody before. */
void fixture_restart(struct fixture *f);

/* One request. agent: of the agents' API (bearer), else of the admins'. Gives the status; *answer: parsed JSON or NULL.
 */
unsigned fixture_ask(struct fixture *f, bool agent, const char *method, const char *path, const char *bearer,
		     const void *body, size_t len, json_t **answer);
unsigned fixture_admin(struct fixture *f, const char *method, const char *path, const char *body, json_t **answer);
/* With the session of the last hello. */
unsigned fixture_agent(struct fixture *f, const char *name, const void *body, size_t len, json_t **answer);

void fixture_add_host(struct fixture *f, const char *name, const char *mac);
/* Queues a job; body is that of the request. */
int64_t fixture_job(struct fixture *f, const char *body);
enum job_state fixture_state(struct fixture *f, int64_t job);
/* One round of the conductor. */
void fixture_round(struct fixture *f);
/* Rounds until the job is in the state, at most 5 s. */
void fixture_await(struct fixture *f, int64_t job, enum job_state s);

/* The boot token of an armed MAC from STATE/armed; false when it is not armed. */
bool fixture_token(struct fixture *f, const char *mac, char token[65]);
unsigned fixture_hello(struct fixture *f, const char *token, const char *mac, const char *uuid, const char *nonce);
unsigned fixture_finish(struct fixture *f, const char *result, int code);

/* A tiny disk's chunks: content, segment, root. Encoded as frames, and the snapshot envelope that needs them. */
struct fixture_image {
	struct buf frames, envelope;
	struct hash content;
	char id[33];
};
void fixture_image(struct fixture_image *i, const char *host, uint8_t seed);
void fixture_image_clear(struct fixture_image *i);
/* Queues a backup and brings it to working. */
int64_t fixture_working(struct fixture *f);
/* A whole backup, done. */
void fixture_backup(struct fixture *f, struct fixture_image *i);
/* Changes a byte in every pack of the store. */
void fixture_damage_store(struct fixture *f);

#endif
