/*
 * Disks in memory: one of its own that can be written, and one over bytes of the caller that cannot.
 * They never touch a file, which makes them what parsers are tested and fuzzed on.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"

/* What discarded ranges read as: not zeros, so that nobody comes to rely on them. */
#define DISCARDED_BYTE 0xdd

struct memory_disk {
	struct disk d;
	uint8_t *own;	   /* NULL for a disk over the caller's bytes */
	const uint8_t *at; /* what is read */
};

static int memory_read(struct disk *d, void *buf, size_t len, uint64_t offset, struct error *err)
{
	memcpy(buf, ((struct memory_disk *)d)->at + offset, len);
	return 0;
}

static int memory_write(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err)
{
	memcpy(((struct memory_disk *)d)->own + offset, buf, len);
	return 0;
}

static int memory_flush(struct disk *d, struct error *err)
{
	return 0;
}

static int memory_discard(struct disk *d, uint64_t offset, uint64_t length, struct error *err)
{
	memset(((struct memory_disk *)d)->own + offset, DISCARDED_BYTE, (size_t)length);
	return 0;
}

static void memory_close(struct disk *d)
{
	free(((struct memory_disk *)d)->own);
	free(d);
}

static const struct disk_ops memory_ops = {
	.name = "memory",
	.read = memory_read,
	.write = memory_write,
	.flush = memory_flush,
	.discard = memory_discard,
	.close = memory_close,
};

static struct memory_disk *memory_new(uint64_t size_bytes, uint32_t sector_bytes, struct error *err)
{
	struct memory_disk *m = size_bytes <= SIZE_MAX ? calloc(1, sizeof *m) : NULL;

	if (!m) {
		error_set(err, -ENOMEM, "no memory for a disk of %" PRIu64 " bytes in memory", size_bytes);
		return NULL;
	}
	m->d.ops = &memory_ops;
	m->d.size_bytes = size_bytes;
	m->d.sector_bytes = sector_bytes ? sector_bytes : 512;
	m->d.fd = -1;
	strcpy(m->d.identity.path, "memory");
	strcpy(m->d.identity.bus, "memory");
	return m;
}

int disk_open_memory(uint64_t size_bytes, uint32_t sector_bytes, struct disk **out, struct error *err)
{
	struct memory_disk *m = memory_new(size_bytes, sector_bytes, err);

	*out = NULL;
	if (!m)
		return -ENOMEM;
	m->own = calloc(1, size_bytes ? (size_t)size_bytes : 1);
	if (!m->own) {
		free(m);
		return error_set(err, -ENOMEM, "no memory for a disk of %" PRIu64 " bytes in memory", size_bytes);
	}
	m->at = m->own;
	*out = &m->d;
	return 0;
}

int disk_open_bytes(const void *bytes, uint64_t size_bytes, uint32_t sector_bytes, struct disk **out, struct error *err)
{
	struct memory_disk *m = memory_new(size_bytes, sector_bytes, err);

	*out = NULL;
	if (!m)
		return -ENOMEM;
	m->at = bytes;
	m->d.read_only = true;
	*out = &m->d;
	return 0;
}
