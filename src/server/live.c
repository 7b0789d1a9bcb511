/* The list of running jobs' live parts: a few dozen, so a plain list. */
#include "server/live.h"

#include <stdlib.h>

#include "base/clock.h"

void lives_init(struct lives *l)
{
	pthread_mutex_init(&l->lock, NULL);
	l->first = NULL;
}

static void destroy(struct live *v)
{
	if (v->sink)
		chunk_sink_close(v->sink);
	if (v->source)
		chunk_source_close(v->source);
	hash_list_free(&v->put);
	hash_list_free(&v->allowed);
	pthread_mutex_destroy(&v->lock);
	pthread_mutex_destroy(&v->once_lock);
	free(v);
}

struct live *live_get(struct lives *l, int64_t job)
{
	struct live *v;

	pthread_mutex_lock(&l->lock);
	for (v = l->first; v; v = v->next)
		if (v->job == job && !atomic_load(&v->ended))
			break;
	if (!v) {
		v = calloc(1, sizeof *v);
		if (v) {
			pthread_mutex_init(&v->lock, NULL);
			pthread_mutex_init(&v->once_lock, NULL);
			v->job = job;
			atomic_store(&v->heard_ms, clock_ms());
			v->limit_from_ms = clock_ms();
			v->next = l->first;
			l->first = v;
		}
	}
	if (v)
		v->users++;
	pthread_mutex_unlock(&l->lock);
	return v;
}

/* Takes it off the list when the job is over and nobody uses it. Under the lock; returns what is to be destroyed. */
static struct live *take_if_done(struct lives *l, struct live *v)
{
	if (v->users || !atomic_load(&v->ended))
		return NULL;
	for (struct live **at = &l->first; *at; at = &(*at)->next)
		if (*at == v) {
			*at = v->next;
			return v;
		}
	return NULL;
}

void live_release(struct lives *l, struct live *v)
{
	struct live *gone;

	if (!v)
		return;
	pthread_mutex_lock(&l->lock);
	v->users--;
	gone = take_if_done(l, v);
	pthread_mutex_unlock(&l->lock);
	if (gone)
		destroy(gone);
}

void live_end(struct lives *l, int64_t job)
{
	struct live *gone = NULL;

	pthread_mutex_lock(&l->lock);
	for (struct live *v = l->first; v; v = v->next)
		if (v->job == job && !atomic_load(&v->ended)) {
			atomic_store(&v->ended, true);
			gone = take_if_done(l, v);
			break;
		}
	pthread_mutex_unlock(&l->lock);
	if (gone)
		destroy(gone);
}

bool lives_end_all(struct lives *l, uint64_t ms)
{
	uint64_t until = clock_ms() + ms;
	bool empty;

	for (;;) {
		struct live *gone = NULL;

		pthread_mutex_lock(&l->lock);
		for (struct live *v = l->first, *next; v && !gone; v = next) {
			next = v->next;
			atomic_store(&v->ended, true);
			gone = take_if_done(l, v);
		}
		empty = !l->first;
		pthread_mutex_unlock(&l->lock);
		if (gone)
			destroy(gone);
		else if (empty || clock_ms() >= until)
			return empty;
		else
			clock_sleep_ms(5);
	}
}

int live_sink(struct live *v, struct store *store, struct chunk_sink **out, struct error *err)
{
	int r = 0;

	pthread_mutex_lock(&v->lock);
	if (!v->sink)
		r = store_open_sink(store, &v->sink, err);
	*out = v->sink;
	pthread_mutex_unlock(&v->lock);
	return r;
}

int live_source(struct live *v, struct store *store, struct chunk_source **out, struct error *err)
{
	int r = 0;

	pthread_mutex_lock(&v->lock);
	if (!v->source)
		r = store_open_source(store, &v->source, err);
	*out = v->source;
	pthread_mutex_unlock(&v->lock);
	return r;
}
