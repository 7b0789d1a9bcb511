/*
 * Errors that a person can act on.
 *
 * Every function that can fail returns 0 or a negative code, and, where it takes a struct error,
 * leaves one sentence there: what was tried, on what, why it failed and what to do. Low rooms
 * report, high rooms decide and print. A NULL struct error is allowed everywhere.
 */
#ifndef G4L_BASE_ERROR_H
#define G4L_BASE_ERROR_H

#include <errno.h>
#include <stdarg.h>

/*
 * Codes are negative errno values, or one of these (also used negatively, as in
 * `return error_set(err, -ERR_DAMAGED, ...)`). They decide the exit code; see error_exit_code().
 */
enum error_code {
	ERR_USAGE = 2001,	/* wrong usage or configuration: exit code 2 */
	ERR_REFUSED = 2002,	/* refused for safety: exit code 4 */
	ERR_DAMAGED = 2003,	/* damage found in a store or in bytes that came from one: exit code 5 */
	ERR_UNREACHABLE = 2004, /* server, host or store cannot be reached: exit code 6 */
	ERR_FORMAT = 2005,	/* foreign bytes (a table, a file system, a packet) make no sense: exit code 1 */
	ERR_CANCELLED = 2006,	/* a person or the server ended it: exit code 130 */
	ERR_VERSION = 2007,	/* written by a newer version than this one understands: exit code 2 */
};

/* Exit codes of every program of ours. */
enum exit_code {
	EXIT_CODE_DONE = 0,
	EXIT_CODE_FAILED = 1,
	EXIT_CODE_USAGE = 2,
	EXIT_CODE_DEGRADED = 3,
	EXIT_CODE_REFUSED = 4,
	EXIT_CODE_DAMAGED = 5,
	EXIT_CODE_UNREACHABLE = 6,
	EXIT_CODE_INTERRUPTED = 130,
};

struct error {
	int code;	 /* 0, or the negative code that was reported */
	char text[1000]; /* one sentence without a newline, always terminated; "" when code is 0 */
};

/* Forgets what is in err. */
void error_clear(struct error *err);

/* Stores code and the formatted sentence, replacing what was there. Returns code, so that a caller
 * can write `return error_set(...)`. code must be negative. */
int error_set(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int error_vset(struct error *err, int code, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* As error_set() with -errno_value, and appends ": " and the system's text for it. errno_value may have either sign. */
int error_errno(struct error *err, int errno_value, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts the formatted text and ": " in front of the sentence that is there. Returns the code that is there. */
int error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A short text for a code, without the sentence ("damage found", "No space left on device"). Static storage. */
const char *error_name(int code);

/* The process exit code for a (negative or zero) code. */
enum exit_code error_exit_code(int code);

#endif
