/*
 * What requests say, as structs: paths, ranges and the JSON bodies of the command line's API. Pure functions over
 * foreign bytes; the fuzz target `api` feeds them.
 */
#ifndef G4L_SERVER_API_PARSE_H
#define G4L_SERVER_API_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "server/hosts.h"
#include "server/jobs.h"

#define API_MAX_JSON_BYTES (1u << 20)

/* Which request of /api/v1/ a path is; the variable part is in the struct. */
enum admin_route {
	ADMIN_NONE,
	ADMIN_STATUS,
	ADMIN_HOSTS,
	ADMIN_HOST,
	ADMIN_SCREEN,
	ADMIN_JOBS,
	ADMIN_JOB,
	ADMIN_JOB_LOG,
	ADMIN_JOB_CANCEL,
	ADMIN_SNAPSHOTS,
	ADMIN_DOCTOR,
};
struct admin_path {
	enum admin_route route;
	char host[64];
	int64_t job;
};
/* 0; -ENOENT: no such request; -ERR_USAGE: a host name or job number in it makes no sense. */
int api_admin_path(const char *path, struct admin_path *out, struct error *err);

/* "/boot/NONCE/OBJECT". 0 or -ENOENT. */
struct boot_path {
	char nonce[33];
	char object[16];
};
int api_boot_path(const char *path, struct boot_path *out);

/* A Range header for something of `size` bytes (RFC 9110, 14.2; one range only). 0: *begin and *length are set; 1: to
 * be ignored, the whole is sent; -ERANGE: cannot be satisfied. */
int api_range(const char *header, uint64_t size, uint64_t *begin, uint64_t *length);

/* {"name", "macs", "after"}. 0; -ERR_USAGE. */
int api_host_body(const void *body, size_t len, struct host *out, struct error *err);

/* The body of POST /api/v1/jobs. */
struct job_request {
	enum job_kind kind;
	char host[64];
	char which[SNAPSHOT_ID_BYTES]; /* "" or "latest": the newest */
	char from[64];		       /* "": the host itself */
	char disk[256];
	char tags[2048]; /* JSON array */
	bool full, against_disk, yes;
};
/* 0; -ERR_USAGE; -ERR_REFUSED: a restore without yes. */
int api_job_body(const void *body, size_t len, struct job_request *out, struct error *err);

/* A number of a query; NULL gives fallback. 0; -ERR_USAGE names it. */
int api_number(const char *text, const char *name, uint64_t max, uint64_t fallback, uint64_t *out, struct error *err);

#endif
