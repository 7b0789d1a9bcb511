/* The TFTP server's sockets and files. See tftpd.h. The protocol itself is in tftp.c. */
#include "netboot/tftpd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "netboot/menu.h"
#include "netboot/tftp.h"

enum { TRANSFERS_MAX = 400, TRANSFERS_PER_HOST = 8, REQUESTS_AT_ONCE = 32 };

struct listener {
	struct tftpd_watch watch;
	struct tftpd *server;
	struct listener *next;
	int fd;
	struct in_addr address;
	char interface[IFNAMSIZ];
};

struct transfer {
	struct tftpd_watch watch;
	struct tftpd *server;
	struct transfer *next;
	const struct listener *listener;
	struct sockaddr_in client;
	int fd;
	int file_fd; /* or -1, and then the bytes are in menu */
	struct buf menu;
	bool is_menu;
	struct tftp_request request;
	struct tftp_sender sender;
};

struct tftpd {
	struct tftpd_config config;
	struct listener *listeners;
	struct transfer *transfers;
	unsigned count;
};

int tftpd_new(const struct tftpd_config *config, struct tftpd **out)
{
	struct tftpd *t = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	t->config = *config;
	*out = t;
	return 0;
}

static void transfer_free(struct transfer *x)
{
	if (x->fd >= 0)
		close(x->fd);
	if (x->file_fd >= 0)
		close(x->file_fd);
	buf_free(&x->menu);
	free(x);
}

void tftpd_free(struct tftpd *t)
{
	if (!t)
		return;
	while (t->transfers) {
		struct transfer *x = t->transfers;

		t->transfers = x->next;
		transfer_free(x);
	}
	while (t->listeners) {
		struct listener *l = t->listeners;

		t->listeners = l->next;
		close(l->fd);
		free(l);
	}
	free(t);
}

/* One part of a path: a folder, or at the end a regular file. */
static int open_part(int dir_fd, const char *part, size_t len, bool last)
{
	char name[TFTP_NAME_MAX + 1];
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (last ? 0 : O_DIRECTORY);
	int fd;

	if (len >= sizeof name || !len || (len == 1 && part[0] == '.') || (len == 2 && !memcmp(part, "..", 2)))
		return -EINVAL;
	memcpy(name, part, len);
	name[len] = '\0';
	fd = openat(dir_fd, name, flags);
	return fd < 0 ? -errno : fd;
}

int tftpd_open_file(int dir_fd, const char *name)
{
	int at = dir_fd, fd;
	struct stat st;

	name += strspn(name, "/");
	for (;;) {
		size_t len = strcspn(name, "/");
		bool last = name[len] == '\0';

		fd = open_part(at, name, len, last);
		if (at != dir_fd)
			close(at);
		if (fd < 0)
			return fd;
		if (last)
			break;
		at = fd;
		name += len + 1;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EACCES;
	}
	return fd;
}

/* The client's MAC as the kernel's neighbour table knows it; false behind a router, or when it is not there yet. */
static bool find_mac(const struct listener *l, const struct sockaddr_in *client, uint8_t mac[NETBOOT_MAC_BYTES])
{
	struct arpreq ask = {0};

	if (!l->interface[0])
		return false;
	memcpy(&ask.arp_pa, client, sizeof *client);
	memcpy(ask.arp_dev, l->interface, sizeof ask.arp_dev);
	if (ioctl(l->fd, SIOCGARP, &ask) < 0 || !(ask.arp_flags & ATF_COM))
		return false;
	memcpy(mac, ask.arp_ha.sa_data, NETBOOT_MAC_BYTES);
	return true;
}

static void send_error(const struct listener *l, const struct sockaddr_in *client, enum tftp_error code,
		       const char *text)
{
	uint8_t packet[TFTP_PACKET_MAX];
	size_t len = tftp_format_error(code, text, packet);

	sendto(l->fd, packet, len, MSG_DONTWAIT, (const struct sockaddr *)client, sizeof *client);
}

static void report(struct transfer *x)
{
	struct netboot_event event = {.kind = x->is_menu ? NETBOOT_MENU : NETBOOT_LOADER};
	const struct netboot_arming *arming = NULL;
	char name[sizeof x->request.name];

	event.has_mac = find_mac(x->listener, &x->client, event.mac);
	if (!event.has_mac && x->is_menu)
		event.has_mac = netboot_mac_parse(strrchr(x->request.name, '/') + 4, event.mac) == 0;
	if (event.has_mac)
		arming = armed_find(x->server->config.armed, event.mac);
	snprintf(event.text, sizeof event.text, "%s has fetched %s",
		 arming ? arming->host : inet_ntoa(x->client.sin_addr),
		 text_printable(x->request.name, name, sizeof name));
	x->server->config.event(x->server->config.event_arg, &event);
}

static void report_failure(struct transfer *x)
{
	struct netboot_event event = {.kind = NETBOOT_ERROR};
	const char *why = x->sender.state == TFTP_TIMED_OUT ? "it does not answer any more" : "it cannot be read";
	char name[sizeof x->request.name];

	event.has_mac = find_mac(x->listener, &x->client, event.mac);
	snprintf(event.text, sizeof event.text, "%s could not be sent to %s: %s",
		 text_printable(x->request.name, name, sizeof name), inet_ntoa(x->client.sin_addr), why);
	x->server->config.event(x->server->config.event_arg, &event);
}

static int read_file(void *arg, uint64_t offset, void *to, size_t len)
{
	const struct transfer *x = arg;

	return io_pread_full(x->file_fd, to, len, offset);
}

static int read_menu(void *arg, uint64_t offset, void *to, size_t len)
{
	const struct transfer *x = arg;

	memcpy(to, x->menu.data + offset, len);
	return 0;
}

static void send_packet(void *arg, const uint8_t *packet, size_t len)
{
	const struct transfer *x = arg;

	/* What does not go out now counts as lost on the wire: the timer sends it again. */
	(void)!send(x->fd, packet, len, MSG_DONTWAIT);
}

/* "pxelinux.cfg/01-aa-bb-cc-dd-ee-ff" (01: Ethernet). True when the name is of that folder, whatever follows. */
static bool menu_name(const char *name, uint8_t mac[NETBOOT_MAC_BYTES], bool *valid)
{
	static const char folder[] = "pxelinux.cfg/";

	name += strspn(name, "/");
	if (strncmp(name, folder, sizeof folder - 1))
		return false;
	name += sizeof folder - 1;
	*valid = !strncmp(name, "01-", 3) && netboot_mac_parse(name + 3, mac) == 0;
	return true;
}

static void report_stranger(const struct transfer *x, const uint8_t mac[NETBOOT_MAC_BYTES])
{
	struct netboot_event event = {.kind = NETBOOT_STRANGER, .has_mac = true};
	char name[sizeof x->request.name];

	memcpy(event.mac, mac, sizeof event.mac);
	snprintf(event.text, sizeof event.text, "a machine that is not armed (%s) asked for %s; it was refused",
		 inet_ntoa(x->client.sin_addr), text_printable(x->request.name, name, sizeof name));
	x->server->config.event(x->server->config.event_arg, &event);
}

/* Opens what the request names. 0, or -1 with the text that the client is told. */
static int open_source(struct transfer *x, const char **why)
{
	const struct armed *armed = x->server->config.armed;
	const struct netboot_arming *arming;
	uint8_t mac[NETBOOT_MAC_BYTES], own[NETBOOT_MAC_BYTES];
	bool valid, known = find_mac(x->listener, &x->client, own);

	*why = "there is no such file";
	if (known && !armed_find(armed, own)) {
		*why = "this machine is not to boot from the network now";
		report_stranger(x, own);
		return -1;
	}
	if (!menu_name(x->request.name, mac, &valid)) {
		x->file_fd = tftpd_open_file(x->server->config.dir_fd, x->request.name);
		return x->file_fd < 0 ? -1 : 0;
	}
	arming = valid ? armed_find(armed, mac) : NULL;
	if (!arming || (known && memcmp(mac, own, sizeof mac)))
		return -1;
	x->is_menu = true;
	return menu_pxelinux(arming, &x->menu, NULL) < 0 ? -1 : 0;
}

static int open_socket(struct transfer *x)
{
	struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr = x->listener->address};
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &x->watch};

	x->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (x->fd < 0 || bind(x->fd, (const struct sockaddr *)&self, sizeof self) < 0 ||
	    connect(x->fd, (const struct sockaddr *)&x->client, sizeof x->client) < 0 ||
	    epoll_ctl(x->server->config.epoll_fd, EPOLL_CTL_ADD, x->fd, &ev) < 0)
		return -errno;
	return 0;
}

static void transfer_ready(struct tftpd_watch *watch)
{
	struct transfer *x = (struct transfer *)watch;
	uint8_t packet[TFTP_PACKET_MAX];
	ssize_t n;

	while ((n = recv(x->fd, packet, sizeof packet, MSG_DONTWAIT)) >= 0)
		tftp_sender_packet(&x->sender, packet, (size_t)n, clock_ms());
	/* The client's port is closed: it is done with us. Nobody can say whether it has everything. */
	if (errno == ECONNREFUSED && x->sender.state == TFTP_RUNNING)
		x->sender.state = TFTP_DECLINED;
	/* What is over is removed by tftpd_tick(): the epoll set may still hold this pointer. */
}

static void start_transfer(struct listener *l, const struct sockaddr_in *client, const struct tftp_request *request)
{
	struct transfer *x = calloc(1, sizeof *x);
	struct tftp_source source = {0};
	struct stat st;
	const char *why = "out of resources";

	if (!x)
		return;
	x->watch.ready = transfer_ready;
	x->server = l->server;
	x->listener = l;
	x->client = *client;
	x->fd = x->file_fd = -1;
	x->request = *request;
	if (open_source(x, &why) < 0) {
		send_error(l, client, TFTP_ERROR_NOT_FOUND, why);
		goto fail;
	}
	source.arg = x;
	source.read = x->is_menu ? read_menu : read_file;
	source.size = x->menu.len;
	if (open_socket(x) < 0 || (!x->is_menu && fstat(x->file_fd, &st) < 0)) {
		log_warning("no TFTP transfer of %s: %s", x->request.name, strerror(errno));
		send_error(l, client, TFTP_ERROR_OTHER, "out of resources");
		goto fail;
	}
	if (!x->is_menu)
		source.size = (uint64_t)st.st_size;
	x->next = l->server->transfers;
	l->server->transfers = x;
	l->server->count++;
	tftp_sender_start(&x->sender, request, &source, send_packet, x, clock_ms());
	return;
fail:
	transfer_free(x);
}

/*
 * A request from a port that a transfer goes to already. True when it is the same one again, before anything was
 * acknowledged: our first packet was lost and goes out once more. Otherwise the client has left that transfer (loaders
 * use one port for file after file) and it ends.
 */
static bool is_repeated(struct transfer *x, const struct tftp_request *request)
{
	/* Its last packets may wait unread behind this request. */
	x->watch.ready(&x->watch);
	if (x->sender.state != TFTP_RUNNING)
		return false;
	if (x->sender.acked == 0 && !memcmp(&x->request, request, sizeof *request)) {
		tftp_sender_repeat(&x->sender, clock_ms());
		return true;
	}
	x->sender.state = TFTP_DECLINED;
	return false;
}

static void handle_request(struct listener *l, const struct sockaddr_in *client, const struct tftp_request *request)
{
	unsigned of_host = 0;

	for (struct transfer *x = l->server->transfers; x; x = x->next) {
		if (x->client.sin_addr.s_addr != client->sin_addr.s_addr)
			continue;
		if (x->client.sin_port == client->sin_port && is_repeated(x, request))
			return;
		of_host += x->sender.state == TFTP_RUNNING;
	}
	if (of_host < TRANSFERS_PER_HOST && l->server->count < TRANSFERS_MAX)
		start_transfer(l, client, request);
	else
		send_error(l, client, TFTP_ERROR_OTHER, "too many transfers");
}

static void listener_ready(struct tftpd_watch *watch)
{
	struct listener *l = (struct listener *)watch;
	uint8_t packet[TFTP_PACKET_MAX];

	for (int i = 0; i < REQUESTS_AT_ONCE; i++) {
		struct sockaddr_in client;
		socklen_t client_len = sizeof client;
		struct tftp_request request;
		const char *why = "";
		ssize_t n =
			recvfrom(l->fd, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&client, &client_len);
		int ret;

		if (n < 0)
			return;
		ret = tftp_parse_request(packet, (size_t)n, &request, &why);
		if (ret == -1)
			continue;
		if (ret < 0)
			send_error(l, &client, tftp_error_of(ret), why);
		else
			handle_request(l, &client, &request);
	}
}

int tftpd_listen(struct tftpd *t, int fd, const struct in_addr *address, const char *interface)
{
	struct listener *l = calloc(1, sizeof *l);
	struct epoll_event ev = {.events = EPOLLIN};
	int ret;

	if (!l)
		return -ENOMEM;
	l->watch.ready = listener_ready;
	l->server = t;
	l->fd = fd;
	l->address = *address;
	snprintf(l->interface, sizeof l->interface, "%s", interface);
	ev.data.ptr = &l->watch;
	if (epoll_ctl(t->config.epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		ret = -errno;
		free(l);
		return ret;
	}
	l->next = t->listeners;
	t->listeners = l;
	return 0;
}

static void end_transfer(struct transfer *x)
{
	switch (x->sender.state) {
	case TFTP_DONE:
		report(x);
		break;
	case TFTP_TIMED_OUT:
	case TFTP_UNREADABLE:
		report_failure(x);
		break;
	case TFTP_DECLINED:
	case TFTP_RUNNING:
		break;
	}
	x->server->count--;
	transfer_free(x);
}

int tftpd_tick(struct tftpd *t)
{
	uint64_t now = clock_ms(), next = UINT64_MAX;
	struct transfer **link = &t->transfers;

	while (*link) {
		struct transfer *x = *link;

		tftp_sender_tick(&x->sender, now);
		if (x->sender.state != TFTP_RUNNING) {
			*link = x->next;
			end_transfer(x);
			continue;
		}
		if (x->sender.deadline_ms < next)
			next = x->sender.deadline_ms;
		link = &x->next;
	}
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : (int)(next - now);
}
