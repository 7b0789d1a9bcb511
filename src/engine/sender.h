/*
 * Sending chunks to a sink: asks which are missing, compresses those and puts them, each chunk once in a backup. One
 * sender a worker; all share the claims.
 */
#ifndef G4L_ENGINE_SENDER_H
#define G4L_ENGINE_SENDER_H

#include "engine/batch.h"
#include "engine/crew.h"
#include "engine/hash_set.h"
#include "image/chunk_io.h"

/* What all senders of a backup share. */
struct sending {
	struct chunk_sink *sink; /* NULL in a dry run without a store: everything is new */
	bool dry_run;		 /* nothing is put; claims are kept, so that each chunk counts once */
	struct claims claims;
	struct crew *crew;
	_Atomic uint64_t chunks, new_chunks, new_bytes, stored_bytes;
};

struct sender {
	struct sending *shared;
	struct chunk_coder *coder;
	uint8_t *bodies; /* SENDER_BODY_BYTES, filled with the frames' bodies */
	size_t bodies_used;
	uint8_t *scratch;
	struct chunk_frame *frames;
	size_t n_frames;
	/* Of one group, CHUNK_IO_MAX_BATCH each. */
	struct hash *hashes;
	size_t *index;
	bool *present;
};
/* What one put() carries at most, and with it what a sender needs beside small things. */
#define SENDER_BODY_BYTES (4u << 20)

/* 0 or -ENOMEM; sender_free() also after a failure. */
int sender_init(struct sender *s, struct sending *shared, int zstd_level);
void sender_free(struct sender *s);

/* Sends what is missing of a batch's chunks. 0 when the sink has, or another worker is about to put, all of them. */
int sender_send(struct sender *s, const struct batch *b, struct error *err);
/* Sends one chunk of the caller's, as a recipe's part. hash: gets its name. */
int sender_send_bytes(struct sender *s, const void *bytes, size_t len, struct hash *hash, struct error *err);

#endif
