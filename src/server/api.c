/* Who may ask what: the Unix socket needs no token, HTTPS needs an admin's or an agent's. And the admin token. */
#include "server/api.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "server/api_agent.h"

bool api_admin_token(struct server *s, const char *bearer)
{
	struct hash hash;

	return agent_token_hash(bearer, &hash) == 0 &&
	       db_number(s->db, 0, "SELECT count(*) FROM tokens WHERE hash=?", "h", &hash) > 0;
}

void api_https(void *arg, const struct http_request *q, struct http_reply *reply)
{
	struct error err = {0};
	struct server *s = arg;

	if (strncmp(q->path, "/agent/v1/", 10) == 0) {
		api_agent(s, q, reply);
	} else if (strncmp(q->path, "/api/v1/", 8) == 0 && api_admin_token(s, q->bearer)) {
		api_admin(s, q, reply);
	} else if (strncmp(q->path, "/api/v1/", 8) == 0) {
		log_warning("%s: a request with a wrong admin token was refused", q->who);
		error_set(&err, -EACCES, "the token is wrong: it stands in admin.token in g4ld's state folder");
		reply_wire_error(reply, &err);
	} else {
		error_set(&err, -ENOENT, "there is no such request");
		reply_wire_error(reply, &err);
	}
}

size_t api_https_limit(void *arg, const char *path, const char *bearer)
{
	struct server *s = arg;
	struct hash hash;

	if (strcmp(path, "/agent/v1/hello") == 0)
		return WIRE_MAX_JSON_BYTES;
	if (strncmp(path, "/agent/v1/", 10) == 0)
		return agent_token_hash(bearer, &hash) == 0 && jobs_of_session(s->db, &hash) ? WIRE_MAX_BODY_BYTES : 0;
	return strncmp(path, "/api/v1/", 8) == 0 && api_admin_token(s, bearer) ? WIRE_MAX_JSON_BYTES : 0;
}

void api_unix(void *arg, const struct http_request *q, struct http_reply *reply)
{
	api_admin(arg, q, reply);
}

int api_make_admin_token(struct server *s, struct error *err)
{
	char path[300], hex[66];
	uint8_t token[32];
	struct hash hash;
	int r;

	if (db_number(s->db, 0, "SELECT count(*) FROM tokens", NULL) > 0)
		return 0;
	io_random(token, sizeof token);
	text_hex(token, sizeof token, hex);
	hash = hash_of(token, sizeof token);
	hex[64] = '\n';
	snprintf(path, sizeof path, "%s/admin.token", s->config.state_dir);
	/* The file first: a token that is in force must be known to somebody. */
	r = io_replace_file(path, hex, 65, 0600, err);
	if (r == 0)
		r = db_run(s->db, err, "INSERT INTO tokens(hash, name, created) VALUES(?,'admin',?)", "hi", &hash,
			   clock_unix());
	return r < 0 ? r : 0;
}
