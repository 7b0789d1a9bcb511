/* Talking to g4ld: over its Unix socket, or over HTTPS with a pinned key and a token. */
#ifndef G4L_CLI_REMOTE_H
#define G4L_CLI_REMOTE_H

#include "cli/cli.h"

struct remote;

/* Connects to what --socket/--server and the environment say; no request is made yet. 0; -ERR_USAGE; -ENOMEM. */
int remote_open(const struct cli_args *args, struct remote **out, struct error *err);
void remote_close(struct remote *r);

/* One request. path begins with /api/v1/; body may be NULL (its reference is kept by the caller); *answer gets a new
 * reference (may be NULL when nobody wants it). 0; -ERR_UNREACHABLE when g4ld does not answer; the code that g4ld's
 * error means otherwise, with its sentence. */
int remote_call(struct remote *r, const char *method, const char *path, json_t *body, json_t **answer,
		struct error *err);

/* Starts one job and, unless detach, follows it on stderr until it ends (see remote_follow()). request: the
 * body of POST /api/v1/jobs. *job gets the last answer about it (new reference), or NULL. */
int remote_run_job(struct remote *r, json_t *request, bool detach, bool quiet, json_t **job, struct error *err);

/* Follows a job until it ends. ^C stops following, not the job (-ERR_CANCELLED, with a sentence that says so).
 * 0: done; EXIT_CODE_DEGRADED; or the negative code by which the job failed. */
int remote_follow(struct remote *r, json_int_t number, bool quiet, json_t **job, struct error *err);

/* A string member, or "". */
const char *remote_text(const json_t *object, const char *key);
/* A number member, or 0. */
double remote_number(const json_t *object, const char *key);

#endif
