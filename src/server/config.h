/*
 * g4ld's configuration: one INI file. A missing file means the defaults; a key that is not known, given twice or out
 * of range is an error with its line. packaging/ghost4linux.conf lists and explains every key.
 */
#ifndef G4L_SERVER_CONFIG_H
#define G4L_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define CONFIG_PATH "/etc/ghost4linux/ghost4linux.conf"
#define CONFIG_MAX_INTERFACES 16

struct config {
	char store[512];
	char state_dir[200];
	char boot_dir[240]; /* default: state_dir/boot */
	char socket[100];
	char socket_group[64]; /* "": the group g4ld runs with */
	char log_level[16];

	char interface[256]; /* names, separated by spaces or commas; "": every one with an IPv4 address but loopback */
	char address[64];    /* our address as clients reach it; "": the first interface's */
	char listen[64];     /* where HTTPS and HTTP are bound; "": everywhere */
	uint64_t https_port, http_port;
	char netboot[16];   /* "builtin" or "none" */
	char boot_user[64]; /* g4l-bootd runs as this user */
	char bootd[256];    /* its path; "": beside g4ld */

	uint64_t wake_interval_s, boot_timeout_s, agent_silence_s, cancel_timeout_s;
	uint64_t parallel_jobs;
};

void config_defaults(struct config *c);
/* Reads path over the defaults. missing_ok: a file that is not there gives the defaults. 0, -ERR_USAGE, -errno. */
int config_load(const char *path, bool missing_ok, struct config *c, struct error *err);
/* The same from a text; name is used in messages. For tests and fuzzing. */
int config_parse(const char *text, const char *name, struct config *c, struct error *err);
/* "90", "90s", "10m", "2h" in seconds. 0 or -EINVAL. */
int config_duration(const char *text, uint64_t *seconds);

#endif
