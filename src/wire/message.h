/*
 * The JSON bodies of the agent's protocol (doc/PROTOCOL.md, section 1) as structs, for both ends. encode appends to a
 * buffer; decode checks every member. All decoders: 0; -ERR_FORMAT with a sentence that names the member; -ENOMEM.
 * What a decoder filled is released by the clear function of the struct, where it has one, also after a failure.
 */
#ifndef G4L_WIRE_MESSAGE_H
#define G4L_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "disk/disk.h"
#include "image/snapshot.h"
#include "wire/codec.h"

#define WIRE_MAC_BYTES 18 /* "aa:bb:cc:dd:ee:ff" and the terminating zero, lower case */
#define WIRE_MAX_MACS 32
#define WIRE_MAX_DISKS 256
#define WIRE_MAX_LOG_LINES 1024
#define WIRE_MAX_SCREEN_BYTES (16u << 10)

enum wire_kind { WIRE_BACKUP, WIRE_RESTORE, WIRE_VERIFY, WIRE_INSPECT };
enum wire_after { WIRE_POWEROFF, WIRE_REBOOT, WIRE_STAY };
enum wire_result { WIRE_DONE, WIRE_DEGRADED, WIRE_FAILED, WIRE_CANCELLED };

/* The words of the protocol; parse: 0 or -EINVAL. */
const char *wire_kind_name(enum wire_kind k);
int wire_kind_parse(const char *text, enum wire_kind *out);
const char *wire_after_name(enum wire_after a);
int wire_after_parse(const char *text, enum wire_after *out);
const char *wire_result_name(enum wire_result r);
int wire_result_parse(const char *text, enum wire_result *out);

/* What a host says of itself. */
struct wire_hello {
	unsigned protocol;
	char version[32];
	char nonce[WIRE_NONCE_HEX_BYTES];
	char (*macs)[WIRE_MAC_BYTES]; /* checked, lower case */
	size_t n_macs;
	char uuid[40];	  /* of SMBIOS, or "" */
	char firmware[8]; /* "bios" or "uefi" */
	bool secure_boot;
	char product[128], kernel[128];
	unsigned cpus;
	uint64_t memory_bytes;
	struct disk_found *disks; /* boot_medium travels as "in_use" */
	size_t n_disks;
};
void wire_hello_clear(struct wire_hello *h);
int wire_hello_encode(const struct wire_hello *h, struct buf *out);
int wire_hello_decode(const void *body, size_t len, struct wire_hello *h, struct error *err);

/* What it shall do. */
struct wire_job {
	char session[WIRE_TOKEN_HEX_BYTES];
	uint64_t job;
	enum wire_kind kind;
	char host[64];
	enum wire_after after;
	char **tags;
	size_t n_tags;
	char disk[256];	   /* path, WWN or serial; "": not named */
	bool full;	   /* restore: write also what is in place */
	bool read_back;	   /* restore: read back and compare what was written */
	bool allow_single; /* restore: without a disk of the recorded identity, take the only one there is */
	bool against_disk; /* verify: compare with the host's disk */
	int64_t time;	   /* the server's clock, unix seconds: a host's own may be years off */
};
void wire_job_clear(struct wire_job *j);
int wire_job_encode(const struct wire_job *j, struct buf *out);
int wire_job_decode(const void *body, size_t len, struct wire_job *j, struct error *err);

/* The heart-beat. */
struct wire_progress {
	char phase[32];
	uint64_t done_bytes, total_bytes, new_bytes, stored_bytes, skipped_bytes;
	char region[128];
	char *screen; /* or NULL */
};
void wire_progress_clear(struct wire_progress *p);
int wire_progress_encode(const struct wire_progress *p, struct buf *out);
int wire_progress_decode(const void *body, size_t len, struct wire_progress *p, struct error *err);
/* Its answer. */
int wire_cancel_encode(bool cancel, struct buf *out);
int wire_cancel_decode(const void *body, size_t len, bool *cancel, struct error *err);

/* Log lines. */
struct wire_log_line {
	int64_t time;
	enum log_level level;
	char *text;
};
struct wire_log {
	struct wire_log_line *lines;
	size_t n; /* at most WIRE_MAX_LOG_LINES */
};
void wire_log_clear(struct wire_log *l);
int wire_log_encode(const struct wire_log *l, struct buf *out);
int wire_log_decode(const void *body, size_t len, struct wire_log *l, struct error *err);

/* The end of a job, as the agent sees it. */
struct wire_finish {
	enum wire_result result;
	unsigned code; /* enum exit_code */
	char error[1000];
	char *stats; /* a JSON object as text, or NULL for {} */
};
void wire_finish_clear(struct wire_finish *f);
int wire_finish_encode(const struct wire_finish *f, struct buf *out);
int wire_finish_decode(const void *body, size_t len, struct wire_finish *f, struct error *err);
int wire_finish_answer_encode(enum wire_after after, struct buf *out);
int wire_finish_answer_decode(const void *body, size_t len, enum wire_after *after, struct error *err);

/* The answers to put and commit. */
int wire_put_answer_encode(uint64_t stored_bytes, struct buf *out);
int wire_put_answer_decode(const void *body, size_t len, uint64_t *stored_bytes, struct error *err);
int wire_commit_answer_encode(const char *id, struct buf *out);
int wire_commit_answer_decode(const void *body, size_t len, char id[SNAPSHOT_ID_BYTES], struct error *err);

#endif
