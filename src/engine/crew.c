/* Workers: threads, their first error and their progress; crew.h says how. Knows nothing of disks and stores. */
#include "engine/crew.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

#define REPORT_EVERY_MS 250
#define DEFAULT_MEMORY_BYTES (256ull << 20)
#define MAX_THREADS 64

void crew_init(struct crew *c, const struct engine_options *options)
{
	*c = (struct crew){.options = options};
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->report_lock, NULL);
}

int crew_end(struct crew *c, struct error *err)
{
	if (c->rc < 0 && err)
		*err = c->err;
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->report_lock);
	return c->rc;
}

int crew_fail(struct crew *c, int rc, const struct error *err)
{
	pthread_mutex_lock(&c->lock);
	if (c->rc == 0) {
		c->rc = rc;
		c->err = *err;
		if (c->err.code == 0)
			error_set(&c->err, rc, "%s", error_name(rc));
	}
	pthread_mutex_unlock(&c->lock);
	atomic_store(&c->stop, true);
	return rc;
}

/* With the report lock held. */
static int report(struct crew *c)
{
	struct progress p = {.phase = c->phase,
			     .done_bytes = atomic_load(&c->done_bytes),
			     .total_bytes = c->total_bytes,
			     .new_bytes = atomic_load(&c->new_bytes),
			     .stored_bytes = atomic_load(&c->stored_bytes),
			     .skipped_bytes = atomic_load(&c->skipped_bytes),
			     .region = c->region[0] ? c->region : NULL};
	struct error err = {0};
	int rc;

	atomic_store(&c->next_report_ms, clock_ms() + REPORT_EVERY_MS);
	if (!c->options->progress)
		return 0;
	rc = c->options->progress(c->options->progress_arg, &p);
	if (rc >= 0)
		return 0;
	if (rc == -ERR_CANCELLED)
		error_set(&err, rc, "cancelled while %s", c->phase);
	else
		error_set(&err, rc, "ended while %s: %s", c->phase, error_name(rc));
	return crew_fail(c, rc, &err);
}

int crew_phase(struct crew *c, const char *phase, uint64_t total_bytes)
{
	int rc;

	pthread_mutex_lock(&c->report_lock);
	c->phase = phase;
	c->total_bytes = total_bytes;
	c->region[0] = '\0';
	atomic_store(&c->done_bytes, 0);
	rc = crew_stopped(c) ? c->rc : report(c);
	pthread_mutex_unlock(&c->report_lock);
	return rc;
}

int crew_report(struct crew *c)
{
	if (crew_stopped(c))
		return -ERR_CANCELLED; /* the reason stands in c->rc */
	if (clock_ms() < atomic_load(&c->next_report_ms) || pthread_mutex_trylock(&c->report_lock) != 0)
		return 0;
	report(c);
	pthread_mutex_unlock(&c->report_lock);
	return crew_stopped(c) ? -ERR_CANCELLED : 0;
}

void crew_set_region(struct crew *c, const char *region)
{
	pthread_mutex_lock(&c->report_lock);
	snprintf(c->region, sizeof c->region, "%s", region);
	pthread_mutex_unlock(&c->report_lock);
}

struct job {
	struct crew *crew;
	crew_fn *fn;
	void *arg;
	unsigned worker;
};

static void *work(void *arg)
{
	const struct job *j = arg;
	struct error err = {0};
	int rc = j->fn(j->arg, j->worker, &err);

	if (rc < 0)
		crew_fail(j->crew, rc, &err);
	return NULL;
}

int crew_run(struct crew *c, unsigned threads, crew_fn *fn, void *arg)
{
	pthread_t ids[MAX_THREADS];
	struct job jobs[MAX_THREADS];
	unsigned started = 0;

	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	for (unsigned i = 0; i < threads; i++)
		jobs[i] = (struct job){c, fn, arg, i};
	/* The calling thread is worker 0, so that work goes on even where no thread can be made. */
	for (unsigned i = 1; i < threads && pthread_create(&ids[i], NULL, work, &jobs[i]) == 0; i++)
		started++;
	work(&jobs[0]);
	for (unsigned i = 1; i <= started; i++)
		pthread_join(ids[i], NULL);
	return c->rc;
}

unsigned crew_threads(const struct engine_options *options, unsigned more, uint64_t bytes_per_worker)
{
	uint64_t memory = options->memory_bytes ? options->memory_bytes : DEFAULT_MEMORY_BYTES;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t threads = options->threads;

	if (!threads)
		threads = (processors > 2 ? (uint64_t)processors : 2) + more;
	if (threads > memory / bytes_per_worker)
		threads = memory / bytes_per_worker;
	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	return threads ? (unsigned)threads : 1;
}

void *crew_buffer_new(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_HUGEPAGE); /* fewer faults at the first touch; harmless where it does not work */
	return p;
}

void crew_buffer_free(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}
