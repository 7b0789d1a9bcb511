/* The parts of a restore that its workers do; used by restore.c only. */
#ifndef G4L_ENGINE_RESTORE_WORK_H
#define G4L_ENGINE_RESTORE_WORK_H

#include "engine/crew.h"
#include "engine/recipe_load.h"

/* What lies in the first and the last MiB of the source disk comes late, and what was cleared before the first write
 * comes last of all, the disk's start at the very end: it makes the disk look whole. Each pass is durable and read back
 * before the next one begins. */
enum restore_pass { RESTORE_BODY, RESTORE_ENDS, RESTORE_TAIL, RESTORE_HEAD };
#define RESTORE_END_BYTES (1ull << 20)

struct restore {
	struct crew crew;
	struct chunk_source *source;
	const struct snapshot_disk *source_disk;
	struct disk *target;
	const struct restore_options *options;
	unsigned threads;
	struct recipe_list recipe;
	uint8_t **written;   /* a segment's bits, one an extent: written in this restore; NULL: none */
	_Atomic size_t next; /* segment to be taken */
	enum restore_pass pass;
	bool checking; /* reading back instead of writing */
	/* Ranges that are cleared before the first write, so that no half-written disk looks whole. */
	struct extent clear[3];
	size_t n_clear;
	pthread_mutex_t begin_lock;
	bool begun;
	_Atomic uint64_t written_bytes, skipped_bytes, fetched_bytes;
	_Atomic uint64_t recipe_bytes; /* that all extents of the recipe cover */
};

struct restore_worker {
	struct restore *restore;
	uint8_t *buffer; /* CHUNK_MAX_BYTES, for what the target holds */
	uint8_t *zeros;	 /* CHUNK_MAX_BYTES */
};
int restore_worker_init(struct restore_worker *w);
void restore_worker_free(struct restore_worker *w);

/* True when the window holds bytes that belong to a later pass than the body's. */
bool restore_touches_ends(const struct restore *r, uint64_t window);
/* Finds what must be cleared before the first write: only ranges that the recipe will write again. */
int restore_find_table(struct restore *r, struct error *err);
/* Writes what of a segment is not in place and belongs to the current pass. */
int restore_write_segment(struct restore_worker *w, size_t index, struct error *err);
/* Reads back and compares what restore_write_segment() wrote in the current pass. */
int restore_check_segment(struct restore_worker *w, size_t index, struct error *err);

#endif
