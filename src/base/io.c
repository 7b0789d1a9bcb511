#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

int io_pread_full(int fd, void *buf, size_t len, uint64_t offset)
{
	uint8_t *at = buf;

	while (len) {
		ssize_t n = pread(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int io_pwrite_full(int fd, const void *buf, size_t len, uint64_t offset)
{
	const uint8_t *at = buf;

	while (len) {
		ssize_t n = pwrite(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int io_write_full(int fd, const void *buf, size_t len)
{
	const uint8_t *at = buf;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_read_file(const char *path, size_t max, struct buf *out, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", path);
	for (size_t got = 0;;) {
		uint8_t *to;
		ssize_t n;

		if (buf_reserve(out, 65536) < 0) {
			r = error_errno(err, ENOMEM, "cannot read %s", path);
			break;
		}
		to = out->data + out->len;
		n = read(fd, to, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = error_errno(err, errno, "cannot read %s", path);
		if (n <= 0)
			break;
		got += (size_t)n;
		if (got > max) {
			r = error_errno(err, EFBIG, "%s is larger than the %zu bytes expected", path, max);
			break;
		}
		out->len += (size_t)n;
	}
	close(fd);
	return r;
}

int io_sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	int fd, r = 0;

	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	free(dir);
	return r;
}

int io_replace_file(const char *path, const void *data, size_t len, unsigned mode, struct error *err)
{
	uint8_t nonce[8];
	char hex[2 * sizeof nonce + 1];
	char *tmp = NULL;
	int fd = -1, r;

	io_random(nonce, sizeof nonce);
	if (asprintf(&tmp, "%s.new-%s", path, text_hex(nonce, sizeof nonce, hex)) < 0)
		return error_errno(err, ENOMEM, "cannot write %s", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0) {
		r = error_errno(err, errno, "cannot create %s", tmp);
		free(tmp);
		return r;
	}
	r = io_write_full(fd, data, len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(tmp);
	else
		r = io_sync_parent(path);
	free(tmp);
	return r < 0 ? error_errno(err, r, "cannot write %s", path) : 0;
}

int io_make_dirs(const char *path, unsigned mode, struct error *err)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof part)
		return error_set(err, -ENAMETOOLONG, "the folder name '%.60s…' is too long or empty", path);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return error_errno(err, errno, "cannot make the folder %s", part);
	}
	return 0;
}

void io_random(void *to, size_t n)
{
	uint8_t *at = to;

	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			abort(); /* no random source: nothing safe can be done */
		at += got;
		n -= (size_t)got;
	}
}
