/* The codecs of src/image: what is written reads back as it was, and whatever breaks a rule is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/memory_store.h"
#include "image/recipe.h"

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void fill_noise(uint8_t *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(next_random(&seed) >> 24);
}

static void test_chunk_round_trip(void **state)
{
	static const size_t sizes[] = {1, 2, 31, 32, 33, 511, 4096, 65536, 65537, 131072, CHUNK_MAX_BYTES};
	struct chunk_coder *c = chunk_coder_new(1);
	uint8_t *plain = malloc(CHUNK_MAX_BYTES), *body = malloc(CHUNK_MAX_BYTES), *back = malloc(CHUNK_MAX_BYTES);

	assert_non_null(c);
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
		for (int kind = 0; kind < 3; kind++) {
			struct chunk_frame f;
			struct hash h;

			if (kind == 0)
				fill_noise(plain, sizes[s], s + 1);
			else
				for (size_t i = 0; i < sizes[s]; i++)
					plain[i] = kind == 1 ? 'a' : (uint8_t)(i / 7);
			h = hash_of(plain, sizes[s]);
			assert_int_equal(chunk_encode(c, &h, plain, sizes[s], body, &f), 0);
			assert_in_range(f.body_bytes, 1, sizes[s]);
			if (kind == 0)
				assert_int_equal(f.method, CHUNK_PLAIN);
			if (kind == 1 && sizes[s] >= 511)
				assert_in_range(f.body_bytes, 1, sizes[s] / 8);
			memset(back, 0x5a, sizes[s]);
			assert_int_equal(chunk_decode(c, &f, back, NULL), 0);
			assert_memory_equal(plain, back, sizes[s]);
		}
	assert_int_equal(chunk_encode(c, &(struct hash){0}, plain, 0, body, &(struct chunk_frame){0}), -EINVAL);
	assert_int_equal(chunk_encode(c, &(struct hash){0}, plain, CHUNK_MAX_BYTES + 1, body, &(struct chunk_frame){0}),
			 -EINVAL);
	free(plain);
	free(body);
	free(back);
	chunk_coder_free(c);
}

static void test_chunk_damage(void **state)
{
	struct chunk_coder *c = chunk_coder_new(1);
	uint8_t plain[20000], body[20000], back[20000 + 1];
	struct chunk_frame f, bad;
	struct hash h;
	struct error err = {0};

	for (size_t i = 0; i < sizeof plain; i++)
		plain[i] = (uint8_t)(i % 251 / 3);
	h = hash_of(plain, sizeof plain);
	assert_int_equal(chunk_encode(c, &h, plain, sizeof plain, body, &f), 0);
	assert_int_equal(f.method, CHUNK_ZSTD);
	for (size_t i = 0; i < f.body_bytes; i++) {
		body[i] ^= 0x04;
		/* A bit of the frame's header may be without meaning; the content may never be wrong. */
		if (chunk_decode(c, &f, back, &err) == 0)
			assert_memory_equal(plain, back, sizeof plain);
		else
			assert_int_equal(err.code, -ERR_DAMAGED);
		body[i] ^= 0x04;
	}
	bad = f;
	bad.hash.bytes[31] ^= 1;
	assert_int_equal(chunk_decode(c, &bad, back, &err), -ERR_DAMAGED);
	bad = f;
	bad.plain_bytes++;
	assert_int_equal(chunk_decode(c, &bad, back, &err), -ERR_DAMAGED);
	bad = f;
	bad.body_bytes--;
	assert_int_equal(chunk_decode(c, &bad, back, &err), -ERR_DAMAGED);
	bad = f;
	bad.method = 7;
	assert_int_equal(chunk_decode(c, &bad, back, &err), -ERR_DAMAGED);
	bad = f;
	bad.method = CHUNK_PLAIN;
	assert_int_equal(chunk_decode(c, &bad, back, &err), -ERR_DAMAGED);
	bad = f;
	bad.plain_bytes = CHUNK_MAX_BYTES + 1;
	assert_int_equal(chunk_decode(c, &bad, back, &err), -ERR_DAMAGED);
	chunk_coder_free(c);
}

static struct recipe_segment sample_segment(struct recipe_chunk chunks[3], struct recipe_extent extents[4])
{
	uint64_t start = 5 * RECIPE_WINDOW_BYTES;

	for (size_t i = 0; i < 3; i++)
		chunks[i] = (struct recipe_chunk){hash_of(&i, sizeof i), 70000 + (uint32_t)i};
	extents[0] = (struct recipe_extent){start, 512, 2, 100};
	extents[1] = (struct recipe_extent){start + 512, 4096, RECIPE_ZERO, 0};
	extents[2] = (struct recipe_extent){start + 8192, 70000, 0, 0};
	extents[3] = (struct recipe_extent){start + RECIPE_WINDOW_BYTES - 10, 10, 1, 69991};
	return (struct recipe_segment){
		.window = 5, .chunks = chunks, .n_chunks = 3, .extents = extents, .n_extents = 4};
}

static void test_segment_round_trip(void **state)
{
	struct recipe_chunk chunks[3];
	struct recipe_extent extents[4];
	struct recipe_segment s = sample_segment(chunks, extents), back;
	struct buf b = {0};

	assert_int_equal(recipe_segment_encode(&s, &b, NULL), 0);
	assert_int_equal(b.len, recipe_segment_bytes(3, 4));
	assert_int_equal(recipe_segment_decode(b.data, b.len, 6 * RECIPE_WINDOW_BYTES, &back, NULL), 0);
	assert_int_equal(back.window, 5);
	assert_int_equal(back.n_chunks, 3);
	assert_int_equal(back.n_extents, 4);
	for (size_t i = 0; i < 3; i++) {
		assert_true(hash_equal(&back.chunks[i].hash, &chunks[i].hash));
		assert_int_equal(back.chunks[i].plain_bytes, chunks[i].plain_bytes);
	}
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(back.extents[i].disk_offset, extents[i].disk_offset);
		assert_int_equal(back.extents[i].length, extents[i].length);
		assert_int_equal(back.extents[i].chunk, extents[i].chunk);
		assert_int_equal(back.extents[i].chunk_offset, extents[i].chunk_offset);
	}
	recipe_segment_clear(&back);
	/* The same bytes on a smaller disk reach beyond its end. */
	assert_int_equal(recipe_segment_decode(b.data, b.len, 6 * RECIPE_WINDOW_BYTES - 1, &back, NULL), -ERR_DAMAGED);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(recipe_segment_decode(b.data, n, 6 * RECIPE_WINDOW_BYTES, &back, NULL), -ERR_DAMAGED);
	b.data[4] = 2;
	assert_int_equal(recipe_segment_decode(b.data, b.len, 6 * RECIPE_WINDOW_BYTES, &back, NULL), -ERR_VERSION);
	buf_free(&b);
}

/* Changes one thing of a sound segment and expects the encoder to refuse it. */
#define REFUSED(change)                                                                                                \
	do {                                                                                                           \
		struct recipe_segment s = sample_segment(chunks, extents);                                             \
		struct buf b = {0};                                                                                    \
		change;                                                                                                \
		assert_int_equal(recipe_segment_encode(&s, &b, NULL), -EINVAL);                                        \
		assert_int_equal(b.len, 0);                                                                            \
		buf_free(&b);                                                                                          \
	} while (0)

static void test_segment_rules(void **state)
{
	struct recipe_chunk chunks[3];
	struct recipe_extent extents[4];

	REFUSED(extents[0].length = 0);
	REFUSED(extents[0].length = 513);
	REFUSED(extents[0].disk_offset -= 1);
	REFUSED(extents[1].disk_offset -= 1);
	REFUSED(extents[1].chunk_offset = 1);
	REFUSED(extents[2].chunk = 3);
	REFUSED(extents[2].length = 70001);
	REFUSED(extents[2].chunk_offset = 1);
	REFUSED(extents[2].chunk_offset = UINT32_MAX);
	REFUSED(extents[3].length = 11);
	REFUSED(extents[3].disk_offset += 10);
	REFUSED(chunks[1].plain_bytes = 0);
	REFUSED(chunks[1].plain_bytes = CHUNK_MAX_BYTES + 1);
	REFUSED(s.window = 4);
	REFUSED(s.window = UINT64_MAX / RECIPE_WINDOW_BYTES + 1);
	REFUSED(s.n_extents = RECIPE_MAX_SEGMENT_BYTES / 16);
}

static void test_root(void **state)
{
	struct recipe_root_entry entries[RECIPE_ROOT_MAX_ENTRIES + 1];
	struct recipe_root r = {entries, RECIPE_ROOT_MAX_ENTRIES}, back;
	struct buf b = {0};

	for (size_t i = 0; i <= RECIPE_ROOT_MAX_ENTRIES; i++)
		entries[i] = (struct recipe_root_entry){i / 2, hash_of(&i, sizeof i)};
	assert_int_equal(recipe_root_encode(&r, &b, NULL), 0);
	assert_in_range(b.len, 1, CHUNK_MAX_BYTES);
	assert_int_equal(recipe_root_decode(b.data, b.len, &back, NULL), 0);
	assert_int_equal(back.n, r.n);
	for (size_t i = 0; i < r.n; i++) {
		assert_int_equal(back.entries[i].window, entries[i].window);
		assert_true(hash_equal(&back.entries[i].segment, &entries[i].segment));
	}
	recipe_root_clear(&back);
	assert_int_equal(recipe_root_decode(b.data, b.len - 1, &back, NULL), -ERR_DAMAGED);
	b.data[16] = 9; /* the first window now lies behind the second */
	assert_int_equal(recipe_root_decode(b.data, b.len, &back, NULL), -ERR_DAMAGED);
	b.len = 0;
	r.n++;
	assert_int_equal(recipe_root_encode(&r, &b, NULL), -EINVAL);
	r.n = 2;
	entries[0].window = 1;
	entries[1].window = 0;
	assert_int_equal(recipe_root_encode(&r, &b, NULL), -EINVAL);
	buf_free(&b);
}

static void fill_snapshot(struct snapshot *s)
{
	struct snapshot_disk *d = calloc(1, sizeof *d);

	*s = (struct snapshot){.host = "john",
			       .time = 1700000000,
			       .seconds = 12.375,
			       .version = "0.1.0",
			       .degraded = true,
			       .disk_bytes = 1ull << 40,
			       .used_bytes = 12345678901,
			       .read_bytes = 99,
			       .metadata_bytes = 7,
			       .new_bytes = 5,
			       .stored_bytes = 4,
			       .chunks = 3,
			       .new_chunks = 2};
	s->tags = calloc(2, sizeof *s->tags);
	s->tags[0] = strdup("golden");
	s->tags[1] = strdup("room-12");
	s->n_tags = 2;
	s->disks = d;
	s->n_disks = 1;
	strcpy(d->path, "/dev/sda");
	strcpy(d->serial, "S/N \"1\" \\ ä");
	d->size_bytes = 1ull << 40;
	d->sector_bytes = 512;
	d->used_bytes = 77;
	d->regions = calloc(2, sizeof *d->regions);
	d->n_regions = 2;
	d->regions[0] = (struct snapshot_region){.length = 1 << 20, .role = "table", .kind = "gpt", .copied = "raw"};
	d->regions[1] = (struct snapshot_region){.start = 1 << 20,
						 .length = 1ull << 39,
						 .number = 3,
						 .role = "partition",
						 .kind = "ntfs",
						 .copied = "used",
						 .used_bytes = 70,
						 .note = "the volume is marked dirty"};
	d->roots = calloc(2, sizeof *d->roots);
	d->roots[0] = hash_of("a", 1);
	d->roots[1] = hash_of("b", 1);
	d->n_roots = 2;
	s->facts = strdup("{\"product\":\"X1\",\"z\":[1,2.5,null]}");
}

static void test_snapshot_round_trip(void **state)
{
	struct snapshot s, back;
	struct buf b = {0};
	struct error err = {0};

	fill_snapshot(&s);
	assert_int_equal(snapshot_encode(&s, &b, &err), 0);
	assert_int_equal(strlen(s.id), 32);
	assert_int_equal(snapshot_decode(b.data, b.len, &back, &err), 0);
	assert_string_equal(s.id, back.id);
	assert_string_equal(back.host, "john");
	assert_int_equal(back.time, s.time);
	assert_true(back.seconds == s.seconds);
	assert_true(back.degraded);
	assert_int_equal(back.disk_bytes, s.disk_bytes);
	assert_int_equal(back.used_bytes, s.used_bytes);
	assert_int_equal(back.read_bytes, 99);
	assert_int_equal(back.metadata_bytes, 7);
	assert_int_equal(back.new_bytes, 5);
	assert_int_equal(back.stored_bytes, 4);
	assert_int_equal(back.chunks, 3);
	assert_int_equal(back.new_chunks, 2);
	assert_int_equal(back.n_tags, 2);
	assert_string_equal(back.tags[1], "room-12");
	assert_string_equal(back.facts, s.facts);
	assert_int_equal(back.n_disks, 1);
	assert_memory_equal(back.disks[0].path, s.disks[0].path, offsetof(struct snapshot_disk, regions));
	assert_int_equal(back.disks[0].used_bytes, 77);
	assert_memory_equal(back.disks[0].regions, s.disks[0].regions, 2 * sizeof *s.disks[0].regions);
	assert_memory_equal(back.disks[0].roots, s.disks[0].roots, 2 * sizeof *s.disks[0].roots);
	snapshot_clear(&back);
	/* Every byte is under the checksum or the magic. */
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 0x20;
		assert_true(snapshot_decode(b.data, b.len, &back, &err) < 0);
		b.data[i] ^= 0x20;
		assert_int_equal(snapshot_decode(b.data, i, &back, &err), -ERR_DAMAGED);
	}
	buf_free(&b);
	snapshot_clear(&s);
}

static void test_snapshot_refusals(void **state)
{
	struct snapshot s;
	struct buf b = {0};

	fill_snapshot(&s);
	strcpy(s.host, "../john");
	assert_int_equal(snapshot_encode(&s, &b, NULL), -EINVAL);
	strcpy(s.host, "john");
	s.disks[0].model[0] = (char)0xff;
	assert_int_equal(snapshot_encode(&s, &b, NULL), -EINVAL);
	s.disks[0].model[0] = 0;
	s.used_bytes = UINT64_MAX;
	assert_int_equal(snapshot_encode(&s, &b, NULL), -EINVAL);
	s.used_bytes = 0;
	s.facts[0] = '[';
	assert_int_equal(snapshot_encode(&s, &b, NULL), -EINVAL);
	assert_int_equal(b.len, 0);
	buf_free(&b);
	snapshot_clear(&s);
}

static int keep_got(void *arg, size_t index, const uint8_t *plain, size_t plain_bytes)
{
	*(size_t *)arg += plain_bytes * (index + 1);
	return 0;
}

static void test_memory_store(void **state)
{
	struct memory_store *m = memory_store_new();
	struct chunk_sink *sink;
	struct chunk_source *source;
	struct snapshot s = {.host = "john"};
	struct hash h[2] = {hash_of("one", 3), hash_of("three", 5)};
	struct chunk_frame f[2] = {{h[0], 3, 3, CHUNK_PLAIN, (const uint8_t *)"one"},
				   {h[1], 5, 5, CHUNK_PLAIN, (const uint8_t *)"three"}};
	bool present[2];
	uint64_t stored, fetched;
	size_t sum = 0;
	char id[SNAPSHOT_ID_BYTES];

	assert_int_equal(memory_store_open_sink(m, &sink, NULL), 0);
	assert_int_equal(memory_store_open_source(m, &source, NULL), 0);
	assert_int_equal(chunk_sink_put(sink, f, 1, &stored, NULL), 0);
	assert_int_equal(stored, 3);
	assert_int_equal(chunk_sink_have(sink, h, 2, present, NULL), 0);
	assert_true(present[0]);
	assert_false(present[1]);
	assert_int_equal(chunk_source_get(source, h, 2, keep_got, &sum, &fetched, NULL), -ERR_DAMAGED);
	assert_int_equal(chunk_sink_put(sink, f, 2, &stored, NULL), 0);
	assert_int_equal(stored, 5);
	sum = 0;
	assert_int_equal(chunk_source_get(source, h, 2, keep_got, &sum, &fetched, NULL), 0);
	assert_int_equal(sum, 13);
	assert_int_equal(fetched, 8);
	f[1].hash.bytes[0] ^= 1;
	assert_int_equal(chunk_sink_put(sink, f, 2, &stored, NULL), -ERR_DAMAGED);
	f[1].body_bytes = 6;
	assert_int_equal(chunk_sink_put(sink, f, 2, &stored, NULL), -EINVAL);
	assert_int_equal(chunk_sink_commit(sink, &s, id, NULL), 0);
	s.disks = calloc(1, sizeof *s.disks);
	s.n_disks = 1;
	s.disks->size_bytes = 1 << 20;
	s.disks->sector_bytes = 512;
	s.disks->roots = calloc(1, sizeof(struct hash));
	s.disks->n_roots = 1;
	assert_int_equal(chunk_sink_commit(sink, &s, id, NULL), -ERR_DAMAGED);
	strcpy(s.host, "a/b");
	assert_int_equal(chunk_sink_commit(sink, &s, id, NULL), -EINVAL);
	assert_true(memory_store_damage(m, &h[0]));
	assert_int_equal(chunk_source_get(source, h, 1, keep_got, &sum, &fetched, NULL), -ERR_DAMAGED);
	snapshot_clear(&s);
	chunk_sink_close(sink);
	chunk_source_close(source);
	memory_store_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunk_round_trip),
		cmocka_unit_test(test_chunk_damage),
		cmocka_unit_test(test_segment_round_trip),
		cmocka_unit_test(test_segment_rules),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_snapshot_round_trip),
		cmocka_unit_test(test_snapshot_refusals),
		cmocka_unit_test(test_memory_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
