/*
 * Packs: the whole input is taken for a pack file and read as the store reads one: footer, index, header, frames. A
 * second time with checksums made right, so that what lies behind them is reached too.
 */
#include <stdlib.h>
#include <string.h>

#include "store/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_frames(const uint8_t *data, const struct pack_index *x)
{
	struct chunk_coder *coder = chunk_coder_new(1);
	uint8_t *plain = malloc(CHUNK_MAX_BYTES);

	if (!coder || !plain)
		abort();
	for (size_t i = 0; i < x->n; i++) {
		struct chunk_frame f;
		struct error err = {0};

		if (pack_get_frame_header(data + x->entries[i].offset, &f) < 0 ||
		    f.body_bytes != x->entries[i].body_bytes)
			continue;
		f.body = data + x->entries[i].offset + PACK_FRAME_HEADER_BYTES;
		chunk_decode(coder, &f, plain, &err);
	}
	chunk_coder_free(coder);
	free(plain);
}

static void read_pack(const uint8_t *data, size_t size)
{
	struct pack_footer footer;
	struct error err = {0};
	struct pack_index x;

	if (size < PACK_HEADER_BYTES + PACK_FOOTER_BYTES ||
	    pack_decode_footer(data + size - PACK_FOOTER_BYTES, size, "pack", &footer, &err) < 0)
		return;
	pack_check_header(data, &footer.id, "pack", &err);
	if (pack_decode_index(data + footer.index_offset, size - PACK_FOOTER_BYTES - footer.index_offset, &footer,
			      "pack", &x, &err) < 0)
		return;
	read_frames(data, &x);
	pack_index_clear(&x);
}

/* The footer's own sum, the index's sum in it, and its magic; offsets from doc/FORMAT.md. */
static void mend_checksums(uint8_t *data, size_t size)
{
	uint8_t *f = data + size - PACK_FOOTER_BYTES;
	uint64_t index_offset = bytes_le64(f + 16);
	struct hash h;

	if (index_offset <= size - PACK_FOOTER_BYTES) {
		h = hash_of(data + index_offset, size - PACK_FOOTER_BYTES - index_offset);
		memcpy(f + 40, h.bytes, 32);
	}
	h = hash_of(f, 72);
	memcpy(f + 72, h.bytes, 16);
	memcpy(f + 88, "G4LPKEND", 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	read_pack(data, size);
	if (size < PACK_HEADER_BYTES + PACK_FOOTER_BYTES)
		return 0;
	copy = malloc(size);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	mend_checksums(copy, size);
	read_pack(copy, size);
	free(copy);
	return 0;
}
