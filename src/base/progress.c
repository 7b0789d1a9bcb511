#include "base/progress.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

void progress_meter_feed(struct progress_meter *m, const struct progress *p, double now)
{
	double dt = now - m->last;

	if (strncmp(m->phase, p->phase, sizeof m->phase - 1) != 0 || p->done_bytes < m->last_done) {
		*m = (struct progress_meter){.started = now, .last = now, .last_done = p->done_bytes};
		snprintf(m->phase, sizeof m->phase, "%s", p->phase);
		return;
	}
	if (dt < 0.2)
		return;
	{
		double rate = (double)(p->done_bytes - m->last_done) / dt;
		/* Weight by time, so that the figure means the last ten seconds or so however often it is fed. */
		double weight = dt / (dt + (m->rate > 0 ? 10.0 : 0.0));

		m->rate += (rate - m->rate) * weight;
	}
	m->last = now;
	m->last_done = p->done_bytes;
}

double progress_meter_left(const struct progress_meter *m, const struct progress *p)
{
	if (m->rate < 1 || p->total_bytes < p->done_bytes || !p->total_bytes)
		return -1;
	return (double)(p->total_bytes - p->done_bytes) / m->rate;
}

char *progress_line(const struct progress_meter *m, const struct progress *p, char *to, size_t to_bytes)
{
	char done[TEXT_SIZE_BYTES], total[TEXT_SIZE_BYTES], rate[TEXT_SIZE_BYTES], left[TEXT_SIZE_BYTES];
	double seconds = progress_meter_left(m, p);
	int n;

	n = snprintf(to, to_bytes, "%-10s %9s", p->phase, text_size(p->done_bytes, done));
	if (p->total_bytes && n > 0 && (size_t)n < to_bytes)
		n += snprintf(to + n, to_bytes - (size_t)n, " of %s  %3.0f %%", text_size(p->total_bytes, total),
			      100.0 * (double)p->done_bytes / (double)p->total_bytes);
	if (m->rate >= 1 && n > 0 && (size_t)n < to_bytes)
		n += snprintf(to + n, to_bytes - (size_t)n, "  %s/s", text_size((uint64_t)m->rate, rate));
	if (seconds >= 0 && n > 0 && (size_t)n < to_bytes)
		snprintf(to + n, to_bytes - (size_t)n, "  %s left", text_duration(seconds, left));
	return to;
}
