/* Small text helpers: sizes, durations and hex for people and for files. */
#ifndef G4L_BASE_TEXT_H
#define G4L_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_SIZE_BYTES 32

/* "1.5 GiB", "812 B". to has room for TEXT_SIZE_BYTES; returns to. */
char *text_size(uint64_t bytes, char to[TEXT_SIZE_BYTES]);
/* "1h 02m", "3m 20s", "4.2 s". */
char *text_duration(double seconds, char to[TEXT_SIZE_BYTES]);
/* Lower-case hex of n bytes; to has room for 2 n + 1. Returns to. */
char *text_hex(const uint8_t *bytes, size_t n, char *to);
/* Exactly 2 n hex digits at text (more may follow). 0 or -EINVAL. */
int text_unhex(const char *text, uint8_t *bytes, size_t n);
/* A whole decimal number, nothing before or behind it. 0, -EINVAL, or -ERANGE when above max. */
int text_u64(const char *text, uint64_t max, uint64_t *value);
/* A size: a number with an optional suffix K, M, G, T (powers of 1024, "iB" or "B" may follow). As text_u64(). */
int text_parse_size(const char *text, uint64_t *bytes);
/* True for a name of a host or tag: 1 to 63 of a-z A-Z 0-9 . _ -, the first a letter or digit. */
bool text_is_name(const char *text);
/* RFC 3339 in UTC with seconds, "2026-01-31T12:00:00Z". to has room for TEXT_SIZE_BYTES. */
char *text_time(int64_t unix_seconds, char to[TEXT_SIZE_BYTES]);
/* The inverse. 0 or -EINVAL. */
int text_parse_time(const char *text, int64_t *unix_seconds);
/* Copies src with every byte that is not printable ASCII or UTF-8 made harmless ('?'); never overflows. */
char *text_printable(const char *src, char *to, size_t to_bytes);

#endif
