/* Threads that read the store for a job: checking what a backup has just written, and verify jobs. */
#ifndef G4L_SERVER_WORKER_H
#define G4L_SERVER_WORKER_H

#include "server/server.h"

/* Starts the worker of a job that is verifying (after its commit), or of a local job that is working. */
void worker_start(struct server *s, int64_t job, struct live *v);
/* g4ld ends: local jobs that are in work go back into the queue. Their workers stop by themselves soon. */
void worker_requeue_local(struct server *s);

#endif
