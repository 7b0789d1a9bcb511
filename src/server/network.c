/* The machine's IPv4 interfaces. */
#include "server/network.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* True when the configuration names the interface, or names none. */
static bool is_wanted(const char *list, const struct ifaddrs *a)
{
	size_t len = strlen(a->ifa_name);

	if (!list[0])
		return !(a->ifa_flags & IFF_LOOPBACK) && (a->ifa_flags & IFF_UP);
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ", ");

		if (n == len && memcmp(p, a->ifa_name, n) == 0)
			return true;
		p += n + strspn(p + n, ", ");
	}
	return false;
}

static bool is_listed(const struct server *s, const char *name)
{
	for (size_t i = 0; i < s->n_interfaces; i++)
		if (strcmp(s->interfaces[i], name) == 0)
			return true;
	return false;
}

static void take(struct server *s, const struct ifaddrs *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)a->ifa_addr;

	if (s->n_interfaces == CONFIG_MAX_INTERFACES || is_listed(s, a->ifa_name))
		return;
	snprintf(s->interfaces[s->n_interfaces++], sizeof s->interfaces[0], "%s", a->ifa_name);
	if (!s->address[0])
		inet_ntop(AF_INET, &in->sin_addr, s->address, sizeof s->address);
}

/* Every name of the configuration must have been found. */
static int check_names(const struct server *s, struct error *err)
{
	for (const char *p = s->config.interface; *p;) {
		size_t n = strcspn(p, ", ");
		char name[sizeof s->interfaces[0]] = "";

		if (n && n < sizeof name)
			memcpy(name, p, n);
		if (n && (n >= sizeof name || !is_listed(s, name)))
			return error_set(err, -ERR_USAGE, "interface: there is no \"%.*s\" with an IPv4 address",
					 (int)n, p);
		p += n + strspn(p + n, ", ");
	}
	return 0;
}

int network_set_up(struct server *s, struct error *err)
{
	struct in_addr probe;
	struct ifaddrs *list;
	int r;

	if (s->config.address[0] && inet_pton(AF_INET, s->config.address, &probe) != 1)
		return error_set(err, -ERR_USAGE, "address: \"%s\" is not an IPv4 address", s->config.address);
	snprintf(s->address, sizeof s->address, "%s", s->config.address);
	if (getifaddrs(&list) < 0)
		return error_errno(err, errno, "cannot list the network interfaces");
	for (const struct ifaddrs *a = list; a; a = a->ifa_next)
		if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET && is_wanted(s->config.interface, a))
			take(s, a);
	freeifaddrs(list);
	r = check_names(s, err);
	if (r < 0)
		return r;
	if (!s->address[0] && strcmp(s->config.netboot, "none") == 0)
		snprintf(s->address, sizeof s->address, "127.0.0.1");
	if (!s->address[0])
		return error_set(err, -ERR_USAGE,
				 "no network interface has an IPv4 address: set interface or address in [network]");
	return 0;
}
