/*
 * A snapshot: one committed backup of a host. In memory it is a struct; as bytes it is a small checked envelope
 * around a JSON document (doc/FORMAT.md). It names the roots of its disks' recipes; everything else is chunks.
 */
#ifndef G4L_IMAGE_SNAPSHOT_H
#define G4L_IMAGE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"

#define SNAPSHOT_ID_BYTES 33	       /* 32 hex digits and the terminating zero */
#define SNAPSHOT_MAX_BYTES (16u << 20) /* of the encoded form */

/* What a region was, and how it was copied. */
struct snapshot_region {
	uint64_t start, length;
	unsigned number; /* partition number, 0: none */
	char role[12];	 /* "table", "partition", "gap" */
	char kind[32];	 /* "ntfs", "fat32", "ext4", "gpt", "mbr", "gap", or libblkid's name, or "unknown" */
	char copied[8];	 /* "used", "raw", "none" (a large gap that belongs to nobody) */
	char type[40], uuid[40], label[112];
	uint64_t used_bytes;
	char note[400];
};

struct snapshot_disk {
	char path[256], model[64], serial[64], wwn[64], bus[16];
	uint64_t size_bytes;
	uint32_t sector_bytes;
	char table[8], disk_id[40];
	struct snapshot_region *regions;
	size_t n_regions;
	struct hash *roots; /* the recipe's root chunks, in order of the disk (recipe.h) */
	size_t n_roots;
	uint64_t used_bytes; /* bytes of the disk that the recipe covers, zeros too */
};

struct snapshot {
	char id[SNAPSHOT_ID_BYTES]; /* the first 16 bytes of the encoded form's SHA-256; set by encode and decode */
	char host[64];
	int64_t time;	  /* unix seconds, when the backup began */
	uint32_t time_ns; /* and nanoseconds: two backups within a second have an order */
	double seconds;	  /* how long it took */
	char version[32]; /* of the program that made it */
	bool degraded;
	char **tags;
	size_t n_tags;
	struct snapshot_disk *disks;
	size_t n_disks;
	uint64_t disk_bytes, used_bytes, read_bytes, metadata_bytes, new_bytes, stored_bytes, chunks, new_chunks;
	char *facts; /* a JSON object as text: inventory of the host, or NULL */
};

/* Frees what the snapshot points to, not the struct itself; it is zeroed. */
void snapshot_clear(struct snapshot *s);

/* Appends the envelope to out and sets s->id. 0, -ENOMEM, -EINVAL (a field that cannot be stored). */
int snapshot_encode(struct snapshot *s, struct buf *out, struct error *err);

/* Parses bytes of unknown origin. 0; -ERR_DAMAGED, -ERR_VERSION, -ENOMEM. snapshot_clear() after success. */
int snapshot_decode(const void *bytes, size_t len, struct snapshot *out, struct error *err);

#endif
