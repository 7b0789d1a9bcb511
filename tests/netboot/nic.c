/*
 * vm-nic: plays the network card of a PC that is switched off. Listens on an interface for a magic packet that names
 * its MAC, then runs a command (a virtual machine) and waits until it ends: the PC is off again, and it listens once
 * more. SIGUSR1 is the power button. Ends by SIGTERM, and takes the virtual machine with it.
 *
 * A magic packet is what AMD's white paper 20213 says: six bytes FF, then sixteen times the MAC, anywhere in a frame;
 * taken here in Ethernet type 0x0842 and in UDP over IPv4, the two ways that are in use. It must never wake for another
 * MAC.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ETH_TYPE_WAKE 0x0842
#define MAC_BYTES 6
#define MAGIC_BYTES (6 + 16 * MAC_BYTES)

struct nic {
	const char *interface;
	uint8_t mac[MAC_BYTES];
	char **command;
	int signal_fd;
};

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	struct timespec now;
	va_list ap;

	clock_gettime(CLOCK_REALTIME, &now);
	printf("%lld.%03ld ", (long long)now.tv_sec, now.tv_nsec / 1000000);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static bool has_magic(const uint8_t *bytes, size_t len, const uint8_t *mac)
{
	uint8_t magic[MAGIC_BYTES];

	memset(magic, 0xff, 6);
	for (size_t i = 0; i < 16; i++)
		memcpy(magic + 6 + i * MAC_BYTES, mac, MAC_BYTES);
	return memmem(bytes, len, magic, sizeof(magic)) != NULL;
}

/* How a frame wakes the card: "UDP", "Ethernet type 0842", or NULL when it does not. */
static const char *frame_wakes(const struct nic *nic, const uint8_t *frame, size_t len)
{
	uint16_t type;
	bool group;

	if (len < ETH_HLEN)
		return NULL;
	group = frame[0] & 1;
	if (!group && memcmp(frame, nic->mac, MAC_BYTES) != 0)
		return NULL; /* a frame for somebody else */
	type = (uint16_t)(frame[12] << 8 | frame[13]);
	if (!has_magic(frame + ETH_HLEN, len - ETH_HLEN, nic->mac))
		return NULL;
	if (type == ETH_TYPE_WAKE)
		return "Ethernet type 0842";
	if (type == ETH_P_IP && len >= ETH_HLEN + 20 && frame[ETH_HLEN + 9] == IPPROTO_UDP)
		return "UDP";
	return NULL;
}

static int open_listener(const char *interface)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct packet_mreq promiscuous = {.mr_type = PACKET_MR_PROMISC};
	int fd;

	address.sll_ifindex = (int)if_nametoindex(interface);
	if (address.sll_ifindex == 0)
		return -errno;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (fd < 0)
		return -errno;
	promiscuous.mr_ifindex = address.sll_ifindex;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) < 0) {
		int code = -errno;

		close(fd);
		return code;
	}
	return fd;
}

/* The number of the next signal. */
static int next_signal(const struct nic *nic)
{
	struct signalfd_siginfo info;

	if (read(nic->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

/* Listens until there is a reason to power on. True to power on, false to end; negative errno when the interface fails.
 */
static int sleep_until_woken(const struct nic *nic)
{
	int fd = open_listener(nic->interface), result = 0;
	uint8_t frame[2048];

	if (fd < 0)
		return fd;
	say("asleep on %s", nic->interface);
	for (;;) {
		struct pollfd wait[2] = {{.fd = fd, .events = POLLIN}, {.fd = nic->signal_fd, .events = POLLIN}};
		const char *how;
		ssize_t n;

		if (poll(wait, 2, -1) < 0)
			continue;
		if (wait[1].revents) {
			int number = next_signal(nic);

			if (number == SIGUSR1)
				say("the power button was pressed");
			if (number == SIGCHLD || number == SIGUSR2)
				continue; /* the machine is off already */
			result = number == SIGUSR1;
			break;
		}
		n = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);
		how = n > 0 ? frame_wakes(nic, frame, (size_t)n) : NULL;
		if (how) {
			say("woken by a magic packet (%s) from %02x:%02x:%02x:%02x:%02x:%02x", how, frame[6], frame[7],
			    frame[8], frame[9], frame[10], frame[11]);
			result = 1;
			break;
		}
	}
	close(fd);
	return result;
}

static pid_t start(const struct nic *nic)
{
	pid_t parent = getpid(), child = fork();
	sigset_t none;

	if (child != 0)
		return child;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	execvp(nic->command[0], nic->command);
	fprintf(stderr, "vm-nic: %s: %s\n", nic->command[0], strerror(errno));
	_exit(127);
}

/* Ends the machine as pulling the plug does. */
static void pull_plug(pid_t child)
{
	kill(child, SIGTERM);
	for (int tries = 0; tries < 30; tries++) {
		if (waitpid(child, NULL, WNOHANG) == child)
			return;
		usleep(100000);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* Runs the machine until it is off. True to go on listening, false to end. */
static bool run_machine(const struct nic *nic)
{
	pid_t child = start(nic);
	int status;

	if (child < 0) {
		say("cannot start the machine: %s", strerror(errno));
		return false;
	}
	say("powered on, process %d", (int)child);
	for (;;) {
		int number = next_signal(nic);

		if (number == SIGCHLD && waitpid(child, &status, WNOHANG) == child)
			break;
		if (number == SIGUSR2) {
			say("the plug was pulled");
			pull_plug(child);
			say("powered off");
			return true;
		}
		if (number == SIGTERM || number == SIGINT) {
			pull_plug(child);
			say("powered off");
			return false;
		}
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		say("powered off");
	else
		say("powered off: the machine failed with %s %d", WIFEXITED(status) ? "exit code" : "signal",
		    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return true;
}

static void usage(FILE *to)
{
	fprintf(to, "usage: vm-nic --interface NAME --mac XX:XX:XX:XX:XX:XX -- COMMAND...\n"
		    "SIGUSR1 presses the power button, SIGUSR2 pulls the plug, SIGTERM ends it all.\n");
}

static int read_arguments(int argc, char **argv, struct nic *nic)
{
	static const struct option options[] = {{"interface", required_argument, NULL, 'i'},
						{"mac", required_argument, NULL, 'm'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	bool have_mac = false;
	int option, end;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 'i') {
			nic->interface = optarg;
		} else if (option == 'm') {
			end = 0;
			have_mac = sscanf(optarg, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &nic->mac[0], &nic->mac[1],
					  &nic->mac[2], &nic->mac[3], &nic->mac[4], &nic->mac[5], &end) == 6 &&
				   optarg[end] == '\0';
		} else {
			usage(option == 'h' ? stdout : stderr);
			exit(option == 'h' ? 0 : 2);
		}
	}
	nic->command = argv + optind;
	return nic->interface && have_mac && nic->command[0] ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct nic nic = {0};
	sigset_t signals;
	int woken;

	if (read_arguments(argc, argv, &nic) < 0) {
		usage(stderr);
		return 2;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	nic.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (nic.signal_fd < 0) {
		perror("vm-nic: signalfd");
		return 1;
	}
	do {
		woken = sleep_until_woken(&nic);
	} while (woken > 0 && run_machine(&nic));
	if (woken < 0)
		fprintf(stderr, "vm-nic: %s: %s\n", nic.interface, strerror(-woken));
	close(nic.signal_fd);
	return woken < 0;
}
