/* The texts that loaders run. See menu.h; nothing here may put in a byte that netboot_check() has not seen. */
#include "netboot/menu.h"

#include <string.h>

static int finish(const struct buf *out, struct error *err)
{
	return out->failed ? error_set(err, -ENOMEM, "no memory for a boot menu") : 0;
}

int menu_pxelinux(const struct netboot_arming *a, struct buf *out, struct error *err)
{
	int ret = netboot_check(a, err);

	if (ret < 0)
		return ret;
	buf_printf(out,
		   "DEFAULT g4l\n"
		   "PROMPT 0\n"
		   "NOESCAPE 1\n"
		   "ONERROR disk\n"
		   "SAY ghost4linux: %s boots from the network\n"
		   "LABEL g4l\n"
		   "  KERNEL %s/linux\n"
		   "  INITRD %s/initrd\n"
		   "  APPEND " MENU_CONSOLES " %s\n"
		   "LABEL disk\n"
		   "  LOCALBOOT 0\n",
		   a->host, a->base, a->base, a->cmdline);
	return finish(out, err);
}

int menu_ipxe(const struct netboot_arming *a, struct buf *out, struct error *err)
{
	int ret = netboot_check(a, err);

	if (ret < 0)
		return ret;
	buf_printf(out,
		   "#!ipxe\n"
		   "echo ghost4linux: %s boots from the network\n"
		   "set tries:int32 0\n"
		   ":again\n"
		   "imgfree\n"
		   "kernel --name linux %s/linux initrd=initrd " MENU_CONSOLES " %s || goto failed\n"
		   "initrd --name initrd %s/initrd || goto failed\n"
		   "boot || goto failed\n"
		   ":failed\n"
		   "inc tries\n"
		   "iseq ${tries} 3 && goto give_up ||\n"
		   "echo ghost4linux: trying again\n"
		   "sleep 3\n"
		   "goto again\n"
		   ":give_up\n"
		   "echo ghost4linux: cannot fetch the boot image, going on to the disk\n"
		   "sleep 5\n"
		   "exit 1\n",
		   a->host, a->base, a->cmdline, a->base);
	return finish(out, err);
}

static int check_path(const char *path, struct error *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";

	if (path[0] != '/' || path[strspn(path, plain)])
		return error_set(err, -ERR_USAGE,
				 "the path of a boot file holds characters that GRUB would not take as they are");
	return 0;
}

/* Every word in single quotes: GRUB takes nothing between them for its own, and netboot_check() lets no quote in. */
static void put_quoted_words(struct buf *out, const char *words)
{
	while (*words) {
		size_t n = strcspn(words, " ");

		if (n)
			buf_printf(out, " '%.*s'", (int)n, words);
		words += n;
		words += strspn(words, " ");
	}
}

int menu_grub(const struct netboot_arming *a, const char *linux_path, const char *initrd_path, struct buf *out,
	      struct error *err)
{
	int ret = netboot_check(a, err);

	if (ret < 0)
		return ret;
	ret = check_path(linux_path, err);
	if (ret < 0)
		return ret;
	ret = check_path(initrd_path, err);
	if (ret < 0)
		return ret;
	buf_printf(out, "echo 'ghost4linux: %s boots from the network'\nif linux '%s'", a->host, linux_path);
	put_quoted_words(out, MENU_CONSOLES);
	put_quoted_words(out, a->cmdline);
	buf_printf(out,
		   "; then\n"
		   "\tif initrd '%s'; then\n"
		   "\t\tboot\n"
		   "\tfi\n"
		   "fi\n"
		   "echo 'ghost4linux: cannot start the boot image, going on to the disk'\n"
		   "sleep 5\n"
		   "exit\n",
		   initrd_path);
	return finish(out, err);
}
