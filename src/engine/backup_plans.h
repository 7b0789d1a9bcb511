/* A backup by plans that the caller has made, as tests do that choose what is used. */
#ifndef G4L_ENGINE_BACKUP_PLANS_H
#define G4L_ENGINE_BACKUP_PLANS_H

#include "engine/engine.h"

/* As backup_run(); plans: one a disk, which stay the caller's, or NULL to make them. */
int backup_run_plans(struct disk **disks, struct plan *plans, size_t n_disks, struct chunk_sink *sink,
		     struct snapshot *snapshot, bool dry_run, const struct engine_options *options, struct error *err);

#endif
