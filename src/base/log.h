/*
 * The logger: the only mutable global of the project. Programs choose where lines go; libraries only
 * call log_*(). Nothing here prints results; those belong to the programs.
 */
#ifndef G4L_BASE_LOG_H
#define G4L_BASE_LOG_H

#include <stdarg.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Gets every line at or above the level, without a newline. Called from any thread, one at a time. */
typedef void log_sink_fn(void *arg, enum log_level level, const char *line);

/* Sends lines to fn instead of stderr; fn NULL goes back to stderr. Call before threads start. */
void log_set_sink(log_sink_fn *fn, void *arg);
/* The least urgent level that is still passed on; LOG_LEVEL_INFO at start. */
void log_set_level(enum log_level level);
/* "error", "warning", "info", "debug". */
const char *log_level_name(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
