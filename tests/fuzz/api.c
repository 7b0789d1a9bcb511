/*
 * The parsers of requests to g4ld: paths, ranges, bodies, configuration and manifest. The first byte chooses the
 * parser. What is accepted must keep its own promises.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "server/api_parse.h"
#include "server/boot_image.h"
#include "server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool promise)
{
	if (!promise)
		abort();
}

static void admin_path(const char *text)
{
	struct admin_path p;

	if (api_admin_path(text, &p, NULL) == 0) {
		check(p.route != ADMIN_NONE);
		check((p.route != ADMIN_HOST && p.route != ADMIN_SCREEN) || text_is_name(p.host));
		check((p.route != ADMIN_JOB && p.route != ADMIN_JOB_LOG && p.route != ADMIN_JOB_CANCEL) || p.job > 0);
	}
}

static void boot_path(const char *text)
{
	struct boot_path p;

	if (api_boot_path(text, &p) == 0)
		check(strlen(p.nonce) == 32 && p.object[0] && !strchr(p.object, '/'));
}

static void range(const char *text, size_t size)
{
	uint64_t begin = 0, length = 0;
	uint64_t of = size & 1 ? UINT64_MAX : size * 7;

	if (api_range(text, of, &begin, &length) == 0)
		check(length > 0 && begin < of && length <= of - begin);
}

static void host_body(const uint8_t *data, size_t size)
{
	struct host h;
	struct error err = {0};

	if (api_host_body(data, size, &h, &err) == 0) {
		check(text_is_name(h.name) && h.n_macs >= 1 && h.n_macs <= HOST_MAX_MACS &&
		      host_after_is_known(h.after));
		for (size_t i = 0; i < h.n_macs; i++)
			check(strlen(h.macs[i]) == 17);
	} else {
		check(err.code < 0 && err.text[0]);
	}
}

static void job_body(const uint8_t *data, size_t size)
{
	struct job_request q;
	struct error err = {0};

	if (api_job_body(data, size, &q, &err) == 0) {
		check(text_is_name(q.host) && q.kind < JOB_KINDS);
		check(q.kind != JOB_RESTORE || q.yes);
		check(q.tags[0] == '[');
	} else {
		check(err.code < 0 && err.text[0]);
	}
}

static void configuration(const char *text)
{
	struct config c;
	struct error err = {0};

	if (config_parse(text, "fuzz", &c, &err) == 0) {
		check(c.boot_timeout_s >= 1 && c.https_port <= 65535);
		check(c.state_dir[0] == '/');
	} else {
		check(err.code < 0 && err.text[0]);
	}
}

static void manifest(const char *text, size_t size)
{
	struct boot_image b;

	if (boot_image_parse(text, size, "/boot", &b, NULL) == 0 && b.has_uefi_img)
		check(b.grub_cfg_offset <= b.uefi_img.bytes &&
		      b.grub_cfg_bytes <= b.uefi_img.bytes - b.grub_cfg_offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	/* Paths, headers and files arrive as strings. */
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 7) {
	case 0:
		admin_path(text);
		break;
	case 1:
		boot_path(text);
		break;
	case 2:
		range(text, size);
		break;
	case 3:
		host_body(data + 1, size - 1);
		break;
	case 4:
		job_body(data + 1, size - 1);
		break;
	case 5:
		configuration(text);
		break;
	case 6:
		manifest(text, size - 1);
		break;
	}
	free(text);
	return 0;
}
