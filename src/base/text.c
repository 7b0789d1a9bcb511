#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

char *text_size(uint64_t bytes, char to[TEXT_SIZE_BYTES])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1024 && u + 1 < sizeof units / sizeof *units) {
		v /= 1024;
		u++;
	}
	snprintf(to, TEXT_SIZE_BYTES, u && v < 99.95 ? "%.1f %s" : "%.0f %s", v, units[u]);
	return to;
}

char *text_duration(double seconds, char to[TEXT_SIZE_BYTES])
{
	long s = (long)(seconds + 0.5);

	if (seconds < 60)
		snprintf(to, TEXT_SIZE_BYTES, "%.1f s", seconds);
	else if (s < 3600)
		snprintf(to, TEXT_SIZE_BYTES, "%ldm %02lds", s / 60, s % 60);
	else
		snprintf(to, TEXT_SIZE_BYTES, "%ldh %02ldm", s / 3600, s % 3600 / 60);
	return to;
}

char *text_hex(const uint8_t *bytes, size_t n, char *to)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		to[2 * i] = digits[bytes[i] >> 4];
		to[2 * i + 1] = digits[bytes[i] & 15];
	}
	to[2 * n] = '\0';
	return to;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int text_unhex(const char *text, uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int hi = digit_of(text[2 * i]);
		int lo = hi < 0 ? -1 : digit_of(text[2 * i + 1]);

		if (lo < 0)
			return -EINVAL;
		bytes[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

int text_u64(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		unsigned d = (unsigned)(*text - '0');

		if (d > 9)
			return -EINVAL;
		if (v > (UINT64_MAX - d) / 10)
			return -ERANGE;
		v = v * 10 + d;
	}
	if (v > max)
		return -ERANGE;
	*value = v;
	return 0;
}

int text_parse_size(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMGTPE";
	char digits[24];
	size_t n = strspn(text, "0123456789");
	const char *rest = text + n;
	const char *s;
	unsigned shift = 0;
	uint64_t v;
	int r;

	if (n >= sizeof digits)
		return -ERANGE;
	memcpy(digits, text, n);
	digits[n] = '\0';
	r = text_u64(digits, UINT64_MAX, &v);
	if (r < 0)
		return r;
	s = *rest ? strchr(suffixes, toupper((unsigned char)*rest)) : NULL;
	if (s) {
		shift = 10 * (unsigned)(s - suffixes + 1);
		rest++;
	}
	if (*rest && strcmp(rest, "B") != 0 && strcmp(rest, "iB") != 0)
		return -EINVAL;
	if (shift && v > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = v << shift;
	return 0;
}

bool text_is_name(const char *text)
{
	size_t n = strlen(text);

	if (n < 1 || n > 63 || !isalnum((unsigned char)text[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
			return false;
	return true;
}

char *text_time(int64_t unix_seconds, char to[TEXT_SIZE_BYTES])
{
	time_t t = unix_seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(to, TEXT_SIZE_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(to, TEXT_SIZE_BYTES, "?");
	return to;
}

int text_parse_time(const char *text, int64_t *unix_seconds)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);

	if (!end || *end)
		return -EINVAL;
	*unix_seconds = timegm(&tm);
	return 0;
}

/* The length of a well-formed UTF-8 sequence of 2 to 4 bytes at s, or 0. */
static size_t utf8_length(const unsigned char *s)
{
	size_t n = s[0] >= 0xc2 && s[0] < 0xe0	 ? 2
		   : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
		   : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
						 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

char *text_printable(const char *src, char *to, size_t to_bytes)
{
	const unsigned char *s = (const unsigned char *)src;
	size_t at = 0;

	while (*s && at + 1 < to_bytes) {
		size_t n = utf8_length(s);

		if (n && at + n < to_bytes) {
			memcpy(to + at, s, n);
			at += n;
			s += n;
		} else {
			to[at++] = *s >= 0x20 && *s < 0x7f ? (char)*s : '?';
			s++;
		}
	}
	if (to_bytes)
		to[at] = '\0';
	return to;
}
