/* What the boot told this agent: whom to talk to, and as what. */
#ifndef G4L_AGENT_BOOT_ARGS_H
#define G4L_AGENT_BOOT_ARGS_H

#include "base/error.h"

struct boot_args {
	char server[300]; /* https://ADDRESS:PORT */
	char pin[65];
	char token[65];
	char mac[18]; /* lower case */
};

/* Takes g4l.server, g4l.pin, g4l.token and g4l.mac from a kernel command line (doc/PROTOCOL.md, section 1); the last
 * one of a name counts. 0; -ERR_USAGE names what is missing or wrong. */
int boot_args_parse(const char *cmdline, struct boot_args *out, struct error *err);

/* Sets one value by its name without "g4l.". 0; -ERR_USAGE: wrong; -ENOENT: no such name. */
int boot_args_set(struct boot_args *a, const char *name, const char *value, struct error *err);
/* 0; -ERR_USAGE when something is missing. */
int boot_args_check(const struct boot_args *a, struct error *err);

#endif
