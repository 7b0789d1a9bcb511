/* Backup as a property: whatever is used comes back as it was, is stored once, and the source is never changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

#define MIB (1ull << 20)

/* Used bytes of the target equal the source's, all others are untouched. */
static void assert_restored(const struct plan *p, const uint8_t *source, const uint8_t *target, const uint8_t *before,
			    uint64_t size)
{
	uint64_t at = 0;

	for (size_t i = 0; i < p->regions->extents.n; i++) {
		const struct extent *e = &p->regions->extents.at[i];

		assert_memory_equal(target + at, before + at, e->offset - at);
		assert_memory_equal(target + e->offset, source + e->offset, e->length);
		at = e->offset + e->length;
	}
	assert_memory_equal(target + at, before + at, size - at);
}

static void round_trip(uint64_t size, uint32_t sector, unsigned percent, uint64_t seed)
{
	uint64_t state = seed;
	struct memory_store *m = memory_store_new();
	struct disk *d = mixed_disk(size, sector, seed), *target = noise_disk(size, sector, seed + 1);
	uint8_t *source = disk_bytes(d), *before = disk_bytes(target), *after;
	struct snapshot s, again;
	struct restore_result r;
	struct verify_result v;
	struct error err = {0};
	struct memory_store_facts facts, later;
	struct plan p;

	random_plan(&p, d, percent, &state);
	if (backup_to(m, d, &p, NULL, &s, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(s.used_bytes, p.used_bytes);
	assert_int_equal(s.read_bytes, p.used_bytes);
	memory_store_get_facts(m, &facts);
	assert_int_equal(facts.chunks, s.new_chunks);
	assert_int_equal(facts.stored_bytes, s.stored_bytes);
	assert_int_equal(facts.duplicate_puts, 0);
	assert_int_equal(facts.snapshots, 1);
	if (restore_from(m, &s, target, NULL, &r, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(r.written_bytes + r.skipped_bytes, p.used_bytes);
	after = disk_bytes(target);
	assert_restored(&p, source, after, before, size);
	free(after);
	/* Once more: everything is in place. */
	assert_int_equal(restore_from(m, &s, target, NULL, &r, &err), 0);
	assert_int_equal(r.written_bytes, 0);
	assert_int_equal(r.skipped_bytes, p.used_bytes);
	assert_int_equal(verify_in(m, &s, target, &v, &err), 0);
	assert_int_equal(v.different_bytes, 0);
	after = disk_bytes(d);
	assert_memory_equal(after, source, size);
	/* And the same disk again stores nothing new. */
	assert_int_equal(backup_to(m, d, &p, NULL, &again, &err), 0);
	assert_int_equal(again.new_bytes, 0);
	assert_int_equal(again.stored_bytes, 0);
	memory_store_get_facts(m, &later);
	assert_int_equal(later.chunks, facts.chunks);
	assert_int_equal(later.snapshots, 2);
	snapshot_clear(&s);
	snapshot_clear(&again);
	plan_free(&p);
	free(after);
	free(before);
	free(source);
	disk_close(d);
	disk_close(target);
	memory_store_free(m);
}

static void test_round_trips(void **state)
{
	uint64_t seed = 42;

	round_trip(512, 512, 100, 7);
	round_trip(4096, 4096, 100, 8);
	round_trip(1000, 512, 100, 9); /* no whole number of sectors */
	round_trip(130 * MIB + 12345, 512, 60, 10);
	round_trip(66 * MIB + 4096, 4096, 90, 11);
	for (int i = 0; i < 12; i++) {
		uint32_t sector = i & 1 ? 4096 : 512;
		uint64_t size = 1 + random_below(&seed, 3 * MIB);

		round_trip(i % 3 ? size : (size / sector + 1) * sector, sector, 1 + (unsigned)random_below(&seed, 100),
			   random_next(&seed));
	}
}

/* A disk without a table is one region, copied whole but for its zeros. */
static void test_own_plan(void **state)
{
	struct memory_store *m = memory_store_new();
	struct disk *d = mixed_disk(66 * MIB + 512, 512, 99), *target = noise_disk(80 * MIB, 512, 3);
	uint8_t *source = disk_bytes(d), *after;
	struct snapshot s, found;
	struct restore_result r;
	struct error err = {0};

	if (backup_to(m, d, NULL, NULL, &s, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(memory_store_read_snapshot(m, 0, &found, &err), 0);
	assert_string_equal(found.id, s.id);
	assert_int_equal(found.n_disks, 1);
	assert_int_equal(found.disks[0].n_regions, 1);
	assert_string_equal(found.disks[0].regions[0].copied, "raw");
	assert_string_equal(found.disks[0].regions[0].kind, "unknown");
	assert_false(found.degraded);
	assert_int_equal(found.used_bytes, d->size_bytes);
	if (restore_from(m, &found, target, NULL, &r, &err) < 0)
		fail_msg("%s", err.text);
	after = disk_bytes(target);
	assert_memory_equal(after, source, d->size_bytes);
	free(after);
	free(source);
	snapshot_clear(&s);
	snapshot_clear(&found);
	disk_close(d);
	disk_close(target);
	memory_store_free(m);
}

/* Every call of the sink fails once; nothing is committed then, and the next try sends only what is missing. */
static void test_interrupted(void **state)
{
	struct disk *d = mixed_disk(66 * MIB, 512, 5);
	struct snapshot s;
	struct error err = {0};
	uint64_t calls, whole;
	struct engine_options o = {.threads = 3};
	struct memory_store *m = memory_store_new();
	struct memory_store_facts facts;

	assert_int_equal(backup_to(m, d, NULL, &o, &s, &err), 0);
	calls = memory_store_calls(m);
	memory_store_get_facts(m, &facts);
	whole = facts.chunks;
	snapshot_clear(&s);
	memory_store_free(m);
	assert_true(calls > 10);
	for (uint64_t n = 1; n <= calls; n++) {
		struct memory_store_faults faults = {.fail_nth_call = n, .fail_code = n & 1 ? -ENOSPC : -EIO};
		uint64_t arrived;

		m = memory_store_new();
		memory_store_set_faults(m, &faults);
		assert_int_equal(backup_to(m, d, NULL, &o, &s, &err), faults.fail_code);
		assert_non_null(strstr(err.text, "fails its call"));
		assert_null(s.disks);
		snapshot_clear(&s);
		memory_store_get_facts(m, &facts);
		assert_int_equal(facts.snapshots, 0);
		arrived = facts.chunks;
		memory_store_set_faults(m, &(struct memory_store_faults){0});
		assert_int_equal(backup_to(m, d, NULL, &o, &s, &err), 0);
		memory_store_get_facts(m, &facts);
		assert_int_equal(facts.snapshots, 1);
		assert_int_equal(facts.chunks, whole);
		assert_int_equal(s.new_chunks, whole - arrived);
		assert_int_equal(facts.duplicate_puts, 0);
		snapshot_clear(&s);
		memory_store_free(m);
	}
	disk_close(d);
}

static void test_read_error(void **state)
{
	struct memory_store *m = memory_store_new();
	struct disk *d = mixed_disk(66 * MIB, 512, 5), *bad;
	struct disk_faults faults = {.fail_read_at = 64 * MIB + 512, .fail_read_bytes = 512};
	struct snapshot s;
	struct error err = {0};
	struct memory_store_facts facts;

	assert_int_equal(disk_wrap_faults(d, &faults, &bad, &err), 0);
	strcpy(bad->identity.path, "/dev/bad");
	assert_int_equal(backup_to(m, bad, NULL, NULL, &s, &err), -EIO);
	assert_non_null(strstr(err.text, "/dev/bad"));
	assert_non_null(strstr(err.text, "byte 67108864")); /* the request that holds the bad sector */
	memory_store_get_facts(m, &facts);
	assert_int_equal(facts.snapshots, 0);
	snapshot_clear(&s);
	disk_close(bad);
	memory_store_free(m);
}

static int cancel_late(void *arg, const struct progress *p)
{
	unsigned *left = arg;

	return --*left ? 0 : -ERR_CANCELLED;
}

static void test_cancel(void **state)
{
	struct disk *d = mixed_disk(66 * MIB, 512, 6);

	/* The phases report at once: planning, reading, committing. */
	for (unsigned at = 1; at <= 3; at++) {
		struct memory_store *m = memory_store_new();
		struct memory_store_facts facts;
		unsigned left = at;
		struct engine_options o = {.progress = cancel_late, .progress_arg = &left};
		struct snapshot s;
		struct error err = {0};

		assert_int_equal(backup_to(m, d, NULL, &o, &s, &err), -ERR_CANCELLED);
		assert_non_null(strstr(err.text, "cancelled"));
		memory_store_get_facts(m, &facts);
		assert_int_equal(facts.snapshots, 0);
		snapshot_clear(&s);
		memory_store_free(m);
	}
	disk_close(d);
}

static void test_dry_run(void **state)
{
	struct memory_store *m = memory_store_new();
	struct disk *d = mixed_disk(66 * MIB, 512, 6);
	struct chunk_sink *sink;
	struct snapshot dry = {.host = "test"}, alone = {.host = "test"}, real, after = {.host = "test"};
	struct error err = {0};
	struct memory_store_facts facts;

	assert_int_equal(memory_store_open_sink(m, &sink, &err), 0);
	assert_int_equal(backup_run(&d, 1, sink, &dry, true, NULL, &err), 0);
	assert_int_equal(backup_run(&d, 1, NULL, &alone, true, NULL, &err), 0);
	memory_store_get_facts(m, &facts);
	assert_int_equal(facts.chunks, 0);
	assert_int_equal(facts.snapshots, 0);
	assert_int_equal(backup_to(m, d, NULL, NULL, &real, &err), 0);
	assert_int_equal(dry.new_bytes, real.new_bytes);
	assert_int_equal(dry.new_chunks, real.new_chunks);
	assert_int_equal(alone.new_chunks, real.new_chunks);
	assert_int_equal(dry.stored_bytes, 0);
	assert_int_equal(backup_run(&d, 1, sink, &after, true, NULL, &err), 0);
	assert_int_equal(after.new_bytes, 0);
	assert_int_equal(backup_run(&d, 1, NULL, &after, false, NULL, &err), -EINVAL);
	chunk_sink_close(sink);
	snapshot_clear(&dry);
	snapshot_clear(&alone);
	snapshot_clear(&real);
	snapshot_clear(&after);
	disk_close(d);
	memory_store_free(m);
}

/* 512-byte clusters, every second one used: the recipe of one window does not fit a segment. */
static void test_fragmented(void **state)
{
	struct memory_store *m = memory_store_new();
	struct disk *d = noise_disk(64 * MIB, 512, 6), *target = mixed_disk(64 * MIB, 512, 7);
	uint8_t *source = disk_bytes(d), *before = disk_bytes(target), *after;
	struct snapshot s;
	struct restore_result r;
	struct error err = {0};
	struct plan p;

	one_region_plan(&p, d, 512);
	for (uint64_t at = 512; at < d->size_bytes; at += 1024)
		assert_int_equal(extents_add(&p.regions->extents, at, 512), 0);
	p.used_bytes = p.regions->used_bytes = extents_total(&p.regions->extents);
	if (backup_to(m, d, &p, NULL, &s, &err) < 0)
		fail_msg("%s", err.text);
	if (restore_from(m, &s, target, NULL, &r, &err) < 0)
		fail_msg("%s", err.text);
	after = disk_bytes(target);
	assert_restored(&p, source, after, before, d->size_bytes);
	/* Parts of chunks that lie in two segments are compared too. */
	assert_int_equal(restore_from(m, &s, target, NULL, &r, &err), 0);
	assert_int_equal(r.written_bytes, 0);
	free(after);
	free(before);
	free(source);
	snapshot_clear(&s);
	plan_free(&p);
	disk_close(d);
	disk_close(target);
	memory_store_free(m);
}

static void test_two_disks(void **state)
{
	struct memory_store *m = memory_store_new();
	struct disk *disks[2] = {mixed_disk(3 * MIB, 512, 6), mixed_disk(66 * MIB, 4096, 7)};
	struct snapshot s = {.host = "test"};
	struct chunk_sink *sink;
	struct chunk_source *source;
	struct error err = {0};

	assert_int_equal(memory_store_open_sink(m, &sink, &err), 0);
	assert_int_equal(memory_store_open_source(m, &source, &err), 0);
	assert_int_equal(backup_run(disks, 2, sink, &s, false, NULL, &err), 0);
	assert_int_equal(s.n_disks, 2);
	for (size_t i = 0; i < 2; i++) {
		struct disk *target = noise_disk(disks[i]->size_bytes, disks[i]->sector_bytes, 1);
		uint8_t *want = disk_bytes(disks[i]), *have;
		struct restore_result r;

		assert_int_equal(restore_run(source, &s, i, target, NULL, &r, &err), 0);
		have = disk_bytes(target);
		assert_memory_equal(have, want, disks[i]->size_bytes);
		free(have);
		free(want);
		disk_close(target);
		disk_close(disks[i]);
	}
	chunk_source_close(source);
	chunk_sink_close(sink);
	snapshot_clear(&s);
	memory_store_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips), cmocka_unit_test(test_own_plan),
		cmocka_unit_test(test_interrupted), cmocka_unit_test(test_read_error),
		cmocka_unit_test(test_cancel),	    cmocka_unit_test(test_dry_run),
		cmocka_unit_test(test_fragmented),  cmocka_unit_test(test_two_disks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
