/* The text that a person in front of the PC sees, and that `g4l screen` shows from afar. */
#ifndef G4L_AGENT_SCREEN_H
#define G4L_AGENT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/live.h"

#define SCREEN_TEXT_BYTES 8000
#define SCREEN_COLUMNS 78

/* The whole screen as lines of UTF-8, without control sequences. Returns to. */
char *screen_format(const struct live_view *v, char to[SCREEN_TEXT_BYTES]);
/* The state in one line, for consoles that are written line by line. Returns to. */
char *screen_line(const struct live_view *v, char *to, size_t to_bytes);

#define SCREEN_MAX_CONSOLES 8

/* Where it is shown. */
struct screen {
	struct {
		int fd;
		bool whole; /* a screen of its own that is drawn anew; else line by line */
		bool owned;
	} consoles[SCREEN_MAX_CONSOLES];
	size_t n;
	uint32_t essence_shown;
	unsigned log_shown;
	double line_due; /* when the next line is due without any change */
};

/* Takes all consoles of this kernel (root/sys/class/tty/console/active). Those that cannot be opened are left out. */
void screen_open_consoles(struct screen *s, const char *root);
/* Line by line to stderr. */
void screen_open_stderr(struct screen *s);
/* Shows the state; cheap when nothing changed. Call about twice a second. */
void screen_draw(struct screen *s, const struct live_view *v, double now);
void screen_close(struct screen *s);

#endif
