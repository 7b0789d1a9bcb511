/*
 * Brings up one NIC: found by its MAC, because names depend on the kernel. Every wait has a limit and is told on
 * screen.
 */
#include "agent/net.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/facts.h"
#include "base/clock.h"
#include "base/io.h"

#define WAIT_MS 60000
#define DHCP_AFTER_LINK_MS 30000 /* at least so long for an address, however late the link came */
#define UDHCPC_SCRIPT "/etc/udhcpc/default.script"
#define UDHCPC_LOG "/run/udhcpc.log"

int net_find(const char *root, const char *mac, char *name, size_t name_bytes)
{
	char path[512], have[64];
	const struct dirent *e;
	int rc = -ENODEV;
	DIR *dir;

	snprintf(path, sizeof path, "%s/sys/class/net", root);
	dir = opendir(path);
	if (!dir)
		return -ENODEV;
	while (rc < 0 && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, "lo") == 0)
			continue;
		snprintf(path, sizeof path, "sys/class/net/%s/address", e->d_name);
		if (strcasecmp(facts_read_line(root, path, have, sizeof have), mac) != 0)
			continue;
		snprintf(name, name_bytes, "%s", e->d_name);
		rc = 0;
	}
	closedir(dir);
	return rc;
}

static bool card_without_driver(const char *root, const char *slot, char card[NET_CARD_BYTES])
{
	char path[512], class[32], vendor[32], device[32];

	snprintf(path, sizeof path, "sys/bus/pci/devices/%s/class", slot);
	facts_read_line(root, path, class, sizeof class);
	if (strncmp(class, "0x02", 4) != 0)
		return false;
	snprintf(path, sizeof path, "%s/sys/bus/pci/devices/%s/driver", root, slot);
	if (access(path, F_OK) == 0)
		return false;
	snprintf(path, sizeof path, "sys/bus/pci/devices/%s/vendor", slot);
	facts_read_line(root, path, vendor, sizeof vendor);
	snprintf(path, sizeof path, "sys/bus/pci/devices/%s/device", slot);
	facts_read_line(root, path, device, sizeof device);
	snprintf(card, NET_CARD_BYTES, "%.4s:%.4s (%.16s)", vendor[0] ? vendor + 2 : "?", device[0] ? device + 2 : "?",
		 slot);
	return true;
}

size_t net_cards_without_driver(const char *root, char (*cards)[NET_CARD_BYTES], size_t max)
{
	char path[512], card[NET_CARD_BYTES];
	const struct dirent *e;
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof path, "%s/sys/bus/pci/devices", root);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || !card_without_driver(root, e->d_name, card))
			continue;
		if (n < max)
			memcpy(cards[n], card, sizeof card);
		n++;
	}
	closedir(dir);
	return n;
}

static void link_up(const char *name)
{
	struct ifreq r = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &r) == 0) {
		r.ifr_flags |= IFF_UP;
		(void)ioctl(fd, SIOCSIFFLAGS, &r);
	}
	close(fd);
}

static bool has_carrier(const char *name)
{
	char path[128], line[8];

	snprintf(path, sizeof path, "sys/class/net/%s/carrier", name);
	return facts_read_line("/", path, line, sizeof line)[0] == '1';
}

/* The interface's IPv4 address as text; false when it has none. */
static bool own_address(const char *name, char to[INET_ADDRSTRLEN])
{
	struct ifreq r = {.ifr_addr.sa_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return false;
	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
	ok = ioctl(fd, SIOCGIFADDR, &r) == 0;
	if (ok) {
		struct sockaddr_in in;

		memcpy(&in, &r.ifr_addr, sizeof in);
		ok = inet_ntop(AF_INET, &in.sin_addr, to, INET_ADDRSTRLEN) != NULL;
	}
	close(fd);
	return ok;
}

static unsigned seconds_left(uint64_t deadline)
{
	uint64_t now = clock_ms();

	return deadline > now ? (unsigned)((deadline - now + 999) / 1000) : 0;
}

static void tell_cards_without_driver(void)
{
	char cards[8][NET_CARD_BYTES];
	size_t n = net_cards_without_driver("/", cards, 8);

	for (size_t i = 0; i < n && i < 8; i++)
		log_error("NIC %s has no driver in this boot image", cards[i]);
}

static int no_nic(const char *mac, struct error *err)
{
	char cards[4][NET_CARD_BYTES], list[4 * (NET_CARD_BYTES + 2)] = "";
	size_t n = net_cards_without_driver("/", cards, 4);

	for (size_t i = 0; i < n && i < 4; i++) {
		size_t used = strlen(list);

		snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", cards[i]);
	}
	if (n == 0)
		return error_set(err, -ENODEV, "there is no network card with the address %s in this PC", mac);
	return error_set(err, -ENODEV,
			 "the network card %s has no driver in this boot image; without a driver are: NIC %s", mac,
			 list);
}

/* Waits until the NIC is there and has a link. */
static int wait_for_link(struct live *live, const char *mac, uint64_t deadline, char *name, size_t name_bytes,
			 struct error *err)
{
	bool found = false, told = false;

	for (;;) {
		if (atomic_load(&live->stop) < 0)
			return error_set(err, atomic_load(&live->stop), "stopped while waiting for the network");
		if (!found && net_find("/", mac, name, name_bytes) == 0) {
			found = true;
			LIVE_SET(live, network, "%s %s", name, mac);
			link_up(name);
		}
		if (found && has_carrier(name))
			return 0;
		if (clock_ms() >= deadline)
			break;
		if (!found && !told && seconds_left(deadline) < 50) {
			tell_cards_without_driver();
			told = true;
		}
		LIVE_SET(live, step, "waiting for %s · %u s left",
			 found ? "the network cable's link" : "the network card's driver", seconds_left(deadline));
		clock_sleep_ms(200);
	}
	if (!found)
		return no_nic(mac, err);
	return error_set(err, -ENOLINK, "the network card %s (%s) has no link: is the cable plugged in?", name, mac);
}

/* One run of the DHCP client, at most until the deadline. 0: it has an address. */
static int run_udhcpc(struct live *live, const char *name, uint64_t deadline)
{
	char *argv[] = {(char *)"udhcpc", (char *)"-i",		 (char *)name, (char *)"-n", (char *)"-q",
			(char *)"-f",	  (char *)"-t",		 (char *)"5",  (char *)"-T", (char *)"2",
			(char *)"-s",	  (char *)UDHCPC_SCRIPT, NULL};
	posix_spawn_file_actions_t files;
	int status = -1;
	pid_t pid;
	int rc;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, UDHCPC_LOG, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	rc = posix_spawnp(&pid, "udhcpc", &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (rc != 0)
		return -rc;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		LIVE_SET(live, step, "asking for an address by DHCP on %s · %u s left", name, seconds_left(deadline));
		if (clock_ms() >= deadline || atomic_load(&live->stop) < 0) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -ETIMEDOUT;
		}
		clock_sleep_ms(100);
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EAGAIN;
}

/* What the DHCP client said, for the log. */
static void tell_udhcpc(void)
{
	struct buf b = {0};
	char *save = NULL;

	if (io_read_file(UDHCPC_LOG, 65536, &b, NULL) == 0) {
		buf_put_u8(&b, 0);
		for (char *line = b.failed ? NULL : strtok_r((char *)b.data, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			log_warning("%s", line);
	}
	buf_free(&b);
}

int net_start(struct live *live, const char *mac, struct error *err)
{
	uint64_t deadline = clock_ms() + WAIT_MS;
	char name[IFNAMSIZ], address[INET_ADDRSTRLEN];
	int rc = wait_for_link(live, mac, deadline, name, sizeof name, err);

	if (rc < 0)
		return rc;
	if (deadline < clock_ms() + DHCP_AFTER_LINK_MS)
		deadline = clock_ms() + DHCP_AFTER_LINK_MS;
	for (;;) {
		rc = run_udhcpc(live, name, deadline);
		if (rc == 0 && own_address(name, address))
			break;
		tell_udhcpc();
		if (atomic_load(&live->stop) < 0)
			return error_set(err, atomic_load(&live->stop), "stopped while waiting for the network");
		if (clock_ms() >= deadline)
			return error_set(err, -ERR_UNREACHABLE, "no DHCP server gave %s (%s) an address", name, mac);
		if (rc != 0 && rc != -EAGAIN)
			return error_errno(err, rc, "cannot run udhcpc");
		clock_sleep_ms(500);
	}
	LIVE_SET(live, network, "%s %s, address %s", name, mac, address);
	log_info("network: %s %s has the address %s", name, mac, address);
	return 0;
}
