/*
 * The boot service as a process: started by the built-in implementation, over loopback and ports above 1024, so that no
 * privileges are needed. With root it also runs in its chroot as nobody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "hex.h"
#include "netboot/netboot.h"
#include "netboot/tftpd.h"
#include "packets.h"

#define BASE "http://127.0.0.1:8067/boot/00112233445566778899aabbccddeeff"
#define LOADER_BYTES 70000

struct lab {
	char dir[64], program[512];
	uint8_t loader[LOADER_BYTES];
	struct netboot_builtin_config config;
	struct netboot_interface interface;
	struct netboot *nb;
	struct netboot_event event;
	int fd; /* a client */
};

static void put_file(const char *dir, const char *name, const void *bytes, size_t len)
{
	char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static int open_client(uint16_t port)
{
	struct sockaddr_in self = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && bind(fd, (const struct sockaddr *)&self, sizeof self) == 0);
	return fd;
}

static void set_ports(struct lab *l)
{
	uint16_t first = (uint16_t)(20000 + getpid() % 10000 * 3);

	l->config.dhcp_port = first;
	l->config.pxe_port = (uint16_t)(first + 1);
	l->config.tftp_port = (uint16_t)(first + 2);
}

static int set_up(void **state)
{
	struct lab *l = calloc(1, sizeof *l);
	char path[128];

	snprintf(l->dir, sizeof l->dir, "/tmp/g4l-bootd-test.XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	chmod(l->dir, 0755);
	for (size_t i = 0; i < LOADER_BYTES; i++)
		l->loader[i] = (uint8_t)(i * 31 + i / 257);
	put_file(l->dir, "lpxelinux.0", l->loader, LOADER_BYTES);
	snprintf(path, sizeof path, "%s/sub", l->dir);
	mkdir(path, 0755);
	put_file(l->dir, "sub/file", "sub", 3);
	snprintf(path, sizeof path, "%s/link", l->dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	snprintf(path, sizeof path, "%s/up", l->dir);
	assert_int_equal(symlink("..", path), 0);
	snprintf(path, sizeof path, "%s/alias", l->dir);
	assert_int_equal(symlink("lpxelinux.0", path), 0);
	snprintf(l->interface.name, sizeof l->interface.name, "lo");
	snprintf(l->interface.address, sizeof l->interface.address, "127.0.0.1");
	snprintf(l->program, sizeof l->program, "%s",
		 getenv("G4L_BOOTD") ? getenv("G4L_BOOTD") : "src/netboot/g4l-bootd");
	l->config.interfaces = &l->interface;
	l->config.interface_count = 1;
	l->config.tftp_dir = l->dir;
	l->config.program = l->program;
	l->config.user = geteuid() == 0 ? "nobody" : NULL;
	set_ports(l);
	l->fd = open_client(0);
	*state = l;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"lpxelinux.0", "sub/file", "sub", "link", "up", "alias"};
	struct lab *l = *state;
	char path[128];

	netboot_close(l->nb);
	close(l->fd);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", l->dir, names[i]);
		remove(path);
	}
	rmdir(l->dir);
	free(l);
	return 0;
}

/* Waits up to 5 s for an event of this kind; others are passed over. */
static void expect_event(struct lab *l, enum netboot_event_kind kind)
{
	uint64_t end = clock_ms() + 5000;

	while (clock_ms() < end) {
		struct pollfd p = {.fd = netboot_event_fd(l->nb), .events = POLLIN};

		while (netboot_next_event(l->nb, &l->event) > 0) {
			if (l->event.kind == kind)
				return;
			assert_int_not_equal(l->event.kind, kind == NETBOOT_READY ? NETBOOT_MENU : NETBOOT_ERROR);
		}
		poll(&p, 1, 100);
	}
	fail_msg("no event \"%s\" within 5 s", netboot_event_name(kind));
}

static void expect_no_event(struct lab *l)
{
	struct pollfd p = {.fd = netboot_event_fd(l->nb), .events = POLLIN};

	poll(&p, 1, 300);
	if (netboot_next_event(l->nb, &l->event) > 0)
		fail_msg("unexpected event: %s", l->event.text);
}

static void open_service(struct lab *l)
{
	struct error err = {0};

	if (netboot_open_builtin(&l->config, &l->nb, &err) < 0)
		fail_msg("%s", err.text);
	expect_event(l, NETBOOT_READY);
}

static void arm_uefi(struct lab *l)
{
	struct netboot_arming a = {.host = "uefi",
				   .mac = {0x52, 0x54, 0, 0x66, 0, 2},
				   .nonce = "00112233445566778899aabbccddeeff",
				   .base = BASE,
				   .cmdline = "g4l.token=1"};

	assert_int_equal(netboot_arm(l->nb, &a, NULL), 0);
}

static void send_to(const struct lab *l, uint16_t port, const void *bytes, size_t len)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};

	assert_int_equal(sendto(l->fd, bytes, len, 0, (const struct sockaddr *)&to, sizeof to), (ssize_t)len);
}

/* The length of what comes within the time, or -1. */
static ssize_t receive(const struct lab *l, uint8_t *to, size_t size, int ms, struct sockaddr_in *from)
{
	struct pollfd p = {.fd = l->fd, .events = POLLIN};
	socklen_t len = sizeof *from;

	return poll(&p, 1, ms) == 1 ? recvfrom(l->fd, to, size, 0, (struct sockaddr *)from, &len) : -1;
}

static bool is_answered(const struct lab *l, int ms)
{
	struct packet p = packet_of(packet_uefi_pxe_request);
	struct sockaddr_in from;
	uint8_t answer[2000];
	ssize_t n;

	send_to(l, l->config.pxe_port, p.bytes, p.len);
	n = receive(l, answer, sizeof answer, ms, &from);
	if (n < 0)
		return false;
	assert_true(n >= 300);
	assert_memory_equal(answer + 4, p.bytes + 4, 4);
	assert_string_equal((char *)answer + 108, "snponly.efi");
	return true;
}

/* Arming is asynchronous: the service knows it a moment later. */
static void expect_answered(const struct lab *l)
{
	for (int tries = 0; tries < 50; tries++) {
		if (is_answered(l, 100))
			return;
	}
	fail_msg("an armed host was not answered");
}

static void expect_silent_soon(const struct lab *l)
{
	for (int tries = 0; tries < 50; tries++) {
		if (!is_answered(l, 100))
			return;
	}
	fail_msg("a disarmed host is still answered");
}

static void test_arm_and_disarm(void **state)
{
	struct lab *l = *state;
	static const uint8_t mac[6] = {0x52, 0x54, 0, 0x66, 0, 2};

	open_service(l);
	assert_false(is_answered(l, 300));
	expect_event(l, NETBOOT_STRANGER);
	assert_memory_equal(l->event.mac, mac, sizeof mac);
	assert_false(is_answered(l, 100));
	expect_no_event(l); /* once for each boot */
	arm_uefi(l);
	expect_answered(l);
	expect_event(l, NETBOOT_OFFER);
	assert_string_equal(l->event.text, "uefi asked for a loader (UEFI)");
	assert_int_equal(netboot_disarm(l->nb, mac, NULL), 0);
	expect_silent_soon(l);
	arm_uefi(l);
	expect_answered(l);
	assert_int_equal(netboot_recover(l->nb, NULL), 0);
	expect_silent_soon(l);
	assert_int_equal(netboot_disarm(l->nb, mac, NULL), 0); /* was not armed */
}

/* ---- TFTP ---- */

static ssize_t request(const struct lab *l, const char *name, const char *options, size_t options_len, uint8_t *answer,
		       struct sockaddr_in *from)
{
	char packet[600];
	int n = snprintf(packet, sizeof packet, "%c%c%s%coctet", 0, 1, name, 0);

	memcpy(packet + n + 1, options, options_len);
	send_to(l, l->config.tftp_port, packet, (size_t)n + 1 + options_len);
	return receive(l, answer, 2000, 2000, from);
}

static void assert_not_found(const struct lab *l, const char *name)
{
	struct sockaddr_in from;
	uint8_t answer[2000];
	uint64_t start = clock_ms();
	ssize_t n = request(l, name, "", 0, answer, &from);

	assert_true(n > 4);
	assert_int_equal(bytes_be16(answer), 5);
	assert_int_equal(bytes_be16(answer + 2), 1);
	assert_true(clock_ms() - start < 500);
}

static void test_names(void **state)
{
	static const char *const absent[] = {"nothing",
					     "../etc/passwd",
					     "sub/../lpxelinux.0",
					     "link",
					     "up/etc/passwd",
					     "sub",
					     ".",
					     "..",
					     "",
					     "/",
					     "//",
					     "sub/",
					     "./lpxelinux.0",
					     "sub//file",
					     "..\\etc",
					     "alias",
					     "pxelinux.cfg/default",
					     "pxelinux.cfg/01-52-54-00-66-00-09",
					     "pxelinux.cfg/01-52-54-00-66-00-0",
					     "pxelinux.cfg/"};
	struct lab *l = *state;
	struct sockaddr_in from;
	uint8_t answer[2000];

	open_service(l);
	arm_uefi(l);
	for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
		assert_not_found(l, absent[i]);
	assert_int_equal(request(l, "/sub/file", "", 0, answer, &from), 7);
	assert_memory_equal(answer, "\0\3\0\1sub", 7);
}

static void ack(const struct lab *l, const struct sockaddr_in *to, uint16_t block)
{
	uint8_t packet[4] = {0, 4, (uint8_t)(block >> 8), (uint8_t)block};

	assert_int_equal(sendto(l->fd, packet, 4, 0, (const struct sockaddr *)to, sizeof *to), 4);
}

static void test_transfer(void **state)
{
	static const char options[] = "blksize\0"
				      "1468\0windowsize\0"
				      "4\0tsize\0"
				      "0";
	static const char granted[] = "\0\6blksize\0"
				      "1468\0tsize\0"
				      "70000\0windowsize\0"
				      "4";
	struct lab *l = *state;
	struct sockaddr_in from;
	uint8_t packet[2000];
	size_t got = 0;
	uint16_t block = 0;
	ssize_t n;

	open_service(l);
	n = request(l, "lpxelinux.0", options, sizeof options, packet, &from);
	assert_int_equal(n, sizeof granted);
	assert_memory_equal(packet, granted, sizeof granted);
	assert_int_not_equal(ntohs(from.sin_port), l->config.tftp_port);
	ack(l, &from, 0);
	do {
		n = receive(l, packet, sizeof packet, 3000, &from);
		assert_true(n >= 4);
		assert_int_equal(bytes_be16(packet), 3);
		assert_int_equal(bytes_be16(packet + 2), ++block);
		assert_memory_equal(packet + 4, l->loader + got, (size_t)n - 4);
		got += (size_t)n - 4;
		if (block % 4 == 0 || n < 1472)
			ack(l, &from, block);
	} while (n == 1472);
	assert_int_equal(got, LOADER_BYTES);
	expect_event(l, NETBOOT_LOADER);
	assert_string_equal(l->event.text, "127.0.0.1 has fetched lpxelinux.0");
}

static void test_menu(void **state)
{
	struct lab *l = *state;
	struct sockaddr_in from;
	uint8_t packet[2001];
	ssize_t n = -1;

	open_service(l);
	arm_uefi(l);
	for (int tries = 0; tries < 50 && (n < 4 || packet[1] != 3); tries++)
		n = request(l, "pxelinux.cfg/01-52-54-00-66-00-02", "", 0, packet, &from);
	assert_true(n > 4 && n < 516);
	packet[n] = 0;
	assert_non_null(strstr((char *)packet + 4, "KERNEL " BASE "/linux\n"));
	ack(l, &from, 1);
	expect_event(l, NETBOOT_MENU);
	assert_string_equal(l->event.text, "uefi has fetched pxelinux.cfg/01-52-54-00-66-00-02");
	assert_true(l->event.has_mac);
}

static void test_too_many_transfers(void **state)
{
	struct lab *l = *state;
	unsigned refused = 0;

	open_service(l);
	for (int i = 0; i < 12; i++) {
		struct sockaddr_in from;
		uint8_t packet[2000];

		close(l->fd);
		l->fd = open_client(0);
		assert_true(request(l, "lpxelinux.0", "", 0, packet, &from) > 4);
		refused += packet[1] == 5;
	}
	assert_int_equal(refused, 4);
}

/* ---- the process ---- */

/* The process id of the service: the child of ours whose command is g4l-bootd. */
static pid_t service_pid(void)
{
	char path[64], text[256];
	pid_t found = 0;
	DIR *proc = opendir("/proc");
	const struct dirent *e;

	assert_non_null(proc);
	while (!found && (e = readdir(proc))) {
		int pid = atoi(e->d_name), parent = 0, fd;
		ssize_t n;

		snprintf(path, sizeof path, "/proc/%d/stat", pid);
		if (pid <= 0 || (fd = open(path, O_RDONLY)) < 0)
			continue;
		n = read(fd, text, sizeof text - 1);
		close(fd);
		text[n > 0 ? n : 0] = '\0';
		if (sscanf(text, "%*d (g4l-bootd) %*c %d", &parent) == 1 && parent == getpid())
			found = pid;
	}
	closedir(proc);
	return found;
}

static void test_restart(void **state)
{
	struct lab *l = *state;
	pid_t first, second;

	open_service(l);
	arm_uefi(l);
	expect_answered(l);
	first = service_pid();
	assert_true(first > 0);
	kill(first, SIGKILL);
	expect_event(l, NETBOOT_ERROR);
	expect_event(l, NETBOOT_READY);
	second = service_pid();
	assert_true(second > 0 && second != first);
	assert_true(is_answered(l, 2000)); /* at once: ready means that it knows its armings */
}

static void read_status(pid_t pid, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, text, size - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
}

static void test_privileges(void **state)
{
	struct lab *l = *state;
	char text[8192], root[128] = "", path[64];
	pid_t pid;

	open_service(l);
	pid = service_pid();
	read_status(pid, text, sizeof text);
	assert_non_null(strstr(text, "NoNewPrivs:\t1\n"));
	assert_non_null(strstr(text, "CapPrm:\t0000000000000000\n"));
	assert_non_null(strstr(text, "CapEff:\t0000000000000000\n"));
	assert_non_null(strstr(text, "CapAmb:\t0000000000000000\n"));
	if (geteuid() != 0)
		return;
	assert_non_null(strstr(text, "CapBnd:\t0000000000000000\n"));
	assert_non_null(strstr(text, "Uid:\t65534\t65534\t65534\t65534\n"));
	assert_non_null(strstr(text, "Gid:\t65534\t65534\t65534\t65534\n"));
	assert_non_null(strstr(text, "Groups:\t \n"));
	snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
	assert_true(readlink(path, root, sizeof root - 1) > 0);
	assert_string_equal(root, l->dir);
}

/* Without a user of its own it stays who it is, but not with what root may do. */
static void test_no_user(void **state)
{
	struct lab *l = *state;
	char text[8192];

	l->config.user = NULL;
	open_service(l);
	read_status(service_pid(), text, sizeof text);
	assert_non_null(strstr(text, "NoNewPrivs:\t1\n"));
	assert_non_null(strstr(text, "CapPrm:\t0000000000000000\n"));
	assert_non_null(strstr(text, "CapEff:\t0000000000000000\n"));
}

static void test_close_ends_it(void **state)
{
	struct lab *l = *state;
	pid_t pid;

	open_service(l);
	pid = service_pid();
	netboot_close(l->nb);
	l->nb = NULL;
	assert_int_equal(kill(pid, 0), -1);
}

static void test_bad_configurations(void **state)
{
	struct lab *l = *state;
	struct error err = {0};

	l->config.user = "no-such-user";
	assert_int_equal(netboot_open_builtin(&l->config, &l->nb, &err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "no-such-user"));
	l->config.user = NULL;
	l->config.program = "/nowhere/g4l-bootd";
	assert_int_equal(netboot_open_builtin(&l->config, &l->nb, &err), -ENOENT);
	l->config.program = l->program;
	l->config.tftp_dir = "/nowhere";
	assert_int_equal(netboot_open_builtin(&l->config, &l->nb, &err), -ENOENT);
	l->config.tftp_dir = l->dir;
	l->config.interface_count = 0;
	assert_int_equal(netboot_open_builtin(&l->config, &l->nb, &err), -ERR_USAGE);
	l->config.interface_count = 1;
	snprintf(l->interface.name, sizeof l->interface.name, "no-such-if0");
	l->interface.address[0] = '\0';
	assert_int_equal(netboot_open_builtin(&l->config, &l->nb, &err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "no-such-if0"));
	assert_null(l->nb);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_no_leaks(void **state)
{
	struct lab *l = *state;
	int before = count_fds();

	open_service(l);
	assert_true(netboot_is_running(l->nb));
	kill(service_pid(), SIGKILL);
	expect_event(l, NETBOOT_ERROR);
	assert_false(netboot_is_running(l->nb));
	expect_event(l, NETBOOT_READY);
	assert_true(netboot_is_running(l->nb));
	netboot_close(l->nb);
	l->nb = NULL;
	assert_int_equal(count_fds(), before);
}

static void quiet(void *arg, enum log_level level, const char *line)
{
}

#define LAB_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(test_arm_and_disarm),	   LAB_TEST(test_names),
		LAB_TEST(test_transfer),	   LAB_TEST(test_menu),
		LAB_TEST(test_too_many_transfers), LAB_TEST(test_restart),
		LAB_TEST(test_privileges),	   LAB_TEST(test_no_user),
		LAB_TEST(test_close_ends_it),	   LAB_TEST(test_bad_configurations),
		LAB_TEST(test_no_leaks),
	};

	static const gid_t group = 4;

	/* Something for the service to give up. */
	if (geteuid() == 0)
		setgroups(1, &group);
	log_set_sink(quiet, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
