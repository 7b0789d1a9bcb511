/*
 * The packet codec behind dhcp.h. Must never read beyond the packet, nor trust a length in it.
 *
 * Fixed part, RFC 2131 figure 1 (offsets in bytes):
 *   0 op  1 htype  2 hlen  3 hops  4 xid  8 secs  10 flags  12 ciaddr  16 yiaddr  20 siaddr  24 giaddr
 *   28 chaddr[16]  44 sname[64]  108 file[128]  236 magic cookie  240 options
 */
#include "netboot/dhcp.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

enum {
	OFF_CIADDR = 12,
	OFF_SIADDR = 20,
	OFF_GIADDR = 24,
	OFF_CHADDR = 28,
	OFF_SNAME = 44,
	OFF_FILE = 108,
	OFF_COOKIE = 236,
	OFF_OPTIONS = 240,
	SNAME_BYTES = 64,
	FILE_BYTES = 128,
	REPLY_MIN = 300, /* RFC 1542, 2.1: some clients drop anything shorter */
};

enum { OP_REQUEST = 1, OP_REPLY = 2, HTYPE_ETHERNET = 1 };

static const uint8_t cookie[4] = {99, 130, 83, 99};

enum option {
	OPT_PAD = 0,
	OPT_VENDOR = 43,
	OPT_OVERLOAD = 52,
	OPT_MESSAGE = 53,
	OPT_SERVER_ID = 54,
	OPT_CLASS_ID = 60,
	OPT_BOOT_FILE = 67,
	OPT_USER_CLASS = 77,
	OPT_ARCH = 93,
	OPT_UUID = 97,
	OPT_IPXE = 175,
	OPT_END = 255,
};

/* Sub-options of option 43, PXE 2.1 table 2-1. */
enum { PXE_DISCOVERY_CONTROL = 6, PXE_BOOT_ITEM = 71, PXE_END = 255 };
/* Discovery control bit 3: take the boot file of this offer, no menu, no boot server. */
enum { PXE_TAKE_BOOT_FILE = 8 };

/* The options that we read; fragments of one option are joined (RFC 3396). */
struct collected {
	uint16_t len;
	uint8_t data[255];
};
enum slot {
	SLOT_VENDOR,
	SLOT_OVERLOAD,
	SLOT_MESSAGE,
	SLOT_SERVER_ID,
	SLOT_CLASS_ID,
	SLOT_USER_CLASS,
	SLOT_ARCH,
	SLOT_UUID,
	SLOT_IPXE,
	SLOTS
};

static const uint8_t slot_option[SLOTS] = {
	[SLOT_VENDOR] = OPT_VENDOR,	  [SLOT_OVERLOAD] = OPT_OVERLOAD, [SLOT_MESSAGE] = OPT_MESSAGE,
	[SLOT_SERVER_ID] = OPT_SERVER_ID, [SLOT_CLASS_ID] = OPT_CLASS_ID, [SLOT_USER_CLASS] = OPT_USER_CLASS,
	[SLOT_ARCH] = OPT_ARCH,		  [SLOT_UUID] = OPT_UUID,	  [SLOT_IPXE] = OPT_IPXE,
};

struct options {
	struct collected slot[SLOTS];
	bool has_ipxe;
};

static int collect(struct options *o, uint8_t code, const uint8_t *data, size_t len)
{
	for (int i = 0; i < SLOTS; i++) {
		struct collected *s = &o->slot[i];

		if (slot_option[i] != code)
			continue;
		if (i == SLOT_IPXE) {
			o->has_ipxe = true;
			return 0;
		}
		if (len > sizeof s->data - s->len)
			return -ERR_FORMAT;
		memcpy(s->data + s->len, data, len);
		s->len = (uint16_t)(s->len + len);
		return 0;
	}
	return 0;
}

/* One area of options: up to the end option, or to the area's end (firmware is known to leave the end out). */
static int collect_area(struct options *o, struct cursor c)
{
	while (cursor_left(&c)) {
		uint8_t code = cursor_u8(&c);
		const uint8_t *data;
		uint8_t len;

		if (code == OPT_PAD)
			continue;
		if (code == OPT_END)
			return 0;
		len = cursor_u8(&c);
		data = cursor_take(&c, len);
		if (c.failed || collect(o, code, data, len) < 0)
			return -ERR_FORMAT;
	}
	return 0;
}

static void copy_printable(char *to, size_t to_bytes, const uint8_t *data, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < to_bytes; i++) {
		if (data[i] == 0)
			break;
		to[n++] = (char)(data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '?');
	}
	to[n] = '\0';
}

/* RFC 3004 puts a length before each class; iPXE and many others send the bare text. */
static void read_user_class(struct dhcp_request *r, const struct collected *s)
{
	size_t skip = s->len > 1 && s->data[0] == s->len - 1 ? 1 : 0;

	copy_printable(r->user_class, sizeof r->user_class, s->data + skip, s->len - skip);
}

/* "PXEClient:Arch:00007:UNDI:003016": the fallback where option 93 is missing. */
static int arch_of_class(const char *class_id)
{
	static const char mark[] = ":Arch:";
	const char *at = strstr(class_id, mark);
	int arch = 0;

	if (!at)
		return DHCP_ARCH_NONE;
	at += sizeof mark - 1;
	for (int i = 0; i < 5; i++) {
		if (at[i] < '0' || at[i] > '9')
			return DHCP_ARCH_NONE;
		arch = arch * 10 + (at[i] - '0');
	}
	return arch;
}

static void read_boot_item(struct dhcp_request *r, const struct collected *s)
{
	struct cursor c = cursor_of(s->data, s->len);

	while (cursor_left(&c)) {
		uint8_t code = cursor_u8(&c);
		const uint8_t *data;
		uint8_t len;

		if (code == OPT_PAD)
			continue;
		if (code == PXE_END)
			return;
		len = cursor_u8(&c);
		data = cursor_take(&c, len);
		if (!data)
			return;
		if (code == PXE_BOOT_ITEM && len == sizeof r->boot_item) {
			memcpy(r->boot_item, data, len);
			r->has_boot_item = true;
		}
	}
}

static int read_options(struct dhcp_request *r, const struct options *o)
{
	const struct collected *s = o->slot;

	if (s[SLOT_MESSAGE].len != 1)
		return -ERR_FORMAT; /* plain BOOTP, or nonsense */
	r->message = s[SLOT_MESSAGE].data[0];
	if (s[SLOT_SERVER_ID].len == 4)
		r->server_id = bytes_be32(s[SLOT_SERVER_ID].data);
	copy_printable(r->class_id, sizeof r->class_id, s[SLOT_CLASS_ID].data, s[SLOT_CLASS_ID].len);
	read_user_class(r, &s[SLOT_USER_CLASS]);
	r->ipxe = o->has_ipxe || !strcmp(r->user_class, "iPXE");
	if (s[SLOT_ARCH].len >= 2)
		r->arch = bytes_be16(s[SLOT_ARCH].data);
	else
		r->arch = arch_of_class(r->class_id);
	if (s[SLOT_UUID].len == 17 && s[SLOT_UUID].data[0] == 0) {
		memcpy(r->uuid, s[SLOT_UUID].data + 1, sizeof r->uuid);
		r->has_uuid = true;
	}
	read_boot_item(r, &s[SLOT_VENDOR]);
	return 0;
}

int dhcp_parse(const uint8_t *bytes, size_t len, struct dhcp_request *r)
{
	struct options o;
	uint8_t overload;

	memset(r, 0, sizeof *r);
	memset(&o, 0, sizeof o);
	if (len < OFF_OPTIONS || memcmp(bytes + OFF_COOKIE, cookie, sizeof cookie))
		return -ERR_FORMAT;
	if (bytes[0] != OP_REQUEST || bytes[1] != HTYPE_ETHERNET || bytes[2] != sizeof r->mac)
		return -ERR_FORMAT;
	r->xid = bytes_be32(bytes + 4);
	r->flags = bytes_be16(bytes + 10);
	r->ciaddr = bytes_be32(bytes + OFF_CIADDR);
	r->giaddr = bytes_be32(bytes + OFF_GIADDR);
	memcpy(r->mac, bytes + OFF_CHADDR, sizeof r->mac);
	if (collect_area(&o, cursor_of(bytes + OFF_OPTIONS, len - OFF_OPTIONS)) < 0)
		return -ERR_FORMAT;
	overload = o.slot[SLOT_OVERLOAD].len == 1 ? o.slot[SLOT_OVERLOAD].data[0] : 0;
	if ((overload & 1) && collect_area(&o, cursor_of(bytes + OFF_FILE, FILE_BYTES)) < 0)
		return -ERR_FORMAT;
	if ((overload & 2) && collect_area(&o, cursor_of(bytes + OFF_SNAME, SNAME_BYTES)) < 0)
		return -ERR_FORMAT;
	return read_options(r, &o);
}

/* All options together stay far below DHCP_PACKET_MAX: the longest is one boot file of 255 bytes. */
static uint8_t *put_option(uint8_t *at, uint8_t code, const void *data, size_t len)
{
	*at++ = code;
	*at++ = (uint8_t)len;
	memcpy(at, data, len);
	return at + len;
}

static uint8_t *put_vendor(uint8_t *at, const struct dhcp_request *r)
{
	uint8_t vendor[10] = {PXE_DISCOVERY_CONTROL, 1, PXE_TAKE_BOOT_FILE};
	size_t n = 3;

	if (r->has_boot_item) {
		vendor[n++] = PXE_BOOT_ITEM;
		vendor[n++] = sizeof r->boot_item;
		memcpy(vendor + n, r->boot_item, sizeof r->boot_item);
		n += sizeof r->boot_item;
	}
	vendor[n++] = PXE_END;
	return put_option(at, OPT_VENDOR, vendor, n);
}

static uint8_t *put_options(uint8_t *at, const struct dhcp_request *r, const struct dhcp_reply *reply, bool file_option)
{
	uint8_t message = (uint8_t)reply->message;
	uint8_t server[4], uuid[17] = {0};

	at = put_option(at, OPT_MESSAGE, &message, 1);
	bytes_put_be32(server, reply->server);
	at = put_option(at, OPT_SERVER_ID, server, sizeof server);
	at = put_option(at, OPT_CLASS_ID, reply->class_id, strlen(reply->class_id));
	if (r->has_uuid) {
		memcpy(uuid + 1, r->uuid, sizeof r->uuid);
		at = put_option(at, OPT_UUID, uuid, sizeof uuid);
	}
	if (reply->pxe_options)
		at = put_vendor(at, r);
	if (file_option)
		at = put_option(at, OPT_BOOT_FILE, reply->boot_file, strlen(reply->boot_file));
	*at++ = OPT_END;
	return at;
}

int dhcp_format(const struct dhcp_request *r, const struct dhcp_reply *reply, uint8_t to[DHCP_PACKET_MAX])
{
	size_t file_len = strlen(reply->boot_file);
	bool in_header = !reply->boot_file_option && file_len < FILE_BYTES;
	const uint8_t *end;

	if (file_len > 255)
		return -ENOSPC;
	memset(to, 0, DHCP_PACKET_MAX);
	to[0] = OP_REPLY;
	to[1] = HTYPE_ETHERNET;
	to[2] = sizeof r->mac;
	bytes_put_be32(to + 4, r->xid);
	bytes_put_be16(to + 10, r->flags);
	bytes_put_be32(to + OFF_CIADDR, r->ciaddr);
	bytes_put_be32(to + OFF_SIADDR, reply->server);
	bytes_put_be32(to + OFF_GIADDR, r->giaddr);
	memcpy(to + OFF_CHADDR, r->mac, sizeof r->mac);
	if (in_header)
		memcpy(to + OFF_FILE, reply->boot_file, file_len);
	memcpy(to + OFF_COOKIE, cookie, sizeof cookie);
	end = put_options(to + OFF_OPTIONS, r, reply, !in_header);
	return end - to < REPLY_MIN ? REPLY_MIN : (int)(end - to);
}
