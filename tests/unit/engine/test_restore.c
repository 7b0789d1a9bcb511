/* Restores under bad conditions: nothing is called done that is not, and no half-written disk looks whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/recipe.h"
#include "support.h"

#define MIB (1ull << 20)
#define SIZE (66 * MIB)

struct fixture {
	struct memory_store *store;
	struct disk *disk;
	uint8_t *bytes;
	struct snapshot snapshot;
};

/* A disk whose first sectors are surely not zero. */
static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	uint8_t sector[1024];

	memset(sector, 0x77, sizeof sector);
	f->store = memory_store_new();
	f->disk = mixed_disk(SIZE, 512, 1234);
	assert_int_equal(disk_write(f->disk, sector, sizeof sector, 0, NULL), 0);
	assert_int_equal(disk_write(f->disk, sector, sizeof sector, SIZE - sizeof sector, NULL), 0);
	f->bytes = disk_bytes(f->disk);
	assert_int_equal(backup_to(f->store, f->disk, NULL, NULL, &f->snapshot, NULL), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	snapshot_clear(&f->snapshot);
	memory_store_free(f->store);
	disk_close(f->disk);
	free(f->bytes);
	free(f);
	return 0;
}

static void assert_same(const struct fixture *f, struct disk *target)
{
	uint8_t *have = disk_bytes(target);

	assert_memory_equal(have, f->bytes, SIZE);
	free(have);
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;
	struct disk *small = noise_disk(SIZE - 512, 512, 1), *other = noise_disk(SIZE, 4096, 1), *guarded;
	uint64_t small_had = atomic_load(&small->written_bytes), other_had = atomic_load(&other->written_bytes);
	struct restore_result r;
	struct error err = {0};

	assert_int_equal(restore_from(f->store, &f->snapshot, small, NULL, &r, &err), -ERR_REFUSED);
	assert_non_null(strstr(err.text, "too small"));
	assert_int_equal(restore_from(f->store, &f->snapshot, other, NULL, &r, &err), -ERR_REFUSED);
	assert_non_null(strstr(err.text, "sectors of 4096"));
	assert_int_equal(atomic_load(&small->written_bytes), small_had); /* by noise_disk() */
	assert_int_equal(atomic_load(&other->written_bytes), other_had);
	assert_int_equal(disk_wrap_read_only(other, &guarded, &err), 0);
	assert_int_equal(restore_from(f->store, &f->snapshot, guarded, NULL, &r, &err), -ERR_REFUSED);
	disk_close(small);
	disk_close(guarded);
}

/* A quarter of the disk changed: only what differs is fetched and written. */
static void test_delta(void **state)
{
	struct fixture *f = *state;
	struct disk *target;
	struct restore_result r;
	struct restore_options full = {.full = true};
	uint8_t noise[4096];
	struct error err = {0};

	memset(noise, 0xa5, sizeof noise);
	assert_int_equal(disk_open_memory(SIZE, 512, &target, NULL), 0);
	assert_int_equal(disk_write(target, f->bytes, SIZE, 0, NULL), 0);
	for (uint64_t at = 50 * MIB; at < 52 * MIB; at += 512 << 10)
		assert_int_equal(disk_write(target, noise, sizeof noise, at, NULL), 0);
	assert_int_equal(restore_from(f->store, &f->snapshot, target, NULL, &r, &err), 0);
	assert_same(f, target);
	assert_in_range(r.written_bytes, 1, 4 * MIB);
	assert_int_equal(r.written_bytes + r.skipped_bytes, SIZE);
	/* Only something in the first MiB differs, where the table is. */
	for (uint64_t at = 4096; at < MIB; at += 300 << 10) {
		assert_int_equal(disk_write(target, noise, 512, at, NULL), 0);
		assert_int_equal(restore_from(f->store, &f->snapshot, target, NULL, &r, &err), 0);
		assert_same(f, target);
		assert_in_range(r.written_bytes, 1, MIB);
	}
	assert_int_equal(restore_from(f->store, &f->snapshot, target, &full, &r, &err), 0);
	assert_int_equal(r.written_bytes, SIZE);
	assert_int_equal(r.skipped_bytes, 0);
	disk_close(target);
}

/* A blank disk is written without being read first, but for samples and its zeros; then it is read back once. */
static void test_blank(void **state)
{
	struct fixture *f = *state;
	struct restore_options blind = {.no_read_back = true};
	struct disk *target;
	struct restore_result r;
	struct error err = {0};
	uint64_t zeros = 0;

	assert_int_equal(disk_open_memory(SIZE, 512, &target, NULL), 0);
	assert_int_equal(restore_from(f->store, &f->snapshot, target, &blind, &r, &err), 0);
	assert_same(f, target);
	zeros = r.skipped_bytes;
	assert_in_range(r.read_bytes, zeros, zeros + 8 * MIB);
	disk_close(target);
}

/* Fails at every so many writes: the disk never looks whole, and the next restore completes it. */
static void test_interrupted(void **state)
{
	struct fixture *f = *state;
	static const uint64_t at[] = {1, 2, 3, 4, 5, 10, 30, 60};

	for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
		struct disk *target = noise_disk(SIZE, 512, 55), *bad;
		struct disk_faults faults = {.fail_nth_write = at[i]};
		struct restore_result r;
		struct error err = {0};
		uint8_t head[1024], tail[512];

		assert_int_equal(disk_write(target, f->bytes, MIB, 0, NULL), 0); /* an older table that is still good */
		assert_int_equal(disk_wrap_faults(target, &faults, &bad, &err), 0);
		assert_int_equal(restore_from(f->store, &f->snapshot, bad, NULL, &r, &err), -EIO);
		assert_int_equal(disk_read(bad, head, sizeof head, 0, NULL), 0);
		assert_int_equal(disk_read(bad, tail, sizeof tail, SIZE - sizeof tail, NULL), 0);
		if (at[i] > 2) {
			assert_true(bytes_are_zero(head, sizeof head));
			assert_true(bytes_are_zero(tail, sizeof tail));
		}
		assert_int_equal(restore_from(f->store, &f->snapshot, bad, NULL, &r, &err), 0);
		assert_same(f, bad);
		disk_close(bad);
	}
}

/* Every single write fails once, on a disk small enough for that. Until the last writes nothing at the disk's start
 * tells of a table or a file system; once something does, all else is in place. */
static void test_table_comes_last(void **state)
{
	enum { SMALL = 5 << 20, HEAD = 128 << 10 };
	struct memory_store *m = memory_store_new();
	struct disk *d = noise_disk(SMALL, 512, 9);
	uint8_t *want = disk_bytes(d);
	struct snapshot s;
	struct error err = {0};
	int rc = -EIO;

	assert_int_equal(backup_to(m, d, NULL, NULL, &s, NULL), 0);
	for (uint64_t n = 1; rc < 0; n++) {
		struct disk *target = noise_disk(SMALL, 512, 10), *bad;
		struct disk_faults faults = {.fail_nth_write = n};
		struct restore_options o = {.engine.threads = 1};
		struct restore_result r;
		uint8_t *have;

		assert_int_equal(disk_wrap_faults(target, &faults, &bad, &err), 0);
		rc = restore_from(m, &s, bad, &o, &r, &err);
		have = disk_bytes(bad);
		if (rc == 0)
			assert_memory_equal(have, want, SMALL);
		else if (n > 2 && !bytes_are_zero(have, HEAD))
			assert_memory_equal(have + (1 << 20), want + (1 << 20), SMALL - (1 << 20));
		assert_true(n < 1000);
		free(have);
		disk_close(bad);
	}
	free(want);
	snapshot_clear(&s);
	disk_close(d);
	memory_store_free(m);
}

/* Few chunks at the start of a window and much else behind: they are found to be in place wherever they lie. */
static void test_nothing_differs(void **state)
{
	struct memory_store *m = memory_store_new();
	struct disk *d, *target = noise_disk(8 * MIB, 512, 3);
	uint8_t noise[4096];
	uint64_t seed = 77, before;
	struct snapshot s;
	struct restore_result r;
	struct error err = {0};
	struct plan p;

	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (uint8_t)(random_next(&seed) >> 9);
	assert_int_equal(disk_open_memory(8 * MIB, 512, &d, NULL), 0);
	assert_int_equal(disk_write(d, noise, sizeof noise, 2 * MIB, NULL), 0);
	one_region_plan(&p, d, 4096);
	for (uint64_t at = 2 * MIB; at < 6 * MIB; at += 8192)
		assert_int_equal(extents_add(&p.regions->extents, at, 4096), 0);
	p.used_bytes = p.regions->used_bytes = extents_total(&p.regions->extents);
	assert_int_equal(backup_to(m, d, &p, NULL, &s, NULL), 0);
	assert_int_equal(restore_from(m, &s, target, NULL, &r, &err), 0);
	assert_int_equal(r.written_bytes, p.used_bytes);
	before = atomic_load(&target->written_bytes);
	assert_int_equal(restore_from(m, &s, target, NULL, &r, &err), 0);
	assert_int_equal(r.written_bytes, 0);
	assert_int_equal(r.skipped_bytes, p.used_bytes);
	assert_int_equal(atomic_load(&target->written_bytes), before);
	plan_free(&p);
	snapshot_clear(&s);
	disk_close(d);
	disk_close(target);
	memory_store_free(m);
}

/* A disk with a cache that tells what an earlier, broken-off restore wrote, and a medium that never got it. */
struct cached_disk {
	struct disk d;
	struct disk *cache, *medium;
	_Atomic bool dropped;
};

static int cached_read(struct disk *d, void *buf, size_t len, uint64_t offset, struct error *err)
{
	struct cached_disk *c = (struct cached_disk *)d;

	return disk_read(atomic_load(&c->dropped) ? c->medium : c->cache, buf, len, offset, err);
}

static int cached_write(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err)
{
	struct cached_disk *c = (struct cached_disk *)d;
	int rc = disk_write(c->cache, buf, len, offset, err);

	return rc < 0 ? rc : disk_write(c->medium, buf, len, offset, err);
}

static int cached_flush(struct disk *d, struct error *err)
{
	return 0;
}

static void cached_drop(struct disk *d, uint64_t offset, uint64_t length)
{
	assert_int_equal(length, d->size_bytes);
	atomic_store(&((struct cached_disk *)d)->dropped, true);
}

static void test_stale_cache(void **state)
{
	static const struct disk_ops ops = {.name = "cached",
					    .read = cached_read,
					    .write = cached_write,
					    .flush = cached_flush,
					    .drop_cache = cached_drop};
	struct fixture *f = *state;
	struct cached_disk c = {.d = {.ops = &ops, .size_bytes = SIZE, .sector_bytes = 512, .fd = -1}};
	struct restore_result r;
	struct verify_result v;
	struct error err = {0};

	c.medium = noise_disk(SIZE, 512, 55);
	assert_int_equal(disk_open_memory(SIZE, 512, &c.cache, NULL), 0);
	assert_int_equal(disk_write(c.cache, f->bytes, SIZE, 0, NULL), 0);
	assert_int_equal(verify_in(f->store, &f->snapshot, &c.d, &v, &err), -EILSEQ);
	atomic_store(&c.dropped, false);
	assert_int_equal(restore_from(f->store, &f->snapshot, &c.d, NULL, &r, &err), 0);
	assert_same(f, c.medium);
	disk_close(c.cache);
	disk_close(c.medium);
}

/* A recipe that covers less than the snapshot says is damage, and what was restored does not look whole. */
static void test_recipe_lacks_a_part(void **state)
{
	struct fixture *f = *state;
	struct snapshot s = f->snapshot;
	struct snapshot_disk disk = s.disks[0];
	struct disk *target = noise_disk(SIZE, 512, 55);
	struct restore_result r;
	struct verify_result v;
	struct error err = {0};
	uint8_t head[4096];

	disk.used_bytes += 4096;
	s.disks = &disk;
	assert_int_equal(verify_in(f->store, &s, NULL, &v, &err), -ERR_DAMAGED);
	assert_int_equal(restore_from(f->store, &s, target, NULL, &r, &err), -ERR_DAMAGED);
	assert_non_null(strstr(err.text, "covers"));
	assert_int_equal(disk_read(target, head, sizeof head, 0, NULL), 0);
	assert_true(bytes_are_zero(head, sizeof head));
	disk_close(target);
}

/* One flipped bit in any write is found by reading back. */
static void test_silent_corruption(void **state)
{
	struct fixture *f = *state;
	static const uint64_t at[] = {3, 4, 10, 30, 60};

	for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
		struct disk *target = noise_disk(SIZE, 512, 55), *bad;
		struct disk_faults faults = {.corrupt_nth_write = at[i]};
		struct restore_result r;
		struct error err = {0};

		assert_int_equal(disk_wrap_faults(target, &faults, &bad, &err), 0);
		assert_int_equal(restore_from(f->store, &f->snapshot, bad, NULL, &r, &err), -ERR_DAMAGED);
		assert_non_null(strstr(err.text, "what was written"));
		disk_close(bad);
	}
}

static void test_full_target(void **state)
{
	struct fixture *f = *state;
	struct disk *target = noise_disk(SIZE, 512, 55), *bad;
	struct disk_faults faults = {.full_after_bytes = 5 * MIB};
	struct restore_result r;
	struct error err = {0};

	assert_int_equal(disk_wrap_faults(target, &faults, &bad, &err), 0);
	assert_int_equal(restore_from(f->store, &f->snapshot, bad, NULL, &r, &err), -ENOSPC);
	disk_close(bad);
}

/* A damaged or missing chunk ends restore and verify with a code of its own. */
static void test_source_damage(void **state)
{
	struct fixture *f = *state;
	struct hash h;

	for (size_t n = 0; n < 5; n++)
		for (int lose = 0; lose < 2; lose++) {
			struct memory_store *m = memory_store_new();
			struct disk *target = noise_disk(SIZE, 512, 55);
			struct snapshot s;
			struct restore_result r;
			struct verify_result v;
			struct error err = {0};

			assert_int_equal(backup_to(m, f->disk, NULL, NULL, &s, &err), 0);
			assert_int_equal(verify_in(m, &s, NULL, &v, &err), 0);
			assert_true(memory_store_chunk(m, n * (s.new_chunks - 1) / 4, &h));
			assert_true(lose ? memory_store_lose(m, &h) : memory_store_damage(m, &h));
			assert_int_equal(verify_in(m, &s, NULL, &v, &err), -ERR_DAMAGED);
			assert_int_equal(restore_from(m, &s, target, NULL, &r, &err), -ERR_DAMAGED);
			snapshot_clear(&s);
			disk_close(target);
			memory_store_free(m);
		}
}

static void test_verify_against(void **state)
{
	struct fixture *f = *state;
	struct disk *copy, *small = noise_disk(MIB, 512, 2);
	struct verify_result v;
	struct error err = {0};
	uint8_t byte;

	assert_int_equal(disk_open_memory(SIZE + 512, 512, &copy, NULL), 0);
	assert_int_equal(disk_write(copy, f->bytes, SIZE, 0, NULL), 0);
	assert_int_equal(verify_in(f->store, &f->snapshot, copy, &v, &err), 0);
	assert_int_equal(v.first_difference, UINT64_MAX);
	assert_true(v.plain_bytes > MIB);
	for (uint64_t at = 7 * MIB + 3; at < SIZE; at += 18 * MIB) {
		byte = (uint8_t)~f->bytes[at];
		assert_int_equal(disk_write(copy, &byte, 1, at, NULL), 0);
	}
	assert_int_equal(verify_in(f->store, &f->snapshot, copy, &v, &err), -EILSEQ);
	assert_int_equal(v.different_bytes, 4);
	assert_int_equal(v.first_difference, 7 * MIB + 3);
	assert_int_equal(verify_in(f->store, &f->snapshot, small, &v, &err), -ERR_REFUSED);
	disk_close(copy);
	disk_close(small);
}

static int stop_at_writing(void *arg, const struct progress *p)
{
	return strcmp(p->phase, arg) == 0 ? -ERR_CANCELLED : 0;
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	static char *phases[] = {"planning", "writing", "checking"};

	for (size_t i = 0; i < 3; i++) {
		struct disk *target = noise_disk(SIZE, 512, 55);
		struct restore_options o = {.engine = {.progress = stop_at_writing, .progress_arg = phases[i]}};
		struct restore_result r;
		struct error err = {0};

		assert_int_equal(restore_from(f->store, &f->snapshot, target, &o, &r, &err), -ERR_CANCELLED);
		disk_close(target);
	}
}

static void put_plain(struct chunk_sink *sink, const void *p, size_t n, struct hash *h)
{
	struct chunk_frame frame = {.plain_bytes = (uint32_t)n, .body_bytes = (uint32_t)n, .body = p};

	frame.hash = *h = hash_of(p, n);
	assert_int_equal(chunk_sink_put(sink, &frame, 1, NULL, NULL), 0);
}

/* A recipe that this engine's cutter would not make: chunks used in part, out of order, twice, and scattered. */
static void test_foreign_recipe(void **state)
{
	struct memory_store *m = memory_store_new();
	struct recipe_chunk chunks[2] = {{.plain_bytes = 8192}, {.plain_bytes = 4096}};
	struct recipe_extent extents[] = {
		{2 * MIB, 1024, 0, 4096},	 {2 * MIB + 1024, 512, RECIPE_ZERO, 0}, {3 * MIB, 4096, 1, 0},
		{3 * MIB + 4096, 4096, 0, 4096}, {3 * MIB + 8192, 4096, 0, 0},		{4 * MIB, 2048, 1, 2048},
		{4 * MIB + 4096, 2048, 1, 0},	 {4 * MIB + 8192, 8192, 0, 0},		{5 * MIB, 100, 0, 8092}};
	struct recipe_segment segment = {0, chunks, 2, extents, sizeof extents / sizeof *extents};
	struct recipe_root_entry entry = {0};
	struct recipe_root root = {&entry, 1};
	struct snapshot_disk disk = {.size_bytes = 8 * MIB, .sector_bytes = 512, .n_roots = 1};
	struct snapshot s = {.host = "test", .disks = &disk, .n_disks = 1};
	struct disk *target = noise_disk(8 * MIB, 512, 4), *bad;
	struct disk_faults faults = {.corrupt_nth_write = 1};
	uint8_t content[12288], *want = disk_bytes(target), *have;
	struct chunk_sink *sink;
	struct buf bytes = {0};
	struct restore_result r;
	struct verify_result v;
	struct hash root_hash;
	uint64_t seed = 5;
	struct error err = {0};

	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (uint8_t)(random_next(&seed) >> 9);
	assert_int_equal(memory_store_open_sink(m, &sink, NULL), 0);
	put_plain(sink, content, 8192, &chunks[0].hash);
	put_plain(sink, content + 8192, 4096, &chunks[1].hash);
	assert_int_equal(recipe_segment_encode(&segment, &bytes, NULL), 0);
	put_plain(sink, bytes.data, bytes.len, &entry.segment);
	bytes.len = 0;
	assert_int_equal(recipe_root_encode(&root, &bytes, NULL), 0);
	put_plain(sink, bytes.data, bytes.len, &root_hash);
	disk.roots = &root_hash;
	for (size_t i = 0; i < segment.n_extents; i++) {
		const struct recipe_extent *e = &extents[i];

		disk.used_bytes += e->length;
		if (e->chunk == RECIPE_ZERO)
			memset(want + e->disk_offset, 0, e->length);
		else
			memcpy(want + e->disk_offset, content + (e->chunk ? 8192 : 0) + e->chunk_offset, e->length);
	}
	assert_int_equal(restore_from(m, &s, target, NULL, &r, &err), 0);
	have = disk_bytes(target);
	assert_memory_equal(have, want, 8 * MIB);
	assert_int_equal(verify_in(m, &s, target, &v, &err), 0);
	free(have);
	/* Each write wrong in turn; the parts of chunks are read back too. */
	for (uint64_t n = 1; n <= segment.n_extents; n++) {
		struct disk *fresh = noise_disk(8 * MIB, 512, n);

		faults.corrupt_nth_write = n;
		assert_int_equal(disk_wrap_faults(fresh, &faults, &bad, &err), 0);
		assert_int_equal(restore_from(m, &s, bad, NULL, &r, &err), -ERR_DAMAGED);
		disk_close(bad);
	}
	chunk_sink_close(sink);
	buf_free(&bytes);
	free(want);
	disk_close(target);
	memory_store_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_delta),
		cmocka_unit_test(test_blank),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_table_comes_last),
		cmocka_unit_test(test_nothing_differs),
		cmocka_unit_test(test_stale_cache),
		cmocka_unit_test(test_recipe_lacks_a_part),
		cmocka_unit_test(test_silent_corruption),
		cmocka_unit_test(test_full_target),
		cmocka_unit_test(test_source_damage),
		cmocka_unit_test(test_verify_against),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_foreign_recipe),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
