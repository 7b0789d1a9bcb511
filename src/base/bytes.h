/*
 * Fixed-width integers in byte strings: loads and stores, a bounded reading cursor and a growable
 * buffer. All parsing of foreign bytes goes through struct cursor; it never reads past its end, and
 * once it has failed, every further read gives zero, so a parser may check once at the end.
 */
#ifndef G4L_BASE_BYTES_H
#define G4L_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t bytes_le16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t bytes_le32(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t bytes_le64(const void *p)
{
	return bytes_le32(p) | (uint64_t)bytes_le32((const uint8_t *)p + 4) << 32;
}
static inline uint16_t bytes_be16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] << 8 | b[1]);
}
static inline uint32_t bytes_be32(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | (uint32_t)b[3];
}
static inline void bytes_put_le16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}
static inline void bytes_put_le32(void *p, uint32_t v)
{
	bytes_put_le16(p, (uint16_t)v);
	bytes_put_le16((uint8_t *)p + 2, (uint16_t)(v >> 16));
}
static inline void bytes_put_le64(void *p, uint64_t v)
{
	bytes_put_le32(p, (uint32_t)v);
	bytes_put_le32((uint8_t *)p + 4, (uint32_t)(v >> 32));
}
static inline void bytes_put_be16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}
static inline void bytes_put_be32(void *p, uint32_t v)
{
	bytes_put_be16(p, (uint16_t)(v >> 16));
	bytes_put_be16((uint8_t *)p + 2, (uint16_t)v);
}

/* True when all len bytes at p are zero. Fast: vectorised by the C library's memcmp. len 0 is true. */
bool bytes_are_zero(const void *p, size_t len);

/* A bounded view that is read from front to back. Does not own the bytes. */
struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	bool failed; /* a read asked for more than there was */
};

static inline struct cursor cursor_of(const void *p, size_t len)
{
	return (struct cursor){.at = p, .end = (const uint8_t *)p + len};
}
static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}
/* The next n bytes, or NULL (and failed) when there are fewer. */
static inline const uint8_t *cursor_take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->at;

	if (c->failed || n > cursor_left(c)) {
		c->failed = true;
		return NULL;
	}
	c->at += n;
	return p;
}
/* A cursor over the next n bytes, which are skipped in c. Failed when there are fewer. */
static inline struct cursor cursor_sub(struct cursor *c, size_t n)
{
	const uint8_t *p = cursor_take(c, n);

	return p ? cursor_of(p, n) : (struct cursor){.at = c->at, .end = c->at, .failed = true};
}
static inline uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 1);
	return p ? *p : 0;
}
static inline uint16_t cursor_le16(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 2);
	return p ? bytes_le16(p) : 0;
}
static inline uint32_t cursor_le32(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 4);
	return p ? bytes_le32(p) : 0;
}
static inline uint64_t cursor_le64(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 8);
	return p ? bytes_le64(p) : 0;
}
static inline uint16_t cursor_be16(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 2);
	return p ? bytes_be16(p) : 0;
}
static inline uint32_t cursor_be32(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 4);
	return p ? bytes_be32(p) : 0;
}

/* A growable byte string. Zero-initialise; buf_free() when done. Running out of memory is remembered
 * in failed, and then nothing more is added: check once at the end. */
struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	bool failed;
};

void buf_free(struct buf *b);
/* Makes room for n more bytes. 0 or -ENOMEM. */
int buf_reserve(struct buf *b, size_t n);
/* Adds n bytes and returns where they begin (uninitialised), or NULL. Valid until the next call on b. */
uint8_t *buf_add(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_le16(struct buf *b, uint16_t v);
void buf_put_le32(struct buf *b, uint32_t v);
void buf_put_le64(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
