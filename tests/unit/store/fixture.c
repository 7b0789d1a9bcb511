#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define IN_WINDOW 16
#define BATCH 8

char *fixture_folder(void)
{
	const char *tmp = getenv("TMPDIR");
	char *path = NULL;

	if (!tmp)
		tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm"
						    : "/tmp"; /* thousands of syncs: in memory they cost nothing */
	assert_true(asprintf(&path, "%s/g4l-store-XXXXXX", tmp) > 0);
	assert_non_null(mkdtemp(path));
	return path;
}

char *fixture_store(void)
{
	struct error err = {0};
	char *path = fixture_folder();

	assert_done(store_init(path, &err), err);
	return path;
}

static void run(const char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

void fixture_remove(char *folder)
{
	run((const char *const[]){"rm", "-rf", folder, NULL});
	free(folder);
}

char *fixture_copy(const char *folder)
{
	char *to = fixture_folder(), *from = NULL;

	assert_true(asprintf(&from, "%s/.", folder) > 0);
	run((const char *const[]){"cp", "-a", from, to, NULL});
	free(from);
	return to;
}

struct store *fixture_open(const char *folder)
{
	struct error err = {0};
	struct store *s = NULL;

	assert_done(store_open(folder, &s, &err), err);
	return s;
}

size_t fixture_chunk(uint64_t k, uint8_t *to)
{
	size_t n = 20000 + (size_t)(k % 7) * 1000;
	uint64_t x = k * 0x9e3779b97f4a7c15u + 1;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		to[i] = (uint8_t)(k % 5 == 0 ? x : (x & 3)); /* some do not compress */
	}
	return n;
}

/* Sends one chunk if the sink has not got it. */
static int put_one(struct chunk_sink *s, struct fixture_backup *b, const void *plain, size_t n, struct hash *hash,
		   struct error *err)
{
	struct chunk_coder *coder = chunk_coder_new(1);
	uint8_t *body = malloc(n);
	struct chunk_frame frame;
	uint64_t stored = 0;
	bool present;
	int r;

	assert_true(coder && body);
	*hash = hash_of(plain, n);
	r = chunk_sink_have(s, hash, 1, &present, err);
	b->asked++;
	if (r == 0 && !present) {
		r = chunk_encode(coder, hash, plain, n, body, &frame);
		if (r == 0)
			r = chunk_sink_put(s, &frame, 1, &stored, err);
		b->sent++;
		b->stored_bytes += stored;
	}
	chunk_coder_free(coder);
	free(body);
	return r;
}

static int put_segment(struct chunk_sink *s, struct fixture_backup *b, uint64_t window, struct hash *hash,
		       struct error *err)
{
	struct recipe_chunk chunks[IN_WINDOW];
	struct recipe_extent extents[IN_WINDOW];
	struct recipe_segment seg = {.window = window, .chunks = chunks, .extents = extents};
	uint8_t *plain = malloc(CHUNK_MAX_BYTES);
	struct buf bytes = {0};
	int r = 0;

	for (size_t i = 0; i < IN_WINDOW && window * IN_WINDOW + i < b->n && r == 0; i++) {
		size_t n = fixture_chunk(b->first + window * IN_WINDOW + i, plain);

		r = put_one(s, b, plain, n, &chunks[i].hash, err);
		chunks[i].plain_bytes = (uint32_t)n;
		extents[i] = (struct recipe_extent){.disk_offset = window * RECIPE_WINDOW_BYTES + (i << 20),
						    .length = (uint32_t)n,
						    .chunk = (uint32_t)i};
		seg.n_chunks = seg.n_extents = i + 1;
	}
	if (r == 0)
		r = recipe_segment_encode(&seg, &bytes, err);
	if (r == 0)
		r = put_one(s, b, bytes.data, bytes.len, hash, err);
	buf_free(&bytes);
	free(plain);
	return r;
}

static int put_recipe(struct chunk_sink *s, struct fixture_backup *b, struct hash *root_hash, struct error *err)
{
	struct recipe_root root = {.n = (b->n + IN_WINDOW - 1) / IN_WINDOW};
	struct buf bytes = {0};
	int r = 0;

	root.entries = calloc(root.n, sizeof *root.entries);
	for (size_t i = 0; i < root.n && r == 0; i++) {
		root.entries[i].window = i;
		r = put_segment(s, b, i, &root.entries[i].segment, err);
	}
	if (r == 0)
		r = recipe_root_encode(&root, &bytes, err);
	if (r == 0)
		r = put_one(s, b, bytes.data, bytes.len, root_hash, err);
	buf_free(&bytes);
	free(root.entries);
	return r;
}

static int put_and_commit(struct chunk_sink *s, struct fixture_backup *b, bool commit, struct error *err)
{
	struct hash root;
	struct snapshot_disk disk = {.path = "/dev/sda",
				     .size_bytes = 64 * RECIPE_WINDOW_BYTES,
				     .sector_bytes = 512,
				     .table = "none",
				     .roots = &root,
				     .n_roots = 1};
	struct snapshot snap = {.time = b->time, .version = "test", .disks = &disk, .n_disks = 1};
	int r = put_recipe(s, b, &root, err);

	snprintf(disk.serial, sizeof disk.serial, "%llu:%zu", (unsigned long long)b->first, b->n);
	snprintf(snap.host, sizeof snap.host, "%s", b->host);
	return r < 0 || !commit ? r : chunk_sink_commit(s, &snap, b->id, err);
}

int fixture_put(struct chunk_sink *s, struct fixture_backup *b, struct error *err)
{
	return put_and_commit(s, b, false, err);
}

int fixture_commit(struct chunk_sink *s, struct fixture_backup *b, struct error *err)
{
	return put_and_commit(s, b, true, err);
}

int fixture_run(struct store *s, struct fixture_backup *b, struct error *err)
{
	struct chunk_sink *sink;
	int r = store_open_sink(s, &sink, err);

	if (r < 0)
		return r;
	r = fixture_commit(sink, b, err);
	chunk_sink_close(sink);
	return r;
}

struct comparison {
	uint64_t first;
	uint8_t *expected;
	const struct recipe_segment *seg;
};

static int compare_chunk(void *arg, size_t number, const uint8_t *plain, size_t plain_bytes)
{
	struct comparison *c = arg;
	size_t n = fixture_chunk(c->first + c->seg->window * IN_WINDOW + number, c->expected);

	return n == plain_bytes && memcmp(plain, c->expected, n) == 0 ? 0 : -EBADMSG;
}

static int verify_segment(struct chunk_source *src, const struct hash *hash, uint64_t disk_bytes, uint64_t first,
			  size_t *seen, struct error *err);

static int keep_bytes(void *arg, size_t number, const uint8_t *plain, size_t plain_bytes)
{
	buf_put(arg, plain, plain_bytes);
	return 0;
}

static int verify_segment(struct chunk_source *src, const struct hash *hash, uint64_t disk_bytes, uint64_t first,
			  size_t *seen, struct error *err)
{
	struct recipe_segment seg = {0};
	struct hash hashes[IN_WINDOW];
	struct comparison c = {.first = first, .seg = &seg};
	struct buf bytes = {0};
	uint64_t fetched;
	int r = chunk_source_get(src, hash, 1, keep_bytes, &bytes, &fetched, err);

	if (r == 0)
		r = recipe_segment_decode(bytes.data, bytes.len, disk_bytes, &seg, err);
	buf_free(&bytes);
	if (r < 0)
		return r;
	c.expected = malloc(CHUNK_MAX_BYTES);
	for (size_t i = 0; i < seg.n_chunks; i++)
		hashes[i] = seg.chunks[i].hash;
	r = chunk_source_get(src, hashes, seg.n_chunks, compare_chunk, &c, &fetched, err);
	*seen += seg.n_chunks;
	free(c.expected);
	recipe_segment_clear(&seg);
	return r;
}

static int verify_disk(struct chunk_source *src, const struct snapshot_disk *d, struct error *err)
{
	unsigned long long first = 0;
	struct recipe_root root = {0};
	struct buf bytes = {0};
	size_t n = 0, seen = 0;
	uint64_t fetched;
	int r;

	assert_int_equal(sscanf(d->serial, "%llu:%zu", &first, &n), 2);
	r = chunk_source_get(src, &d->roots[0], 1, keep_bytes, &bytes, &fetched, err);
	if (r == 0)
		r = recipe_root_decode(bytes.data, bytes.len, &root, err);
	for (size_t i = 0; i < root.n && r == 0; i++)
		r = verify_segment(src, &root.entries[i].segment, d->size_bytes, first, &seen, err);
	recipe_root_clear(&root);
	buf_free(&bytes);
	return r == 0 && seen != n ? -EBADMSG : r;
}

int fixture_verify(struct store *s, const char *host, const char *which, struct error *err)
{
	struct chunk_source *src;
	struct snapshot snap;
	int r = store_open_source(s, &src, err);

	if (r < 0)
		return r;
	r = store_read_snapshot(s, host, which, &snap, err);
	if (r == 0) {
		r = verify_disk(src, &snap.disks[0], err);
		snapshot_clear(&snap);
	}
	chunk_source_close(src);
	return r;
}
