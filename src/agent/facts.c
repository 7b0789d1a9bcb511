/*
 * Facts of this machine from sysfs and procfs. Must never fail a job because something is unknown.
 */
#include "agent/facts.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

char *facts_read_line(const char *root, const char *path, char *to, size_t to_bytes)
{
	char full[512], raw[512], *start = raw;
	ssize_t n = -1;
	int fd;

	to[0] = '\0';
	snprintf(full, sizeof full, "%s/%s", root, path);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, raw, sizeof raw - 1);
		close(fd);
	}
	if (n <= 0)
		return to;
	raw[n] = '\0';
	raw[strcspn(raw, "\n")] = '\0';
	while (*start == ' ')
		start++;
	for (size_t len = strlen(start); len > 0 && start[len - 1] == ' '; len--)
		start[len - 1] = '\0';
	return text_printable(start, to, to_bytes);
}

/* UEFI specification 2.10, 3.3: one byte behind the file system's four bytes of attributes. */
static bool secure_boot_is_on(const char *root)
{
	char path[512];
	uint8_t bytes[5] = {0};
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof path, "%s/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
		 root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, bytes, sizeof bytes);
		close(fd);
	}
	return n == sizeof bytes && bytes[4] == 1;
}

static bool exists(const char *root, const char *path)
{
	char full[512];

	snprintf(full, sizeof full, "%s/%s", root, path);
	return access(full, F_OK) == 0;
}

static uint64_t memory_bytes(const char *root)
{
	char line[128];
	unsigned long long kib = 0;

	/* "MemTotal:" is the first line (proc(5)). */
	if (sscanf(facts_read_line(root, "proc/meminfo", line, sizeof line), "MemTotal: %llu kB", &kib) != 1)
		return 0;
	return (uint64_t)kib << 10;
}

static int add_mac(struct wire_hello *h, const char *mac)
{
	char(*grown)[WIRE_MAC_BYTES];

	if (strlen(mac) != WIRE_MAC_BYTES - 1 || strcmp(mac, "00:00:00:00:00:00") == 0 || h->n_macs == WIRE_MAX_MACS)
		return 0;
	for (size_t i = 0; i < h->n_macs; i++)
		if (strcmp(h->macs[i], mac) == 0)
			return 0;
	grown = reallocarray(h->macs, h->n_macs + 1, sizeof *h->macs);
	if (!grown)
		return -ENOMEM;
	h->macs = grown;
	memcpy(h->macs[h->n_macs++], mac, WIRE_MAC_BYTES);
	return 0;
}

/* Every NIC that is a device, and the one that booted. */
static int add_macs(const char *root, const char *boot_mac, struct wire_hello *h)
{
	char path[512], mac[64];
	const struct dirent *e;
	DIR *dir;
	int rc = add_mac(h, boot_mac);

	snprintf(path, sizeof path, "%s/sys/class/net", root);
	dir = opendir(path);
	if (!dir)
		return rc;
	while (rc == 0 && (e = readdir(dir))) {
		snprintf(path, sizeof path, "sys/class/net/%s/device", e->d_name);
		if (e->d_name[0] == '.' || !exists(root, path))
			continue;
		snprintf(path, sizeof path, "sys/class/net/%s/address", e->d_name);
		rc = add_mac(h, facts_read_line(root, path, mac, sizeof mac));
	}
	closedir(dir);
	return rc;
}

static void product_name(const char *root, char *to, size_t to_bytes)
{
	char vendor[64], product[64];

	facts_read_line(root, "sys/class/dmi/id/sys_vendor", vendor, sizeof vendor);
	facts_read_line(root, "sys/class/dmi/id/product_name", product, sizeof product);
	snprintf(to, to_bytes, "%s%s%s", vendor, vendor[0] && product[0] ? " " : "", product);
}

int facts_gather(const char *root, const char *boot_mac, struct wire_hello *out, struct error *err)
{
	uint8_t nonce[WIRE_NONCE_BYTES];
	struct utsname kernel;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	*out = (struct wire_hello){
		.protocol = WIRE_PROTOCOL, .version = G4L_VERSION, .cpus = cpus > 0 ? (unsigned)cpus : 1};
	io_random(nonce, sizeof nonce);
	text_hex(nonce, sizeof nonce, out->nonce);
	facts_read_line(root, "sys/class/dmi/id/product_uuid", out->uuid, sizeof out->uuid);
	product_name(root, out->product, sizeof out->product);
	snprintf(out->firmware, sizeof out->firmware, "%s", exists(root, "sys/firmware/efi") ? "uefi" : "bios");
	out->secure_boot = secure_boot_is_on(root);
	out->memory_bytes = memory_bytes(root);
	if (uname(&kernel) == 0)
		snprintf(out->kernel, sizeof out->kernel, "%s", kernel.release);
	if (add_macs(root, boot_mac, out) < 0) {
		wire_hello_clear(out);
		return error_errno(err, ENOMEM, "cannot list the network cards");
	}
	return 0;
}

char *facts_json(const struct wire_hello *hello)
{
	struct buf b = {0};
	json_t *o = NULL;
	char *text = NULL;

	if (wire_hello_encode(hello, &b) == 0)
		o = json_loadb((const char *)b.data, b.len, 0, NULL);
	buf_free(&b);
	if (!o)
		return NULL;
	json_object_del(o, "nonce");
	json_object_del(o, "protocol");
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}
