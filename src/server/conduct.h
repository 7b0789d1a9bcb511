/* One round over all jobs that are not over: what each needs next. Called by the conductor's thread only. */
#ifndef G4L_SERVER_CONDUCT_H
#define G4L_SERVER_CONDUCT_H

#include "server/server.h"

void conduct_jobs(struct server *s);

#endif
