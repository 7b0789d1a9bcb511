/*
 * The built-in way to arm hosts: g4l-bootd as a child without privileges, watched and restarted. This side opens the
 * sockets, keeps the armings and believes nothing that comes back but events for the log. The table lives in memory
 * only: when the server ends, so does every arming.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "netboot/armed.h"
#include "netboot/control.h"
#include "netboot/sockets.h"

enum {
	INTERFACES_MAX = 16,
	SOCKETS_EACH = 3,     /* DHCP, PXE, TFTP */
	CHILD_FD_CONTROL = 3, /* in the child; its sockets follow */
	BACKOFF_FIRST_MS = 200,
	BACKOFF_MAX_MS = 30000,
	STEADY_MS = 60000, /* a service that ran this long is started again without more delay */
	CONTROL_FD_MIN = 64,
};

struct place {
	char name[16];
	struct in_addr address;
	int fds[SOCKETS_EACH];
};

struct builtin {
	struct netboot nb;
	struct place places[INTERFACES_MAX];
	size_t place_count;
	char *tftp_dir, *user, *program;
	struct armed armed;
	int epoll_fd, timer_fd, control_fd; /* control_fd is -1 while the service is down */
	pid_t pid;
	struct buf out;
	struct control_lines lines;
	uint64_t started_ms, backoff_ms;
	bool ready; /* it has said so since it was started */
};

static void stop_service(struct builtin *b)
{
	if (b->control_fd >= 0)
		close(b->control_fd); /* it ends when it sees this; the signal is for one that hangs */
	b->control_fd = -1;
	b->ready = false;
	if (b->pid > 0) {
		kill(b->pid, SIGKILL);
		while (waitpid(b->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	b->pid = 0;
	b->out.len = 0;
	control_lines_free(&b->lines);
}

/* The arguments of the child, on one page of text. */
struct arguments {
	char *argv[8 + 2 * INTERFACES_MAX];
	char text[INTERFACES_MAX][64];
};

static void make_arguments(struct builtin *b, struct arguments *a)
{
	static char control[] = "3";
	int n = 0, fd = CHILD_FD_CONTROL + 1;

	a->argv[n++] = b->program;
	a->argv[n++] = "--control";
	a->argv[n++] = control;
	a->argv[n++] = "--dir";
	a->argv[n++] = b->tftp_dir;
	if (b->user) {
		a->argv[n++] = "--user";
		a->argv[n++] = b->user;
	}
	for (size_t i = 0; i < b->place_count; i++, fd += SOCKETS_EACH) {
		const struct place *p = &b->places[i];

		snprintf(a->text[i], sizeof a->text[i], "%s,%s,%d,%d,%d", p->name, inet_ntoa(p->address), fd, fd + 1,
			 fd + 2);
		a->argv[n++] = "--interface";
		a->argv[n++] = a->text[i];
	}
	a->argv[n] = NULL;
}

/* Our descriptors are all CONTROL_FD_MIN or higher, so none is overwritten before it is copied. */
static int spawn(struct builtin *b, int child_fd)
{
	static char *const no_environment[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	struct arguments arguments;
	sigset_t signals;
	int fd = CHILD_FD_CONTROL, ret;

	make_arguments(b, &arguments);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, 2, 1);
	posix_spawn_file_actions_adddup2(&actions, child_fd, fd++);
	for (size_t i = 0; i < b->place_count; i++) {
		for (int s = 0; s < SOCKETS_EACH; s++)
			posix_spawn_file_actions_adddup2(&actions, b->places[i].fds[s], fd++);
	}
	sigemptyset(&signals);
	posix_spawnattr_setsigmask(&attr, &signals);
	sigfillset(&signals);
	posix_spawnattr_setsigdefault(&attr, &signals);
	/* Its own group: what a terminal sends to the server is not for it. */
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	ret = posix_spawn(&b->pid, b->program, &actions, &attr, arguments.argv, no_environment);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -ret;
}

static int move_up(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, CONTROL_FD_MIN);

	close(fd);
	return high;
}

static void tell_everything(struct builtin *b)
{
	for (size_t i = 0; i < b->armed.count; i++)
		control_put_arm(&b->out, &b->armed.items[i]);
	control_put_start(&b->out);
}

/* Edge-triggered: readers read until nothing is left, and room to write comes up once. */
static int watch(struct builtin *b, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.fd = fd};

	return epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int start_service(struct builtin *b, struct error *err)
{
	int pair[2], ret;

	b->pid = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, errno, "cannot make the control socket of the boot service");
	pair[0] = move_up(pair[0]);
	pair[1] = move_up(pair[1]);
	if (pair[0] < 0 || pair[1] < 0) {
		ret = error_errno(err, errno, "out of file descriptors");
		goto fail;
	}
	ret = spawn(b, pair[1]);
	if (ret < 0) {
		b->pid = 0;
		error_errno(err, ret, "cannot start the boot service %s", b->program);
		goto fail;
	}
	close(pair[1]);
	b->control_fd = pair[0];
	b->started_ms = clock_ms();
	tell_everything(b);
	ret = watch(b, b->control_fd, EPOLLIN | EPOLLOUT | EPOLLET);
	if (ret == 0)
		ret = control_flush(&b->out, b->control_fd);
	if (ret == 0)
		return 0;
	stop_service(b);
	return error_errno(err, ret, "cannot talk to the boot service");
fail:
	if (pair[0] >= 0)
		close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
	return ret;
}

static void set_timer(struct builtin *b, uint64_t ms)
{
	struct itimerspec when = {.it_value = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000}};

	timerfd_settime(b->timer_fd, 0, &when, NULL);
}

static void start_later(struct builtin *b)
{
	if (b->started_ms && clock_ms() - b->started_ms > STEADY_MS)
		b->backoff_ms = 0;
	b->backoff_ms = b->backoff_ms ? 2 * b->backoff_ms : BACKOFF_FIRST_MS;
	if (b->backoff_ms > BACKOFF_MAX_MS)
		b->backoff_ms = BACKOFF_MAX_MS;
	set_timer(b, b->backoff_ms);
}

static int builtin_arm(struct netboot *nb, const struct netboot_arming *arming, struct error *err)
{
	struct builtin *b = (struct builtin *)nb;

	if (armed_set(&b->armed, arming) < 0)
		return error_set(err, -ENOMEM, "no memory to arm %s", arming->host);
	/* While the service is down nothing is lost: it is told everything when it starts. A broken socket shows up as
	 * the end of the service in next_event. */
	if (b->control_fd >= 0) {
		control_put_arm(&b->out, arming);
		control_flush(&b->out, b->control_fd);
	}
	return 0;
}

static int builtin_disarm(struct netboot *nb, const uint8_t mac[NETBOOT_MAC_BYTES], struct error *err)
{
	struct builtin *b = (struct builtin *)nb;

	if (armed_remove(&b->armed, mac) && b->control_fd >= 0) {
		control_put_disarm(&b->out, mac);
		control_flush(&b->out, b->control_fd);
	}
	return 0;
}

static int builtin_recover(struct netboot *nb, struct error *err)
{
	struct builtin *b = (struct builtin *)nb;

	while (b->armed.count) {
		uint8_t mac[NETBOOT_MAC_BYTES];

		memcpy(mac, b->armed.items[b->armed.count - 1].mac, sizeof mac);
		builtin_disarm(nb, mac, err);
	}
	return 0;
}

static int builtin_event_fd(struct netboot *nb)
{
	return ((struct builtin *)nb)->epoll_fd;
}

static void fill_error(struct netboot_event *event, const char *text)
{
	*event = (struct netboot_event){.kind = NETBOOT_ERROR};
	snprintf(event->text, sizeof event->text, "%s", text);
}

/* 1 with an event when starting failed, else 0. */
static int timer_due(struct builtin *b, struct netboot_event *event)
{
	struct error err = {0};
	uint64_t times;

	if (read(b->timer_fd, &times, sizeof times) != (ssize_t)sizeof times || b->control_fd >= 0)
		return 0;
	if (start_service(b, &err) == 0)
		return 0;
	start_later(b);
	fill_error(event, err.text);
	return 1;
}

static int next_line(struct builtin *b, struct netboot_event *event)
{
	const char *line;
	size_t len;

	while ((line = control_lines_next(&b->lines, &len))) {
		if (control_parse_event(line, len, event) == 0) {
			b->ready = b->ready || event->kind == NETBOOT_READY;
			return 1;
		}
		log_warning("a line of the boot service makes no sense");
	}
	return 0;
}

static int builtin_next_event(struct netboot *nb, struct netboot_event *event)
{
	struct builtin *b = (struct builtin *)nb;
	struct epoll_event drop[2];
	int ret;

	/* Takes the edges that made our descriptor readable; what they were about is looked at below in any case. */
	epoll_wait(b->epoll_fd, drop, 2, 0);
	if (timer_due(b, event))
		return 1;
	if (b->control_fd < 0)
		return 0;
	if (next_line(b, event))
		return 1;
	control_flush(&b->out, b->control_fd);
	while ((ret = control_lines_fill(&b->lines, b->control_fd)) > 0) {
		if (next_line(b, event))
			return 1;
	}
	if (ret == 0)
		return 0;
	stop_service(b);
	start_later(b);
	fill_error(event, "the boot service ended; it is started again");
	log_warning("%s", event->text);
	return 1;
}

static bool builtin_is_running(struct netboot *nb)
{
	const struct builtin *b = (const struct builtin *)nb;

	return b->control_fd >= 0 && b->ready;
}

static void builtin_close(struct netboot *nb)
{
	struct builtin *b = (struct builtin *)nb;

	stop_service(b);
	for (size_t i = 0; i < b->place_count; i++) {
		for (int s = 0; s < SOCKETS_EACH; s++) {
			if (b->places[i].fds[s] >= 0)
				close(b->places[i].fds[s]);
		}
	}
	if (b->epoll_fd >= 0)
		close(b->epoll_fd);
	if (b->timer_fd >= 0)
		close(b->timer_fd);
	armed_free(&b->armed);
	buf_free(&b->out);
	free(b->tftp_dir);
	free(b->user);
	free(b->program);
	free(b);
}

static const struct netboot_ops builtin_ops = {
	.name = "built-in",
	.arm = builtin_arm,
	.disarm = builtin_disarm,
	.recover = builtin_recover,
	.event_fd = builtin_event_fd,
	.next_event = builtin_next_event,
	.is_running = builtin_is_running,
	.close = builtin_close,
};

static int open_place(struct builtin *b, const struct netboot_interface *interface, const uint16_t ports[SOCKETS_EACH],
		      struct error *err)
{
	struct place *p = &b->places[b->place_count++];
	int ret;

	memset(p->fds, 0xff, sizeof p->fds);
	snprintf(p->name, sizeof p->name, "%s", interface->name);
	if (interface->address[0]) {
		if (inet_pton(AF_INET, interface->address, &p->address) != 1)
			return error_set(err, -ERR_USAGE, "%s is not an IPv4 address", interface->address);
	} else {
		ret = sockets_address(p->name, &p->address, err);
		if (ret < 0)
			return ret;
	}
	for (int s = 0; s < SOCKETS_EACH; s++) {
		/* Only DHCP has broadcasts to hear; the other two are asked at our address. */
		p->fds[s] = sockets_udp(p->name, &p->address, s == 0, ports[s], err);
		if (p->fds[s] < 0)
			return p->fds[s];
	}
	return 0;
}

static int check_config(const struct netboot_builtin_config *config, struct error *err)
{
	if (config->interface_count < 1 || config->interface_count > INTERFACES_MAX)
		return error_set(err, -ERR_USAGE, "network boot needs 1 to %d interfaces", INTERFACES_MAX);
	if (config->user && config->user[0] && !getpwnam(config->user))
		return error_set(err, -ERR_USAGE, "there is no user %s for the boot service to run as", config->user);
	if (access(config->program, X_OK) < 0)
		return error_errno(err, errno, "cannot run the boot service %s", config->program);
	if (access(config->tftp_dir, R_OK | X_OK) < 0)
		return error_errno(err, errno, "cannot use the folder of the loaders, %s", config->tftp_dir);
	return 0;
}

static int copy_config(struct builtin *b, const struct netboot_builtin_config *config)
{
	b->tftp_dir = strdup(config->tftp_dir);
	b->program = strdup(config->program);
	if (config->user && config->user[0]) {
		b->user = strdup(config->user);
		if (!b->user)
			return -ENOMEM;
	}
	return b->tftp_dir && b->program ? 0 : -ENOMEM;
}

int netboot_open_builtin(const struct netboot_builtin_config *config, struct netboot **out, struct error *err)
{
	const uint16_t ports[SOCKETS_EACH] = {config->dhcp_port ? config->dhcp_port : 67,
					      config->pxe_port ? config->pxe_port : 4011,
					      config->tftp_port ? config->tftp_port : 69};
	struct builtin *b;
	int ret = check_config(config, err);

	if (ret < 0)
		return ret;
	b = calloc(1, sizeof *b);
	if (!b)
		return error_set(err, -ENOMEM, "no memory for network boot");
	netboot_init(&b->nb, &builtin_ops);
	b->control_fd = -1;
	b->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	b->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (b->epoll_fd < 0 || b->timer_fd < 0 || copy_config(b, config) < 0 || watch(b, b->timer_fd, EPOLLIN) < 0) {
		ret = error_set(err, -ENOMEM, "out of memory or file descriptors for network boot");
		goto fail;
	}
	for (size_t i = 0; i < config->interface_count; i++) {
		ret = open_place(b, &config->interfaces[i], ports, err);
		if (ret < 0)
			goto fail;
	}
	ret = start_service(b, err);
	if (ret < 0)
		goto fail;
	*out = &b->nb;
	return 0;
fail:
	netboot_close(&b->nb);
	return ret;
}
