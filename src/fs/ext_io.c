/*
 * An I/O manager for libext2fs over a bounded view of a disk. It reads only; whatever the library would
 * write is refused. The view travels in the name, the only argument the library hands through.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ext2fs/ext2fs.h>

#include "fs/ext_volume.h"

const char *ext_io_name(const struct ext_io *io, char name[EXT_IO_NAME_BYTES])
{
	snprintf(name, EXT_IO_NAME_BYTES, "%" PRIxPTR, (uintptr_t)io);
	return name;
}

static errcode_t io_open(const char *name, int flags, io_channel *out)
{
	uintptr_t io = (uintptr_t)strtoull(name, NULL, 16);
	io_channel c;

	if (flags & IO_FLAG_RW)
		return EXT2_ET_RO_FILSYS;
	c = calloc(1, sizeof *c);
	if (!c)
		return EXT2_ET_NO_MEMORY;
	c->name = strdup(name);
	if (!c->name) {
		free(c);
		return EXT2_ET_NO_MEMORY;
	}
	c->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	c->manager = ext_io_manager;
	c->block_size = 1024;
	c->refcount = 1;
	c->private_data = (void *)io;
	*out = c;
	return 0;
}

static errcode_t io_close(io_channel c)
{
	if (--c->refcount > 0)
		return 0;
	free(c->name);
	free(c);
	return 0;
}

static errcode_t io_set_block_size(io_channel c, int block_size)
{
	if (block_size <= 0)
		return EXT2_ET_INVALID_ARGUMENT;
	c->block_size = block_size;
	return 0;
}

/* count: blocks, or bytes when negative. */
static errcode_t io_read64(io_channel c, unsigned long long block, int count, void *data)
{
	struct ext_io *io = c->private_data;
	uint64_t len = count < 0 ? (uint64_t) - (int64_t)count : (uint64_t)count * (uint64_t)c->block_size;
	int rc;

	if (block > io->view.length / (uint64_t)c->block_size)
		return EXT2_ET_SHORT_READ;
	rc = fs_view_read(&io->view, data, len, block * (uint64_t)c->block_size, NULL);
	if (rc == -ERANGE)
		return EXT2_ET_SHORT_READ;
	if (rc < 0)
		io->failed = rc;
	return rc < 0 ? EXT2_ET_SHORT_READ : 0;
}

static errcode_t io_read(io_channel c, unsigned long block, int count, void *data)
{
	return io_read64(c, block, count, data);
}

static errcode_t io_write64(io_channel c, unsigned long long block, int count, const void *data)
{
	return EXT2_ET_RO_FILSYS;
}

static errcode_t io_write(io_channel c, unsigned long block, int count, const void *data)
{
	return EXT2_ET_RO_FILSYS;
}

static errcode_t io_flush(io_channel c)
{
	return 0;
}

/* libext2fs takes a pointer to a manager that is not const, but never writes to it. */
static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "view",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_block_size,
	.read_blk = io_read,
	.write_blk = io_write,
	.flush = io_flush,
	.read_blk64 = io_read64,
	.write_blk64 = io_write64,
};
struct struct_io_manager *const ext_io_manager = &manager;
