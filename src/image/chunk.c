/*
 * Chunk frames: compressing and unpacking one chunk. Contexts of zstd are made once a thread and used again for every
 * chunk. Nothing here trusts a frame: its length, its method and its hash are checked before the plain bytes are used.
 */
#include "image/chunk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zstd.h>

struct chunk_coder {
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress; /* made at the first use: most coders work in one direction only */
};

/* Samples of a chunk that tell whether trying to compress it is worth the time. */
#define SAMPLE_SPOTS 16
#define SAMPLE_SPOT_BYTES 256
#define SAMPLE_BYTES (SAMPLE_SPOTS * SAMPLE_SPOT_BYTES)

struct chunk_coder *chunk_coder_new(int level)
{
	struct chunk_coder *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->compress = ZSTD_createCCtx();
	if (!c->compress || ZSTD_isError(ZSTD_CCtx_setParameter(c->compress, ZSTD_c_compressionLevel, level))) {
		chunk_coder_free(c);
		return NULL;
	}
	return c;
}

void chunk_coder_free(struct chunk_coder *c)
{
	if (!c)
		return;
	ZSTD_freeCCtx(c->compress);
	ZSTD_freeDCtx(c->decompress);
	free(c);
}

/*
 * True when the bytes look as if an encoder or a cipher had made them. Counts how often two sampled bytes are equal:
 * the sum of the squared byte counts is about n + n²/256 for noise and much larger for anything that entropy coding can
 * shrink.
 */
static bool looks_incompressible(const uint8_t *p, size_t len)
{
	uint32_t counts[256] = {0};
	uint64_t sum = 0;
	size_t step;

	if (len < 4 * SAMPLE_BYTES)
		return false;
	step = (len - SAMPLE_SPOT_BYTES) / (SAMPLE_SPOTS - 1);
	for (size_t s = 0; s < SAMPLE_SPOTS; s++)
		for (size_t i = 0; i < SAMPLE_SPOT_BYTES; i++)
			counts[p[s * step + i]]++;
	for (size_t v = 0; v < 256; v++)
		sum += (uint64_t)counts[v] * counts[v];
	/* Noise: 4096 + 4096²/256 = 69,632, with a deviation of about 360; 71,000 is four of them. */
	return sum < 71000;
}

int chunk_encode(struct chunk_coder *c, const struct hash *hash, const void *plain, size_t plain_bytes, uint8_t *body,
		 struct chunk_frame *frame)
{
	size_t wanted, got;

	if (!plain_bytes || plain_bytes > CHUNK_MAX_BYTES)
		return -EINVAL;
	*frame = (struct chunk_frame){.hash = *hash,
				      .plain_bytes = (uint32_t)plain_bytes,
				      .body_bytes = (uint32_t)plain_bytes,
				      .method = CHUNK_PLAIN,
				      .body = plain};
	/* What saves less than 1/32 is not worth unpacking at every restore. */
	wanted = plain_bytes - plain_bytes / 32;
	if (wanted == plain_bytes)
		wanted--;
	if (!wanted || looks_incompressible(plain, plain_bytes))
		return 0;
	got = ZSTD_compress2(c->compress, body, wanted, plain, plain_bytes);
	if (ZSTD_isError(got) || !got)
		return 0; /* it does not fit: the plain frame stands */
	frame->method = CHUNK_ZSTD;
	frame->body_bytes = (uint32_t)got;
	frame->body = body;
	return 0;
}

static int unpack(struct chunk_coder *c, const struct chunk_frame *frame, uint8_t *plain, struct error *err)
{
	size_t got;

	if (!c->decompress)
		c->decompress = ZSTD_createDCtx();
	if (!c->decompress)
		return error_set(err, -ENOMEM, "out of memory for unpacking a chunk");
	/* One frame and nothing behind it. */
	got = ZSTD_findFrameCompressedSize(frame->body, frame->body_bytes);
	if (ZSTD_isError(got) || got != frame->body_bytes)
		return error_set(err, -ERR_DAMAGED, "a compressed chunk is not one whole zstd frame");
	got = ZSTD_decompressDCtx(c->decompress, plain, frame->plain_bytes, frame->body, frame->body_bytes);
	if (ZSTD_isError(got))
		return error_set(err, -ERR_DAMAGED, "a compressed chunk cannot be unpacked: %s",
				 ZSTD_getErrorName(got));
	if (got != frame->plain_bytes)
		return error_set(err, -ERR_DAMAGED, "a chunk unpacks to %zu bytes instead of %u", got,
				 frame->plain_bytes);
	return 0;
}

int chunk_decode(struct chunk_coder *c, const struct chunk_frame *frame, uint8_t *plain, struct error *err)
{
	struct hash found;
	char wanted[HASH_HEX_BYTES];
	int rc = 0;

	if (!frame->plain_bytes || frame->plain_bytes > CHUNK_MAX_BYTES || !frame->body_bytes ||
	    frame->body_bytes > frame->plain_bytes)
		return error_set(err, -ERR_DAMAGED, "a chunk has an impossible size (%u bytes, %u stored)",
				 frame->plain_bytes, frame->body_bytes);
	if (frame->method == CHUNK_ZSTD)
		rc = unpack(c, frame, plain, err);
	else if (frame->method != CHUNK_PLAIN)
		rc = error_set(err, -ERR_DAMAGED, "a chunk has the unknown compression method %u", frame->method);
	else if (frame->body_bytes != frame->plain_bytes)
		rc = error_set(err, -ERR_DAMAGED, "a plain chunk has %u bytes instead of %u", frame->body_bytes,
			       frame->plain_bytes);
	else
		memcpy(plain, frame->body, frame->plain_bytes);
	if (rc < 0)
		return rc;
	found = hash_of(plain, frame->plain_bytes);
	if (!hash_equal(&found, &frame->hash))
		return error_set(err, -ERR_DAMAGED, "the bytes of chunk %s do not match its hash",
				 hash_format(&frame->hash, wanted));
	return 0;
}
