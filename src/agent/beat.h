/*
 * Two threads beside the work: one draws the screen and listens for signals, the other sends the heart-beat and the
 * log, so that the server hears of us also while the engine is stuck.
 */
#ifndef G4L_AGENT_BEAT_H
#define G4L_AGENT_BEAT_H

#include "agent/live.h"
#include "agent/screen.h"
#include "base/error.h"
#include "wire/client.h"

struct beat;

/* Blocks SIGTERM, SIGINT and SIGHUP in the calling thread and all that it starts later: call first. The screen thread
 * starts at once. 0, -ENOMEM or -EAGAIN. */
int beat_start(struct live *live, struct screen *screen, struct beat **out, struct error *err);
/* The client whose requests end when the work shall end; NULL: none. It must live until this is called again. */
void beat_watch(struct beat *b, struct wire_client *client);
/* From now on the server is told; the client must live until beat_stop_sending(). */
int beat_start_sending(struct beat *b, struct wire_client *client, struct error *err);
/* Ends the heart-beat; the screen goes on. Fine when none was started. */
void beat_stop_sending(struct beat *b);
/* Ends both and frees. NULL is fine. */
void beat_stop(struct beat *b);

#endif
