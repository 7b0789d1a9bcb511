/*
 * Plain HTTP for firmware and loaders: /boot/NONCE/OBJECT and nothing else. Whoever knows the nonce of an armed host
 * gets what that host boots; the nonce is forgotten when the host's agent has said hello.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netboot/menu.h"
#include "server/api.h"
#include "server/api_parse.h"
#include "server/arming.h"
#include "server/boot_image.h"
#include "server/conductor.h"

#define GRUB_LINUX "/linux"
#define GRUB_INITRD "/initrd"

static void not_found(struct http_reply *reply)
{
	reply->status = 404;
	reply->type = "text/plain";
	buf_printf(&reply->body, "not found\n");
}

static void failed(struct http_reply *reply, int64_t job, const struct error *err)
{
	log_error("job %lld: boot file: %s", (long long)job, err->text);
	reply->status = 500;
	reply->type = "text/plain";
	buf_printf(&reply->body, "failed\n");
}

/* Opens a file and puts the part that the Range header asks for into the reply. */
static int send_file(const struct http_request *q, const struct boot_file *f, struct http_file **file,
		     struct http_reply *reply, struct error *err)
{
	struct http_file *h = calloc(1, sizeof *h);
	int range;

	*file = NULL;
	if (!h)
		return error_set(err, -ENOMEM, "out of memory");
	h->fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (h->fd < 0) {
		free(h);
		return error_errno(err, errno, "cannot open %s", f->path);
	}
	h->length = f->bytes;
	range = api_range(q->range, f->bytes, &h->begin, &h->length);
	reply->type = "application/octet-stream";
	reply->accept_ranges = true;
	if (range == -ERANGE) {
		http_file_free(h);
		reply->status = 416;
		snprintf(reply->content_range, sizeof reply->content_range, "bytes */%llu",
			 (unsigned long long)f->bytes);
		return 0;
	}
	if (range == 0) {
		reply->status = 206;
		snprintf(reply->content_range, sizeof reply->content_range, "bytes %llu-%llu/%llu",
			 (unsigned long long)h->begin, (unsigned long long)(h->begin + h->length - 1),
			 (unsigned long long)f->bytes);
	}
	reply->file = h;
	*file = h;
	return 0;
}

/* The FAT image with this arming's grub.cfg in its place, filled up with newlines. */
static int send_uefi(const struct http_request *q, const struct boot_image *image, const struct netboot_arming *a,
		     struct http_reply *reply, struct error *err)
{
	struct buf menu = {0};
	struct http_file *file;
	int r = menu_grub(a, GRUB_LINUX, GRUB_INITRD, &menu, err);

	if (r == 0 && menu.len > image->grub_cfg_bytes)
		r = error_set(err, -ERR_USAGE, "grub.cfg of %zu bytes does not fit its place of %llu bytes in uefi.img",
			      menu.len, (unsigned long long)image->grub_cfg_bytes);
	while (r == 0 && menu.len < image->grub_cfg_bytes && !menu.failed)
		buf_put_u8(&menu, '\n');
	if (r == 0 && menu.failed)
		r = error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = send_file(q, &image->uefi_img, &file, reply, err);
	if (r == 0 && file) {
		file->patch_at = image->grub_cfg_offset;
		file->patch = menu;
		menu = (struct buf){0};
	}
	buf_free(&menu);
	return r;
}

static int send_object(struct server *s, const struct http_request *q, const char *object,
		       const struct netboot_arming *a, struct http_reply *reply, struct error *err)
{
	struct boot_image image;
	struct http_file *file;
	int r;

	if (strcmp(object, "boot.ipxe") == 0) {
		reply->type = "text/plain";
		return menu_ipxe(a, &reply->body, err);
	}
	r = boot_image_load(s->config.boot_dir, &image, err);
	if (r < 0)
		return r;
	if (strcmp(object, "linux") == 0)
		return send_file(q, &image.linux_file, &file, reply, err);
	if (strcmp(object, "initrd") == 0)
		return send_file(q, &image.initrd, &file, reply, err);
	if (strcmp(object, "uefi.img") == 0 && image.has_uefi_img)
		return send_uefi(q, &image, a, reply, err);
	not_found(reply);
	return 0;
}

void api_boot(void *arg, const struct http_request *q, struct http_reply *reply)
{
	struct server *s = arg;
	struct netboot_arming a;
	struct arming arming;
	struct error err = {0};
	struct boot_path path;
	struct job j;
	char text[128];

	if (strcmp(q->method, "GET") != 0 && strcmp(q->method, "HEAD") != 0) {
		reply->status = 405;
		return;
	}
	if (api_boot_path(q->path, &path) < 0 || jobs_arming_of_nonce(s->db, path.nonce, &arming) < 0 ||
	    jobs_get(s->db, arming.job, &j, NULL) < 0) {
		not_found(reply);
		return;
	}
	arming_describe(s, &j, &arming, &a);
	job_clear(&j);
	if (send_object(s, q, path.object, &a, reply, &err) < 0) {
		failed(reply, arming.job, &err);
		return;
	}
	/* Loaders fetch pieces: only the first is worth a line. */
	if (strcmp(q->method, "GET") == 0 && (!reply->status || (reply->file && reply->file->begin == 0))) {
		snprintf(text, sizeof text, "%s fetches %s", a.host, path.object);
		conductor_boot_step(s, arming.job, text);
	}
}
