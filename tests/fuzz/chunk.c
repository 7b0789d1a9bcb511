/* Chunk frames of unknown origin: method (1 byte), plain_bytes (4), then the body. The hash is made to fit, so that
 * bodies are unpacked and not only refused. What unpacks must pack and unpack to the same bytes. */
#include <stdlib.h>

#include "base/bytes.h"
#include "image/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	struct chunk_frame f = {.method = cursor_u8(&c), .plain_bytes = cursor_le32(&c)}, again;
	struct error err = {0};
	struct chunk_coder *coder;
	uint8_t *plain, *body, *back;

	if (c.failed)
		return 0;
	f.plain_bytes %= 70000;
	f.body = c.at;
	f.body_bytes = (uint32_t)cursor_left(&c);
	coder = chunk_coder_new(1);
	plain = calloc(1, f.plain_bytes + 1);
	body = malloc(f.plain_bytes + 1);
	back = malloc(f.plain_bytes + 1);
	if (!coder || !plain || !body || !back)
		abort();
	chunk_decode(coder, &f, plain, &err);
	f.hash = hash_of(plain, f.plain_bytes);
	if (chunk_decode(coder, &f, plain, &err) == 0) {
		f.hash = hash_of(plain, f.plain_bytes);
		if (chunk_encode(coder, &f.hash, plain, f.plain_bytes, body, &again) < 0 ||
		    again.body_bytes > f.plain_bytes || chunk_decode(coder, &again, back, &err) < 0 ||
		    memcmp(plain, back, f.plain_bytes) != 0)
			abort();
	}
	free(plain);
	free(body);
	free(back);
	chunk_coder_free(coder);
	return 0;
}
