/* The checks of `g4l doctor`: each with what was found and, when it is not well, the line that mends it. */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "server/api.h"
#include "server/boot_image.h"
#include "wire/fields.h"

#define FREE_BYTES_WANTED (2ull << 30)
#define BOOT_IMAGE_OLD_DAYS 180
#define CERTIFICATE_LEFT_DAYS 30

__attribute__((format(printf, 5, 6))) static void add(json_t *checks, const char *name, bool ok, const char *mend,
						      const char *fmt, ...)
{
	char text[800];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_array_append_new(checks, json_pack("{s:s, s:b, s:o, s:s}", "name", name, "ok", (int)ok, "text",
						fields_string(text), "mend", ok ? "" : mend));
}

/* Space and permission of a folder that things are written to. */
static void check_folder(json_t *checks, const char *name, const char *path)
{
	char probe[600], size[TEXT_SIZE_BYTES];
	struct error err = {0};
	struct statvfs fs;
	uint64_t left;

	snprintf(probe, sizeof probe, "%s/.g4ld-probe", path);
	if (io_replace_file(probe, "", 0, 0600, &err) < 0) {
		add(checks, name, false, "give g4ld the right to write there", "%s", err.text);
		return;
	}
	unlink(probe);
	if (statvfs(path, &fs) < 0) {
		add(checks, name, false, "look at the file system", "%s cannot be examined", path);
		return;
	}
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	add(checks, name, left >= FREE_BYTES_WANTED, "make room: g4l forget, g4l prune, or a larger file system",
	    "%s can be written and has %s left", path, text_size(left, size));
}

static void check_store(struct server *s, json_t *checks)
{
	struct store_facts facts;
	struct error err = {0};

	if (server_store_is_there(s, &err) < 0) {
		add(checks, "store", false, "mount it, or correct store in the configuration and restart g4ld", "%s",
		    err.text);
		return;
	}
	if (store_get_facts(s->store, &facts, &err) < 0) {
		add(checks, "store", false, "g4l store check", "%s", err.text);
		return;
	}
	add(checks, "store", true, "", "%s: %llu snapshots, %llu chunks", s->config.store,
	    (unsigned long long)facts.snapshots, (unsigned long long)facts.chunks);
	if (s->config.store[0] == '/')
		check_folder(checks, "space", s->config.store);
}

static void check_boot_image(struct server *s, json_t *checks)
{
	static const char *const loaders[] = {"lpxelinux.0", "ldlinux.c32", "snponly.efi"};
	struct boot_image image;
	struct error err = {0};
	char path[300];
	int64_t days;

	if (boot_image_load(s->config.boot_dir, &image, &err) < 0) {
		add(checks, "boot image", false, "g4l bootimage build", "%s", err.text);
		return;
	}
	days = (clock_unix() - image.built) / 86400;
	add(checks, "boot image", days < BOOT_IMAGE_OLD_DAYS, "g4l bootimage build", "Linux %s, %lld days old%s",
	    image.kernel, (long long)days,
	    image.has_uefi_img ? "" : "; without uefi.img, so PCs with Secure Boot cannot boot it");
	for (size_t i = 0; i < sizeof loaders / sizeof loaders[0]; i++) {
		snprintf(path, sizeof path, "%s/tftp/%s", s->config.boot_dir, loaders[i]);
		if (access(path, R_OK) < 0)
			add(checks, "loaders", false, "g4l bootimage build", "%s is missing", path);
	}
}

static void check_network(struct server *s, json_t *checks)
{
	char names[CONFIG_MAX_INTERFACES * 17] = "";

	for (size_t i = 0; i < s->n_interfaces; i++)
		snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "", s->interfaces[i]);
	add(checks, "network", s->n_interfaces > 0, "set interface and address in the configuration",
	    "hosts reach us at %s; interfaces: %s", s->address, names[0] ? names : "none");
	add(checks, "ports", true, "", "HTTPS %u, HTTP %u, socket %s", s->https_port, s->http_port, s->config.socket);
	if (strcmp(s->config.netboot, "none") == 0)
		add(checks, "netboot", true, "", "netboot = none: hosts are neither woken nor booted by g4ld");
	else
		add(checks, "netboot", netboot_is_running(s->netboot),
		    "look at g4ld's log: it says why the boot service ended", "our own proxyDHCP and TFTP %s",
		    netboot_is_running(s->netboot) ? "run" : "do not run");
}

json_t *doctor_report(struct server *s)
{
	json_t *checks = json_array();
	char until[TEXT_SIZE_BYTES];
	int64_t days = (s->certificate_until - clock_unix()) / 86400;

	check_store(s, checks);
	check_folder(checks, "state", s->config.state_dir);
	if (strcmp(s->config.netboot, "none") != 0)
		check_boot_image(s, checks);
	check_network(s, checks);
	add(checks, "certificate", days > CERTIFICATE_LEFT_DAYS,
	    "remove the folder tls in the state folder and restart g4ld", "valid until %s",
	    text_time(s->certificate_until, until));
	add(checks, "pin", true, "", "%s", s->pin);
	return json_pack("{s:o}", "checks", checks);
}
