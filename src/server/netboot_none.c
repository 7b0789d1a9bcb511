/*
 * The netboot implementation that boots nobody: for sites that start their hosts in another way, and for tests. The
 * kernel command line lies in STATE/armed/MAC.cmdline, readable by root only, as long as the host is armed.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "server/arming.h"

struct none {
	struct netboot netboot;
	char dir[256];
};

static void path_of(const struct none *n, const uint8_t mac[NETBOOT_MAC_BYTES], char to[300])
{
	char text[NETBOOT_MAC_TEXT];

	snprintf(to, 300, "%s/%s.cmdline", n->dir, netboot_mac_format(mac, text));
}

static int none_arm(struct netboot *nb, const struct netboot_arming *a, struct error *err)
{
	const struct none *n = (const struct none *)nb;
	char path[300], line[2048];
	int len = snprintf(line, sizeof line, "%s g4l.base=%s\n", a->cmdline, a->base);

	path_of(n, a->mac, path);
	return io_replace_file(path, line, (size_t)len, 0600, err);
}

static int none_disarm(struct netboot *nb, const uint8_t mac[NETBOOT_MAC_BYTES], struct error *err)
{
	const struct none *n = (const struct none *)nb;
	char path[300];

	path_of(n, mac, path);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot remove %s", path);
	return 0;
}

static int none_recover(struct netboot *nb, struct error *err)
{
	const struct none *n = (const struct none *)nb;
	struct dirent *e;
	DIR *d = opendir(n->dir);
	int r = 0;

	if (!d)
		return error_errno(err, errno, "cannot read %s", n->dir);
	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (len > 8 && strcmp(e->d_name + len - 8, ".cmdline") == 0 && unlinkat(dirfd(d), e->d_name, 0) < 0)
			r = error_errno(err, errno, "cannot remove %s/%s", n->dir, e->d_name);
	}
	closedir(d);
	return r;
}

static int none_event_fd(struct netboot *nb)
{
	return -1;
}

static void none_close(struct netboot *nb)
{
	free(nb);
}

static const struct netboot_ops none_ops = {
	.name = "none",
	.arm = none_arm,
	.disarm = none_disarm,
	.recover = none_recover,
	.event_fd = none_event_fd,
	.close = none_close,
};

int netboot_open_none(const char *state_dir, struct netboot **out, struct error *err)
{
	struct none *n = calloc(1, sizeof *n);
	int r;

	if (!n)
		return error_set(err, -ENOMEM, "out of memory");
	snprintf(n->dir, sizeof n->dir, "%s/armed", state_dir);
	r = io_make_dirs(n->dir, 0700, err);
	if (r < 0) {
		free(n);
		return r;
	}
	netboot_init(&n->netboot, &none_ops);
	*out = &n->netboot;
	return 0;
}
