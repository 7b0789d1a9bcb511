/*
 * A store in memory: sinks and sources for tests and benches, with faults on demand. It keeps the promises of
 * chunk_io.h: hashes are checked on arrival, and a snapshot becomes visible only when every chunk that it needs is
 * there.
 */
#ifndef G4L_IMAGE_MEMORY_STORE_H
#define G4L_IMAGE_MEMORY_STORE_H

#include "image/chunk_io.h"

struct memory_store;

/* What goes wrong; counts start at 1, 0 means never. */
struct memory_store_faults {
	uint64_t fail_nth_call;	   /* the n-th call of have, put, commit or get (all together) gives fail_code */
	int fail_code;		   /* negative; 0: -EIO */
	uint64_t full_after_bytes; /* a put beyond this sum of stored bytes gives -ENOSPC */
	unsigned put_delay_ms;	   /* every put takes this long */
};

/* NULL when memory is out. The store must outlive its sinks and sources. */
struct memory_store *memory_store_new(void);
void memory_store_free(struct memory_store *m);
/* Sets the faults and begins to count calls anew. */
void memory_store_set_faults(struct memory_store *m, const struct memory_store_faults *faults);
/* Calls since the last memory_store_set_faults(). */
uint64_t memory_store_calls(struct memory_store *m);

int memory_store_open_sink(struct memory_store *m, struct chunk_sink **out, struct error *err);
int memory_store_open_source(struct memory_store *m, struct chunk_source **out, struct error *err);

/* How many chunks and stored bytes there are, and how often a chunk was put that was there already. */
struct memory_store_facts {
	uint64_t chunks, stored_bytes, snapshots, duplicate_puts;
};
void memory_store_get_facts(struct memory_store *m, struct memory_store_facts *out);
/* The n-th chunk in order of arrival; false when there are fewer. */
bool memory_store_chunk(struct memory_store *m, size_t n, struct hash *hash);
/* Flips a bit in the stored body of a chunk, or takes the chunk away. false when it is not there. */
bool memory_store_damage(struct memory_store *m, const struct hash *hash);
bool memory_store_lose(struct memory_store *m, const struct hash *hash);
/* Decodes the n-th committed snapshot. 0; -ENOENT. snapshot_clear() after success. */
int memory_store_read_snapshot(struct memory_store *m, size_t n, struct snapshot *out, struct error *err);

#endif
