#include "base/bytes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool bytes_are_zero(const void *p, size_t len)
{
	const uint8_t *b = p;
	size_t head = len < 16 ? len : 16;

	for (size_t i = 0; i < head; i++)
		if (b[i])
			return false;
	/* The first 16 bytes are zero; the rest equals itself shifted by 16 only if it is zero too. */
	return len <= 16 || memcmp(b, b + 16, len - 16) == 0;
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

int buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 256;
	uint8_t *data;

	if (b->failed || n > SIZE_MAX / 2 - b->len)
		goto failed;
	if (n <= b->cap - b->len)
		return 0;
	while (cap < b->len + n)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data)
		goto failed;
	b->data = data;
	b->cap = cap;
	return 0;
failed:
	b->failed = true;
	return -ENOMEM;
}

uint8_t *buf_add(struct buf *b, size_t n)
{
	uint8_t *p;

	if (buf_reserve(b, n) < 0)
		return NULL;
	p = b->data + b->len;
	b->len += n;
	return p;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *to = n ? buf_add(b, n) : NULL;

	if (to)
		memcpy(to, p, n);
}

void buf_put_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

void buf_put_le16(struct buf *b, uint16_t v)
{
	uint8_t *to = buf_add(b, 2);

	if (to)
		bytes_put_le16(to, v);
}

void buf_put_le32(struct buf *b, uint32_t v)
{
	uint8_t *to = buf_add(b, 4);

	if (to)
		bytes_put_le32(to, v);
}

void buf_put_le64(struct buf *b, uint64_t v)
{
	uint8_t *to = buf_add(b, 8);

	if (to)
		bytes_put_le64(to, v);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0 || buf_reserve(b, (size_t)n + 1) < 0) {
		b->failed = true;
	} else {
		vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	va_end(ap);
}
