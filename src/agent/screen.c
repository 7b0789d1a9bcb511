/*
 * Layout of the screen and drawing. Must never block the work: consoles are opened non-blocking, and what a slow serial
 * line does not take is lost.
 */
#include "agent/screen.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/facts.h"
#include "base/bytes.h"
#include "base/text.h"

#define BAR_CELLS 56

/* The last `columns` characters count as cut; UTF-8 characters are kept whole. */
static int fit(const char *text, int columns)
{
	const char *s = text;

	while (*s && columns > 0) {
		s++;
		while ((*s & 0xc0) == 0x80)
			s++;
		columns--;
	}
	return (int)(s - text);
}

static void add_row(struct buf *b, const char *label, const char *text)
{
	if (text[0])
		buf_printf(b, "  %-9s %.*s\n", label, fit(text, SCREEN_COLUMNS - 12), text);
}

static void add_bar(struct buf *b, const struct progress *p)
{
	unsigned full, percent;

	if (!p->total_bytes)
		return;
	percent = p->done_bytes >= p->total_bytes ? 100
						  : (unsigned)((double)p->done_bytes * 100.0 / (double)p->total_bytes);
	full = percent * BAR_CELLS / 100;
	buf_put(b, "  ", 2);
	for (unsigned i = 0; i < BAR_CELLS; i++)
		buf_printf(b, "%s", i < full ? "█" : "░");
	buf_printf(b, "  %3u %%\n", percent);
}

/* "1.2 GiB of 4.0 GiB · 95 MiB/s · 31 s left" and the like. */
static void add_figures(struct buf *b, const struct live_view *v)
{
	char done[TEXT_SIZE_BYTES], total[TEXT_SIZE_BYTES], rate[TEXT_SIZE_BYTES], left[TEXT_SIZE_BYTES];
	double seconds = progress_meter_left(&v->meter, &v->p);

	buf_printf(b, "  %s", text_size(v->p.done_bytes, done));
	if (v->p.total_bytes)
		buf_printf(b, " of %s", text_size(v->p.total_bytes, total));
	if (v->meter.rate >= 1)
		buf_printf(b, " · %s/s", text_size((uint64_t)v->meter.rate, rate));
	if (seconds >= 0)
		buf_printf(b, " · %s left", text_duration(seconds, left));
	buf_put(b, "\n", 1);
	if (v->p.new_bytes || v->p.stored_bytes || v->p.skipped_bytes) {
		buf_printf(b, "  new %s · transferred %s", text_size(v->p.new_bytes, done),
			   text_size(v->p.stored_bytes, total));
		if (v->p.skipped_bytes)
			buf_printf(b, " · already in place %s", text_size(v->p.skipped_bytes, rate));
		buf_put(b, "\n", 1);
	}
}

static void add_work(struct buf *b, const struct live_view *v)
{
	char what[200];

	if (v->step[0]) {
		buf_printf(b, "  %.*s\n", fit(v->step, SCREEN_COLUMNS - 2), v->step);
		return;
	}
	snprintf(what, sizeof what, "%s%s%s", v->phase, v->region[0] ? "  " : "", v->region);
	buf_printf(b, "  %.*s\n", fit(what, SCREEN_COLUMNS - 2), what);
	add_bar(b, &v->p);
	if (v->p.done_bytes || v->p.total_bytes)
		add_figures(b, v);
}

/* A sentence over as many lines as it takes, broken at blanks. */
static void add_wrapped(struct buf *b, const char *mark, const char *text)
{
	while (*text) {
		int n = fit(text, SCREEN_COLUMNS - 4), cut = n;

		if (text[n]) {
			while (cut > 0 && text[cut] != ' ')
				cut--;
			if (cut == 0)
				cut = n;
		}
		buf_printf(b, "  %s %.*s\n", mark, cut, text);
		text += cut;
		while (*text == ' ')
			text++;
		mark = " ";
	}
}

char *screen_format(const struct live_view *v, char to[SCREEN_TEXT_BYTES])
{
	struct buf b = {0};
	size_t n;

	buf_printf(&b, "\n  ghost4linux %s%s%s\n\n", G4L_VERSION, v->title[0] ? " · " : "", v->title);
	add_row(&b, "This PC", v->machine);
	add_row(&b, "Network", v->network);
	add_row(&b, "Server", v->server);
	buf_put(&b, "\n", 1);
	add_work(&b, v);
	buf_put(&b, "\n", 1);
	if (v->trouble[0]) {
		add_wrapped(&b, "!", v->trouble);
		buf_put(&b, "\n", 1);
	}
	for (size_t i = 0; i < LIVE_TAIL_LINES; i++)
		if (v->tail[i][0])
			buf_printf(&b, "  %.*s\n", fit(v->tail[i], SCREEN_COLUMNS - 2), v->tail[i]);
	n = b.failed ? 0 : b.len < SCREEN_TEXT_BYTES - 1 ? b.len : SCREEN_TEXT_BYTES - 1;
	if (n)
		memcpy(to, b.data, n);
	to[n] = '\0';
	buf_free(&b);
	return to;
}

char *screen_line(const struct live_view *v, char *to, size_t to_bytes)
{
	if (v->step[0]) {
		snprintf(to, to_bytes, "%s", v->step);
	} else {
		char line[256];

		progress_line(&v->meter, &v->p, line, sizeof line);
		snprintf(to, to_bytes, "%s%s%s", line, v->region[0] ? "  " : "", v->region);
	}
	return to;
}

static void add_console(struct screen *s, int fd, bool whole, bool owned)
{
	if (s->n == SCREEN_MAX_CONSOLES) {
		if (owned)
			close(fd);
		return;
	}
	s->consoles[s->n].fd = fd;
	s->consoles[s->n].whole = whole;
	s->consoles[s->n].owned = owned;
	s->n++;
}

void screen_open_consoles(struct screen *s, const char *root)
{
	char active[256], *save = NULL;

	*s = (struct screen){0};
	facts_read_line(root, "sys/class/tty/console/active", active, sizeof active);
	for (char *name = strtok_r(active, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		/* tty0, tty1 … are the kernel's own screens (console_codes(4)); ttyS0, hvc0 … are lines to somewhere.
		 */
		bool whole = strncmp(name, "tty", 3) == 0 && name[3] >= '0' && name[3] <= '9';
		char path[300];
		int fd;

		snprintf(path, sizeof path, "%s/dev/%s", root, name);
		fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			add_console(s, fd, whole, true);
	}
}

void screen_open_stderr(struct screen *s)
{
	*s = (struct screen){0};
	add_console(s, STDERR_FILENO, false, false);
}

static void write_some(int fd, const void *bytes, size_t n)
{
	ssize_t rc = write(fd, bytes, n);

	(void)rc;
}

/* Draws over what is there, line by line, without clearing first: nothing flickers. */
static void draw_whole(int fd, const char *text)
{
	struct buf b = {0};

	buf_printf(&b, "\033[?25l\033[H");
	while (*text) {
		int n = (int)strcspn(text, "\n");

		if (strncmp(text, "  ! ", 4) == 0)
			buf_printf(&b, "\033[1;33m%.*s\033[0m\033[K\r\n", n, text);
		else
			buf_printf(&b, "%.*s\033[K\r\n", n, text);
		text += n;
		if (*text)
			text++;
	}
	buf_printf(&b, "\033[J");
	if (!b.failed)
		write_some(fd, b.data, b.len);
	buf_free(&b);
}

static void draw_lines(const struct screen *s, size_t i, const struct live_view *v, unsigned new_lines, bool state)
{
	struct buf b = {0};
	const char *end = s->consoles[i].owned ? "\r\n" : "\n";

	if (new_lines > LIVE_TAIL_LINES)
		new_lines = LIVE_TAIL_LINES;
	for (unsigned k = LIVE_TAIL_LINES - new_lines; s->consoles[i].owned && k < LIVE_TAIL_LINES; k++)
		buf_printf(&b, "ghost4linux: %s%s", v->tail[k], end);
	if (state) {
		char line[600];

		buf_printf(&b, "ghost4linux: %s%s", screen_line(v, line, sizeof line), end);
		if (v->trouble[0])
			buf_printf(&b, "ghost4linux: ! %s%s", v->trouble, end);
	}
	if (b.len && !b.failed)
		write_some(s->consoles[i].fd, b.data, b.len);
	buf_free(&b);
}

void screen_draw(struct screen *s, const struct live_view *v, double now)
{
	uint32_t essence = live_essence(v);
	bool state = essence != s->essence_shown || now >= s->line_due;
	char text[SCREEN_TEXT_BYTES];

	screen_format(v, text);
	for (size_t i = 0; i < s->n; i++) {
		if (s->consoles[i].whole)
			draw_whole(s->consoles[i].fd, text);
		else
			draw_lines(s, i, v, v->log_total - s->log_shown, state);
	}
	if (state) {
		s->essence_shown = essence;
		s->line_due = now + 5;
	}
	s->log_shown = v->log_total;
}

void screen_close(struct screen *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->consoles[i].whole)
			write_some(s->consoles[i].fd, "\033[?25h", 6);
		if (s->consoles[i].owned)
			close(s->consoles[i].fd);
	}
	s->n = 0;
}
