/*
 * What the files of this room share and nobody else needs: the store's inside, and the steps that several of its
 * verbs are made of.
 */
#ifndef G4L_STORE_ROOM_H
#define G4L_STORE_ROOM_H

#include <pthread.h>
#include <stdatomic.h>

#include "image/recipe.h"
#include "store/backend.h"
#include "store/index.h"
#include "store/pack.h"
#include "store/store.h"

#define STORE_VERSION 1u
#define STORE_CONFIG_NAME "config"
#define STORE_SNAPSHOTS_PREFIX "snapshots/"
#define STORE_SNAPSHOT_NAME_BYTES (sizeof STORE_SNAPSHOTS_PREFIX + 64 + SNAPSHOT_ID_BYTES)

/* A frame and what the pack adds for it: what a new chunk costs. */
#define STORE_FRAME_COST(body_bytes) ((uint64_t)(body_bytes) + PACK_FRAME_HEADER_BYTES + PACK_ENTRY_BYTES)

struct store_writer;
struct store_reader;

struct store {
	struct store_backend *backend;
	char id[33];
	char *lock_path;
	struct store_index *index;
	pthread_mutex_t sync_lock; /* one thread at a time catches up or rebuilds */
	pthread_mutex_t pool_lock; /* guards readers */
	struct store_reader *readers;
	pthread_mutex_t writer_lock; /* guards the next two */
	struct store_writer *writer; /* there while sinks are open */
	unsigned n_sinks;
	/* Limits, set at open; tests change them before they open sinks. */
	unsigned shared_wait_ms, exclusive_wait_ms, flush_after_ms, retry_after_ms;
};

/* config.c: the store's own facts. */
int store_config_write(struct store_backend *b, struct error *err);
int store_config_read(struct store_backend *b, char id[33], struct error *err);

/* store.c: a store on any backend; it takes b over, also when it fails. cache_path: the index's file; lock_path: the
 * file that locks are taken on. */
int store_open_on(struct store_backend *b, const char *cache_path, const char *lock_path, struct store **out,
		  struct error *err);

/* lock.c: -EBUSY after wait_ms. The lock ends with store_lock_drop(), or with the process. */
int store_lock_take(const struct store *s, bool exclusive, int *fd, struct error *err);
void store_lock_drop(int fd);

/* catalog.c: the index brought up to what the packs say. */
/* Adds packs that the index does not know, and forgets those that are gone. 0; other failures of backend or index. */
int store_catch_up(struct store *s, struct error *err);
/* Empties the index and reads every pack's own. Packs that cannot be read are named in the log and left out. */
int store_rebuild(struct store *s, progress_fn *progress, void *arg, struct error *err);
/* As the functions of index.h, and a damaged index is rebuilt once on the way. */
int store_find_sizes(struct store *s, const struct hash *hashes, size_t n, uint32_t *plain_bytes, struct error *err);
int store_find_places(struct store *s, const struct hash *hashes, size_t n, struct store_place *places,
		      struct error *err);

/* pack_file.c: packs in the backend. */
struct store_pack_file {
	struct pack_id id;
	uint64_t pack_bytes;
};
/* Every object that is named as a pack, ascending by id. The caller frees *list. */
int store_pack_list(struct store *s, struct store_pack_file **list, size_t *n, struct error *err);
/* A pack's own index, checked. 0; -ERR_DAMAGED; -ERR_VERSION; -ENOENT; … pack_index_clear() after success. */
int store_pack_load(struct store *s, const struct store_pack_file *file, struct pack_index *out, struct error *err);

/* pack_buffer.c: a pack being put together in memory. */
struct store_pack_buffer {
	struct pack_id id;
	uint8_t *data; /* header and frames */
	size_t len;
	struct pack_entry *entries;
	size_t n, entries_cap;
	uint32_t *table; /* open hashing: entry's number + 1 */
	size_t table_size;
};
/* -ENOMEM. */
int store_pack_buffer_init(struct store_pack_buffer *p);
void store_pack_buffer_clear(struct store_pack_buffer *p);
/* Empties it and gives it a new id. The memory stays. */
void store_pack_buffer_restart(struct store_pack_buffer *p);
bool store_pack_buffer_has(const struct store_pack_buffer *p, const struct hash *hash);
bool store_pack_buffer_fits(const struct store_pack_buffer *p, uint32_t body_bytes);
/* Adds a frame that fits and is not there. 0 or -ENOMEM. */
int store_pack_buffer_add(struct store_pack_buffer *p, const struct chunk_frame *frame);
/* Makes the pack durable and then known to the index. May be repeated after a failure. */
int store_pack_buffer_store(const struct store_pack_buffer *p, struct store *s, struct error *err);

/* pack_writer.c: takes frames from many threads, stores packs in the background. */
int store_writer_new(struct store *s, struct store_writer **out, struct error *err);
/* Gives up what is not stored. */
void store_writer_free(struct store_writer *w);
/* Takes a frame whose hash was checked. generation: store_writer_generation() from before the index was asked; when
 * packs were stored since, -EAGAIN: ask again. *added: false when it was waiting to be stored already. -ENOSPC and
 * others: an earlier pack could not be stored; nothing is lost, the same call may be repeated. */
int store_writer_put(struct store_writer *w, const struct chunk_frame *frame, uint64_t generation, bool *added,
		     struct error *err);
uint64_t store_writer_generation(struct store_writer *w);
/* Returns when all that was put is durable and known to the index, or with the failure that prevents it. */
int store_writer_flush(struct store_writer *w, struct error *err);

/* reader.c: the working memory of one reading thread, from a pool. */
#define STORE_READ_BYTES (4u << 20)
struct store_reader {
	struct store_reader *next;
	struct chunk_coder *coder;
	uint8_t *run;	/* STORE_READ_BYTES */
	uint8_t *plain; /* CHUNK_MAX_BYTES */
};
int store_reader_borrow(struct store *s, struct store_reader **out, struct error *err);
void store_reader_return(struct store *s, struct store_reader *r);
void store_readers_free(struct store *s);

/* fetch.c: chunks by hash, decoded and checked. As chunk_source_ops.get. */
int store_fetch(struct store *s, const struct hash *hashes, size_t n, chunk_got_fn *got, void *arg,
		uint64_t *fetched_bytes, struct error *err);
/* One whole chunk, appended to out. */
int store_fetch_one(struct store *s, const struct hash *hash, struct buf *out, struct error *err);

/* walk.c: everything that a snapshot needs. */
struct store_walk {
	struct store *store;
	/* Chunks that the snapshot needs, in batches; plain_bytes 0: not told (roots and segments). Returns 0 to go on.
	 */
	int (*need)(void *arg, const struct recipe_chunk *chunks, size_t n, struct error *err);
	/* True when a segment need not be read again; NULL: never. */
	bool (*known)(void *arg, const struct hash *segment);
	/* All of a segment's chunks were reported; may be NULL. */
	int (*walked)(void *arg, const struct hash *segment, struct error *err);
	void *arg;
};
/* 0; -ERR_DAMAGED when a root or segment is missing, unreadable or breaks a rule; what need() returned. */
int store_walk_snapshot(const struct store_walk *w, const struct snapshot *snapshot, struct error *err);
/* Checks that every chunk of the snapshot is in the store with the right size. 0; -ERR_DAMAGED. */
int store_check_needs(struct store *s, const struct snapshot *snapshot, struct error *err);

/* set.c: a set of hashes. Zero-initialise; store_set_clear() when done. */
struct store_set {
	struct hash *at;
	size_t n, size;
	bool has_zero; /* the hash of zeros marks free places */
};
void store_set_clear(struct store_set *set);
bool store_set_has(const struct store_set *set, const struct hash *hash);
/* 0, 1 when it was there already, -ENOMEM. */
int store_set_add(struct store_set *set, const struct hash *hash);

/* snapshots.c */
char *store_snapshot_name(const char *host, const char *id, char to[STORE_SNAPSHOT_NAME_BYTES]);
/* Reads and decodes one; checks that it is what its name says. */
int store_snapshot_load(struct store *s, const char *host, const char *id, struct snapshot *out, struct error *err);
/* Makes a snapshot visible. Doing it again with the same bytes is fine. */
int store_snapshot_create(struct store *s, const struct snapshot *snapshot, char id[SNAPSHOT_ID_BYTES],
			  struct error *err);

#endif
