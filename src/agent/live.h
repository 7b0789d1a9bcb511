/*
 * What goes on right now, for the screen and for the server: the step, the engine's figures, trouble, the last log
 * lines, and whether somebody wants it to end. Shared by all threads of the agent.
 */
#ifndef G4L_AGENT_LIVE_H
#define G4L_AGENT_LIVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/log.h"
#include "base/progress.h"
#include "wire/message.h"

#define LIVE_LOG_LINES 2000 /* kept for the server; what is older is dropped, and the server is told so */
#define LIVE_TAIL_LINES 8   /* shown on screen */

/* A copy of all that a screen shows. */
struct live_view {
	char title[128];   /* "backup of john" */
	char machine[200]; /* product, firmware */
	char network[200]; /* NIC, MAC, address */
	char server[340];  /* URL and job */
	char step[200];	   /* what is done where there are no figures yet; "" while the engine works */
	char region[128];
	char phase[32];
	struct progress p; /* phase and region point to the above */
	struct progress_meter meter;
	char trouble[400];		 /* "" or a sentence */
	char tail[LIVE_TAIL_LINES][200]; /* the newest last; "" where there is none */
	unsigned log_total;		 /* log lines ever */
};

struct live {
	pthread_mutex_t lock;
	struct live_view view;
	struct wire_log log; /* lines that the server does not have yet */
	size_t dropped;
	_Atomic int stop; /* 0, or the negative code that ends the work */
	bool echo;	  /* log lines also go to stderr */
};

void live_init(struct live *l);
void live_clear(struct live *l);

/* Sets one of the view's texts, printf-like. */
void live_set(struct live *l, char *field, size_t field_bytes, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define LIVE_SET(l, field, ...) live_set((l), (l)->view.field, sizeof(l)->view.field, __VA_ARGS__)

/* A number that stays the same while only figures (a countdown, a rate) change in title, phase, step and trouble. */
uint32_t live_essence(const struct live_view *v);

/* A consistent copy; its pointers are put right. */
void live_copy(struct live *l, struct live_view *to);

/* progress_fn for the engine; arg is the struct live. */
int live_progress(void *arg, const struct progress *p);
/* log_sink_fn; arg is the struct live. */
void live_log(void *arg, enum log_level level, const char *line);
/* wire_client_waiting_fn; arg is the struct live. */
void live_waiting(void *arg, const char *why, unsigned left_seconds);

/* Ends the work with this negative code; the first one counts. */
void live_stop(struct live *l, int code);

/* Takes the lines that the server does not have yet, at most WIRE_MAX_LOG_LINES, with a word about lines that were
 * dropped before them; wire_log_clear() when done. */
void live_take_log(struct live *l, struct wire_log *out);
/* Puts them back in front after sending failed; empties `lines`. */
void live_return_log(struct live *l, struct wire_log *lines);

#endif
