/*
 * The shared state. Every function holds the lock for a moment only; none calls the logger, which holds its own lock
 * while it calls live_log().
 */
#include "agent/live.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

void live_init(struct live *l)
{
	*l = (struct live){0};
	pthread_mutex_init(&l->lock, NULL);
	snprintf(l->view.phase, sizeof l->view.phase, "starting");
}

void live_clear(struct live *l)
{
	wire_log_clear(&l->log);
	pthread_mutex_destroy(&l->lock);
}

void live_set(struct live *l, char *field, size_t field_bytes, const char *fmt, ...)
{
	char raw[512], text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	/* Cuts between characters, which snprintf() does not. */
	text_printable(raw, text, field_bytes < sizeof text ? field_bytes : sizeof text);
	pthread_mutex_lock(&l->lock);
	snprintf(field, field_bytes, "%s", text);
	pthread_mutex_unlock(&l->lock);
}

uint32_t live_essence(const struct live_view *v)
{
	const char *const texts[] = {v->title, v->phase, v->step, v->trouble};
	uint32_t h = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < 4; i++) {
		for (const char *s = texts[i]; *s; s++)
			if ((*s < '0' || *s > '9') && *s != '.')
				h = (h ^ (uint8_t)*s) * 16777619u;
		h = (h ^ '\n') * 16777619u;
	}
	return h;
}

void live_copy(struct live *l, struct live_view *to)
{
	pthread_mutex_lock(&l->lock);
	*to = l->view;
	pthread_mutex_unlock(&l->lock);
	to->p.phase = to->phase;
	to->p.region = to->region;
}

int live_progress(void *arg, const struct progress *p)
{
	struct live *l = arg;
	struct live_view *v = &l->view;

	pthread_mutex_lock(&l->lock);
	v->step[0] = '\0';
	v->p = *p;
	snprintf(v->phase, sizeof v->phase, "%s", p->phase);
	snprintf(v->region, sizeof v->region, "%s", p->region ? p->region : "");
	v->p.phase = v->phase;
	v->p.region = v->region;
	progress_meter_feed(&v->meter, &v->p, clock_seconds());
	pthread_mutex_unlock(&l->lock);
	return atomic_load(&l->stop);
}

/* Makes room by dropping the oldest line. */
static void drop_oldest(struct live *l)
{
	free(l->log.lines[0].text);
	memmove(l->log.lines, l->log.lines + 1, (l->log.n - 1) * sizeof *l->log.lines);
	l->log.n--;
	l->dropped++;
}

void live_log(void *arg, enum log_level level, const char *line)
{
	struct live *l = arg;
	char clean[2000];

	text_printable(line, clean, sizeof clean);
	pthread_mutex_lock(&l->lock);
	if (!l->log.lines)
		l->log.lines = calloc(LIVE_LOG_LINES, sizeof *l->log.lines);
	if (l->log.lines) {
		char *copy;

		if (l->log.n == LIVE_LOG_LINES)
			drop_oldest(l);
		copy = strdup(clean);
		if (copy)
			l->log.lines[l->log.n++] = (struct wire_log_line){clock_unix(), level, copy};
	}
	memmove(l->view.tail[0], l->view.tail[1], sizeof l->view.tail - sizeof l->view.tail[0]);
	text_printable(line, l->view.tail[LIVE_TAIL_LINES - 1], sizeof l->view.tail[0]);
	l->view.log_total++;
	if (l->echo)
		fprintf(stderr, "%s: %s\n", log_level_name(level), clean);
	pthread_mutex_unlock(&l->lock);
}

void live_waiting(void *arg, const char *why, unsigned left_seconds)
{
	struct live *l = arg;
	char left[TEXT_SIZE_BYTES];

	if (why)
		LIVE_SET(l, trouble, "%.300s; trying again, %s left", why, text_duration(left_seconds, left));
	else
		LIVE_SET(l, trouble, "%s", "");
}

void live_stop(struct live *l, int code)
{
	int none = 0;

	atomic_compare_exchange_strong(&l->stop, &none, code);
}

/* Says in the first lines that are taken that older ones were dropped. Under the lock. */
static void tell_dropped(struct live *l, struct wire_log *out)
{
	char *copy;

	if (!l->dropped || !out->n || out->n == WIRE_MAX_LOG_LINES)
		return;
	copy = strdup("older lines are lost: there was no room for them while the server was away");
	if (!copy)
		return;
	/* The array has room for LIVE_LOG_LINES, or for WIRE_MAX_LOG_LINES, of which one is free. */
	memmove(out->lines + 1, out->lines, out->n * sizeof *out->lines);
	out->lines[0] = (struct wire_log_line){out->lines[1].time, LOG_LEVEL_WARNING, copy};
	out->n++;
	l->dropped = 0;
}

void live_take_log(struct live *l, struct wire_log *out)
{
	*out = (struct wire_log){0};
	pthread_mutex_lock(&l->lock);
	if (l->log.n > 0 && l->log.n <= WIRE_MAX_LOG_LINES) {
		*out = l->log;
		l->log = (struct wire_log){0};
	} else if (l->log.n > 0) {
		out->lines = calloc(WIRE_MAX_LOG_LINES, sizeof *out->lines);
		if (out->lines) {
			/* One place is left for a word about what was dropped. */
			out->n = WIRE_MAX_LOG_LINES - 1;
			memcpy(out->lines, l->log.lines, out->n * sizeof *out->lines);
			l->log.n -= out->n;
			memmove(l->log.lines, l->log.lines + out->n, l->log.n * sizeof *out->lines);
		}
	}
	tell_dropped(l, out);
	pthread_mutex_unlock(&l->lock);
}

void live_return_log(struct live *l, struct wire_log *lines)
{
	struct wire_log_line *all;
	size_t keep;

	pthread_mutex_lock(&l->lock);
	keep = lines->n > LIVE_LOG_LINES - l->log.n ? LIVE_LOG_LINES - l->log.n : lines->n;
	all = calloc(LIVE_LOG_LINES, sizeof *all);
	if (all) {
		/* The oldest go when there are too many. */
		size_t skip = lines->n - keep;

		memcpy(all, lines->lines + skip, keep * sizeof *all);
		if (l->log.n)
			memcpy(all + keep, l->log.lines, l->log.n * sizeof *all);
		lines->n = skip;
		free(l->log.lines);
		l->log.lines = all;
		l->log.n += keep;
		l->dropped += skip;
	} else {
		l->dropped += lines->n;
	}
	pthread_mutex_unlock(&l->lock);
	wire_log_clear(lines);
}
