/* Whole reads and writes, and files that appear complete or not at all. */
#ifndef G4L_BASE_IO_H
#define G4L_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

/* Reads or writes exactly len bytes at offset, however many calls that takes. 0, -errno, or -ENODATA
 * when the file ends before. */
int io_pread_full(int fd, void *buf, size_t len, uint64_t offset);
int io_pwrite_full(int fd, const void *buf, size_t len, uint64_t offset);
int io_write_full(int fd, const void *buf, size_t len);

/* Reads a whole file of at most max bytes into out (appended). 0, -errno, or -EFBIG. */
int io_read_file(const char *path, size_t max, struct buf *out, struct error *err);

/* Writes a file that is either the old one or the complete new one after a power loss: temporary file
 * in the same folder, fsync, rename, fsync of the folder. mode as for open(2). */
int io_replace_file(const char *path, const void *data, size_t len, unsigned mode, struct error *err);

/* fsync of the folder that holds path. 0 or -errno. */
int io_sync_parent(const char *path);

/* mkdir -p. 0 or -errno. */
int io_make_dirs(const char *path, unsigned mode, struct error *err);

/* n random bytes from the kernel. Cannot fail. */
void io_random(void *to, size_t n);

#endif
