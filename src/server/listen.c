/* Listening sockets, with sentences for what goes wrong. */
#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "server/http.h"

#define BACKLOG 256

int http_listen_tcp(const char *address, unsigned port, unsigned *bound, struct error *err)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	socklen_t len = sizeof a;
	int one = 1, r, fd;

	if (address[0] && inet_pton(AF_INET, address, &a.sin_addr) != 1)
		return error_set(err, -ERR_USAGE, "\"%s\" is not an IPv4 address", address);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(err, errno, "cannot open a socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
		r = error_errno(err, errno, "cannot listen on port %u of %s", port,
				address[0] ? address : "this machine");
		close(fd);
		return r;
	}
	*bound = ntohs(a.sin_port);
	return fd;
}

/* Gives the socket to the group before anybody may connect. */
static int set_group(const char *path, const char *group, struct error *err)
{
	const struct group *g;

	if (!group[0])
		return 0;
	g = getgrnam(group);
	if (!g)
		return error_set(err, -ERR_USAGE, "socket_group: there is no group \"%s\"", group);
	if (chown(path, (uid_t)-1, g->gr_gid) < 0)
		return error_errno(err, errno, "cannot give %s to the group %s", path, group);
	return 0;
}

/* A socket file that an earlier run left. -EADDRINUSE when somebody listens on it. */
static int clear_old(const struct sockaddr_un *a, struct error *err)
{
	struct stat st;
	int fd, r;

	if (lstat(a->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, -EEXIST, "%s exists and is not a socket", a->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(err, errno, "cannot open a socket");
	r = connect(fd, (const struct sockaddr *)a, sizeof *a);
	close(fd);
	if (r == 0)
		return error_set(err, -EADDRINUSE, "another g4ld listens on %s already", a->sun_path);
	if (unlink(a->sun_path) < 0)
		return error_errno(err, errno, "cannot remove the old %s", a->sun_path);
	return 0;
}

int http_listen_unix(const char *path, const char *group, struct error *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char dir[sizeof a.sun_path];
	mode_t mask;
	int fd, r;

	if (strlen(path) >= sizeof a.sun_path)
		return error_set(err, -ERR_USAGE, "the path of the socket is too long: %s", path);
	memcpy(a.sun_path, path, strlen(path));
	snprintf(dir, sizeof dir, "%s", path);
	if (strrchr(dir, '/') > dir) {
		*strrchr(dir, '/') = '\0';
		r = io_make_dirs(dir, 0755, err);
		if (r < 0)
			return r;
	}
	r = clear_old(&a, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(err, errno, "cannot open a socket");
	mask = umask(0117);
	r = bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ? error_errno(err, errno, "cannot make the socket %s", path)
							  : 0;
	umask(mask);
	if (r == 0)
		r = set_group(path, group, err);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = error_errno(err, errno, "cannot listen on %s", path);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}
