#include "base/error.h"

#include <stdio.h>
#include <string.h>

void error_clear(struct error *err)
{
	if (err) {
		err->code = 0;
		err->text[0] = '\0';
	}
}

int error_vset(struct error *err, int code, const char *fmt, va_list ap)
{
	char text[sizeof err->text];

	if (!err)
		return code;
	/* Formatted apart first: an argument may be the old text. */
	vsnprintf(text, sizeof text, fmt, ap);
	memcpy(err->text, text, sizeof text);
	err->code = code;
	return code;
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_vset(err, code, fmt, ap);
	va_end(ap);
	return code;
}

int error_errno(struct error *err, int errno_value, const char *fmt, ...)
{
	int code = errno_value < 0 ? errno_value : -errno_value;
	size_t used;
	va_list ap;

	if (code == 0)
		code = -EIO;
	if (!err)
		return code;
	va_start(ap, fmt);
	error_vset(err, code, fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof err->text - used, ": %s", error_name(code));
	return code;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
	char text[sizeof err->text];
	size_t used;
	va_list ap;

	if (!err)
		return -EIO;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	used = strlen(text);
	snprintf(text + used, sizeof text - used, ": %s", err->text);
	memcpy(err->text, text, sizeof text);
	return err->code;
}

const char *error_name(int code)
{
	int n = code < 0 ? -code : code;

	switch (n) {
	case 0:
		return "no error";
	case ERR_USAGE:
		return "wrong usage or configuration";
	case ERR_REFUSED:
		return "refused for safety";
	case ERR_DAMAGED:
		return "damage found";
	case ERR_UNREACHABLE:
		return "cannot be reached";
	case ERR_FORMAT:
		return "the bytes make no sense";
	case ERR_CANCELLED:
		return "cancelled";
	case ERR_VERSION:
		return "written by a newer version";
	default:
		return strerrordesc_np(n) ? strerrordesc_np(n) : "unknown error";
	}
}

enum exit_code error_exit_code(int code)
{
	switch (code < 0 ? -code : code) {
	case 0:
		return EXIT_CODE_DONE;
	case ERR_USAGE:
	case ERR_VERSION:
		return EXIT_CODE_USAGE;
	case ERR_REFUSED:
		return EXIT_CODE_REFUSED;
	case ERR_DAMAGED:
		return EXIT_CODE_DAMAGED;
	case ERR_UNREACHABLE:
		return EXIT_CODE_UNREACHABLE;
	case ERR_CANCELLED:
	case EINTR:
		return EXIT_CODE_INTERRUPTED;
	default:
		return EXIT_CODE_FAILED;
	}
}
