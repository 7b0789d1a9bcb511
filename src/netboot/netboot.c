/*
 * The choke point above every way to arm a host: checks, locks and logs, so that implementations need not.
 * Must never let an arming through that a loader could read as anything but data.
 */
#include "netboot/netboot.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

static const char *const event_names[] = {
	[NETBOOT_READY] = "ready", [NETBOOT_OFFER] = "offer", [NETBOOT_LOADER] = "loader",
	[NETBOOT_MENU] = "menu",   [NETBOOT_ERROR] = "error", [NETBOOT_STRANGER] = "stranger",
};

const char *netboot_event_name(enum netboot_event_kind kind)
{
	return event_names[kind];
}

char *netboot_mac_format(const uint8_t mac[NETBOOT_MAC_BYTES], char to[NETBOOT_MAC_TEXT])
{
	snprintf(to, NETBOOT_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return to;
}

int netboot_mac_parse(const char *text, uint8_t mac[NETBOOT_MAC_BYTES])
{
	uint8_t got[NETBOOT_MAC_BYTES];

	if (strlen(text) != NETBOOT_MAC_TEXT - 1)
		return -EINVAL;
	for (size_t i = 0; i < NETBOOT_MAC_BYTES; i++) {
		const char *pair = text + 3 * i;

		if (text_unhex(pair, got + i, 1) < 0 || (i < 5 && pair[2] != ':' && pair[2] != '-'))
			return -EINVAL;
	}
	memcpy(mac, got, sizeof got);
	return 0;
}

/* Characters that are plain in pxelinux.cfg, iPXE scripts, GRUB scripts and URLs alike. */
static bool is_plain(char c)
{
	return c && (isalnum((unsigned char)c) || strchr("-._~:/?@!*+,=%[]", c));
}

static bool all_plain(const char *text, bool spaces)
{
	for (; *text; text++) {
		if (!is_plain(*text) && !(spaces && *text == ' '))
			return false;
	}
	return true;
}

static bool is_terminated(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool is_hex(const char *text, size_t digits)
{
	return strlen(text) == digits && strspn(text, "0123456789abcdef") == digits;
}

static int check_base(const struct netboot_arming *a, struct error *err)
{
	static const char scheme[] = "http://";
	const char *slash;

	if (strncmp(a->base, scheme, sizeof scheme - 1) || !all_plain(a->base, false) || strpbrk(a->base, "?@[]!*"))
		return error_set(err, -ERR_USAGE, "the boot address of %s is not a plain http:// address", a->host);
	slash = strchr(a->base + sizeof scheme - 1, '/');
	if (!slash || slash == a->base + sizeof scheme - 1 || a->base[strlen(a->base) - 1] == '/')
		return error_set(err, -ERR_USAGE, "the boot address of %s lacks a server or a path", a->host);
	if (strlen(a->base) > NETBOOT_BASE_MAX)
		return error_set(err, -ERR_USAGE, "the boot address of %s is longer than %d bytes", a->host,
				 NETBOOT_BASE_MAX);
	return 0;
}

int netboot_check(const struct netboot_arming *a, struct error *err)
{
	static const uint8_t zero[NETBOOT_MAC_BYTES];

	if (!is_terminated(a->host, sizeof a->host) || !is_terminated(a->nonce, sizeof a->nonce) ||
	    !is_terminated(a->base, sizeof a->base) || !is_terminated(a->cmdline, sizeof a->cmdline))
		return error_set(err, -ERR_USAGE, "an arming holds a text that is too long");
	if (!text_is_name(a->host))
		return error_set(err, -ERR_USAGE, "an arming names no host");
	if ((a->mac[0] & 1) || !memcmp(a->mac, zero, sizeof zero))
		return error_set(err, -ERR_USAGE, "the MAC address of %s is not that of one NIC", a->host);
	if (!is_hex(a->nonce, sizeof a->nonce - 1))
		return error_set(err, -ERR_USAGE, "the boot nonce of %s is not 32 hex digits", a->host);
	if (!all_plain(a->cmdline, true))
		return error_set(
			err, -ERR_USAGE,
			"the kernel command line of %s holds a character that boot loaders would not take as it is "
			"(quotes, $, \\, ;, &, |, #, braces and the like)",
			a->host);
	return check_base(a, err);
}

void netboot_init(struct netboot *nb, const struct netboot_ops *ops)
{
	nb->ops = ops;
	pthread_mutex_init(&nb->lock, NULL);
}

int netboot_arm(struct netboot *nb, const struct netboot_arming *arming, struct error *err)
{
	char mac[NETBOOT_MAC_TEXT];
	int ret = netboot_check(arming, err);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&nb->lock);
	ret = nb->ops->arm(nb, arming, err);
	pthread_mutex_unlock(&nb->lock);
	netboot_mac_format(arming->mac, mac);
	if (ret < 0)
		log_error("%s (%s) could not be armed", arming->host, mac);
	else
		log_info("%s (%s) is armed: its next boot is from the network", arming->host, mac);
	return ret;
}

int netboot_disarm(struct netboot *nb, const uint8_t mac[NETBOOT_MAC_BYTES], struct error *err)
{
	char text[NETBOOT_MAC_TEXT];
	int ret;

	pthread_mutex_lock(&nb->lock);
	ret = nb->ops->disarm(nb, mac, err);
	pthread_mutex_unlock(&nb->lock);
	netboot_mac_format(mac, text);
	if (ret < 0)
		log_error("%s could not be disarmed", text);
	else
		log_info("%s is disarmed", text);
	return ret;
}

int netboot_recover(struct netboot *nb, struct error *err)
{
	int ret;

	pthread_mutex_lock(&nb->lock);
	ret = nb->ops->recover(nb, err);
	pthread_mutex_unlock(&nb->lock);
	return ret;
}

int netboot_event_fd(struct netboot *nb)
{
	return nb->ops->event_fd(nb);
}

int netboot_next_event(struct netboot *nb, struct netboot_event *event)
{
	int ret;

	memset(event, 0, sizeof *event);
	if (!nb->ops->next_event)
		return 0;
	pthread_mutex_lock(&nb->lock);
	ret = nb->ops->next_event(nb, event);
	pthread_mutex_unlock(&nb->lock);
	return ret;
}

bool netboot_is_running(struct netboot *nb)
{
	bool running = true;

	pthread_mutex_lock(&nb->lock);
	if (nb->ops->is_running)
		running = nb->ops->is_running(nb);
	pthread_mutex_unlock(&nb->lock);
	return running;
}

void netboot_close(struct netboot *nb)
{
	if (!nb)
		return;
	pthread_mutex_destroy(&nb->lock);
	nb->ops->close(nb);
}
