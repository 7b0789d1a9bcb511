/* The way in: poison, doubles, memory, time, full disks, several threads and several processes. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "fixture.h"

struct made {
	struct hash hash;
	struct chunk_frame frame;
	uint8_t *plain, *body;
};

static struct made make(uint64_t k)
{
	struct made m = {.plain = malloc(CHUNK_MAX_BYTES), .body = malloc(CHUNK_MAX_BYTES)};
	struct chunk_coder *c = chunk_coder_new(1);
	size_t n = fixture_chunk(k, m.plain);

	m.hash = hash_of(m.plain, n);
	assert_int_equal(chunk_encode(c, &m.hash, m.plain, n, m.body, &m.frame), 0);
	chunk_coder_free(c);
	return m;
}

static void made_free(struct made *m)
{
	free(m->plain);
	free(m->body);
}

static uint64_t count_chunks(struct store *s)
{
	struct store_facts f;
	struct error err = {0};

	assert_done(store_get_facts(s, &f, &err), err);
	return f.chunks;
}

static bool has(struct chunk_sink *sink, const struct hash *h)
{
	struct error err = {0};
	bool present = false;

	assert_done(chunk_sink_have(sink, h, 1, &present, &err), err);
	return present;
}

static void poison_is_refused(void **state)
{
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);
	struct made m = make(1);
	struct chunk_frame bad[7];
	struct chunk_sink *sink;
	struct error err = {0};
	uint64_t stored;
	uint8_t *flipped = malloc(m.frame.body_bytes);

	assert_int_equal(m.frame.method, CHUNK_ZSTD);
	memcpy(flipped, m.frame.body, m.frame.body_bytes);
	flipped[m.frame.body_bytes / 2] ^= 1;
	for (size_t i = 0; i < 7; i++)
		bad[i] = m.frame;
	bad[0].hash.bytes[0] ^= 1;		  /* other bytes under this name */
	bad[1].plain_bytes++;			  /* a length that is too long … */
	bad[2].plain_bytes--;			  /* … or too short: a bomb, bounded by what was announced */
	bad[3].body = flipped;			  /* changed on the way */
	bad[4].body_bytes -= 5;			  /* cut short */
	bad[5].method = CHUNK_PLAIN;		  /* another method than it was made with */
	bad[6].plain_bytes = CHUNK_MAX_BYTES + 1; /* more than a chunk may have */
	assert_done(store_open_sink(s, &sink, &err), err);
	for (size_t i = 0; i < 7; i++) {
		if (chunk_sink_put(sink, &bad[i], 1, &stored, &err) == 0)
			fail_msg("bad frame %zu was taken", i);
		assert_true(err.text[0] != '\0');
		assert_int_equal(sink->ops->put(sink, &bad[i], 1, &stored, &err), -ERR_DAMAGED);
		assert_int_equal(stored, 0);
	}
	assert_done(chunk_sink_put(sink, &m.frame, 1, &stored, &err), err);
	assert_int_equal(stored, STORE_FRAME_COST(m.frame.body_bytes));
	chunk_sink_close(sink);
	assert_int_equal(count_chunks(s), 1);
	free(flipped);
	made_free(&m);
	store_close(s);
	fixture_remove(folder);
}

static void have_means_durable(void **state)
{
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);
	struct made m = make(1);
	struct chunk_sink *a, *b;
	struct error err = {0};
	uint64_t stored;

	assert_done(store_open_sink(s, &a, &err), err);
	assert_done(store_open_sink(s, &b, &err), err);
	assert_done(chunk_sink_put(a, &m.frame, 1, &stored, &err), err);
	assert_false(has(a, &m.hash));
	assert_done(chunk_sink_put(b, &m.frame, 1, &stored, &err), err);
	assert_int_equal(stored, 0); /* but it is not stored twice */
	assert_false(has(b, &m.hash));
	chunk_sink_close(a);
	assert_true(has(b, &m.hash));
	chunk_sink_close(b);
	assert_int_equal(count_chunks(s), 1);
	made_free(&m);
	store_close(s);
	fixture_remove(folder);
}

static void an_old_open_pack_is_stored(void **state)
{
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);
	struct made m = make(1);
	struct chunk_sink *sink;
	struct error err = {0};
	uint64_t stored, start;

	s->flush_after_ms = 150;
	assert_done(store_open_sink(s, &sink, &err), err);
	assert_done(chunk_sink_put(sink, &m.frame, 1, &stored, &err), err);
	assert_false(has(sink, &m.hash));
	for (start = clock_ms(); !has(sink, &m.hash) && clock_ms() - start < 10000;)
		clock_sleep_ms(20);
	assert_true(has(sink, &m.hash));
	chunk_sink_close(sink);
	made_free(&m);
	store_close(s);
	fixture_remove(folder);
}

#define THREADS 4
#define CHUNKS 300

struct racer {
	pthread_t thread;
	struct chunk_sink *sink;
	const struct made *made;
	uint64_t stored;
	unsigned seed;
};

/* Everybody puts everything, each in another order. */
static void *race(void *arg)
{
	struct racer *r = arg;

	for (size_t i = 0; i < CHUNKS; i++) {
		struct error err = {0};
		uint64_t stored = 0;
		size_t k = (i * (2 * r->seed + 1) + r->seed * 7) % CHUNKS;

		if (chunk_sink_put(r->sink, &r->made[k].frame, 1, &stored, &err) < 0)
			abort();
		r->stored += stored;
	}
	return NULL;
}

static void doubles_in_flight_are_stored_once(void **state)
{
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);
	struct made *made = calloc(CHUNKS, sizeof *made);
	struct racer racers[THREADS];
	struct chunk_sink *sink;
	struct error err = {0};
	uint64_t stored = 0, cost = 0;

	for (size_t i = 0; i < CHUNKS; i++) {
		made[i] = make(i);
		cost += STORE_FRAME_COST(made[i].frame.body_bytes);
	}
	s->flush_after_ms = 1; /* packs are stored all the time: the gap between index and memory is crossed often */
	assert_done(store_open_sink(s, &sink, &err), err);
	for (unsigned i = 0; i < THREADS; i++) {
		racers[i] = (struct racer){.sink = sink, .made = made, .seed = i};
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(racers[i].thread, NULL);
		stored += racers[i].stored;
	}
	chunk_sink_close(sink);
	assert_int_equal(stored, cost);
	assert_int_equal(count_chunks(s), CHUNKS);
	for (size_t i = 0; i < CHUNKS; i++)
		made_free(&made[i]);
	free(made);
	store_close(s);
	fixture_remove(folder);
}

static int full_while_told(void *arg, uint64_t nth, const char *op, const char *name)
{
	return atomic_load((_Atomic int *)arg) && strcmp(op, "put") == 0 ? -ENOSPC : 0;
}

static struct store *open_faulty(const char *folder, _Atomic int *full)
{
	char cache[300], lock[300];
	struct store_backend *dir, *b;
	struct error err = {0};
	struct store *s;

	snprintf(cache, sizeof cache, "%s/cache/index.sqlite", folder);
	snprintf(lock, sizeof lock, "%s/lock", folder);
	assert_done(store_directory_open(folder, false, &dir, &err), err);
	assert_done(store_fault_wrap(dir, full_while_told, full, &b, &err), err);
	assert_done(store_open_on(b, cache, lock, &s, &err), err);
	return s;
}

static void a_full_disk_is_waited_out(void **state)
{
	char *folder = fixture_store();
	_Atomic int full = 1;
	struct store *s = open_faulty(folder, &full);
	struct fixture_backup b = {.host = "john", .n = 20};
	struct chunk_sink *sink;
	struct error err = {0};

	s->retry_after_ms = 1;
	assert_done(store_open_sink(s, &sink, &err), err);
	assert_int_equal(fixture_commit(sink, &b, &err), -ENOSPC);
	assert_int_equal(fixture_commit(sink, &b, &err), -ENOSPC);
	atomic_store(&full, 0);
	assert_done(fixture_commit(sink, &b, &err), err);
	chunk_sink_close(sink);
	assert_done(fixture_verify(s, "john", NULL, &err), err);
	assert_done(store_check(s, true, NULL, NULL, NULL, NULL, &err), err);
	store_close(s);
	fixture_remove(folder);
}

struct flusher {
	struct store *store;
	unsigned done; /* flushes that said that all was stored */
};

static void *flush_often(void *arg)
{
	struct flusher *f = arg;
	struct error err = {0};

	for (int i = 0; i < 300; i++)
		f->done += store_writer_flush(f->store->writer, &err) == 0;
	return NULL;
}

/* One commit that tries a pack again must not make another one believe that it was stored. */
static void several_flushes_fail_together(void **state)
{
	enum { FLUSHERS = 4 };
	char *folder = fixture_store();
	_Atomic int full = 1;
	struct store *s = open_faulty(folder, &full);
	struct made m = make(1);
	struct flusher flushers[FLUSHERS];
	pthread_t threads[FLUSHERS];
	struct chunk_sink *sink;
	struct error err = {0};
	uint64_t stored;

	assert_done(store_open_sink(s, &sink, &err), err);
	assert_done(chunk_sink_put(sink, &m.frame, 1, &stored, &err), err);
	for (size_t i = 0; i < FLUSHERS; i++) {
		flushers[i] = (struct flusher){.store = s};
		assert_int_equal(pthread_create(&threads[i], NULL, flush_often, &flushers[i]), 0);
	}
	for (size_t i = 0; i < FLUSHERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(flushers[i].done, 0);
	}
	atomic_store(&full, 0);
	chunk_sink_close(sink);
	assert_int_equal(count_chunks(s), 1);
	made_free(&m);
	store_close(s);
	fixture_remove(folder);
}

/* More than fits the packs in memory while nothing can be stored: the sender is told, nothing is lost. */
static void memory_is_bounded_while_the_disk_is_full(void **state)
{
	char *folder = fixture_store();
	_Atomic int full = 1;
	struct store *s = open_faulty(folder, &full);
	struct chunk_coder *c = chunk_coder_new(1);
	uint8_t *plain = malloc(CHUNK_MAX_BYTES), *body = malloc(CHUNK_MAX_BYTES);
	struct chunk_sink *sink;
	struct error err = {0};
	struct chunk_frame f;
	uint64_t stored, taken = 0;
	int r = 0;

	s->retry_after_ms = 100000;
	assert_done(store_open_sink(s, &sink, &err), err);
	while (r == 0 && taken < 400) {
		struct hash h;

		for (size_t i = 0; i < CHUNK_MAX_BYTES; i += 8)
			bytes_put_le64(plain + i, (taken + 1) * 0x9e3779b97f4a7c15u * (i + 1));
		h = hash_of(plain, CHUNK_MAX_BYTES);
		assert_int_equal(chunk_encode(c, &h, plain, CHUNK_MAX_BYTES, body, &f), 0);
		r = chunk_sink_put(sink, &f, 1, &stored, &err);
		taken += r == 0;
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(taken >= 60 && taken <= 200);
	atomic_store(&full, 0);
	chunk_sink_close(sink);
	assert_int_equal(count_chunks(s), taken);
	chunk_coder_free(c);
	free(plain);
	free(body);
	store_close(s);
	fixture_remove(folder);
}

static void resuming_sends_nothing_twice(void **state)
{
	char *folder = fixture_store();
	struct fixture_backup b = {.host = "john", .n = 50}, again = b;
	struct error err = {0};
	struct store *s;
	int status;
	pid_t pid = fork();

	if (pid == 0) { /* killed with its sink open, after the open pack was stored because of its age */
		struct chunk_sink *sink;

		s = fixture_open(folder);
		s->flush_after_ms = 50;
		if (store_open_sink(s, &sink, &err) < 0 || fixture_put(sink, &b, &err) < 0)
			_exit(1);
		for (uint64_t start = clock_ms(); clock_ms() - start < 10000 && count_chunks(s) < b.sent;)
			clock_sleep_ms(10);
		_exit(77);
	}
	assert_true(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 77);
	s = fixture_open(folder);
	assert_done(fixture_run(s, &again, &err), err);
	assert_int_equal(again.sent, 0);
	assert_true(again.asked > 50);
	assert_done(fixture_verify(s, "john", NULL, &err), err);
	store_close(s);
	fixture_remove(folder);
}

static void commit_needs_every_chunk(void **state)
{
	char *folder = fixture_store(), id[SNAPSHOT_ID_BYTES];
	struct store *s = fixture_open(folder);
	struct recipe_chunk chunk = {.plain_bytes = 100};
	struct recipe_extent extent = {.length = 100};
	struct recipe_segment seg = {.chunks = &chunk, .n_chunks = 1, .extents = &extent, .n_extents = 1};
	struct recipe_root_entry entry = {0};
	struct recipe_root root = {.entries = &entry, .n = 1};
	struct snapshot_disk disk = {.size_bytes = 1 << 20, .sector_bytes = 512, .table = "none", .n_roots = 1};
	struct snapshot snap = {.host = "john", .disks = &disk, .n_disks = 1};
	struct chunk_coder *c = chunk_coder_new(1);
	struct buf b = {0}, rb = {0};
	struct hash root_hash;
	struct chunk_sink *sink;
	struct chunk_frame f;
	struct error err = {0};
	uint8_t body[4096], plain[100] = "content";
	uint64_t stored;

	chunk.hash = hash_of(plain, 100);
	disk.roots = &root_hash;
	assert_done(recipe_segment_encode(&seg, &b, &err), err);
	entry.segment = hash_of(b.data, b.len);
	assert_done(recipe_root_encode(&root, &rb, &err), err);
	root_hash = hash_of(rb.data, rb.len);
	assert_done(store_open_sink(s, &sink, &err), err);
	assert_int_equal(chunk_sink_commit(sink, &snap, id, &err), -ERR_DAMAGED); /* no root */
	chunk_encode(c, &root_hash, rb.data, rb.len, body, &f);
	assert_done(chunk_sink_put(sink, &f, 1, &stored, &err), err);
	assert_int_equal(chunk_sink_commit(sink, &snap, id, &err), -ERR_DAMAGED); /* no segment */
	chunk_encode(c, &entry.segment, b.data, b.len, body, &f);
	assert_done(chunk_sink_put(sink, &f, 1, &stored, &err), err);
	assert_int_equal(chunk_sink_commit(sink, &snap, id, &err), -ERR_DAMAGED); /* no chunk */
	assert_non_null(strstr(err.text, "missing"));
	chunk_encode(c, &chunk.hash, plain, 100, body, &f);
	assert_done(chunk_sink_put(sink, &f, 1, &stored, &err), err);
	disk.size_bytes = 50;
	assert_int_equal(chunk_sink_commit(sink, &snap, id, &err), -ERR_DAMAGED); /* beyond the disk */
	disk.size_bytes = 1 << 20;
	assert_done(chunk_sink_commit(sink, &snap, id, &err), err);
	chunk_sink_close(sink);
	chunk_coder_free(c);
	buf_free(&b);
	buf_free(&rb);
	store_close(s);
	fixture_remove(folder);
}

/* Four processes back up overlapping content at the same time, a fifth prunes in between when it can. */
static void several_processes(void **state)
{
	char *folder = fixture_store();
	struct error err = {0};
	struct store_facts facts;
	struct store *s;
	pid_t pids[5];

	for (unsigned i = 0; i < 5; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		s = fixture_open(folder);
		s->exclusive_wait_ms = 5;
		for (int k = 0; k < 4; k++) {
			struct fixture_backup b = {.host = "pc", .time = i * 100 + k, .first = 10 * i + k, .n = 30};
			struct store_pruned p;
			int r = i < 4 ? fixture_run(s, &b, &err) : store_prune(s, false, &p, NULL, NULL, &err);

			if (r < 0 && r != -EBUSY) {
				fprintf(stderr, "process %u: %s\n", i, err.text);
				_exit(1);
			}
		}
		_exit(0);
	}
	for (unsigned i = 0; i < 5; i++) {
		int status;

		assert_true(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
	}
	s = fixture_open(folder);
	assert_done(store_get_facts(s, &facts, &err), err);
	assert_int_equal(facts.snapshots, 16);
	assert_done(store_check(s, true, NULL, NULL, NULL, NULL, &err), err);
	store_close(s);
	fixture_remove(folder);
}

struct got {
	size_t n, order_ok;
	bool problem;
};

static int got_frame(void *arg, size_t number, const struct chunk_frame *frame, const struct error *problem)
{
	struct got *g = arg;
	struct chunk_coder *c = chunk_coder_new(1);
	uint8_t *plain = malloc(CHUNK_MAX_BYTES);

	g->order_ok += number == g->n;
	g->n++;
	if (frame)
		assert_int_equal(chunk_decode(c, frame, plain, NULL), 0);
	else
		g->problem = problem->code == -ERR_DAMAGED && problem->text[0];
	chunk_coder_free(c);
	free(plain);
	return 0;
}

static void frames_for_a_server(void **state)
{
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);
	struct fixture_backup b = {.host = "john", .n = 12};
	struct hash hashes[13];
	struct error err = {0};
	uint64_t fetched;

	assert_done(fixture_run(s, &b, &err), err);
	for (size_t i = 0; i < 12; i++) {
		struct made m = make(11 - i);

		hashes[i] = m.hash;
		made_free(&m);
	}
	memset(&hashes[12], 0x77, sizeof hashes[12]);
	for (int mode = 0; mode < 4; mode++) {
		struct got g = {0};

		assert_done(store_get_frames(s, hashes, 13, mode & 1, mode & 2, got_frame, &g, &fetched, &err), err);
		assert_int_equal(g.n, 13);
		assert_true(g.problem && fetched > 0);
		assert_true(!(mode & 1) || g.order_ok == 13);
	}
	store_close(s);
	fixture_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(poison_is_refused),
		cmocka_unit_test(have_means_durable),
		cmocka_unit_test(an_old_open_pack_is_stored),
		cmocka_unit_test(doubles_in_flight_are_stored_once),
		cmocka_unit_test(a_full_disk_is_waited_out),
		cmocka_unit_test(several_flushes_fail_together),
		cmocka_unit_test(memory_is_bounded_while_the_disk_is_full),
		cmocka_unit_test(resuming_sends_nothing_twice),
		cmocka_unit_test(commit_needs_every_chunk),
		cmocka_unit_test(several_processes),
		cmocka_unit_test(frames_for_a_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
