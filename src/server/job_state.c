/* The states of a job as one table. */
#include "server/job_state.h"

#include <errno.h>
#include <string.h>

#define BIT(s) (1u << (s))
#define ENDS_BADLY (BIT(JOB_FAILED) | BIT(JOB_CANCELLED))

static const struct {
	const char *name;
	unsigned next;	     /* of a job with a host */
	unsigned next_local; /* of a job inside g4ld */
} states[JOB_STATES] = {
	[JOB_QUEUED] = {"queued", BIT(JOB_ARMING) | ENDS_BADLY, BIT(JOB_WORKING) | ENDS_BADLY},
	[JOB_ARMING] = {"arming", BIT(JOB_WAKING) | BIT(JOB_WORKING) | ENDS_BADLY, 0},
	[JOB_WAKING] = {"waking", BIT(JOB_BOOTING) | BIT(JOB_WORKING) | ENDS_BADLY, 0},
	[JOB_BOOTING] = {"booting", BIT(JOB_WORKING) | ENDS_BADLY, 0},
	/* A local job that was interrupted by the end of g4ld goes back into the queue. */
	[JOB_WORKING] = {"working", BIT(JOB_VERIFYING) | BIT(JOB_FINISHING) | ENDS_BADLY,
			 BIT(JOB_FINISHING) | BIT(JOB_QUEUED) | ENDS_BADLY},
	[JOB_VERIFYING] = {"verifying", BIT(JOB_FINISHING) | ENDS_BADLY, 0},
	[JOB_FINISHING] = {"finishing", BIT(JOB_DONE) | BIT(JOB_DEGRADED) | ENDS_BADLY,
			   BIT(JOB_DONE) | BIT(JOB_DEGRADED) | ENDS_BADLY},
	[JOB_DONE] = {"done", 0, 0},
	[JOB_DEGRADED] = {"degraded", 0, 0},
	[JOB_FAILED] = {"failed", 0, 0},
	[JOB_CANCELLED] = {"cancelled", 0, 0},
};

static const char *const kinds[JOB_KINDS] = {
	[JOB_BACKUP] = "backup",
	[JOB_RESTORE] = "restore",
	[JOB_VERIFY] = "verify",
};

const char *job_state_name(enum job_state s)
{
	return s < JOB_STATES ? states[s].name : "?";
}

int job_state_parse(const char *name, enum job_state *out)
{
	for (unsigned s = 0; name && s < JOB_STATES; s++)
		if (strcmp(states[s].name, name) == 0) {
			*out = (enum job_state)s;
			return 0;
		}
	return -EINVAL;
}

const char *job_kind_name(enum job_kind k)
{
	return k < JOB_KINDS ? kinds[k] : "?";
}

int job_kind_parse(const char *name, enum job_kind *out)
{
	for (unsigned k = 0; name && k < JOB_KINDS; k++)
		if (strcmp(kinds[k], name) == 0) {
			*out = (enum job_kind)k;
			return 0;
		}
	return -EINVAL;
}

bool job_state_is_over(enum job_state s)
{
	return s >= JOB_DONE;
}

bool job_state_awaits_host(enum job_state s)
{
	return s == JOB_ARMING || s == JOB_WAKING || s == JOB_BOOTING;
}

bool job_state_has_agent(enum job_state s)
{
	return s == JOB_WORKING || s == JOB_VERIFYING || s == JOB_FINISHING;
}

bool job_state_may(bool local, enum job_state from, enum job_state to)
{
	if (from >= JOB_STATES || to >= JOB_STATES)
		return false;
	return (local ? states[from].next_local : states[from].next) & BIT(to);
}
