/* SHA-256, the identity of every chunk (FIPS 180-4, by OpenSSL's libcrypto), and its text form. */
#ifndef G4L_BASE_HASH_H
#define G4L_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_BYTES 32
#define HASH_HEX_BYTES (2 * HASH_BYTES + 1) /* with the terminating zero */

struct hash {
	uint8_t bytes[HASH_BYTES];
};

/* The SHA-256 of len bytes at p. Cannot fail. Thread-safe. */
struct hash hash_of(const void *p, size_t len);

/* In pieces: hash_stream_new(), any number of hash_stream_add(), then hash_stream_end(), which also
 * frees the stream. hash_stream_new() gives NULL when memory is out. */
struct hash_stream;
struct hash_stream *hash_stream_new(void);
void hash_stream_add(struct hash_stream *s, const void *p, size_t len);
struct hash hash_stream_end(struct hash_stream *s);

static inline bool hash_equal(const struct hash *a, const struct hash *b)
{
	return memcmp(a->bytes, b->bytes, HASH_BYTES) == 0;
}

/* Lower-case hex. to has room for HASH_HEX_BYTES. Returns to. */
char *hash_format(const struct hash *h, char to[HASH_HEX_BYTES]);
/* 0, or -EINVAL when text is not exactly 64 hex digits. */
int hash_parse(const char *text, struct hash *h);

#endif
