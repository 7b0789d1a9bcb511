/*
 * The lines between the server and the boot service. Whatever is taken as an arming must give menus in which nothing of
 * it is more than data: as many lines as any other arming gives.
 */
#include <stdlib.h>
#include <string.h>

#include "netboot/control.h"
#include "netboot/menu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static unsigned count(const struct buf *b, char c)
{
	unsigned n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->data[i] == (uint8_t)c;
	return n;
}

static void check_menus(const struct netboot_arming *a)
{
	struct buf out = {0};

	require(menu_pxelinux(a, &out, NULL) == 0 && count(&out, '\n') == 11);
	out.len = 0;
	require(menu_ipxe(a, &out, NULL) == 0 && count(&out, '\n') == 18 && count(&out, '$') == 1 &&
		count(&out, '|') == 8);
	out.len = 0;
	require(menu_grub(a, "/linux", "/initrd", &out, NULL) == 0 && count(&out, '\n') == 9 &&
		count(&out, '\'') % 2 == 0);
	out.len = 0;
	control_put_arm(&out, a);
	require(out.len <= CONTROL_LINE_MAX && count(&out, '\n') == 1);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_message message;
	struct netboot_event event;

	if (control_parse_message((const char *)data, size, &message) == 0 && message.kind == CONTROL_ARM)
		check_menus(&message.arming);
	if (control_parse_event((const char *)data, size, &event) == 0)
		require(memchr(event.text, 0, sizeof event.text) != NULL);
	return 0;
}
