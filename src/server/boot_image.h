/*
 * The boot image that `g4l bootimage build` left in boot_dir: kernel, initramfs and the FAT image for UEFI HTTP Boot,
 * as manifest.json there describes them.
 */
#ifndef G4L_SERVER_BOOT_IMAGE_H
#define G4L_SERVER_BOOT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct boot_file {
	char path[400];
	uint64_t bytes;
};

struct boot_image {
	char kernel[128]; /* its version */
	int64_t built;	  /* unix seconds */
	struct boot_file linux_file, initrd, uefi_img;
	bool has_uefi_img;
	uint64_t grub_cfg_offset, grub_cfg_bytes; /* where in uefi_img the place of grub.cfg lies */
};

/* Parses the manifest only. dir is put before the names. 0; -ERR_FORMAT. */
int boot_image_parse(const char *json, size_t len, const char *dir, struct boot_image *out, struct error *err);
/* Reads the manifest and checks that the files are there in full length. 0; -ERR_USAGE with what to do. */
int boot_image_load(const char *dir, struct boot_image *out, struct error *err);

#endif
