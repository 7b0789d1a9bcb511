/* The object "config": what makes a folder a store (doc/FORMAT.md, "The store's config"). Written once, never changed.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "store/room.h"

/* Integers little-endian. */
struct disk_config {
	char magic[8];	    /*  0: "G4LSTORE" */
	uint8_t version[4]; /*  8 */
	uint8_t flags[4];   /* 12: features that a reader must know; none is defined in version 1 */
	uint8_t id[16];	    /* 16 */
	uint8_t created[8]; /* 32: unix seconds */
	uint8_t zero[24];   /* 40 */
	uint8_t check[32];  /* 64: SHA-256 of bytes 0 to 63 */
};
_Static_assert(sizeof(struct disk_config) == 96, "store config");
#define CHECKED_BYTES offsetof(struct disk_config, check)

static const char MAGIC[8] = {'G', '4', 'L', 'S', 'T', 'O', 'R', 'E'};

int store_config_write(struct store_backend *b, struct error *err)
{
	struct disk_config c = {0};
	struct hash h;

	memcpy(c.magic, MAGIC, sizeof c.magic);
	bytes_put_le32(c.version, STORE_VERSION);
	io_random(c.id, sizeof c.id);
	bytes_put_le64(c.created, (uint64_t)clock_unix());
	h = hash_of(&c, CHECKED_BYTES);
	memcpy(c.check, h.bytes, sizeof c.check);
	return store_backend_create(b, STORE_CONFIG_NAME, &c, sizeof c, err);
}

/* Ends a listing at the first object. */
static int found_one(void *arg, const char *name, uint64_t size_bytes)
{
	*(bool *)arg = true;
	return -ECANCELED;
}

/* No config: a folder that never was a store, or one that lost it? */
static int missing(struct store_backend *b, struct error *err)
{
	struct error ignored = {0};
	bool any = false;

	store_backend_list(b, "packs/", found_one, &any, &ignored);
	if (!any)
		store_backend_list(b, STORE_SNAPSHOTS_PREFIX, found_one, &any, &ignored);
	if (any)
		return error_set(err, -ERR_DAMAGED,
				 "%s holds packs or snapshots, but its file 'config' is missing: put it back",
				 b->location);
	return error_set(err, -ERR_USAGE, "%s is not a store: run g4l store init %s", b->location, b->location);
}

int store_config_read(struct store_backend *b, char id[33], struct error *err)
{
	struct disk_config c;
	struct hash h;
	int r = store_backend_get(b, STORE_CONFIG_NAME, 0, &c, sizeof c, err);

	if (r == -ENOENT)
		return missing(b, err);
	if (r == -ERANGE)
		return error_set(err, -ERR_DAMAGED, "%s/config is cut short", b->location);
	if (r < 0)
		return r;
	if (memcmp(c.magic, MAGIC, sizeof c.magic) != 0)
		return error_set(err, -ERR_DAMAGED, "%s/config is not the config of a store", b->location);
	h = hash_of(&c, CHECKED_BYTES);
	if (memcmp(c.check, h.bytes, sizeof c.check) != 0)
		return error_set(err, -ERR_DAMAGED, "%s/config is damaged: it does not match its checksum",
				 b->location);
	if (bytes_le32(c.version) > STORE_VERSION || bytes_le32(c.flags) != 0)
		return error_set(
			err, -ERR_VERSION,
			"the store %s was made by a newer version of ghost4linux (store version %u, features %#x): "
			"use that version",
			b->location, bytes_le32(c.version), bytes_le32(c.flags));
	if (bytes_le32(c.version) != STORE_VERSION)
		return error_set(err, -ERR_DAMAGED, "%s/config has the impossible version %u", b->location,
				 bytes_le32(c.version));
	text_hex(c.id, sizeof c.id, id);
	return 0;
}
