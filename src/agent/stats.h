/* The figures of a job as JSON: the same objects that `g4l … --json` prints. */
#ifndef G4L_AGENT_STATS_H
#define G4L_AGENT_STATS_H

#include <jansson.h>

#include "engine/engine.h"

/* All give a new reference, or NULL when memory is out. */
json_t *stats_of_backup(const struct snapshot *s);
json_t *stats_of_restore(const struct snapshot *s, const struct restore_result *r);
json_t *stats_of_verify(const struct snapshot *s, const struct verify_result *v, bool sound);
json_t *stats_of_plan(const char *path, const struct plan *p);

#endif
