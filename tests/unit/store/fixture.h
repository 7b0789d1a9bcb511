/* Backups without disks: chunks, recipes and snapshots that are computed from numbers, and can be compared again. */
#ifndef G4L_TESTS_STORE_FIXTURE_H
#define G4L_TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/room.h"

/* A new folder under TMPDIR with an empty store in it. The caller frees the name; fixture_remove() deletes all. */
char *fixture_store(void);
char *fixture_folder(void);
void fixture_remove(char *folder);
/* cp -a, for trying several things on one state. */
char *fixture_copy(const char *folder);

/* The plain bytes of chunk number k; returns how many. to: room for CHUNK_MAX_BYTES. */
size_t fixture_chunk(uint64_t k, uint8_t *to);

struct fixture_backup {
	const char *host;
	int64_t time;
	uint64_t first; /* number of the first chunk */
	size_t n;
	/* Filled in. */
	char id[SNAPSHOT_ID_BYTES];
	uint64_t stored_bytes, sent, asked;
};
/* Puts all chunks that the sink does not have, then the recipe, then commits. */
int fixture_put(struct chunk_sink *s, struct fixture_backup *b, struct error *err);
int fixture_commit(struct chunk_sink *s, struct fixture_backup *b, struct error *err);
int fixture_run(struct store *s, struct fixture_backup *b, struct error *err);
/* Reads the snapshot and every chunk of it and compares with what the numbers say. 0 or a negative code. */
int fixture_verify(struct store *s, const char *host, const char *which, struct error *err);

struct store *fixture_open(const char *folder);

#define assert_done(call, err)                                                                                         \
	do {                                                                                                           \
		int rc_ = (call);                                                                                      \
		if (rc_ != 0)                                                                                          \
			fail_msg("%s: %d %s", #call, rc_, (err).text);                                                 \
	} while (0)

#endif
