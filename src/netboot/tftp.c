/* TFTP packets and the sender's state machine. See tftp.h. */
#include "netboot/tftp.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/text.h"

enum opcode { OP_READ = 1, OP_WRITE = 2, OP_DATA = 3, OP_ACK = 4, OP_ERROR = 5, OP_OPTIONS = 6 };

enum { BLOCK_DEFAULT = 512, TIMEOUT_MS = 1000, CODE_BASE = -100 };

enum tftp_error tftp_error_of(int code)
{
	return code <= CODE_BASE ? (enum tftp_error)(CODE_BASE - code) : TFTP_ERROR_OTHER;
}

static int refuse(enum tftp_error code, const char *text, const char **why)
{
	*why = text;
	return CODE_BASE - (int)code;
}

/* The next text that ends with a zero byte, inside the packet; NULL when there is none. */
static const char *take_text(struct cursor *c)
{
	const uint8_t *end = cursor_left(c) ? memchr(c->at, 0, cursor_left(c)) : NULL;

	return end ? (const char *)cursor_take(c, (size_t)(end - c->at) + 1) : NULL;
}

static uint16_t at_most(uint64_t value, uint16_t max)
{
	return value < max ? (uint16_t)value : max;
}

static void read_option(struct tftp_request *r, const char *name, const char *text)
{
	uint64_t value;

	if (text_u64(text, UINT64_MAX, &value) < 0)
		return;
	if (!strcasecmp(name, "blksize") && value >= 8 && value <= 65464) {
		r->wants_block = true;
		r->block_bytes = at_most(value, TFTP_BLOCK_MAX);
	} else if (!strcasecmp(name, "tsize")) {
		r->wants_size = true;
	} else if (!strcasecmp(name, "timeout") && value >= 1 && value <= 255) {
		r->wants_timeout = true;
		r->timeout_s = (uint8_t)value;
	} else if (!strcasecmp(name, "windowsize") && value >= 1 && value <= 65535) {
		r->wants_window = true;
		r->window = at_most(value, TFTP_WINDOW_MAX);
	}
}

int tftp_parse_request(const uint8_t *bytes, size_t len, struct tftp_request *r, const char **why)
{
	struct cursor c = cursor_of(bytes, len);
	const char *name, *mode, *value;
	uint16_t op = cursor_be16(&c);

	memset(r, 0, sizeof *r);
	r->block_bytes = BLOCK_DEFAULT;
	r->window = 1;
	if (c.failed || (op != OP_READ && op != OP_WRITE))
		return -1;
	if (op == OP_WRITE)
		return refuse(TFTP_ERROR_ACCESS, "nothing can be written here", why);
	name = take_text(&c);
	mode = take_text(&c);
	if (!name || !mode)
		return refuse(TFTP_ERROR_ILLEGAL, "broken request", why);
	if (strlen(name) > TFTP_NAME_MAX)
		return refuse(TFTP_ERROR_NOT_FOUND, "the name is too long", why);
	if (strcasecmp(mode, "octet"))
		return refuse(TFTP_ERROR_ILLEGAL, "octet mode only", why);
	memcpy(r->name, name, strlen(name) + 1);
	while ((name = take_text(&c)) && (value = take_text(&c)))
		read_option(r, name, value);
	return 0;
}

size_t tftp_format_error(enum tftp_error code, const char *text, uint8_t to[TFTP_PACKET_MAX])
{
	size_t n = strnlen(text, 100);

	bytes_put_be16(to, OP_ERROR);
	bytes_put_be16(to + 2, (uint16_t)code);
	memcpy(to + 4, text, n);
	to[4 + n] = 0;
	return 5 + n;
}

static void put_option(struct tftp_sender *s, const char *name, uint64_t value)
{
	size_t room = sizeof s->options - s->options_len;
	int n = snprintf((char *)s->options + s->options_len, room, "%s%c%llu", name, 0, (unsigned long long)value);

	if (n > 0 && (size_t)n < room)
		s->options_len += (size_t)n + 1;
}

static void format_options(struct tftp_sender *s, const struct tftp_request *r)
{
	bytes_put_be16(s->options, OP_OPTIONS);
	s->options_len = 2;
	if (r->wants_block)
		put_option(s, "blksize", r->block_bytes);
	if (r->wants_size)
		put_option(s, "tsize", s->source.size);
	if (r->wants_timeout)
		put_option(s, "timeout", r->timeout_s);
	if (r->wants_window)
		put_option(s, "windowsize", r->window);
}

static void arm_timer(struct tftp_sender *s, uint64_t now_ms)
{
	s->deadline_ms = now_ms + s->timeout_ms;
}

static int send_block(struct tftp_sender *s, uint64_t block)
{
	uint8_t packet[TFTP_PACKET_MAX];
	uint64_t offset = (block - 1) * s->block_bytes;
	uint64_t left = s->source.size - offset;
	size_t n = left < s->block_bytes ? (size_t)left : s->block_bytes;
	int ret = 0;

	bytes_put_be16(packet, OP_DATA);
	bytes_put_be16(packet + 2, (uint16_t)block); /* wraps to 0: firmware expects it so */
	if (n)
		ret = s->source.read(s->source.arg, offset, packet + 4, n);
	if (ret < 0) {
		s->state = TFTP_UNREADABLE;
		s->send(s->send_arg, packet, tftp_format_error(TFTP_ERROR_OTHER, "the file cannot be read", packet));
		return ret;
	}
	s->send(s->send_arg, packet, 4 + n);
	return 0;
}

/* Sends everything the window allows, beginning behind the last acknowledged block. */
static void send_window(struct tftp_sender *s, uint64_t now_ms)
{
	uint64_t end = s->acked + s->window;

	if (end > s->last_block)
		end = s->last_block;
	for (uint64_t block = s->acked + 1; block <= end; block++) {
		if (send_block(s, block) < 0)
			return;
	}
	s->sent = end;
	arm_timer(s, now_ms);
}

static void send_current(struct tftp_sender *s, uint64_t now_ms)
{
	if (s->in_options) {
		s->send(s->send_arg, s->options, s->options_len);
		arm_timer(s, now_ms);
	} else {
		send_window(s, now_ms);
	}
}

void tftp_sender_start(struct tftp_sender *s, const struct tftp_request *r, const struct tftp_source *source,
		       void (*send)(void *arg, const uint8_t *packet, size_t len), void *send_arg, uint64_t now_ms)
{
	*s = (struct tftp_sender){
		.source = *source,
		.send = send,
		.send_arg = send_arg,
		.block_bytes = r->block_bytes,
		.window = r->window,
		.last_block = source->size / r->block_bytes + 1,
		.tries = 1,
		.timeout_ms = r->wants_timeout ? r->timeout_s * 1000ull : TIMEOUT_MS,
		.in_options = r->wants_block || r->wants_size || r->wants_timeout || r->wants_window,
		.state = TFTP_RUNNING,
	};
	if (s->in_options)
		format_options(s, r);
	send_current(s, now_ms);
}

static void acknowledged(struct tftp_sender *s, uint16_t number, uint64_t now_ms)
{
	uint64_t ahead;

	if (s->in_options) {
		if (number != 0)
			return;
		s->in_options = false;
		s->tries = 1;
		send_window(s, now_ms);
		return;
	}
	ahead = (uint16_t)(number - (uint16_t)s->acked);
	if (ahead > s->sent - s->acked)
		return; /* older than what is acknowledged, or never sent */
	if (ahead == 0) {
		/* The first packet of a window was lost. In lock step a duplicate is answered by the timer alone, or
		 * every packet would be doubled from there on (RFC 1123, 4.2.3.1). */
		if (s->window > 1 && !s->resent) {
			s->resent = true;
			send_window(s, now_ms);
		}
		return;
	}
	s->acked += ahead;
	s->tries = 1;
	s->resent = false;
	if (s->acked == s->last_block)
		s->state = TFTP_DONE;
	else
		send_window(s, now_ms);
}

void tftp_sender_packet(struct tftp_sender *s, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
	struct cursor c = cursor_of(bytes, len);
	uint16_t op = cursor_be16(&c), number = cursor_be16(&c);

	if (c.failed || s->state != TFTP_RUNNING)
		return;
	if (op == OP_ERROR)
		s->state = TFTP_DECLINED;
	else if (op == OP_ACK)
		acknowledged(s, number, now_ms);
}

void tftp_sender_tick(struct tftp_sender *s, uint64_t now_ms)
{
	if (s->state != TFTP_RUNNING || now_ms < s->deadline_ms)
		return;
	if (s->tries++ >= TFTP_TRIES) {
		s->state = TFTP_TIMED_OUT;
		return;
	}
	send_current(s, now_ms);
}

void tftp_sender_repeat(struct tftp_sender *s, uint64_t now_ms)
{
	if (s->state == TFTP_RUNNING && s->acked == 0)
		send_current(s, now_ms);
}
