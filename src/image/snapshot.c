/*
 * The envelope of a snapshot: magic, version, lengths and checksum around a JSON document. What the document holds is
 * the business of snapshot_json.c. Nothing is parsed before the checksum of all bytes has been found right.
 */
#include "image/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/text.h"
#include "image/snapshot_json.h"

/* Envelope, version 1, integers little-endian:
 *   0  8  "G4LSNAPS"
 *   8  2  version
 *  10  2  method: 0 the body is JSON, 1 the body is one zstd frame of JSON
 *  12  4  json_bytes
 *  16  4  body_bytes
 *  20 12  zero
 *  32 32  SHA-256 of bytes 0 to 31 followed by the body
 *  64     body
 */
#define HEADER_BYTES 64
#define CHECKED_BYTES 32
#define VERSION 1
enum { METHOD_PLAIN = 0, METHOD_ZSTD = 1 };

void snapshot_clear(struct snapshot *s)
{
	for (size_t i = 0; i < s->n_tags; i++)
		free(s->tags[i]);
	free(s->tags);
	for (size_t i = 0; i < s->n_disks; i++) {
		free(s->disks[i].regions);
		free(s->disks[i].roots);
	}
	free(s->disks);
	free(s->facts);
	*s = (struct snapshot){0};
}

static int checksum(const uint8_t *header, const uint8_t *body, size_t body_bytes, struct hash *out)
{
	struct hash_stream *h = hash_stream_new();

	if (!h)
		return -ENOMEM;
	hash_stream_add(h, header, CHECKED_BYTES);
	hash_stream_add(h, body, body_bytes);
	*out = hash_stream_end(h);
	return 0;
}

static void set_id(struct snapshot *s, const void *bytes, size_t len)
{
	struct hash h = hash_of(bytes, len);

	text_hex(h.bytes, (SNAPSHOT_ID_BYTES - 1) / 2, s->id);
}

int snapshot_encode(struct snapshot *s, struct buf *out, struct error *err)
{
	char *json = NULL;
	uint8_t *at;
	struct hash sum;
	size_t json_bytes, start = out->len, room, body;
	int rc;

	rc = snapshot_json_format(s, &json, err);
	if (rc < 0)
		return rc;
	json_bytes = strlen(json);
	room = ZSTD_compressBound(json_bytes);
	if (json_bytes > SNAPSHOT_MAX_BYTES - HEADER_BYTES - 4096) {
		rc = error_set(err, -EINVAL, "a snapshot of %zu bytes is too large to be stored", json_bytes);
		goto out;
	}
	at = buf_add(out, HEADER_BYTES + room);
	if (!at) {
		rc = error_set(err, -ENOMEM, "out of memory for a snapshot");
		goto out;
	}
	body = ZSTD_compress(at + HEADER_BYTES, room, json, json_bytes, 3);
	if (ZSTD_isError(body)) {
		rc = error_set(err, -ENOMEM, "a snapshot cannot be compressed: %s", ZSTD_getErrorName(body));
		goto undo;
	}
	memset(at, 0, HEADER_BYTES);
	memcpy(at, "G4LSNAPS", 8);
	bytes_put_le16(at + 8, VERSION);
	bytes_put_le16(at + 10, METHOD_ZSTD);
	bytes_put_le32(at + 12, (uint32_t)json_bytes);
	bytes_put_le32(at + 16, (uint32_t)body);
	if (checksum(at, at + HEADER_BYTES, body, &sum) < 0) {
		rc = error_set(err, -ENOMEM, "out of memory for a snapshot");
		goto undo;
	}
	memcpy(at + CHECKED_BYTES, sum.bytes, HASH_BYTES);
	out->len = start + HEADER_BYTES + body;
	set_id(s, at, HEADER_BYTES + body);
	goto out;
undo:
	out->len = start;
out:
	free(json);
	return rc;
}

/* The JSON of a checked envelope, without a terminating zero. The caller frees *json. */
static int unpack(unsigned method, const uint8_t *body, size_t body_bytes, size_t json_bytes, char **json,
		  struct error *err)
{
	size_t got;

	*json = malloc(json_bytes ? json_bytes : 1);
	if (!*json)
		return error_set(err, -ENOMEM, "out of memory for a snapshot");
	if (method == METHOD_PLAIN && body_bytes == json_bytes) {
		memcpy(*json, body, body_bytes);
		return 0;
	}
	if (method == METHOD_ZSTD) {
		got = ZSTD_decompress(*json, json_bytes, body, body_bytes);
		if (!ZSTD_isError(got) && got == json_bytes)
			return 0;
	}
	free(*json);
	*json = NULL;
	return error_set(err, -ERR_DAMAGED, "a snapshot cannot be unpacked");
}

int snapshot_decode(const void *bytes, size_t len, struct snapshot *out, struct error *err)
{
	struct cursor c = cursor_of(bytes, len);
	const uint8_t *magic = cursor_take(&c, 8), *sum, *body;
	uint16_t version = cursor_le16(&c), method = cursor_le16(&c);
	uint32_t json_bytes = cursor_le32(&c), body_bytes = cursor_le32(&c);
	struct hash found;
	char *json;
	int rc;

	*out = (struct snapshot){0};
	cursor_take(&c, 12);
	sum = cursor_take(&c, HASH_BYTES);
	if (c.failed || memcmp(magic, "G4LSNAPS", 8) != 0)
		return error_set(err, -ERR_DAMAGED, "these bytes are not a snapshot");
	if (version > VERSION)
		return error_set(err, -ERR_VERSION,
				 "a snapshot has version %u; this program understands %u: use a newer one", version,
				 VERSION);
	if (version != VERSION || len > SNAPSHOT_MAX_BYTES || json_bytes > SNAPSHOT_MAX_BYTES ||
	    body_bytes != cursor_left(&c))
		return error_set(err, -ERR_DAMAGED, "a snapshot is damaged: its sizes make no sense");
	body = c.at;
	if (checksum(bytes, body, body_bytes, &found) < 0)
		return error_set(err, -ENOMEM, "out of memory for a snapshot");
	if (memcmp(found.bytes, sum, HASH_BYTES) != 0)
		return error_set(err, -ERR_DAMAGED, "a snapshot is damaged: its checksum does not match");
	rc = unpack(method, body, body_bytes, json_bytes, &json, err);
	if (rc < 0)
		return rc;
	rc = snapshot_json_parse(json, json_bytes, out, err);
	free(json);
	if (rc < 0)
		snapshot_clear(out);
	else
		set_id(out, bytes, len);
	return rc;
}
