/* The three conversations over HTTP: each an http_handler_fn with a struct server as its argument. */
#ifndef G4L_SERVER_API_H
#define G4L_SERVER_API_H

#include <jansson.h>

#include "server/http.h"
#include "server/server.h"

/* /agent/v1/ (api_agent.c). */
void api_agent(struct server *s, const struct http_request *q, struct http_reply *reply);
/* /api/v1/ (api_admin.c). The caller has checked that it may ask. */
void api_admin(struct server *s, const struct http_request *q, struct http_reply *reply);
/* Whether the bearer token is an admin's. */
bool api_admin_token(struct server *s, const char *bearer);

/* Handlers of the three listeners: HTTPS (agents and admins), the Unix socket (admins), plain HTTP (/boot/ only). */
void api_https(void *arg, const struct http_request *q, struct http_reply *reply);
void api_unix(void *arg, const struct http_request *q, struct http_reply *reply);
void api_boot(void *arg, const struct http_request *q, struct http_reply *reply);

/* http_limit_fn of HTTPS: a body of hello, of a known session, or of an admin. */
size_t api_https_limit(void *arg, const char *path, const char *bearer);

/* Makes state_dir/admin.token at the first start; its hash is kept in the database. */
int api_make_admin_token(struct server *s, struct error *err);

/* {"checks": […]} (doctor.c); NULL when memory is out. */
json_t *doctor_report(struct server *s);

/* Answers with a JSON object, whose reference is taken; NULL gives 500. */
void reply_json(struct http_reply *reply, json_t *o);

#endif
