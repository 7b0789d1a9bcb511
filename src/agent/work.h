/* A job, done with the engine: backup, restore, verify, inspect. */
#ifndef G4L_AGENT_WORK_H
#define G4L_AGENT_WORK_H

#include "agent/live.h"
#include "base/error.h"
#include "wire/client.h"

struct work {
	struct wire_client *client;
	struct live *live;
	const struct wire_job *job;
	const struct wire_hello *hello; /* with the disks that there are */
};

/* Does the job. finish is filled in for every outcome; wire_finish_clear() when done. */
void work_run(const struct work *w, struct wire_finish *finish);

#endif
