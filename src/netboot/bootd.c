/*
 * g4l-bootd: proxyDHCP and TFTP for armed hosts, in a process without privileges. g4ld starts it, hands it its
 * sockets and tells it over the control socket whom to answer. It must never answer anybody else, never write a file,
 * and never outlive the control socket.
 *
 *   g4l-bootd --control FD --dir PATH [--user NAME] --interface NAME,ADDRESS,DHCP_FD,PXE_FD,TFTP_FD ...
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "netboot/control.h"
#include "netboot/privileges.h"
#include "netboot/proxy.h"
#include "netboot/tftpd.h"

enum {
	INTERFACES_MAX = 16,
	RECENT_MAX = 64,
	RECENT_MS = 120 * 1000, /* a machine's requests within this time are one boot */
	PACKETS_AT_ONCE = 64,
	EVENT_BACKLOG = 256 * 1024, /* events are dropped when the server does not read them */
};

struct bootd;

struct interface {
	char name[IFNAMSIZ];
	struct in_addr address;
	int dhcp_fd, pxe_fd, tftp_fd;
};

struct port {
	struct tftpd_watch watch;
	struct bootd *bootd;
	const struct interface *interface;
	enum proxy_service service;
	int fd;
};

/* What was reported lately, so that a machine that asks five times makes one event. */
struct recent {
	uint8_t mac[NETBOOT_MAC_BYTES];
	enum netboot_event_kind kind;
	char text[96];
	uint64_t seen_ms;
};

struct control {
	struct tftpd_watch watch;
	struct bootd *bootd;
	int fd;
	struct control_lines lines;
	struct buf out;
	bool over;
};

struct bootd {
	int epoll_fd, dir_fd;
	struct interface interfaces[INTERFACES_MAX];
	size_t interface_count;
	struct port ports[2 * INTERFACES_MAX];
	struct control control;
	struct armed armed;
	struct tftpd *tftpd;
	struct recent recent[RECENT_MAX];
	const char *dir, *user;
};

static void send_event(struct bootd *b, const struct netboot_event *event)
{
	if (b->control.out.len < EVENT_BACKLOG)
		control_put_event(&b->control.out, event);
}

/* True the first time within a while that this machine is reported with this text. */
static bool is_news(struct bootd *b, const struct netboot_event *e)
{
	struct recent *oldest = &b->recent[0];
	uint64_t now = clock_ms();

	for (size_t i = 0; i < RECENT_MAX; i++) {
		struct recent *r = &b->recent[i];

		if (r->seen_ms && r->kind == e->kind && !memcmp(r->mac, e->mac, sizeof r->mac) &&
		    (e->kind == NETBOOT_STRANGER || !strncmp(r->text, e->text, sizeof r->text - 1))) {
			bool news = now - r->seen_ms > RECENT_MS;

			r->seen_ms = now;
			return news;
		}
		if (r->seen_ms < oldest->seen_ms)
			oldest = r;
	}
	*oldest = (struct recent){.kind = e->kind, .seen_ms = now ? now : 1};
	memcpy(oldest->mac, e->mac, sizeof oldest->mac);
	snprintf(oldest->text, sizeof oldest->text, "%s", e->text);
	return true;
}

/* What was said about a MAC before it was armed (again) says nothing about the boot to come. */
static void forget_news(struct bootd *b, const uint8_t mac[NETBOOT_MAC_BYTES])
{
	for (size_t i = 0; i < RECENT_MAX; i++) {
		if (!memcmp(b->recent[i].mac, mac, NETBOOT_MAC_BYTES))
			b->recent[i].seen_ms = 0;
	}
}

static void tftpd_event(void *arg, const struct netboot_event *event)
{
	if (event->kind != NETBOOT_STRANGER || is_news(arg, event))
		send_event(arg, event);
}

static int send_answer(const struct port *p, const struct proxy_answer *answer)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(answer->to_port),
				 .sin_addr.s_addr = htonl(answer->to_address)};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} room = {0};
	struct iovec iov = {.iov_base = (void *)answer->packet, .iov_len = answer->len};
	struct msghdr msg = {.msg_name = &to,
			     .msg_namelen = sizeof to,
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = room.bytes,
			     .msg_controllen = sizeof room.bytes};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct in_pktinfo info = {.ipi_spec_dst = p->interface->address};

	cmsg->cmsg_level = IPPROTO_IP;
	cmsg->cmsg_type = IP_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof info);
	memcpy(CMSG_DATA(cmsg), &info, sizeof info);
	return sendmsg(p->fd, &msg, MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void report_answer(struct port *p, struct proxy_answer *answer, int sent)
{
	struct netboot_event *e = &answer->event;

	if (sent < 0) {
		e->kind = NETBOOT_ERROR;
		snprintf(e->text, sizeof e->text, "the answer to a booting machine could not be sent on %s: %s",
			 p->interface->name, error_name(sent));
	}
	if (is_news(p->bootd, e))
		send_event(p->bootd, e);
}

static void port_ready(struct tftpd_watch *watch)
{
	struct port *p = (struct port *)watch;
	uint8_t packet[DHCP_PACKET_MAX + 64];

	for (int i = 0; i < PACKETS_AT_ONCE; i++) {
		struct sockaddr_in from = {0};
		socklen_t from_len = sizeof from;
		ssize_t n = recvfrom(p->fd, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
		struct proxy_ask ask = {.service = p->service, .packet = packet};
		struct proxy_answer answer;
		int sent = 0;

		if (n < 0)
			return;
		ask.len = (size_t)n;
		ask.our_address = ntohl(p->interface->address.s_addr);
		ask.from_address = ntohl(from.sin_addr.s_addr);
		ask.from_port = ntohs(from.sin_port);
		proxy_decide(&p->bootd->armed, &ask, &answer);
		if (answer.send)
			sent = send_answer(p, &answer);
		if (answer.has_event)
			report_answer(p, &answer, sent);
	}
}

static void obey(struct bootd *b, const struct control_message *m)
{
	struct netboot_event ready = {.kind = NETBOOT_READY, .text = "the boot service is ready"};

	switch (m->kind) {
	case CONTROL_ARM:
		if (armed_set(&b->armed, &m->arming) < 0)
			log_error("out of memory: %s is not armed", m->arming.host);
		forget_news(b, m->arming.mac);
		break;
	case CONTROL_DISARM:
		armed_remove(&b->armed, m->arming.mac);
		break;
	case CONTROL_START:
		send_event(b, &ready);
		break;
	}
}

static void control_ready(struct tftpd_watch *watch)
{
	struct control *c = (struct control *)watch;
	struct control_message m;
	const char *line;
	size_t len;
	int ret;

	while ((ret = control_lines_fill(&c->lines, c->fd)) > 0) {
		while ((line = control_lines_next(&c->lines, &len))) {
			if (control_parse_message(line, len, &m) < 0)
				log_error("the boot service got a line that makes no sense from the server");
			else
				obey(c->bootd, &m);
		}
	}
	if (ret < 0)
		c->over = true;
}

static int add_watch(struct bootd *b, int fd, struct tftpd_watch *watch, void (*ready)(struct tftpd_watch *),
		     uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = watch};

	watch->ready = ready;
	return epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int add_interface(struct bootd *b, size_t index, struct error *err)
{
	const struct interface *i = &b->interfaces[index];
	struct port *dhcp = &b->ports[2 * index], *pxe = dhcp + 1;
	int ret;

	*dhcp = (struct port){.bootd = b, .interface = i, .service = PROXY_ON_DHCP, .fd = i->dhcp_fd};
	*pxe = (struct port){.bootd = b, .interface = i, .service = PROXY_ON_PXE, .fd = i->pxe_fd};
	ret = add_watch(b, dhcp->fd, &dhcp->watch, port_ready, EPOLLIN);
	if (ret == 0)
		ret = add_watch(b, pxe->fd, &pxe->watch, port_ready, EPOLLIN);
	if (ret == 0)
		ret = tftpd_listen(b->tftpd, i->tftp_fd, &i->address, i->name);
	return ret < 0 ? error_errno(err, ret, "cannot use the sockets of %s", i->name) : 0;
}

static int start(struct bootd *b, struct error *err)
{
	struct tftpd_config config = {.armed = &b->armed, .event = tftpd_event, .event_arg = b};
	int ret;

	b->dir_fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->dir_fd < 0)
		return error_errno(err, errno, "cannot open the folder of the loaders, %s", b->dir);
	ret = privileges_drop(b->user, b->dir_fd, err);
	if (ret < 0)
		return ret;
	b->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (b->epoll_fd < 0)
		return error_errno(err, errno, "cannot make an epoll set");
	config.epoll_fd = b->epoll_fd;
	config.dir_fd = b->dir_fd;
	ret = tftpd_new(&config, &b->tftpd);
	if (ret < 0)
		return error_errno(err, ret, "cannot start the TFTP server");
	b->control.bootd = b;
	ret = add_watch(b, b->control.fd, &b->control.watch, control_ready, EPOLLIN | EPOLLOUT | EPOLLET);
	if (ret < 0)
		return error_errno(err, ret, "cannot use the control socket");
	for (size_t i = 0; i < b->interface_count; i++) {
		ret = add_interface(b, i, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int run(struct bootd *b, struct error *err)
{
	struct epoll_event events[32];

	while (!b->control.over) {
		int n = epoll_wait(b->epoll_fd, events, 32, tftpd_tick(b->tftpd));

		if (n < 0 && errno != EINTR)
			return error_errno(err, errno, "waiting for packets failed");
		for (int i = 0; i < n; i++) {
			struct tftpd_watch *watch = events[i].data.ptr;

			watch->ready(watch);
		}
		/* After tftpd_tick() has reported what ended: its events go out in the same round. */
		tftpd_tick(b->tftpd);
		if (control_flush(&b->control.out, b->control.fd) < 0)
			b->control.over = true;
	}
	return 0;
}

static int parse_fd(const char *text, int *fd)
{
	uint64_t value;

	if (!text || text_u64(text, 4096, &value) < 0 || fcntl((int)value, F_SETFD, FD_CLOEXEC) < 0)
		return -EINVAL;
	*fd = (int)value;
	return 0;
}

/* NAME,ADDRESS,DHCP_FD,PXE_FD,TFTP_FD */
static int parse_interface(struct bootd *b, char *text)
{
	struct interface *i = &b->interfaces[b->interface_count];
	const char *name = strsep(&text, ","), *address = strsep(&text, ",");

	if (b->interface_count == INTERFACES_MAX || strlen(name) >= sizeof i->name || !address ||
	    inet_pton(AF_INET, address, &i->address) != 1)
		return -EINVAL;
	memcpy(i->name, name, strlen(name) + 1);
	if (parse_fd(strsep(&text, ","), &i->dhcp_fd) < 0 || parse_fd(strsep(&text, ","), &i->pxe_fd) < 0 ||
	    parse_fd(strsep(&text, ","), &i->tftp_fd) < 0 || text)
		return -EINVAL;
	b->interface_count++;
	return 0;
}

static int parse_arguments(struct bootd *b, int argc, char **argv)
{
	static const struct option options[] = {{"control", required_argument, NULL, 'c'},
						{"dir", required_argument, NULL, 'd'},
						{"user", required_argument, NULL, 'u'},
						{"interface", required_argument, NULL, 'i'},
						{0}};
	int c, ret = 0;

	b->control.fd = -1;
	while (ret == 0 && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			ret = parse_fd(optarg, &b->control.fd);
		else if (c == 'd')
			b->dir = optarg;
		else if (c == 'u')
			b->user = optarg;
		else if (c == 'i')
			ret = parse_interface(b, optarg);
		else
			ret = -EINVAL;
	}
	return ret < 0 || optind != argc || b->control.fd < 0 || !b->dir || !b->interface_count ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	struct bootd *b = calloc(1, sizeof *b);
	struct error err = {0};
	int ret;

	signal(SIGPIPE, SIG_IGN);
	if (!b || parse_arguments(b, argc, argv) < 0) {
		fprintf(stderr, "g4l-bootd is started by g4ld: --control FD --dir PATH [--user NAME] "
				"--interface NAME,ADDRESS,DHCP_FD,PXE_FD,TFTP_FD ...\n");
		free(b);
		return EXIT_CODE_USAGE;
	}
	ret = start(b, &err);
	if (ret == 0)
		ret = run(b, &err);
	if (ret < 0)
		log_error("%s", err.text);
	tftpd_free(b->tftpd);
	armed_free(&b->armed);
	control_lines_free(&b->control.lines);
	buf_free(&b->control.out);
	free(b);
	return error_exit_code(ret);
}
