/* Recipes of unknown origin: segments and roots that decode must encode to the same bytes again. */
#include <stdlib.h>

#include "image/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct buf *b, const uint8_t *data, size_t size)
{
	if (b->len != size || memcmp(b->data, data, size) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recipe_segment segment;
	struct recipe_root root;
	struct error err = {0};
	struct buf b = {0};

	if (recipe_segment_decode(data, size, 1ull << 40, &segment, &err) == 0) {
		if (recipe_segment_encode(&segment, &b, &err) < 0)
			abort();
		same(&b, data, size);
		recipe_segment_clear(&segment);
	}
	b.len = 0;
	if (recipe_root_decode(data, size, &root, &err) == 0) {
		if (recipe_root_encode(&root, &b, &err) < 0)
			abort();
		same(&b, data, size);
		recipe_root_clear(&root);
	}
	buf_free(&b);
	return 0;
}
