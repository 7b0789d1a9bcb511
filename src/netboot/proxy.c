/* Which loader a machine is told to take. See proxy.h. */
#include "netboot/proxy.h"

#include <stdio.h>
#include <string.h>

#define ADDRESS_BROADCAST 0xffffffffu

enum path { PATH_NONE, PATH_BIOS, PATH_EFI, PATH_IPXE, PATH_HTTP };

/* iPXE in a BIOS gets pxelinux like every BIOS: one path for all of them, and some iPXE ROMs cannot do HTTP. */
static enum path choose_path(const struct dhcp_request *r)
{
	switch (r->arch) {
	case DHCP_ARCH_NONE: /* PXE before RFC 4578 knew nothing but the PC's BIOS */
	case DHCP_ARCH_BIOS:
		return PATH_BIOS;
	case DHCP_ARCH_EFI_BC:
	case DHCP_ARCH_EFI_X64:
		return r->ipxe ? PATH_IPXE : PATH_EFI;
	case DHCP_ARCH_HTTP_X64:
		return r->ipxe ? PATH_IPXE : PATH_HTTP;
	default:
		return PATH_NONE;
	}
}

static const char *path_text(enum path path)
{
	switch (path) {
	case PATH_BIOS:
		return "asked for a loader (BIOS)";
	case PATH_EFI:
		return "asked for a loader (UEFI)";
	case PATH_IPXE:
		return "asked for its menu (iPXE)";
	case PATH_HTTP:
		return "asked for a boot image (UEFI HTTP Boot)";
	case PATH_NONE:
		break;
	}
	return "asked";
}

static const char *arch_text(int arch)
{
	switch (arch) {
	case DHCP_ARCH_EFI_IA32:
	case DHCP_ARCH_HTTP_IA32:
		return "32-bit UEFI";
	case DHCP_ARCH_EFI_ARM32:
	case DHCP_ARCH_EFI_ARM64:
	case DHCP_ARCH_HTTP_ARM32:
	case DHCP_ARCH_HTTP_ARM64:
		return "ARM";
	default:
		return "an unknown kind";
	}
}

static bool has_prefix(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static bool is_boot_request(const struct dhcp_request *r, enum proxy_service service)
{
	if (!has_prefix(r->class_id, "PXEClient") && !has_prefix(r->class_id, "HTTPClient"))
		return false;
	if (service == PROXY_ON_DHCP)
		return r->message == DHCP_DISCOVER;
	return r->message == DHCP_REQUEST || r->message == DHCP_INFORM;
}

static void set_event(struct proxy_answer *answer, const struct dhcp_request *r, enum netboot_event_kind kind)
{
	answer->has_event = true;
	answer->xid = r->xid;
	answer->event.kind = kind;
	answer->event.has_mac = true;
	memcpy(answer->event.mac, r->mac, sizeof r->mac);
}

static int format_answer(const struct dhcp_request *r, const struct proxy_ask *ask, const struct netboot_arming *arming,
			 enum path path, uint8_t to[DHCP_PACKET_MAX])
{
	char url[sizeof arming->base + 16];
	struct dhcp_reply reply = {
		.message = ask->service == PROXY_ON_DHCP ? DHCP_OFFER : DHCP_ACK,
		.server = ask->our_address,
		.class_id = path == PATH_HTTP ? "HTTPClient" : "PXEClient",
		.boot_file = path == PATH_BIOS ? PROXY_LOADER_BIOS : PROXY_LOADER_EFI,
		.boot_file_option = path == PATH_HTTP,
		.pxe_options = path != PATH_HTTP,
	};

	if (path == PATH_IPXE || path == PATH_HTTP) {
		snprintf(url, sizeof url, "%s/%s", arming->base, path == PATH_IPXE ? "boot.ipxe" : "uefi.img");
		reply.boot_file = url;
	}
	return dhcp_format(r, &reply, to);
}

/* RFC 2131, 4.1, for a client that has no address yet; on port 4011 clients use ports 68 and 4011. */
static void choose_destination(const struct dhcp_request *r, const struct proxy_ask *ask, struct proxy_answer *answer)
{
	if (ask->service == PROXY_ON_PXE && ask->from_address) {
		answer->to_address = ask->from_address;
		answer->to_port = ask->from_port;
	} else if (r->giaddr) {
		answer->to_address = r->giaddr;
		answer->to_port = DHCP_SERVER_PORT;
	} else {
		answer->to_address = ADDRESS_BROADCAST;
		answer->to_port = DHCP_CLIENT_PORT;
	}
}

void proxy_decide(const struct armed *armed, const struct proxy_ask *ask, struct proxy_answer *answer)
{
	const struct netboot_arming *arming;
	struct dhcp_request r;
	enum path path;
	int len;

	memset(answer, 0, sizeof *answer);
	if (dhcp_parse(ask->packet, ask->len, &r) < 0 || !is_boot_request(&r, ask->service))
		return;
	path = choose_path(&r);
	arming = armed_find(armed, r.mac);
	if (!arming) {
		set_event(answer, &r, NETBOOT_STRANGER);
		snprintf(answer->event.text, sizeof answer->event.text,
			 "a machine that is not armed %s; it was not answered", path_text(path));
		return;
	}
	if (path == PATH_NONE) {
		set_event(answer, &r, NETBOOT_ERROR);
		snprintf(answer->event.text, sizeof answer->event.text,
			 "%s cannot be booted: its firmware is %s (architecture %d), and there is a boot image for "
			 "64-bit "
			 "PCs (BIOS or UEFI) only",
			 arming->host, arch_text(r.arch), r.arch);
		return;
	}
	len = format_answer(&r, ask, arming, path, answer->packet);
	if (len < 0)
		return;
	answer->send = true;
	answer->len = (size_t)len;
	choose_destination(&r, ask, answer);
	set_event(answer, &r, NETBOOT_OFFER);
	snprintf(answer->event.text, sizeof answer->event.text, "%s %s", arming->host, path_text(path));
}
