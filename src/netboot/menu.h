/*
 * What loaders are told: the texts of pxelinux.cfg, iPXE script and grub.cfg for one arming. Pure functions.
 * Every text that comes from an arming passes netboot_check() first, which refuses each character that means
 * something to any of the three languages; so what is quoted here for one loader is safe for the others too.
 */
#ifndef G4L_NETBOOT_MENU_H
#define G4L_NETBOOT_MENU_H

#include "base/bytes.h"
#include "base/error.h"
#include "netboot/netboot.h"

/* Kernel messages and /dev/console on the screen, the messages on the first serial port too. */
#define MENU_CONSOLES "console=ttyS0,115200 console=tty0"

/* Each appends to out. 0, -ERR_USAGE (the arming does not pass netboot_check()) or -ENOMEM. */

/* For lpxelinux: kernel and initramfs over HTTP from base; on an error the host's own disk boots. */
int menu_pxelinux(const struct netboot_arming *arming, struct buf *out, struct error *err);

/* For iPXE, both BIOS and UEFI; three tries, then back to the firmware, which boots the disk. */
int menu_ipxe(const struct netboot_arming *arming, struct buf *out, struct error *err);

/* For GRUB inside our FAT image: kernel and initramfs are files there, "/linux" and "/initrd" for instance. The paths
 * may hold letters, digits, and "/._-" only. On an error back to the firmware. */
int menu_grub(const struct netboot_arming *arming, const char *linux_path, const char *initrd_path, struct buf *out,
	      struct error *err);

#endif
