/* What the engine's tests share: made-up disks, plans over them, and one backup or restore in a line. */
#ifndef G4L_TEST_ENGINE_SUPPORT_H
#define G4L_TEST_ENGINE_SUPPORT_H

#include "engine/backup_plans.h"
#include "engine/engine.h"
#include "image/memory_store.h"

uint64_t random_next(uint64_t *state);
uint64_t random_below(uint64_t *state, uint64_t n);

/* Fills bytes with a mix: stretches of zeros, text, noise, and repetitions of what came before. */
void mix_fill(uint8_t *p, size_t n, uint64_t *state);
/* A disk in memory filled so. */
struct disk *mixed_disk(uint64_t size_bytes, uint32_t sector_bytes, uint64_t seed);
struct disk *noise_disk(uint64_t size_bytes, uint32_t sector_bytes, uint64_t seed);
uint8_t *disk_bytes(struct disk *d); /* a copy; the caller frees it */

/* A plan with random used extents in sectors; about `percent` of the disk; a random cluster size. */
void random_plan(struct plan *p, const struct disk *d, unsigned percent, uint64_t *state);
void one_region_plan(struct plan *p, const struct disk *d, uint32_t cluster_bytes);

/* A backup of one disk of host "test". plan NULL: made by the engine. The snapshot is filled; the caller clears it. */
int backup_to(struct memory_store *m, struct disk *d, struct plan *plan, const struct engine_options *o,
	      struct snapshot *s, struct error *err);
int restore_from(struct memory_store *m, const struct snapshot *s, struct disk *target, const struct restore_options *o,
		 struct restore_result *r, struct error *err);
int verify_in(struct memory_store *m, const struct snapshot *s, struct disk *against, struct verify_result *r,
	      struct error *err);

#endif
