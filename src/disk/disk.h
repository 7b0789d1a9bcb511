/*
 * Disks: where bytes are read and written. A struct disk is a device, an image file, a piece of memory,
 * or a wrapper around another disk (read-only guard, fault injection). The functions here are the choke
 * point: they check ranges, count, and turn short transfers into errors, so that implementations stay
 * naive. Any number of threads may read one disk at once; writes to ranges that do not overlap too.
 */
#ifndef G4L_DISK_DISK_H
#define G4L_DISK_DISK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct disk;

struct disk_ops {
	const char *name; /* "file", "memory", "read-only" … for messages */
	/* The range was checked. 0, or -errno with the sentence in err. len is never 0. */
	int (*read)(struct disk *d, void *buf, size_t len, uint64_t offset, struct error *err);
	int (*write)(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err);
	/* Makes everything written durable. */
	int (*flush)(struct disk *d, struct error *err);
	/* Tells the disk that the range is not needed: it may keep it, or read as anything afterwards. May be NULL. */
	int (*discard)(struct disk *d, uint64_t offset, uint64_t length, struct error *err);
	/* Forgets cached copies of the range, so that the next read comes from the medium. May be NULL. */
	void (*drop_cache)(struct disk *d, uint64_t offset, uint64_t length);
	void (*close)(struct disk *d);
};

/* What tells this disk from others. Empty strings where unknown. */
struct disk_identity {
	char path[256]; /* "/dev/sda", "sda.img" */
	char model[64];
	char serial[64];
	char wwn[64]; /* "0x5000c500a1b2c3d4", "eui.0025…" */
	char bus[16]; /* "sata", "nvme", "virtio", "usb", "file" … */
};

/* Embedded as the first member of each implementation's own struct. */
struct disk {
	const struct disk_ops *ops;
	uint64_t size_bytes;
	uint32_t sector_bytes; /* logical sector size: 512 or 4096; 512 for image files unless told otherwise */
	bool read_only;	       /* writes are refused at the choke point */
	int fd;		       /* for libblkid and ioctls by the disk and layout rooms only; -1 where there is none */
	struct disk_identity identity;
	_Atomic uint64_t read_bytes, written_bytes; /* counted at the choke point */
};

enum disk_open_flags {
	DISK_WRITE = 1,	    /* for writing; default is reading only, with BLKROSET on block devices */
	DISK_DIRECT = 2,    /* O_DIRECT where it works */
	DISK_EXCLUSIVE = 4, /* fail when the device is mounted or in use */
};

/* Opens a block device or a raw image file. sector_bytes: 0 takes the device's own, or 512 for files.
 * A device opened without DISK_WRITE is set read-only in the kernel until it is closed, except where somebody else
 * uses it (a mounted file system would break): that gives a warning in the log. Opening claims the device either way,
 * so nobody mounts it meanwhile; with DISK_EXCLUSIVE a claim of somebody else is an error. 0, -ENOENT, -EBUSY, -EACCES,
 * -EROFS (writing to a device that is set read-only), -EINVAL (neither device nor file, size 0) … The caller closes
 * *out. */
int disk_open_file(const char *path, unsigned flags, uint32_t sector_bytes, struct disk **out, struct error *err);

/* A disk in memory of its own, zeros at first. 0 or -ENOMEM. */
int disk_open_memory(uint64_t size_bytes, uint32_t sector_bytes, struct disk **out, struct error *err);
/* Over bytes that the caller keeps alive and unchanged; read-only. */
int disk_open_bytes(const void *bytes, uint64_t size_bytes, uint32_t sector_bytes, struct disk **out,
		    struct error *err);

/* A disk around `under` that refuses writes and discards with -EROFS. Owns `under` only after success. */
int disk_wrap_read_only(struct disk *under, struct disk **out, struct error *err);

/* What a fault disk does wrong; all counts start at 1, 0 means never. */
struct disk_faults {
	uint64_t fail_read_at, fail_read_bytes;	  /* reads that touch this range give -EIO */
	uint64_t fail_write_at, fail_write_bytes; /* writes likewise */
	uint64_t fail_nth_read, fail_nth_write;	  /* the n-th call gives -EIO */
	uint64_t corrupt_nth_write;		  /* the n-th write stores one flipped bit and says nothing */
	uint64_t full_after_bytes;		  /* writes beyond this sum give -ENOSPC */
};
/* A disk around `under` with faults. Owns `under` only after success. */
int disk_wrap_faults(struct disk *under, const struct disk_faults *faults, struct disk **out, struct error *err);

/* Reads exactly len bytes. 0; -ERANGE beyond the end; -EIO and other -errno from below. */
int disk_read(struct disk *d, void *buf, size_t len, uint64_t offset, struct error *err);
/* Writes exactly len bytes. As disk_read(), and -EROFS. */
int disk_write(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err);
int disk_flush(struct disk *d, struct error *err);
/* 0 also where the disk cannot discard. */
int disk_discard(struct disk *d, uint64_t offset, uint64_t length, struct error *err);
void disk_drop_cache(struct disk *d, uint64_t offset, uint64_t length);
/* NULL is fine. */
void disk_close(struct disk *d);

/* Every whole disk of this machine (no partitions, loop, ram, zram, optical, empty or removable-without-medium
 * ones), by /sys/block, with size, sector size and identity filled in; sorted by path. The caller frees
 * *list. root: normally "/"; tests give a made-up tree. 0 or -errno. */
struct disk_found {
	struct disk_identity identity;
	uint64_t size_bytes;
	uint32_t sector_bytes;
	bool removable;
	bool boot_medium; /* something on it is mounted or in use */
};
int disk_list(const char *root, struct disk_found **list, size_t *n, struct error *err);

#endif
