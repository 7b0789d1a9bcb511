/*
 * The store: chunks in packs, an index that can be rebuilt from them, snapshots. One struct store may be used by
 * several threads; several processes may have one store open.
 */
#ifndef G4L_STORE_STORE_H
#define G4L_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "image/chunk_io.h"
#include "image/snapshot.h"

struct store;

struct store_facts {
	char id[33];	  /* 32 hex digits, made at init */
	unsigned version; /* of the format */
	uint64_t packs, chunks, plain_bytes, stored_bytes, snapshots;
};

/* Makes a new, empty store. 0; -EEXIST when one is there; -ENOTEMPTY when the folder holds something else; -errno. */
int store_init(const char *location, struct error *err);
/* Opens a store. 0; -ERR_UNREACHABLE when the place cannot be reached or does not exist; -ERR_USAGE when it holds no
 * store
 * ("not a store: run g4l store init"); -ERR_VERSION; -ERR_DAMAGED. A missing or stale index is rebuilt. */
int store_open(const char *location, struct store **out, struct error *err);
void store_close(struct store *s);
int store_get_facts(struct store *s, struct store_facts *out, struct error *err);

/* A sink for one backup; holds a lock that keeps prune away until it is closed. */
int store_open_sink(struct store *s, struct chunk_sink **out, struct error *err);
/* The same for an engine in this very process, which has just hashed and packed what it puts: the frames are not unpacked
 * and hashed once more. Never for what came from another machine. */
int store_open_own_sink(struct store *s, struct chunk_sink **out, struct error *err);
/* A source for restores and verification; likewise. */
int store_open_source(struct store *s, struct chunk_source **out, struct error *err);

/* For a server that passes chunks on without unpacking them: frames whose envelope was checked, and with verify also
 * the content. frame NULL: the chunk is missing or damaged, and problem says so; got() decides whether to go on. Both
 * live during the call. The receiver must check the hash. in_order: got() is called in the order of the hashes, else as
 * the packs are read best. The caller holds an open source meanwhile. 0; what got() returned; -errno. */
typedef int store_frame_fn(void *arg, size_t index, const struct chunk_frame *frame, const struct error *problem);
int store_get_frames(struct store *s, const struct hash *hashes, size_t n, bool in_order, bool verify,
		     store_frame_fn *got, void *arg, uint64_t *fetched_bytes, struct error *err);

/* One line of a listing. Ordered by time, oldest first. */
struct store_snapshot {
	char id[SNAPSHOT_ID_BYTES];
	char host[64];
	int64_t time;
	uint32_t time_ns;
	bool damaged; /* it is there but cannot be read; time is 0 */
};
/* host NULL: all. The caller frees *list. */
int store_list_snapshots(struct store *s, const char *host, struct store_snapshot **list, size_t *n, struct error *err);
/* which: "latest", NULL (the same), or a unique prefix of an id. 0; -ENOENT (err says what there is); -EINVAL:
 * ambiguous; -ERR_DAMAGED. snapshot_clear() after success. */
int store_read_snapshot(struct store *s, const char *host, const char *which, struct snapshot *out, struct error *err);

/* Keeps what any rule wants; a snapshot that no rule keeps is forgotten. All zero keeps everything. */
struct store_keep {
	unsigned last, hourly, daily, weekly, monthly, yearly;
};
struct store_forgotten {
	struct store_snapshot *at; /* what was, or with dry_run would be, forgotten */
	size_t n, kept;
};
/* host NULL: every host by itself. The caller frees out->at. */
int store_forget(struct store *s, const char *host, const struct store_keep *keep, bool dry_run,
		 struct store_forgotten *out, struct error *err);

struct store_pruned {
	uint64_t packs_deleted, packs_rewritten, chunks_deleted, freed_bytes;
};
/* Frees what no snapshot needs. Waits for running backups and restores up to a limit, then -EBUSY. */
int store_prune(struct store *s, bool dry_run, struct store_pruned *out, progress_fn *progress, void *arg,
		struct error *err);

/* One piece of damage. Pointers live during the call. */
struct store_damage {
	const char *object;   /* "packs/ab/abcd…", "snapshots/john/1234…" */
	const char *what;     /* a sentence */
	const char *snapshot; /* "john@1234…", or NULL when it is not known which are hit */
};
typedef void store_damage_fn(void *arg, const struct store_damage *d);
/* Structure of every pack and every snapshot's recipe; with read_data every byte of every chunk against its hash.
 * 0: sound; -ERR_DAMAGED after everything was looked at; others: could not be finished. */
int store_check(struct store *s, bool read_data, store_damage_fn *found, void *found_arg, progress_fn *progress,
		void *arg, struct error *err);
int store_rebuild_index(struct store *s, progress_fn *progress, void *arg, struct error *err);

#endif
