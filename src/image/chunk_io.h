/*
 * The seam between the engine and wherever chunks live: a sink takes a backup, a source gives a restore.
 * Implementations: the local store (src/store), the wire (src/wire), memory (tests). All calls may be made from several
 * threads at once. The functions chunk_sink_*() and chunk_source_*() are the choke point: they check arguments and
 * count.
 */
#ifndef G4L_IMAGE_CHUNK_IO_H
#define G4L_IMAGE_CHUNK_IO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/chunk.h"
#include "image/snapshot.h"

#define CHUNK_IO_MAX_BATCH 4096 /* hashes in one call of have() or get() */

struct chunk_sink;
struct chunk_sink_ops {
	const char *name;
	/* present[i] = true when the store surely has chunk i. n ≤ CHUNK_IO_MAX_BATCH. 0 or negative. */
	int (*have)(struct chunk_sink *s, const struct hash *hashes, size_t n, bool *present, struct error *err);
	/* Takes frames; a chunk that is there already is fine. The receiver checks every hash before it keeps anything.
	 * stored_bytes: what the store grew by. 0; -ERR_DAMAGED when a frame does not match its hash; -ENOSPC; … */
	int (*put)(struct chunk_sink *s, const struct chunk_frame *frames, size_t n, uint64_t *stored_bytes,
		   struct error *err);
	/* Makes all that was put durable, checks that every chunk the snapshot needs is there, and only then makes the
	 * snapshot visible. id: gets its id. 0; -ERR_DAMAGED when something it needs is missing; … */
	int (*commit)(struct chunk_sink *s, const struct snapshot *snapshot, char id[SNAPSHOT_ID_BYTES],
		      struct error *err);
	/* Gives up what is not committed as a snapshot; chunks that arrived are kept for the next try. */
	void (*close)(struct chunk_sink *s);
};
struct chunk_sink {
	const struct chunk_sink_ops *ops;
	_Atomic uint64_t asked, put_chunks, put_bytes; /* counted at the choke point */
};

int chunk_sink_have(struct chunk_sink *s, const struct hash *hashes, size_t n, bool *present, struct error *err);
int chunk_sink_put(struct chunk_sink *s, const struct chunk_frame *frames, size_t n, uint64_t *stored_bytes,
		   struct error *err);
int chunk_sink_commit(struct chunk_sink *s, const struct snapshot *snapshot, char id[SNAPSHOT_ID_BYTES],
		      struct error *err);
void chunk_sink_close(struct chunk_sink *s);

/* Gets one chunk at a time, in any order; `plain` is valid during the call only. Its hash has been checked.
 * index: position in the hashes that were asked for. Returns 0 to go on or a negative code, which get() passes on. */
typedef int chunk_got_fn(void *arg, size_t index, const uint8_t *plain, size_t plain_bytes);

struct chunk_source;
struct chunk_source_ops {
	const char *name;
	/* Fetches n chunks (n ≤ CHUNK_IO_MAX_BATCH); got() is called from the calling thread. fetched_bytes: stored
	 * bytes moved. 0; -ERR_DAMAGED when a chunk is missing or does not match its hash (err names it); … */
	int (*get)(struct chunk_source *s, const struct hash *hashes, size_t n, chunk_got_fn *got, void *arg,
		   uint64_t *fetched_bytes, struct error *err);
	void (*close)(struct chunk_source *s);
};
struct chunk_source {
	const struct chunk_source_ops *ops;
	_Atomic uint64_t got_chunks, got_bytes;
};

int chunk_source_get(struct chunk_source *s, const struct hash *hashes, size_t n, chunk_got_fn *got, void *arg,
		     uint64_t *fetched_bytes, struct error *err);
void chunk_source_close(struct chunk_source *s);

#endif
