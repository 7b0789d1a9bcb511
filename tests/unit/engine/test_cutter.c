/* The cutter and the parts below it: what is cut is complete, bounded, aligned, and finds itself again when it has
 * moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/cutter.h"
#include "engine/hash_set.h"
#include "support.h"

#define BYTES (16u << 20)

/* Every byte of the runs is in exactly one piece or stretch of zeros, and every chunk keeps the rules. */
static void assert_complete(const struct batch *b, const struct batch_run *runs, size_t n_runs, uint64_t origin,
			    uint32_t unit)
{
	uint64_t sum = 0, total = 0;
	uint8_t *scratch = malloc(CHUNK_MAX_BYTES);

	for (size_t i = 0; i < n_runs; i++)
		total += runs[i].length;
	for (size_t c = 0; c < b->n_chunks; c++) {
		const struct batch_chunk *chunk = &b->chunks[c];
		struct hash h = hash_of(batch_plain(b, chunk, scratch), chunk->plain_bytes);
		uint64_t bytes = 0;

		assert_true(hash_equal(&h, &chunk->hash));
		assert_in_range(chunk->plain_bytes, 1, CUTTER_MAX_BYTES);
		for (size_t i = 0; i < chunk->n_pieces; i++) {
			const struct piece *p = &b->pieces[chunk->first_piece + i];

			bytes += p->length;
			for (size_t k = 0; k < n_runs; k++)
				if (p->disk_offset >= runs[k].disk_offset &&
				    p->disk_offset < runs[k].disk_offset + runs[k].length)
					assert_ptr_equal(p->at, runs[k].at + (p->disk_offset - runs[k].disk_offset));
		}
		assert_int_equal(bytes, chunk->plain_bytes);
		/* All but the last one end at a unit's end and are not too small. */
		if (c + 1 < b->n_chunks && n_runs == 1) {
			const struct piece *p = &b->pieces[chunk->first_piece + chunk->n_pieces - 1];

			assert_int_equal((p->disk_offset + p->length - origin) % unit, 0);
			assert_true(chunk->plain_bytes >= CUTTER_MIN_BYTES);
		}
		sum += bytes;
	}
	for (size_t i = 0; i < b->n_zeros; i++)
		sum += b->zeros[i].length;
	assert_int_equal(sum, total);
	free(scratch);
}

static void test_rules(void **state)
{
	static const uint32_t units[] = {512, 1024, 4096};
	uint8_t *bytes = malloc(BYTES);
	uint64_t seed = 77;
	struct batch b;

	assert_int_equal(batch_init(&b), 0);
	mix_fill(bytes, BYTES, &seed);
	for (size_t i = 0; i < 3; i++) {
		struct batch_run run = {bytes, 12345 * 512, BYTES - i * 300};
		struct batch_run parts[3] = {
			{bytes, 8192, 100000}, {bytes + 100000, 1 << 20, 5000000}, {bytes + 5100000, 1 << 24, 7}};

		batch_reset(&b);
		cutter_cut(&b, &run, 1, 1024, units[i]);
		assert_int_equal(b.rc, 0);
		assert_complete(&b, &run, 1, 1024, units[i]);
		assert_true(b.n_zeros > 0);
		batch_reset(&b);
		cutter_cut(&b, parts, 3, 1u << 30, units[i]); /* the origin lies behind */
		assert_int_equal(b.rc, 0);
		assert_complete(&b, parts, 3, 1u << 30, units[i]);
	}
	batch_free(&b);
	free(bytes);
}

static void test_average(void **state)
{
	uint8_t *bytes = malloc(4 * BYTES);
	uint64_t seed = 1;
	struct batch_run run = {bytes, 0, 4 * BYTES};
	struct batch b;

	assert_int_equal(batch_init(&b), 0);
	for (size_t i = 0; i < 4 * BYTES / 8; i++)
		((uint64_t *)bytes)[i] = random_next(&seed);
	cutter_cut(&b, &run, 1, 0, 4096);
	assert_in_range(4 * BYTES / b.n_chunks, CUTTER_AVERAGE_BYTES * 8 / 10, CUTTER_AVERAGE_BYTES * 12 / 10);
	batch_free(&b);
	free(bytes);
}

/* Clusters that moved as one, with others in front, are found again: nearly all chunks are the same. */
static void test_moved(void **state)
{
	uint8_t *bytes = malloc(BYTES + (1 << 20));
	uint64_t seed = 3;
	struct batch_run first = {bytes + (1 << 20), 1 << 20, BYTES},
			 second = {bytes + 45 * 4096, 70 << 20, BYTES + (1 << 20) - 45 * 4096};
	struct hash_map map = {0};
	struct batch a, b;
	size_t known = 0;
	bool added;

	for (size_t i = 0; i < (BYTES + (1 << 20)) / 8; i++)
		((uint64_t *)bytes)[i] = random_next(&seed);
	assert_int_equal(batch_init(&a), 0);
	assert_int_equal(batch_init(&b), 0);
	cutter_cut(&a, &first, 1, 0, 4096);
	cutter_cut(&b, &second, 1, 0, 4096);
	for (size_t i = 0; i < b.n_chunks; i++)
		hash_map_add(&map, &b.chunks[i].hash, 0, &added);
	for (size_t i = 0; i < a.n_chunks; i++) {
		hash_map_add(&map, &a.chunks[i].hash, 0, &added);
		known += !added;
	}
	assert_true(known * 10 > a.n_chunks * 9);
	batch_free(&a);
	batch_free(&b);
	hash_map_free(&map);
	free(bytes);
}

/* Against a plain list, with names that crowd into few slots. */
static void test_hash_map(void **state)
{
	struct hash_map map = {0};
	bool there[600] = {0};
	uint64_t seed = 9;

	for (int i = 0; i < 200000; i++) {
		size_t k = random_below(&seed, 600);
		struct hash h = {{0}};
		bool added;
		uint32_t *value;

		h.bytes[0] = (uint8_t)(k % 7 ? 250 : 3);
		h.bytes[1] = 3;
		h.bytes[20] = (uint8_t)k;
		h.bytes[21] = (uint8_t)(k >> 8);
		if (random_below(&seed, 2)) {
			value = hash_map_add(&map, &h, (uint32_t)k, &added);
			assert_non_null(value);
			assert_int_equal(*value, k);
			assert_int_equal(added, !there[k]);
			there[k] = true;
		} else {
			hash_map_remove(&map, &h);
			there[k] = false;
		}
	}
	hash_map_reset(&map);
	assert_int_equal(map.n, 0);
	hash_map_free(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_average),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_hash_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
