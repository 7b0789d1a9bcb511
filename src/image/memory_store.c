/* A store in memory; memory_store.h says what for. It never touches a disk, a file or the network. */
#include "image/memory_store.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "image/recipe.h"

struct entry {
	struct chunk_frame frame; /* its body is malloc'ed; NULL: lost */
};
struct memory_store {
	pthread_mutex_t lock;
	struct entry *entries; /* in order of arrival */
	size_t n, cap;
	uint32_t *slots; /* open addressing: index of an entry + 1 */
	size_t n_slots;	 /* a power of two */
	struct buf *snapshots;
	size_t n_snapshots;
	uint64_t stored_bytes, duplicate_puts, calls;
	struct memory_store_faults faults;
};
struct memory_sink {
	struct chunk_sink sink;
	struct memory_store *store;
};
struct memory_source {
	struct chunk_source source;
	struct memory_store *store;
};

struct memory_store *memory_store_new(void)
{
	struct memory_store *m = calloc(1, sizeof *m);

	if (m)
		pthread_mutex_init(&m->lock, NULL);
	return m;
}

void memory_store_free(struct memory_store *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		free((void *)m->entries[i].frame.body);
	for (size_t i = 0; i < m->n_snapshots; i++)
		buf_free(&m->snapshots[i]);
	free(m->entries);
	free(m->slots);
	free(m->snapshots);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* Counts a call and gives the fault that it shall have. With the lock held. */
static int next_call(struct memory_store *m, const char *what, struct error *err)
{
	if (++m->calls != m->faults.fail_nth_call)
		return 0;
	return error_set(err, m->faults.fail_code ? m->faults.fail_code : -EIO,
			 "the store in memory fails its call %llu (%s)", (unsigned long long)m->calls, what);
}

/* The slot that holds the hash or the free one where it belongs. */
static uint32_t *slot_of(const struct memory_store *m, const struct hash *h)
{
	size_t at = bytes_le64(h->bytes) & (m->n_slots - 1);

	while (m->slots[at] && !hash_equal(&m->entries[m->slots[at] - 1].frame.hash, h))
		at = (at + 1) & (m->n_slots - 1);
	return &m->slots[at];
}

/* The entry whose chunk is there, or NULL. */
static struct entry *find(const struct memory_store *m, const struct hash *h)
{
	uint32_t i = m->n_slots ? *slot_of(m, h) : 0;

	return i && m->entries[i - 1].frame.body ? &m->entries[i - 1] : NULL;
}

static int grow(struct memory_store *m)
{
	size_t cap = m->cap ? 2 * m->cap : 256, n_slots = 4 * cap;
	struct entry *entries;
	uint32_t *slots;

	if (m->n < m->cap)
		return 0;
	entries = realloc(m->entries, cap * sizeof *entries);
	if (!entries)
		return -ENOMEM;
	m->entries = entries;
	slots = calloc(n_slots, sizeof *slots);
	if (!slots)
		return -ENOMEM;
	free(m->slots);
	m->slots = slots;
	m->n_slots = n_slots;
	m->cap = cap;
	for (size_t i = 0; i < m->n; i++)
		*slot_of(m, &entries[i].frame.hash) = (uint32_t)i + 1;
	return 0;
}

/* Keeps a checked frame. With the lock held. */
static int keep(struct memory_store *m, const struct chunk_frame *f, uint64_t *stored, struct error *err)
{
	uint32_t *slot;
	uint8_t *body;

	if (find(m, &f->hash)) {
		m->duplicate_puts++;
		return 0;
	}
	if (m->faults.full_after_bytes && m->stored_bytes + f->body_bytes > m->faults.full_after_bytes)
		return error_set(err, -ENOSPC, "the store in memory is full");
	body = malloc(f->body_bytes);
	if (!body || grow(m) < 0) {
		free(body);
		return error_set(err, -ENOMEM, "out of memory for the store in memory");
	}
	memcpy(body, f->body, f->body_bytes);
	slot = slot_of(m, &f->hash);
	if (!*slot)
		*slot = (uint32_t)++m->n;
	m->entries[*slot - 1].frame = *f;
	m->entries[*slot - 1].frame.body = body;
	m->stored_bytes += f->body_bytes;
	*stored += f->body_bytes;
	return 0;
}

static int sink_have(struct chunk_sink *s, const struct hash *hashes, size_t n, bool *present, struct error *err)
{
	struct memory_store *m = ((struct memory_sink *)s)->store;
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = next_call(m, "have", err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		present[i] = find(m, &hashes[i]) != NULL;
	pthread_mutex_unlock(&m->lock);
	return rc;
}

/* Unpacks and checks frames as a receiver must that does not trust the sender. */
static int check_frames(const struct chunk_frame *frames, size_t n, struct error *err)
{
	struct chunk_coder *coder = chunk_coder_new(1);
	uint8_t *plain = malloc(CHUNK_MAX_BYTES);
	int rc = coder && plain ? 0 : error_set(err, -ENOMEM, "out of memory for the store in memory");

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = chunk_decode(coder, &frames[i], plain, err);
	free(plain);
	chunk_coder_free(coder);
	return rc;
}

static int sink_put(struct chunk_sink *s, const struct chunk_frame *frames, size_t n, uint64_t *stored,
		    struct error *err)
{
	struct memory_store *m = ((struct memory_sink *)s)->store;
	int rc = check_frames(frames, n, err);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&m->lock);
	rc = next_call(m, "put", err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = keep(m, &frames[i], stored, err);
	pthread_mutex_unlock(&m->lock);
	if (m->faults.put_delay_ms)
		clock_sleep_ms(m->faults.put_delay_ms);
	return rc;
}

/* The plain bytes of a chunk; the caller frees them. With the lock held. */
static int unpack(const struct memory_store *m, const struct hash *h, uint8_t **plain, uint32_t *plain_bytes,
		  struct error *err)
{
	const struct entry *e = find(m, h);
	struct chunk_coder *coder;
	char hex[HASH_HEX_BYTES];
	int rc;

	if (!e)
		return error_set(err, -ERR_DAMAGED, "chunk %s is missing", hash_format(h, hex));
	coder = chunk_coder_new(1);
	*plain = malloc(e->frame.plain_bytes);
	if (coder && *plain)
		rc = chunk_decode(coder, &e->frame, *plain, err);
	else
		rc = error_set(err, -ENOMEM, "out of memory for the store in memory");
	chunk_coder_free(coder);
	if (rc < 0)
		free(*plain);
	*plain_bytes = e->frame.plain_bytes;
	return rc;
}

/* That every chunk of one segment is there. */
static int check_segment(const struct memory_store *m, const struct hash *h, uint64_t disk_bytes, struct error *err)
{
	struct recipe_segment segment;
	uint8_t *plain;
	uint32_t bytes;
	int rc = unpack(m, h, &plain, &bytes, err);

	if (rc < 0)
		return rc;
	rc = recipe_segment_decode(plain, bytes, disk_bytes, &segment, err);
	free(plain);
	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < segment.n_chunks; i++) {
		const struct entry *e = find(m, &segment.chunks[i].hash);

		if (!e || e->frame.plain_bytes != segment.chunks[i].plain_bytes)
			rc = error_set(err, -ERR_DAMAGED, "a snapshot needs a chunk that is not there");
	}
	recipe_segment_clear(&segment);
	return rc;
}

static int check_root(const struct memory_store *m, const struct hash *h, uint64_t disk_bytes, struct error *err)
{
	struct recipe_root root;
	uint8_t *plain;
	uint32_t bytes;
	int rc = unpack(m, h, &plain, &bytes, err);

	if (rc < 0)
		return rc;
	rc = recipe_root_decode(plain, bytes, &root, err);
	free(plain);
	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < root.n; i++)
		rc = check_segment(m, &root.entries[i].segment, disk_bytes, err);
	recipe_root_clear(&root);
	return rc;
}

static int check_needs(const struct memory_store *m, const struct snapshot *s, struct error *err)
{
	for (size_t d = 0; d < s->n_disks; d++)
		for (size_t r = 0; r < s->disks[d].n_roots; r++) {
			int rc = check_root(m, &s->disks[d].roots[r], s->disks[d].size_bytes, err);

			if (rc < 0)
				return rc;
		}
	return 0;
}

static int sink_commit(struct chunk_sink *s, const struct snapshot *snapshot, char id[SNAPSHOT_ID_BYTES],
		       struct error *err)
{
	struct memory_store *m = ((struct memory_sink *)s)->store;
	struct snapshot copy = *snapshot;
	struct buf *list, bytes = {0};
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = next_call(m, "commit", err);
	if (rc == 0)
		rc = check_needs(m, snapshot, err);
	if (rc == 0)
		rc = snapshot_encode(&copy, &bytes, err);
	list = rc == 0 ? realloc(m->snapshots, (m->n_snapshots + 1) * sizeof *list) : NULL;
	if (list) {
		m->snapshots = list;
		list[m->n_snapshots++] = bytes;
		memcpy(id, copy.id, SNAPSHOT_ID_BYTES);
	} else if (rc == 0) {
		buf_free(&bytes);
		rc = error_set(err, -ENOMEM, "out of memory for the store in memory");
	}
	pthread_mutex_unlock(&m->lock);
	return rc;
}

static void sink_close(struct chunk_sink *s)
{
	free(s);
}

static const struct chunk_sink_ops sink_ops = {
	.name = "store in memory", .have = sink_have, .put = sink_put, .commit = sink_commit, .close = sink_close};

static int source_get(struct chunk_source *s, const struct hash *hashes, size_t n, chunk_got_fn *got, void *arg,
		      uint64_t *fetched, struct error *err)
{
	struct memory_store *m = ((struct memory_source *)s)->store;
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = next_call(m, "get", err);
	pthread_mutex_unlock(&m->lock);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		uint8_t *plain = NULL;
		uint32_t bytes = 0;

		pthread_mutex_lock(&m->lock);
		rc = unpack(m, &hashes[i], &plain, &bytes, err);
		if (rc == 0)
			*fetched += find(m, &hashes[i])->frame.body_bytes;
		pthread_mutex_unlock(&m->lock);
		if (rc < 0)
			return rc;
		rc = got(arg, i, plain, bytes);
		free(plain);
		if (rc < 0)
			error_set(err, rc, "the receiver of a chunk gave up: %s", error_name(rc));
	}
	return rc;
}

static void source_close(struct chunk_source *s)
{
	free(s);
}

static const struct chunk_source_ops source_ops = {.name = "store in memory", .get = source_get, .close = source_close};

int memory_store_open_sink(struct memory_store *m, struct chunk_sink **out, struct error *err)
{
	struct memory_sink *s = calloc(1, sizeof *s);

	if (!s)
		return error_set(err, -ENOMEM, "out of memory for a sink");
	s->sink.ops = &sink_ops;
	s->store = m;
	*out = &s->sink;
	return 0;
}

int memory_store_open_source(struct memory_store *m, struct chunk_source **out, struct error *err)
{
	struct memory_source *s = calloc(1, sizeof *s);

	if (!s)
		return error_set(err, -ENOMEM, "out of memory for a source");
	s->source.ops = &source_ops;
	s->store = m;
	*out = &s->source;
	return 0;
}

void memory_store_set_faults(struct memory_store *m, const struct memory_store_faults *faults)
{
	m->faults = *faults;
	m->calls = 0;
}

uint64_t memory_store_calls(struct memory_store *m)
{
	return m->calls;
}

void memory_store_get_facts(struct memory_store *m, struct memory_store_facts *out)
{
	pthread_mutex_lock(&m->lock);
	*out = (struct memory_store_facts){
		.stored_bytes = m->stored_bytes, .snapshots = m->n_snapshots, .duplicate_puts = m->duplicate_puts};
	for (size_t i = 0; i < m->n; i++)
		out->chunks += m->entries[i].frame.body != NULL;
	pthread_mutex_unlock(&m->lock);
}

bool memory_store_chunk(struct memory_store *m, size_t n, struct hash *hash)
{
	if (n >= m->n)
		return false;
	*hash = m->entries[n].frame.hash;
	return true;
}

bool memory_store_damage(struct memory_store *m, const struct hash *hash)
{
	struct entry *e = find(m, hash);

	if (!e)
		return false;
	((uint8_t *)e->frame.body)[e->frame.body_bytes / 2] ^= 0x10;
	return true;
}

bool memory_store_lose(struct memory_store *m, const struct hash *hash)
{
	struct entry *e = find(m, hash);

	if (!e)
		return false;
	free((void *)e->frame.body);
	e->frame.body = NULL;
	m->stored_bytes -= e->frame.body_bytes;
	return true;
}

int memory_store_read_snapshot(struct memory_store *m, size_t n, struct snapshot *out, struct error *err)
{
	if (n >= m->n_snapshots)
		return error_set(err, -ENOENT, "the store in memory has %zu snapshots", m->n_snapshots);
	return snapshot_decode(m->snapshots[n].data, m->snapshots[n].len, out, err);
}
