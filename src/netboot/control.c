/* The control lines between g4ld and g4l-bootd. See control.h. */
#include "netboot/control.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void put_line(struct buf *out, json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	if (text) {
		buf_put(out, text, strlen(text));
		buf_put_u8(out, '\n');
	} else {
		out->failed = true;
	}
	free(text);
	json_decref(object);
}

void control_put_arm(struct buf *out, const struct netboot_arming *a)
{
	char mac[NETBOOT_MAC_TEXT];

	netboot_mac_format(a->mac, mac);
	put_line(out, json_pack("{s:{s:s,s:s,s:s,s:s,s:s}}", "arm", "host", a->host, "mac", mac, "nonce", a->nonce,
				"base", a->base, "cmdline", a->cmdline));
}

void control_put_disarm(struct buf *out, const uint8_t mac[NETBOOT_MAC_BYTES])
{
	char text[NETBOOT_MAC_TEXT];

	netboot_mac_format(mac, text);
	put_line(out, json_pack("{s:{s:s}}", "disarm", "mac", text));
}

void control_put_start(struct buf *out)
{
	put_line(out, json_pack("{s:{}}", "start"));
}

void control_put_event(struct buf *out, const struct netboot_event *e)
{
	char mac[NETBOOT_MAC_TEXT] = "";

	if (e->has_mac)
		netboot_mac_format(e->mac, mac);
	put_line(out, json_pack("{s:s,s:s,s:s}", "event", netboot_event_name(e->kind), "mac", mac, "text", e->text));
}

/* Copies a member's text. 0, or -ERR_FORMAT when it is missing or too long. */
static int copy_text(const json_t *object, const char *key, char *to, size_t to_bytes)
{
	const json_t *value = json_object_get(object, key);
	size_t len;

	if (!json_is_string(value))
		return -ERR_FORMAT;
	len = json_string_length(value);
	if (len >= to_bytes)
		return -ERR_FORMAT;
	memcpy(to, json_string_value(value), len + 1);
	return 0;
}

static int copy_mac(const json_t *object, uint8_t mac[NETBOOT_MAC_BYTES])
{
	char text[NETBOOT_MAC_TEXT];

	if (copy_text(object, "mac", text, sizeof text) < 0 || netboot_mac_parse(text, mac) < 0)
		return -ERR_FORMAT;
	return 0;
}

static int parse_arm(const json_t *object, struct netboot_arming *a)
{
	if (copy_mac(object, a->mac) < 0 || copy_text(object, "host", a->host, sizeof a->host) < 0 ||
	    copy_text(object, "nonce", a->nonce, sizeof a->nonce) < 0 ||
	    copy_text(object, "base", a->base, sizeof a->base) < 0 ||
	    copy_text(object, "cmdline", a->cmdline, sizeof a->cmdline) < 0)
		return -ERR_FORMAT;
	return netboot_check(a, NULL) < 0 ? -ERR_FORMAT : 0;
}

int control_parse_message(const char *line, size_t len, struct control_message *m)
{
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *object;
	int ret = -ERR_FORMAT;

	memset(m, 0, sizeof *m);
	if ((object = json_object_get(root, "arm"))) {
		m->kind = CONTROL_ARM;
		ret = parse_arm(object, &m->arming);
	} else if ((object = json_object_get(root, "disarm"))) {
		m->kind = CONTROL_DISARM;
		ret = copy_mac(object, m->arming.mac);
	} else if (json_object_get(root, "start")) {
		m->kind = CONTROL_START;
		ret = 0;
	}
	json_decref(root);
	return ret;
}

int control_parse_event(const char *line, size_t len, struct netboot_event *e)
{
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	char name[16] = "";
	int ret = -ERR_FORMAT;

	memset(e, 0, sizeof *e);
	if (copy_text(root, "event", name, sizeof name) < 0 || copy_text(root, "text", e->text, sizeof e->text) < 0)
		goto out;
	e->has_mac = copy_mac(root, e->mac) == 0;
	for (int kind = NETBOOT_READY; kind <= NETBOOT_STRANGER; kind++) {
		if (!strcmp(name, netboot_event_name((enum netboot_event_kind)kind))) {
			e->kind = (enum netboot_event_kind)kind;
			ret = 0;
		}
	}
out:
	json_decref(root);
	return ret;
}

int control_lines_fill(struct control_lines *l, int fd)
{
	size_t kept = l->bytes.len - l->at;
	uint8_t *to;
	ssize_t n;

	/* Room is always made in front, so a line that fills the buffer is one that is too long. */
	if (kept)
		memmove(l->bytes.data, l->bytes.data + l->at, kept);
	l->bytes.len = kept;
	l->at = 0;
	if (kept >= CONTROL_LINE_MAX)
		return -EMSGSIZE;
	to = buf_add(&l->bytes, CONTROL_LINE_MAX - kept);
	if (!to)
		return -ENOMEM;
	n = recv(fd, to, CONTROL_LINE_MAX - kept, MSG_DONTWAIT);
	l->bytes.len = kept + (n > 0 ? (size_t)n : 0);
	if (n > 0)
		return 1;
	if (n == 0)
		return -EPIPE;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

const char *control_lines_next(struct control_lines *l, size_t *len)
{
	const char *start, *end;

	if (l->at == l->bytes.len)
		return NULL;
	start = (const char *)l->bytes.data + l->at;
	end = memchr(start, '\n', l->bytes.len - l->at);
	if (!end)
		return NULL;
	*len = (size_t)(end - start);
	l->at += *len + 1;
	return start;
}

void control_lines_free(struct control_lines *l)
{
	buf_free(&l->bytes);
	l->at = 0;
}

int control_flush(struct buf *out, int fd)
{
	size_t done = 0;
	int ret = 0;

	while (done < out->len) {
		ssize_t n = send(fd, out->data + done, out->len - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0) {
			ret = errno == EAGAIN || errno == EINTR ? 0 : -errno;
			break;
		}
		done += (size_t)n;
	}
	if (done && done < out->len)
		memmove(out->data, out->data + done, out->len - done);
	out->len -= done;
	return ret;
}
