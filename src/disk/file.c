/*
 * Block devices and raw image files. A device opened for reading is set read-only in the kernel while it
 * is open and given back as it was found; nothing here ever creates, grows or shrinks a file.
 *
 * Two descriptors: one through the page cache, for everything; and, when asked for, one with O_DIRECT for the
 * requests that are aligned. What is not aligned goes through the cache; the kernel keeps both coherent.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "disk/identity.h"

#define CACHE_PAGE_BYTES 4096
#define BOUNCE_BYTES (1u << 20)
#define BOUNCE_ALIGNMENT 4096

struct file_disk {
	struct disk d;
	int direct_fd;	/* -1: everything through the page cache */
	uint32_t align; /* of direct requests: offset, length and address */
	bool is_block;
	bool made_read_only; /* we did, so we undo it */
};

static bool is_aligned(const struct file_disk *f, uint64_t value)
{
	return !(value & (f->align - 1));
}

/* Moves an aligned range through an aligned buffer of our own. */
static int direct_bounced(struct file_disk *f, void *in, const void *out, size_t len, uint64_t offset)
{
	size_t piece_max = len < BOUNCE_BYTES ? len : BOUNCE_BYTES;
	void *bounce;
	int rc = 0;

	if (posix_memalign(&bounce, BOUNCE_ALIGNMENT, piece_max))
		return -ENOMEM;
	for (size_t done = 0; done < len && !rc;) {
		size_t n = len - done < piece_max ? len - done : piece_max;

		if (in) {
			rc = io_pread_full(f->direct_fd, bounce, n, offset + done);
			if (!rc)
				memcpy((uint8_t *)in + done, bounce, n);
		} else {
			memcpy(bounce, (const uint8_t *)out + done, n);
			rc = io_pwrite_full(f->direct_fd, bounce, n, offset + done);
		}
		done += n;
	}
	free(bounce);
	return rc;
}

static int file_read(struct disk *d, void *buf, size_t len, uint64_t offset, struct error *err)
{
	struct file_disk *f = (struct file_disk *)d;
	int rc = -EINVAL;

	if (f->direct_fd >= 0 && is_aligned(f, offset) && is_aligned(f, len))
		rc = is_aligned(f, (uintptr_t)buf) ? io_pread_full(f->direct_fd, buf, len, offset)
						   : direct_bounced(f, buf, NULL, len, offset);
	/* -EINVAL: not aligned, or the file system below wants more than we know. */
	if (rc == -EINVAL)
		rc = io_pread_full(d->fd, buf, len, offset);
	if (rc == -ENODATA)
		return error_set(err, -EIO, "%s ends before byte %" PRIu64 ": it was cut while in use",
				 d->identity.path, offset + len);
	if (rc < 0)
		return error_errno(err, rc, "cannot read %zu bytes at byte %" PRIu64 " of %s", len, offset,
				   d->identity.path);
	return 0;
}

static int file_write(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err)
{
	struct file_disk *f = (struct file_disk *)d;
	int rc = -EINVAL;

	if (f->direct_fd >= 0 && is_aligned(f, offset) && is_aligned(f, len))
		rc = is_aligned(f, (uintptr_t)buf) ? io_pwrite_full(f->direct_fd, buf, len, offset)
						   : direct_bounced(f, NULL, buf, len, offset);
	if (rc == -EINVAL)
		rc = io_pwrite_full(d->fd, buf, len, offset);
	if (rc < 0)
		return error_errno(err, rc, "cannot write %zu bytes at byte %" PRIu64 " of %s", len, offset,
				   d->identity.path);
	return 0;
}

static int file_flush(struct disk *d, struct error *err)
{
	if (fsync(d->fd) < 0)
		return error_errno(err, errno, "cannot make what was written to %s durable", d->identity.path);
	return 0;
}

static int file_discard(struct disk *d, uint64_t offset, uint64_t length, struct error *err)
{
	struct file_disk *f = (struct file_disk *)d;
	uint64_t mask = d->sector_bytes - 1;
	uint64_t end = (offset + length) & ~mask, start = (offset + mask) & ~mask;
	uint64_t range[2] = {start, end - start};
	int rc;

	if (start >= end)
		return 0;
	rc = f->is_block
		     ? ioctl(d->fd, BLKDISCARD, range)
		     : fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start, (off_t)(end - start));
	if (rc < 0 && errno != EOPNOTSUPP && errno != ENOTTY && errno != ENOSYS)
		return error_errno(err, errno, "cannot discard %" PRIu64 " bytes at byte %" PRIu64 " of %s", length,
				   offset, d->identity.path);
	return 0;
}

static void file_drop_cache(struct disk *d, uint64_t offset, uint64_t length)
{
	uint64_t start = offset & ~(uint64_t)(CACHE_PAGE_BYTES - 1);
	uint64_t end = (offset + length + CACHE_PAGE_BYTES - 1) & ~(uint64_t)(CACHE_PAGE_BYTES - 1);

	/* Pages that are still to be written cannot be dropped. */
	if (!d->read_only)
		sync_file_range(d->fd, (off_t)start, (off_t)(end - start),
				SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	posix_fadvise(d->fd, (off_t)start, (off_t)(end - start), POSIX_FADV_DONTNEED);
}

static void file_close(struct disk *d)
{
	struct file_disk *f = (struct file_disk *)d;
	int off = 0;

	if (f->made_read_only && ioctl(d->fd, BLKROSET, &off) < 0)
		log_warning("%s stays read-only in the kernel: %s", d->identity.path, error_name(-errno));
	if (f->direct_fd >= 0)
		close(f->direct_fd);
	if (d->fd >= 0)
		close(d->fd);
	free(f);
}

static const struct disk_ops file_ops = {
	.name = "file",
	.read = file_read,
	.write = file_write,
	.flush = file_flush,
	.discard = file_discard,
	.drop_cache = file_drop_cache,
	.close = file_close,
};

static int open_failed(const char *path, unsigned flags, int code, struct error *err)
{
	if (code == EBUSY)
		return error_set(err, -EBUSY, "%s is in use: unmount what is on it, and stop what uses it", path);
	if ((code == EACCES || code == EPERM) && (flags & DISK_WRITE))
		return error_errno(err, code, "cannot open %s for writing, which needs root", path);
	return error_errno(err, code, "cannot open %s", path);
}

/* Opens the descriptor through the page cache. *alone: nobody else claims the device. */
static int open_main(struct file_disk *f, const char *path, unsigned flags, bool *alone, struct error *err)
{
	int mode = (flags & DISK_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY;
	struct stat before, st;

	*alone = false;
	if (stat(path, &before) < 0)
		return open_failed(path, flags, errno, err);
	f->is_block = S_ISBLK(before.st_mode);
	if (!f->is_block && !S_ISREG(before.st_mode))
		return error_set(err, -EINVAL, "%s is neither a block device nor an image file", path);
	/* O_EXCL without O_CREAT claims a block device: it fails while the device or a part of it is mounted. */
	f->d.fd = open(path, f->is_block ? mode | O_EXCL : mode);
	*alone = f->d.fd >= 0;
	if (f->d.fd < 0 && errno == EBUSY && !(flags & DISK_EXCLUSIVE))
		f->d.fd = open(path, mode);
	if (f->d.fd < 0)
		return open_failed(path, flags, errno, err);
	if (fstat(f->d.fd, &st) < 0 || st.st_dev != before.st_dev || st.st_ino != before.st_ino ||
	    st.st_rdev != before.st_rdev)
		return error_set(err, -EINVAL, "%s changed while it was opened, try again", path);
	return 0;
}

/* The kernel lets a device that is set read-only be opened for writing, and refuses each write. */
static int check_writable(const struct file_disk *f, const char *path, struct error *err)
{
	int ro = 0;

	if (f->is_block && !ioctl(f->d.fd, BLKROGET, &ro) && ro)
		return error_set(
			err, -EROFS,
			"%s is set read-only; when it is no write-protected medium, blockdev --setrw %s undoes that",
			path, path);
	return 0;
}

static int read_geometry(struct file_disk *f, const char *path, uint32_t sector_bytes, struct error *err)
{
	int logical = 0;
	struct stat st;

	f->d.sector_bytes = sector_bytes ? sector_bytes : 512;
	if (fstat(f->d.fd, &st) < 0)
		return error_errno(err, errno, "cannot get the size of %s", path);
	f->d.size_bytes = (uint64_t)st.st_size;
	if (f->is_block) {
		if (ioctl(f->d.fd, BLKGETSIZE64, &f->d.size_bytes) < 0 || ioctl(f->d.fd, BLKSSZGET, &logical) < 0)
			return error_errno(err, errno, "cannot get the size of %s", path);
		if (sector_bytes && sector_bytes != (uint32_t)logical)
			return error_set(err, -EINVAL, "%s has sectors of %d bytes, not %" PRIu32, path, logical,
					 sector_bytes);
		f->d.sector_bytes = (uint32_t)logical;
	}
	if (f->d.sector_bytes < 512 || f->d.sector_bytes > 65536 || f->d.sector_bytes & (f->d.sector_bytes - 1))
		return error_set(err, -EINVAL, "%s: sectors of %" PRIu32 " bytes are not supported", path,
				 f->d.sector_bytes);
	if (!f->d.size_bytes)
		return error_set(err, -EINVAL, "%s is empty: it has no medium, or the image has size 0", path);
	return 0;
}

/* Guards a device that is opened for reading. A device that somebody uses stays as it is: taking the right to write
 * away from a mounted file system would damage it. */
static void make_read_only(struct file_disk *f, bool alone)
{
	const char *path = f->d.identity.path;
	int on = 1, was = 0;

	if (!f->is_block)
		return;
	if (!alone) {
		log_warning("%s is in use: it is not set read-only, and what is read may change meanwhile", path);
		return;
	}
	if (ioctl(f->d.fd, BLKROGET, &was) == 0 && was)
		return;
	if (ioctl(f->d.fd, BLKROSET, &on) < 0)
		log_warning("cannot set %s read-only in the kernel: %s", path, error_name(-errno));
	else
		f->made_read_only = true;
}

/* Direct access is a matter of speed only: where it does not work, everything goes through the cache. */
static void open_direct(struct file_disk *f, const char *path, unsigned flags)
{
	int mode = (flags & DISK_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_DIRECT;
	struct stat a, b;

	f->align = f->is_block ? f->d.sector_bytes : 512;
	f->direct_fd = open(path, mode);
	if (f->direct_fd < 0)
		return;
	if (fstat(f->d.fd, &a) < 0 || fstat(f->direct_fd, &b) < 0 || a.st_dev != b.st_dev || a.st_ino != b.st_ino ||
	    a.st_rdev != b.st_rdev) {
		close(f->direct_fd);
		f->direct_fd = -1;
	}
}

/* Only a whole disk has an identity: a partition must not be taken for the disk that it lies on. */
static void read_identity(struct file_disk *f)
{
	char link[64], dir[4096], path[4200];
	const char *name;
	struct stat st;

	if (!f->is_block) {
		strcpy(f->d.identity.bus, "file");
		return;
	}
	if (fstat(f->d.fd, &st) < 0)
		return;
	snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (!realpath(link, dir))
		return;
	snprintf(path, sizeof path, "%s/partition", dir);
	name = strrchr(dir, '/');
	if (name && !identity_number(path, 0))
		identity_read(dir, name + 1, &f->d.identity);
}

int disk_open_file(const char *path, unsigned flags, uint32_t sector_bytes, struct disk **out, struct error *err)
{
	struct file_disk *f = calloc(1, sizeof *f);
	bool alone;
	int rc;

	*out = NULL;
	if (!f)
		return error_set(err, -ENOMEM, "no memory to open %s", path);
	f->d.ops = &file_ops;
	f->d.fd = f->direct_fd = -1;
	f->d.read_only = !(flags & DISK_WRITE);
	snprintf(f->d.identity.path, sizeof f->d.identity.path, "%s", path);
	rc = open_main(f, path, flags, &alone, err);
	if (!rc && !f->d.read_only)
		rc = check_writable(f, path, err);
	if (!rc)
		rc = read_geometry(f, path, sector_bytes, err);
	if (rc < 0) {
		file_close(&f->d);
		return rc;
	}
	if (f->d.read_only)
		make_read_only(f, alone);
	if (flags & DISK_DIRECT)
		open_direct(f, path, flags);
	read_identity(f);
	*out = &f->d;
	return 0;
}
