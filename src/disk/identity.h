/* What /sys says about a whole disk. Private to this room. */
#ifndef G4L_DISK_IDENTITY_H
#define G4L_DISK_IDENTITY_H

#include "disk/disk.h"

/* Reads a small file as text: no newline, trimmed, unprintable bytes made harmless. False when it cannot be read
 * or is empty; to is then "". */
bool identity_text(const char *path, char *to, size_t to_bytes);
/* A decimal number in a file, or otherwise. */
uint64_t identity_number(const char *path, uint64_t otherwise);

/* Fills in everything but the path. dir: "/sys/block/sda" (or the same in a made-up tree). What /sys does not
 * know stays "". */
void identity_read(const char *dir, const char *name, struct disk_identity *id);

#endif
