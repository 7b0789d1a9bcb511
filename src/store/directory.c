/*
 * A store in a folder. An object is a file of the same name; it is written under tmp/ first, synced, and then takes its
 * name, so that a reader sees all of it or nothing and a power loss leaves the same. Never follows a name out of the
 * folder: every path is opened relative to the folder's descriptor, and the choke point has checked the name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "store/backend.h"

#define TMP_NAME_BYTES 48
#define LIST_MAX_DEPTH 8

struct directory {
	struct store_backend backend;
	int fd;
};

static struct directory *directory_of(struct store_backend *b)
{
	return (struct directory *)((char *)b - offsetof(struct directory, backend));
}

/* fsync of the folder that holds name. */
static int sync_parent(struct directory *d, const char *name)
{
	const char *slash = strrchr(name, '/');
	char parent[256] = ".";
	int fd, r = 0;

	if (slash)
		snprintf(parent, sizeof parent, "%.*s", (int)(slash - name), name);
	fd = openat(d->fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* Makes the folders above name, each durable in its parent. */
static int make_parents(struct directory *d, const char *name)
{
	char part[256];
	int r;

	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
		if (mkdirat(d->fd, part, 0700) < 0 && errno != EEXIST)
			return -errno;
		r = sync_parent(d, part);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_tmp(struct directory *d, char name[TMP_NAME_BYTES])
{
	uint8_t nonce[16];
	char hex[2 * sizeof nonce + 1];
	int fd, r;

	io_random(nonce, sizeof nonce);
	snprintf(name, TMP_NAME_BYTES, "tmp/%s", text_hex(nonce, sizeof nonce, hex));
	fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == ENOENT) {
		r = make_parents(d, name);
		if (r < 0)
			return r;
		fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	return fd < 0 ? -errno : fd;
}

/* A synced temporary file with the pieces. On failure nothing is left. */
static int write_tmp(struct directory *d, const struct buf *pieces, size_t n, char name[TMP_NAME_BYTES])
{
	int fd = open_tmp(d, name), r = 0;

	if (fd < 0)
		return fd;
	for (size_t i = 0; i < n && r == 0; i++)
		r = io_write_full(fd, pieces[i].data, pieces[i].len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r < 0)
		unlinkat(d->fd, name, 0);
	return r;
}

static int directory_put(struct store_backend *b, const char *name, const struct buf *pieces, size_t n,
			 struct error *err)
{
	struct directory *d = directory_of(b);
	char tmp[TMP_NAME_BYTES];
	int r = write_tmp(d, pieces, n, tmp);

	if (r < 0)
		return error_errno(err, r, "cannot write %s/%s", b->location, name);
	if (renameat(d->fd, tmp, d->fd, name) < 0) {
		r = errno == ENOENT ? make_parents(d, name) : -errno;
		if (r == 0 && renameat(d->fd, tmp, d->fd, name) < 0)
			r = -errno;
	}
	if (r < 0)
		unlinkat(d->fd, tmp, 0);
	else
		r = sync_parent(d, name);
	return r < 0 ? error_errno(err, r, "cannot write %s/%s", b->location, name) : 0;
}

/* link(2) fails when the name is taken, whoever else tries at the same moment. */
static int directory_create(struct store_backend *b, const char *name, const void *data, size_t len, struct error *err)
{
	struct directory *d = directory_of(b);
	struct buf piece = {.data = (uint8_t *)data, .len = len};
	char tmp[TMP_NAME_BYTES];
	int r = write_tmp(d, &piece, 1, tmp);

	if (r < 0)
		return error_errno(err, r, "cannot create %s/%s", b->location, name);
	if (linkat(d->fd, tmp, d->fd, name, 0) < 0) {
		r = errno == ENOENT ? make_parents(d, name) : -errno;
		if (r == 0 && linkat(d->fd, tmp, d->fd, name, 0) < 0)
			r = -errno;
	}
	unlinkat(d->fd, tmp, 0);
	if (r == 0)
		r = sync_parent(d, name);
	if (r == -EEXIST)
		return error_set(err, r, "%s/%s is there already", b->location, name);
	return r < 0 ? error_errno(err, r, "cannot create %s/%s", b->location, name) : 0;
}

static int directory_get(struct store_backend *b, const char *name, uint64_t offset, void *to, size_t len,
			 struct error *err)
{
	struct directory *d = directory_of(b);
	int fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return error_errno(err, errno, "cannot open %s/%s", b->location, name);
	r = io_pread_full(fd, to, len, offset);
	close(fd);
	if (r == -ENODATA)
		return error_set(err, -ERANGE, "%s/%s ends before byte %llu", b->location, name,
				 (unsigned long long)(offset + len));
	return r < 0 ? error_errno(err, r, "cannot read %s/%s", b->location, name) : 0;
}

static int directory_size(struct store_backend *b, const char *name, uint64_t *size_bytes, struct error *err)
{
	struct directory *d = directory_of(b);
	struct stat st;

	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "cannot find %s/%s", b->location, name);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "%s/%s is not a file", b->location, name);
	*size_bytes = (uint64_t)st.st_size;
	return 0;
}

struct listing {
	struct directory *d;
	const char *prefix;
	store_backend_list_fn *fn;
	void *arg;
	struct error *err;
};

static int list_folder(struct listing *l, const char *folder, int depth);

static int list_entry(struct listing *l, int fd, const char *folder, const char *entry, int depth)
{
	size_t prefix_bytes = strlen(l->prefix);
	char name[256];
	struct stat st;
	size_t n, common;

	if (entry[0] == '.')
		return 0;
	n = (size_t)snprintf(name, sizeof name, "%s%s%s", folder, *folder ? "/" : "", entry);
	if (n >= sizeof name)
		return 0;
	common = n < prefix_bytes ? n : prefix_bytes;
	if (memcmp(name, l->prefix, common) != 0)
		return 0;
	if (fstatat(fd, entry, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_errno(l->err, errno, "cannot look at %s", name);
	if (S_ISDIR(st.st_mode) && (n >= prefix_bytes || l->prefix[n] == '/'))
		return depth < LIST_MAX_DEPTH ? list_folder(l, name, depth + 1) : 0;
	if (!S_ISREG(st.st_mode) || n < prefix_bytes)
		return 0;
	return l->fn(l->arg, name, (uint64_t)st.st_size);
}

static int list_folder(struct listing *l, const char *folder, int depth)
{
	int fd = openat(l->d->fd, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	const struct dirent *e;
	DIR *dir;
	int r = 0;

	if (fd < 0)
		return errno == ENOENT
			       ? 0
			       : error_errno(l->err, errno, "cannot list %s/%s", l->d->backend.location, folder);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return error_errno(l->err, ENOMEM, "cannot list %s/%s", l->d->backend.location, folder);
	}
	for (errno = 0; r == 0 && (e = readdir(dir)); errno = 0)
		r = list_entry(l, fd, folder, e->d_name, depth);
	if (r == 0 && errno)
		r = error_errno(l->err, errno, "cannot list %s/%s", l->d->backend.location, folder);
	closedir(dir);
	return r;
}

static int directory_list(struct store_backend *b, const char *prefix, store_backend_list_fn *fn, void *arg,
			  struct error *err)
{
	struct listing l = {.d = directory_of(b), .prefix = prefix, .fn = fn, .arg = arg, .err = err};
	const char *slash = strrchr(prefix, '/');
	char folder[256] = "";

	if (slash)
		snprintf(folder, sizeof folder, "%.*s", (int)(slash - prefix), prefix);
	return list_folder(&l, folder, 0);
}

static int directory_remove(struct store_backend *b, const char *name, struct error *err)
{
	struct directory *d = directory_of(b);
	int r;

	if (unlinkat(d->fd, name, 0) < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot delete %s/%s", b->location, name);
	r = sync_parent(d, name);
	return r < 0 ? error_errno(err, r, "cannot delete %s/%s", b->location, name) : 0;
}

static void directory_close(struct store_backend *b)
{
	struct directory *d = directory_of(b);

	close(d->fd);
	free(d);
}

static const struct store_backend_ops directory_ops = {
	.name = "directory",
	.put = directory_put,
	.create = directory_create,
	.get = directory_get,
	.size = directory_size,
	.list = directory_list,
	.remove = directory_remove,
	.close = directory_close,
};

int store_directory_open(const char *path, int create_dir, struct store_backend **out, struct error *err)
{
	struct directory *d;

	if (strlen(path) >= sizeof d->backend.location)
		return error_set(err, -ENAMETOOLONG, "the name of the store's folder is too long: %.100s…", path);
	if (create_dir && io_make_dirs(path, 0700, err) < 0)
		return err && err->code ? err->code : -EIO;
	d = calloc(1, sizeof *d);
	if (!d)
		return error_errno(err, ENOMEM, "cannot open the store %s", path);
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0) {
		free(d);
		return error_set(err, -ERR_UNREACHABLE, "cannot open the store %s: %s", path, strerror(errno));
	}
	d->backend.ops = &directory_ops;
	snprintf(d->backend.location, sizeof d->backend.location, "%s", path);
	*out = &d->backend;
	return 0;
}
