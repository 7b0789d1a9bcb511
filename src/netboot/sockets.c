/* Opening the boot service's sockets. See sockets.h. */
#include "netboot/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKETS_FD_MIN 64

int sockets_address(const char *interface, struct in_addr *address, struct error *err)
{
	struct ifaddrs *all;
	bool found = false;

	if (!if_nametoindex(interface))
		return error_set(err, -ERR_USAGE, "there is no network interface %s", interface);
	if (getifaddrs(&all) < 0)
		return error_errno(err, errno, "cannot list the network interfaces");
	for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
		if (strcmp(i->ifa_name, interface) || !i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		*address = ((const struct sockaddr_in *)i->ifa_addr)->sin_addr;
		found = true;
	}
	freeifaddrs(all);
	return found ? 0 : error_set(err, -ERR_USAGE, "the network interface %s has no IPv4 address", interface);
}

static int configure(int fd, const char *interface, const struct sockaddr_in *self)
{
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) < 0 ||
	    (interface &&
	     setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)(strlen(interface) + 1)) < 0) ||
	    bind(fd, (const struct sockaddr *)self, sizeof *self) < 0)
		return -errno;
	return 0;
}

int sockets_udp(const char *interface, const struct in_addr *address, bool any, uint16_t port, struct error *err)
{
	struct sockaddr_in self = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int high, ret;

	if (fd < 0)
		return error_errno(err, errno, "cannot open a UDP socket");
	self.sin_addr.s_addr = any ? htonl(INADDR_ANY) : address->s_addr;
	ret = configure(fd, any ? interface : NULL, &self);
	if (ret < 0) {
		close(fd);
		return error_errno(err, ret, "cannot listen on UDP port %u of %s%s", port, interface,
				   ret == -EADDRINUSE ? " (does another boot or TFTP server run here?)" : "");
	}
	high = fcntl(fd, F_DUPFD_CLOEXEC, SOCKETS_FD_MIN);
	ret = high < 0 ? error_errno(err, errno, "out of file descriptors") : high;
	close(fd);
	return ret;
}
