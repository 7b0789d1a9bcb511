/* The manifest of the boot image. */
#include "server/boot_image.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "wire/fields.h"

#define MANIFEST_MAX_BYTES (1u << 20)

/* {"file": "linux", "bytes": N, …} */
static int take_file(const json_t *o, const char *name, const char *dir, struct boot_file *out, struct error *err)
{
	const json_t *f = json_object_get(o, name);
	char file[128];
	int r;

	if (!json_is_object(f))
		return error_set(err, -ERR_FORMAT, "the member \"%s\" is missing", name);
	r = fields_text(f, "file", false, file, sizeof file, err);
	if (r == 0)
		r = fields_u64(f, "bytes", false, INT64_MAX, &out->bytes, err);
	if (r < 0)
		return r;
	if (!file[0] || strchr(file, '/') || file[0] == '.')
		return error_set(err, -ERR_FORMAT, "\"%s\" is not a plain file name", name);
	snprintf(out->path, sizeof out->path, "%s/%s", dir, file);
	return 0;
}

static int take_uefi(const json_t *o, const char *dir, struct boot_image *out, struct error *err)
{
	const json_t *f = json_object_get(o, "uefi_img");
	int r;

	if (!f || json_is_null(f))
		return 0;
	r = take_file(o, "uefi_img", dir, &out->uefi_img, err);
	if (r == 0)
		r = fields_u64(f, "grub_cfg_offset", false, INT64_MAX, &out->grub_cfg_offset, err);
	if (r == 0)
		r = fields_u64(f, "grub_cfg_bytes", false, 1u << 20, &out->grub_cfg_bytes, err);
	if (r < 0)
		return r;
	if (out->grub_cfg_offset > out->uefi_img.bytes ||
	    out->grub_cfg_bytes > out->uefi_img.bytes - out->grub_cfg_offset)
		return error_set(err, -ERR_FORMAT, "the place of grub.cfg lies outside uefi_img");
	out->has_uefi_img = true;
	return 0;
}

int boot_image_parse(const char *json, size_t len, const char *dir, struct boot_image *out, struct error *err)
{
	json_t *o = fields_parse(json, len, MANIFEST_MAX_BYTES, err);
	int r;

	*out = (struct boot_image){0};
	if (!o)
		return -ERR_FORMAT;
	r = fields_text(o, "kernel", true, out->kernel, sizeof out->kernel, err);
	if (r == 0)
		r = take_file(o, "linux", dir, &out->linux_file, err);
	if (r == 0)
		r = take_file(o, "initrd", dir, &out->initrd, err);
	if (r == 0)
		r = take_uefi(o, dir, out, err);
	json_decref(o);
	return r;
}

static int check_file(const struct boot_file *f, struct error *err)
{
	struct stat st;

	if (stat(f->path, &st) < 0)
		return error_errno(err, errno, "cannot find %s", f->path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != f->bytes)
		return error_set(err, -ERR_USAGE, "%s is not the file that the manifest describes", f->path);
	return 0;
}

int boot_image_load(const char *dir, struct boot_image *out, struct error *err)
{
	struct buf text = {0};
	char path[300];
	struct stat st;
	int r;

	snprintf(path, sizeof path, "%s/manifest.json", dir);
	r = io_read_file(path, MANIFEST_MAX_BYTES, &text, err);
	if (r == -ENOENT)
		error_set(err, r, "there is no boot image in %s: build it with g4l bootimage build", dir);
	if (r == 0) {
		r = boot_image_parse((const char *)text.data, text.len, dir, out, err);
		if (r < 0)
			error_prefix(err, "%s", path);
	}
	buf_free(&text);
	if (r == 0)
		r = check_file(&out->linux_file, err);
	if (r == 0)
		r = check_file(&out->initrd, err);
	if (r == 0 && out->has_uefi_img)
		r = check_file(&out->uefi_img, err);
	if (r == 0 && stat(path, &st) == 0)
		out->built = st.st_mtime;
	if (r < 0)
		error_set(err, -ERR_USAGE, "%s", err ? err->text : "");
	return r < 0 ? -ERR_USAGE : 0;
}
