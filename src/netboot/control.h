/*
 * The conversation between the server and g4l-bootd: one JSON object a line over a socket pair (PROTOCOL.md, section
 * 4). Both ends use this codec; g4l-bootd trusts what comes from the server, the server trusts nothing that comes back.
 */
#ifndef G4L_NETBOOT_CONTROL_H
#define G4L_NETBOOT_CONTROL_H

#include "base/bytes.h"
#include "netboot/netboot.h"

#define CONTROL_LINE_MAX 8192

enum control_kind {
	CONTROL_ARM,
	CONTROL_DISARM,
	CONTROL_START, /* every arming of before was told: answer with a ready event */
};

struct control_message {
	enum control_kind kind;
	struct netboot_arming arming; /* CONTROL_DISARM fills mac only */
};

/* Each appends one line with its newline; out->failed tells when memory ran out. */
void control_put_arm(struct buf *out, const struct netboot_arming *arming);
void control_put_disarm(struct buf *out, const uint8_t mac[NETBOOT_MAC_BYTES]);
void control_put_start(struct buf *out);
void control_put_event(struct buf *out, const struct netboot_event *event);

/* Each reads one line without its newline. 0, or -ERR_FORMAT. */
int control_parse_message(const char *line, size_t len, struct control_message *message);
int control_parse_event(const char *line, size_t len, struct netboot_event *event);

/* Collects bytes of a stream and hands out whole lines. Zero-initialise. */
struct control_lines {
	struct buf bytes;
	size_t at;
};

/* Reads what there is from a non-blocking fd. 1: something came, 0: nothing now, -EPIPE: the other end is gone,
 * -EMSGSIZE: a line is longer than CONTROL_LINE_MAX, other negative: -errno. */
int control_lines_fill(struct control_lines *l, int fd);
/* The next whole line, or NULL. Valid until the next call on l. */
const char *control_lines_next(struct control_lines *l, size_t *len);
void control_lines_free(struct control_lines *l);

/* Writes as much as fits now and removes it from out. 0 also when something is left; or -errno. */
int control_flush(struct buf *out, int fd);

#endif
