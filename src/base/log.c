#include "base/log.h"

#include <pthread.h>
#include <stdio.h>

static struct {
	pthread_mutex_t lock;
	log_sink_fn *fn;
	void *arg;
	enum log_level level;
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_LEVEL_INFO};

void log_set_sink(log_sink_fn *fn, void *arg)
{
	pthread_mutex_lock(&logger.lock);
	logger.fn = fn;
	logger.arg = arg;
	pthread_mutex_unlock(&logger.lock);
}

void log_set_level(enum log_level level)
{
	pthread_mutex_lock(&logger.lock);
	logger.level = level;
	pthread_mutex_unlock(&logger.lock);
}

const char *log_level_name(enum log_level level)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};

	return level <= LOG_LEVEL_DEBUG ? names[level] : "?";
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[2000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&logger.lock);
	if (level <= logger.level) {
		if (logger.fn)
			logger.fn(logger.arg, level, line);
		else
			fprintf(stderr, "%s: %s\n", log_level_name(level), line);
	}
	pthread_mutex_unlock(&logger.lock);
}
