/*
 * Model, serial number, world-wide name and bus of a disk, from /sys alone: a small system in RAM has no
 * udev to ask. Where /sys is silent a field stays empty; nothing is made up.
 */
#include "disk/identity.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"

#define SYS_FILE_MAX 4096

/* Copies len bytes as trimmed text. */
static void copy_trimmed(const uint8_t *from, size_t len, char *to, size_t to_bytes)
{
	char raw[256], *start = raw;
	size_t n = 0;

	for (size_t i = 0; i < len && n < sizeof raw - 1 && from[i]; i++)
		raw[n++] = (char)from[i];
	while (n && (raw[n - 1] == ' ' || raw[n - 1] == '\n' || raw[n - 1] == '\t'))
		n--;
	raw[n] = '\0';
	while (*start == ' ' || *start == '\t')
		start++;
	text_printable(start, to, to_bytes);
}

bool identity_text(const char *path, char *to, size_t to_bytes)
{
	struct buf b = {0};

	*to = '\0';
	if (!io_read_file(path, SYS_FILE_MAX, &b, NULL))
		copy_trimmed(b.data, b.len, to, to_bytes);
	buf_free(&b);
	return *to != '\0';
}

uint64_t identity_number(const char *path, uint64_t otherwise)
{
	char text[32];
	uint64_t value;

	if (!identity_text(path, text, sizeof text) || text_u64(text, UINT64_MAX, &value) < 0)
		return otherwise;
	return value;
}

static bool entry_text(const char *dir, const char *entry, char *to, size_t to_bytes)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", dir, entry);
	return identity_text(path, to, to_bytes);
}

/* The unit serial number page of SCSI (SPC-4, 7.8.14): page length in bytes 2 and 3, then ASCII. libata makes one for
 * SATA disks. */
static bool read_vpd_serial(const char *dir, char *to, size_t to_bytes)
{
	char path[PATH_MAX];
	struct buf b = {0};

	*to = '\0';
	snprintf(path, sizeof path, "%s/device/vpd_pg80", dir);
	if (!io_read_file(path, SYS_FILE_MAX, &b, NULL)) {
		struct cursor c = cursor_of(b.data, b.len);
		size_t len;
		const uint8_t *text;

		cursor_take(&c, 2);
		len = cursor_be16(&c);
		if (len > cursor_left(&c))
			len = cursor_left(&c);
		text = cursor_take(&c, len);
		if (text)
			copy_trimmed(text, len, to, to_bytes);
	}
	buf_free(&b);
	return *to != '\0';
}

/* A USB bridge often hides the disk's own serial; then the bridge's, some folders further up, has to do. */
static void read_usb_serial(const char *device, char *to, size_t to_bytes)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s", device);
	for (int up = 0; up < 6; up++) {
		char *slash = strrchr(path, '/');

		if (!slash || slash == path)
			return;
		*slash = '\0';
		if (entry_text(path, "serial", to, to_bytes))
			return;
	}
}

static const char *bus_of(const char *name, const char *device)
{
	if (!strncmp(name, "nvme", 4))
		return "nvme";
	if (!strncmp(name, "mmcblk", 6))
		return "mmc";
	if (!strncmp(name, "xvd", 3))
		return "xen";
	if (!strncmp(name, "vd", 2))
		return "virtio";
	if (!strncmp(name, "pmem", 4))
		return "pmem";
	if (strstr(device, "/usb"))
		return "usb";
	if (strstr(device, "/ata"))
		return "sata";
	if (strstr(device, "/session"))
		return "iscsi";
	if (strstr(device, "/end_device"))
		return "sas";
	return strncmp(name, "sd", 2) ? "" : "scsi";
}

static void read_wwn(const char *dir, struct disk_identity *id)
{
	char text[256];

	if (!entry_text(dir, "wwid", text, sizeof text) && !entry_text(dir, "device/wwid", text, sizeof text))
		return;
	/* A cut name could be another disk's name too; better none. */
	if (!strncmp(text, "naa.", 4) && strlen(text) < sizeof id->wwn)
		snprintf(id->wwn, sizeof id->wwn, "0x%s", text + 4);
	else if ((!strncmp(text, "eui.", 4) || !strncmp(text, "uuid.", 5) || !strncmp(text, "nvme.", 5)) &&
		 strlen(text) < sizeof id->wwn)
		snprintf(id->wwn, sizeof id->wwn, "%s", text);
}

static void read_model(const char *dir, struct disk_identity *id)
{
	char vendor[32], model[64];

	if (!entry_text(dir, "device/model", model, sizeof model) &&
	    !(!strcmp(id->bus, "mmc") && entry_text(dir, "device/name", model, sizeof model)))
		return;
	if (entry_text(dir, "device/vendor", vendor, sizeof vendor) && strcmp(vendor, "ATA") &&
	    strncmp(vendor, "0x", 2))
		snprintf(id->model, sizeof id->model, "%s %s", vendor, model);
	else
		snprintf(id->model, sizeof id->model, "%s", model);
}

void identity_read(const char *dir, const char *name, struct disk_identity *id)
{
	char path[PATH_MAX], device[PATH_MAX];

	snprintf(path, sizeof path, "%s/device", dir);
	if (!realpath(path, device))
		snprintf(device, sizeof device, "%s", path);
	snprintf(id->bus, sizeof id->bus, "%s", bus_of(name, device));
	read_model(dir, id);
	read_wwn(dir, id);
	if (!entry_text(dir, "serial", id->serial, sizeof id->serial) &&
	    !read_vpd_serial(dir, id->serial, sizeof id->serial) &&
	    !entry_text(dir, "device/serial", id->serial, sizeof id->serial) && !strcmp(id->bus, "usb"))
		read_usb_serial(device, id->serial, sizeof id->serial);
}
