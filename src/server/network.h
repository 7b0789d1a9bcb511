/* Which interfaces and which address g4ld uses. */
#ifndef G4L_SERVER_NETWORK_H
#define G4L_SERVER_NETWORK_H

#include "server/server.h"

/* Fills interfaces and address of s from its configuration and the machine. 0; -ERR_USAGE: no such interface, or
 * no address can be found. */
int network_set_up(struct server *s, struct error *err);

#endif
