/*
 * Hash lists, frames and error answers as bytes. Must never trust a length that came from the other end.
 */
#include "wire/codec.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/text.h"

_Static_assert(sizeof(struct hash) == HASH_BYTES, "hash lists are viewed in place");

int wire_hashes_view(const void *body, size_t len, const struct hash **hashes, size_t *n, struct error *err)
{
	if (len == 0 || len % HASH_BYTES != 0 || len / HASH_BYTES > WIRE_MAX_HASHES)
		return error_set(err, -ERR_FORMAT,
				 "a list of hashes has %zu bytes; it must be 1 to %u hashes of %d bytes", len,
				 WIRE_MAX_HASHES, HASH_BYTES);
	*hashes = body;
	*n = len / HASH_BYTES;
	return 0;
}

int wire_present_encode(const bool *present, size_t n, struct buf *out)
{
	uint8_t *to = buf_add(out, n);

	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		to[i] = present[i] ? 1 : 0;
	return 0;
}

int wire_present_decode(const void *body, size_t len, bool *present, size_t n, struct error *err)
{
	const uint8_t *b = body;

	if (len != n)
		return error_set(err, -ERR_FORMAT, "the server answered %zu bytes about %zu chunks", len, n);
	for (size_t i = 0; i < n; i++) {
		if (b[i] > 1)
			return error_set(err, -ERR_FORMAT, "the server's answer about chunk %zu of %zu makes no sense",
					 i, n);
		present[i] = b[i] == 1;
	}
	return 0;
}

void wire_frame_head(const struct chunk_frame *frame, uint8_t head[WIRE_FRAME_HEAD_BYTES])
{
	memcpy(head, frame->hash.bytes, HASH_BYTES);
	bytes_put_le32(head + 32, frame->plain_bytes);
	bytes_put_le32(head + 36, frame->body_bytes);
	head[40] = frame->method;
	memset(head + 41, 0, 3);
}

int wire_frame_encode(const struct chunk_frame *frame, struct buf *out)
{
	uint8_t *to;

	if (buf_reserve(out, WIRE_FRAME_HEAD_BYTES + (size_t)frame->body_bytes) < 0)
		return -ENOMEM;
	to = buf_add(out, WIRE_FRAME_HEAD_BYTES);
	if (!to)
		return -ENOMEM;
	wire_frame_head(frame, to);
	buf_put(out, frame->body, frame->body_bytes);
	return out->failed ? -ENOMEM : 0;
}

int wire_frame_encode_error(const struct hash *hash, const char *sentence, struct buf *out)
{
	size_t len = strnlen(sentence, WIRE_MAX_SENTENCE_BYTES);
	struct chunk_frame frame = {.hash = *hash, .method = WIRE_METHOD_ERROR};

	if (len == 0) {
		sentence = "?";
		len = 1;
	}
	frame.body = (const uint8_t *)sentence;
	frame.body_bytes = (uint32_t)len;
	return wire_frame_encode(&frame, out);
}

/* Checks a head's figures against the rules of the protocol. */
static int check_head(const struct chunk_frame *f, uint32_t padding, bool with_errors, struct error *err)
{
	if (padding != 0)
		return error_set(err, -ERR_FORMAT, "a frame's reserved bytes are not zero");
	if (f->method == WIRE_METHOD_ERROR && with_errors) {
		if (f->plain_bytes != 0 || f->body_bytes == 0 || f->body_bytes > WIRE_MAX_SENTENCE_BYTES)
			return error_set(err, -ERR_FORMAT, "an error frame of %u bytes makes no sense", f->body_bytes);
		return 0;
	}
	if (f->method != CHUNK_PLAIN && f->method != CHUNK_ZSTD)
		return error_set(err, -ERR_FORMAT, "a frame has the unknown method %u", f->method);
	if (f->plain_bytes == 0 || f->plain_bytes > CHUNK_MAX_BYTES || f->body_bytes == 0 ||
	    f->body_bytes > f->plain_bytes || (f->method == CHUNK_PLAIN && f->body_bytes != f->plain_bytes))
		return error_set(err, -ERR_FORMAT, "a frame claims %u bytes in a body of %u", f->plain_bytes,
				 f->body_bytes);
	return 0;
}

int wire_frame_next(struct cursor *c, bool with_errors, struct chunk_frame *frame, struct error *err)
{
	struct cursor at = *c;
	uint32_t padding;
	const uint8_t *p;

	if (cursor_left(&at) == 0)
		return 0;
	p = cursor_take(&at, HASH_BYTES);
	if (!p || cursor_left(&at) < WIRE_FRAME_HEAD_BYTES - HASH_BYTES)
		return error_set(err, -EAGAIN, "a frame is cut off in its head");
	memcpy(frame->hash.bytes, p, HASH_BYTES);
	frame->plain_bytes = cursor_le32(&at);
	frame->body_bytes = cursor_le32(&at);
	frame->method = cursor_u8(&at);
	padding = cursor_u8(&at);
	padding |= cursor_le16(&at);
	if (check_head(frame, padding, with_errors, err) < 0)
		return -ERR_FORMAT;
	frame->body = cursor_take(&at, frame->body_bytes);
	if (!frame->body)
		return error_set(err, -EAGAIN, "a frame is cut off in its body");
	*c = at;
	return 1;
}

/* The first line of a code is the answer for it; the first of a status, the meaning of an answer without a name. */
static const struct wire_status statuses[] = {
	{400, "format", -ERR_FORMAT, false},   {401, "token", -EACCES, false},
	{403, "refused", -ERR_REFUSED, false}, {404, "missing", -ENOENT, false},
	{409, "state", -ESTALE, false},	       {410, "cancelled", -ERR_CANCELLED, false},
	{422, "damaged", -ERR_DAMAGED, false}, {507, "full", -ENOSPC, true},
	{503, "busy", -EBUSY, true},	       {500, "failed", -EIO, true},
	{400, "format", -EINVAL, false},       {400, "format", -ERR_USAGE, false},
	{400, "format", -ERR_VERSION, false},  {401, "token", -EPERM, false},
	{503, "busy", -EAGAIN, true},	       {503, "busy", -ERR_UNREACHABLE, true},
	{507, "full", -EDQUOT, true},
};
#define N_STATUSES (sizeof statuses / sizeof statuses[0])
#define STATUS_FORMAT (&statuses[0])
#define STATUS_FAILED (&statuses[9])

const struct wire_status *wire_status_of_code(int code)
{
	for (size_t i = 0; i < N_STATUSES; i++)
		if (statuses[i].code == code)
			return &statuses[i];
	return STATUS_FAILED;
}

const struct wire_status *wire_status_of_answer(unsigned status, const char *name)
{
	const struct wire_status *by_status = NULL;

	for (size_t i = N_STATUSES; i-- > 0;) {
		if (statuses[i].status != status)
			continue;
		by_status = &statuses[i];
		if (name && strcmp(statuses[i].name, name) == 0 && i <= 9)
			return by_status;
	}
	if (by_status)
		return by_status;
	return status >= 500 && status <= 599 ? STATUS_FAILED : STATUS_FORMAT;
}

int wire_error_encode(const struct error *err, struct buf *out)
{
	const struct wire_status *st = wire_status_of_code(err->code);
	char text[sizeof err->text];
	json_t *o;
	char *dump;

	text_printable(err->text[0] ? err->text : error_name(err->code), text, sizeof text);
	o = json_pack("{s:s, s:s}", "error", text, "code", st->name);
	dump = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!dump)
		return -ENOMEM;
	buf_put(out, dump, strlen(dump));
	free(dump);
	return out->failed ? -ENOMEM : 0;
}

const struct wire_status *wire_error_decode(unsigned status, const void *body, size_t len, struct error *err)
{
	const struct wire_status *st;
	const char *text, *name;
	char clean[sizeof err->text];
	json_t *o = NULL;

	if (len <= WIRE_MAX_JSON_BYTES)
		o = json_loadb(body, len, 0, NULL);
	name = json_string_value(json_object_get(o, "code"));
	text = json_string_value(json_object_get(o, "error"));
	st = wire_status_of_answer(status, name);
	if (text && *text)
		error_set(err, st->code, "%s", text_printable(text, clean, sizeof clean));
	else
		error_set(err, st->code, "the server answered with HTTP status %u", status);
	json_decref(o);
	return st;
}
