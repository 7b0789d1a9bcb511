/* The JSON document inside a snapshot's envelope; used by snapshot.c only. doc/FORMAT.md lists the members. */
#ifndef G4L_IMAGE_SNAPSHOT_JSON_H
#define G4L_IMAGE_SNAPSHOT_JSON_H

#include "image/snapshot.h"

/* *json: the document, terminated; the caller frees it. 0, -ENOMEM, or -EINVAL (a field that cannot be stored). */
int snapshot_json_format(const struct snapshot *s, char **json, struct error *err);

/* Fills *out, which is zeroed; the caller clears it also after an error. 0, -ERR_DAMAGED or -ENOMEM. */
int snapshot_json_parse(const char *json, size_t len, struct snapshot *out, struct error *err);

#endif
