/* One conversation with the server: hello, the job, the log, finish. */
#ifndef G4L_AGENT_SESSION_H
#define G4L_AGENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/beat.h"
#include "agent/boot_args.h"
#include "agent/live.h"
#include "base/error.h"

struct session_options {
	const struct boot_args *boot;
	char *const *disk_files; /* in place of this machine's disks */
	size_t n_disk_files;
	uint32_t limit_ms; /* how long to try again; 0: 10 minutes */
};

struct session_end {
	bool acknowledged;     /* the server knows how it ended */
	enum wire_after after; /* what the server wants then */
	int code;	       /* enum exit_code */
	char text[1000];       /* a sentence for the screen when it went wrong */
};

/* Does the server's job from hello to finish. Never fails otherwise than by what it says in *end. */
void session_run(const struct session_options *o, struct live *live, struct beat *beat, struct session_end *end);

/* How a PC is left after that: as the server wants, but powered off when the server does not know of the end. */
struct session_leave {
	enum wire_after after;
	unsigned wait_s; /* for so long the screen stays first; WIRE_STAY: for so long the PC stays on */
};
struct session_leave session_leave(const struct session_end *end);

#endif
