/*
 * The cutter for what belongs to no file, and for file systems without a file walk: cuts at clusters whose fast hash
 * says so, so that the same content is cut alike wherever it lies, and stays aligned. Figures: FILESYSTEMS
 * "Deduplication".
 */
#ifndef G4L_ENGINE_CUTTER_H
#define G4L_ENGINE_CUTTER_H

#include "engine/batch.h"

#define CUTTER_AVERAGE_BYTES (128u << 10)
#define CUTTER_MIN_BYTES (CUTTER_AVERAGE_BYTES / 4)
#define CUTTER_MAX_BYTES (4 * CUTTER_AVERAGE_BYTES)

/* The unit at whose boundaries cuts may fall, for a file system's cluster size. */
uint32_t cutter_unit_bytes(uint32_t cluster_bytes);

/* Cuts runs, which ascend on the disk and belong to one region, into the batch. Units begin at multiples of unit_bytes
 * (a power of two) from origin. Begins and ends with a chunk boundary. Units of zeros become zeros of the batch and
 * neither cut nor count. What was missing is in batch->rc. */
void cutter_cut(struct batch *b, const struct batch_run *runs, size_t n_runs, uint64_t origin, uint32_t unit_bytes);

#endif
