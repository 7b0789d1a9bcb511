/* Arming, waking and disarming the host of one job. The only part of g4ld that talks to the netboot room. */
#ifndef G4L_SERVER_ARMING_H
#define G4L_SERVER_ARMING_H

#include "server/jobs.h"
#include "server/server.h"

/* Fills what one NIC of a job's host boots. Needs the plain token. */
void arming_describe(struct server *s, const struct job *j, const struct arming *a, struct netboot_arming *out);
/* Makes the tokens of a job if it has none, and arms every NIC of its host. 0 or negative with a sentence. */
int arming_arm(struct server *s, const struct job *j, struct error *err);
/* Disarms every NIC of a job's host and forgets the plain tokens. Failures are logged only. */
void arming_disarm(struct server *s, int64_t job);
/* Disarms every NIC that arming_arm() armed for a job that was moved on or ended by somebody else meanwhile: its tokens
 * may be forgotten already. For the conductor's thread, which alone arms: no later job of the host can be armed yet. */
void arming_undo(struct server *s, int64_t job);
/* Sends one magic packet for each NIC of a job's host out of each interface. 0, or negative when none went out. */
int arming_wake(struct server *s, const struct job *j, struct error *err);

/* netboot = none: nothing is sent to anybody; what would be booted is written to STATE/armed/MAC.cmdline. */
int netboot_open_none(const char *state_dir, struct netboot **out, struct error *err);

#endif
