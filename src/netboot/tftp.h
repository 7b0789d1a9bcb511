/*
 * TFTP, the sending half: packets and the state machine of one transfer. Pure: bytes and times in, bytes out through
 * a callback; tftpd.c has the sockets. RFC 1350, 2347 (options), 2348 (blksize), 2349 (timeout, tsize), 7440
 * (windowsize). Must never send from outside the source it was given.
 */
#ifndef G4L_NETBOOT_TFTP_H
#define G4L_NETBOOT_TFTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TFTP_NAME_MAX 128
#define TFTP_BLOCK_MAX 1468 /* with IP, UDP and TFTP headers one Ethernet frame; larger wishes get this */
#define TFTP_WINDOW_MAX 16
#define TFTP_PACKET_MAX (4 + TFTP_BLOCK_MAX)
#define TFTP_TRIES 6 /* a packet is sent this often before the transfer is given up */

enum tftp_error {
	TFTP_ERROR_OTHER = 0,
	TFTP_ERROR_NOT_FOUND = 1,
	TFTP_ERROR_ACCESS = 2,
	TFTP_ERROR_ILLEGAL = 4,
	TFTP_ERROR_OPTIONS = 8,
};

struct tftp_request {
	char name[TFTP_NAME_MAX + 1]; /* as the client sent it */
	uint16_t block_bytes;	      /* granted: at most TFTP_BLOCK_MAX */
	uint16_t window;	      /* granted: at most TFTP_WINDOW_MAX */
	uint8_t timeout_s;
	bool wants_block, wants_size, wants_window, wants_timeout; /* the options to be acknowledged */
};

/* Reads what came to port 69. 0; or the negative of an enum tftp_error minus 100 (tftp_error_of() turns it back), with
 * a text for the error packet in *why: a write request, a mode that is not octet, a name that is too long, nonsense.
 * -1: not to be answered at all (it is no request). Unknown options and bad values are passed over. */
int tftp_parse_request(const uint8_t *bytes, size_t len, struct tftp_request *request, const char **why);
enum tftp_error tftp_error_of(int code);

/* Writes an error packet; text is cut at 100 bytes. Returns its length. */
size_t tftp_format_error(enum tftp_error code, const char *text, uint8_t to[TFTP_PACKET_MAX]);

/* Where the bytes come from. read gives exactly len bytes at offset (always inside size), or a negative code. */
struct tftp_source {
	int (*read)(void *arg, uint64_t offset, void *to, size_t len);
	void *arg;
	uint64_t size;
};

enum tftp_state {
	TFTP_RUNNING,
	TFTP_DONE,	 /* the last block was acknowledged */
	TFTP_DECLINED,	 /* the client ended it with an error packet; firmware that only asks for the size does so */
	TFTP_TIMED_OUT,	 /* no answer to TFTP_TRIES packets */
	TFTP_UNREADABLE, /* the source failed; the client was told */
};

/* One transfer. */
struct tftp_sender {
	struct tftp_source source;
	void (*send)(void *arg, const uint8_t *packet, size_t len);
	void *send_arg;
	uint16_t block_bytes, window;
	uint64_t
		last_block; /* the number of the block that ends the file: the first that is shorter than block_bytes */
	uint64_t acked;	    /* highest block acknowledged */
	uint64_t sent;	    /* highest block sent; never more than window beyond acked */
	bool in_options;    /* our option acknowledgement is not answered yet */
	bool resent;	    /* this window was sent again because of a duplicate ACK: once is enough */
	unsigned tries;
	uint64_t timeout_ms, deadline_ms;
	enum tftp_state state;
	uint8_t options[128]; /* the option acknowledgement, kept for sending it again */
	size_t options_len;
};

/* Starts a transfer and sends its first packet (an option acknowledgement, or the first window). */
void tftp_sender_start(struct tftp_sender *s, const struct tftp_request *request, const struct tftp_source *source,
		       void (*send)(void *arg, const uint8_t *packet, size_t len), void *send_arg, uint64_t now_ms);
/* A packet of the client came. Broken ones are passed over. */
void tftp_sender_packet(struct tftp_sender *s, const uint8_t *bytes, size_t len, uint64_t now_ms);
/* Sends again what deadline_ms has passed for, or gives up. */
void tftp_sender_tick(struct tftp_sender *s, uint64_t now_ms);
/* The client repeated its request, so our first packet was lost: sends it again if nothing came back so far. */
void tftp_sender_repeat(struct tftp_sender *s, uint64_t now_ms);

#endif
