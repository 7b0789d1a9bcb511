/* The shared part of g4ld: waiting for changes. */
#include "server/server.h"

#include <time.h>
#include <unistd.h>

void server_init(struct server *s)
{
	pthread_condattr_t attr;

	*s = (struct server){0};
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &attr);
	pthread_condattr_destroy(&attr);
	lives_init(&s->lives);
}

int server_store_is_there(const struct server *s, struct error *err)
{
	if (s->config.store[0] != '/' || access(s->config.store, F_OK) == 0)
		return 0;
	return error_set(err, -ERR_UNREACHABLE, "the store %s is not there any more: is its file system mounted?",
			 s->config.store);
}

void server_changed(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void server_wait(struct server *s, uint64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&s->lock);
	if (!atomic_load(&s->stopping))
		pthread_cond_timedwait(&s->changed, &s->lock, &until);
	pthread_mutex_unlock(&s->lock);
}
