/* Wake-on-LAN. See wake.h. Sends, never listens. */
#include "netboot/wake.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAKE_ETHERTYPE 0x0842
#define WAKE_UDP_PORT 9

int wake_packet(const uint8_t mac[NETBOOT_MAC_BYTES], const uint8_t *password, size_t password_bytes,
		uint8_t to[WAKE_PACKET_MAX])
{
	size_t at = 6;

	if (password_bytes != 0 && password_bytes != 4 && password_bytes != 6)
		return -EINVAL;
	memset(to, 0xff, at);
	for (int i = 0; i < 16; i++, at += NETBOOT_MAC_BYTES)
		memcpy(to + at, mac, NETBOOT_MAC_BYTES);
	if (password_bytes)
		memcpy(to + at, password, password_bytes);
	return (int)(at + password_bytes);
}

static int send_udp(const char *interface, const struct in_addr *address, const uint8_t *packet, size_t len)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(WAKE_UDP_PORT), .sin_addr = *address};
	int on = 1, ret = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) < 0 ||
	    (interface &&
	     setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)(strlen(interface) + 1)) < 0) ||
	    sendto(fd, packet, len, 0, (const struct sockaddr *)&to, sizeof to) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static int send_ethernet(unsigned index, const uint8_t *packet, size_t len)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(WAKE_ETHERTYPE),
				 .sll_ifindex = (int)index,
				 .sll_halen = ETH_ALEN};
	int ret = 0;
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	memset(to.sll_addr, 0xff, ETH_ALEN);
	if (sendto(fd, packet, len, 0, (const struct sockaddr *)&to, sizeof to) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int wake_send(const char *interface, const uint8_t mac[NETBOOT_MAC_BYTES], const uint8_t *password,
	      size_t password_bytes, struct error *err)
{
	const struct in_addr everyone = {.s_addr = htonl(INADDR_BROADCAST)};
	unsigned index = strlen(interface) < IFNAMSIZ ? if_nametoindex(interface) : 0;
	uint8_t packet[WAKE_PACKET_MAX];
	int len = wake_packet(mac, password, password_bytes, packet);
	int udp, ethernet;

	if (len < 0)
		return error_set(err, -ERR_USAGE, "a wake-up password has 4 or 6 bytes, not %zu", password_bytes);
	if (!index)
		return error_set(err, -ERR_USAGE, "there is no network interface %s to send a wake-up packet from",
				 interface);
	udp = send_udp(interface, &everyone, packet, (size_t)len);
	ethernet = send_ethernet(index, packet, (size_t)len);
	if (udp < 0 && ethernet < 0)
		return error_errno(err, udp, "cannot send a wake-up packet on %s", interface);
	return 0;
}

int wake_send_to(const char *address, const uint8_t mac[NETBOOT_MAC_BYTES], const uint8_t *password,
		 size_t password_bytes, struct error *err)
{
	uint8_t packet[WAKE_PACKET_MAX];
	int len = wake_packet(mac, password, password_bytes, packet);
	struct in_addr to;
	int ret;

	if (len < 0)
		return error_set(err, -ERR_USAGE, "a wake-up password has 4 or 6 bytes, not %zu", password_bytes);
	if (inet_pton(AF_INET, address, &to) != 1)
		return error_set(err, -ERR_USAGE, "%s is not an IPv4 address to send a wake-up packet to", address);
	ret = send_udp(NULL, &to, packet, (size_t)len);
	return ret < 0 ? error_errno(err, ret, "cannot send a wake-up packet to %s", address) : 0;
}
