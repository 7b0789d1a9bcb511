/*
 * Prints what a reader says about an image file: the facts as "name: value" lines, then "OFFSET LENGTH" lines
 * of used bytes. With a second file, the used bytes and nothing else are copied into it. For shell tests.
 * Exit code 0: mapped; 3: to be copied raw, with the reason on stderr; 4: no reader knows it; 1: failed.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "fs/fs.h"

static int copy_extent(struct disk *from, int to, const struct extent *e, struct error *err)
{
	static uint8_t buf[1 << 20];

	for (uint64_t at = 0; at < e->length;) {
		size_t n = e->length - at < sizeof buf ? (size_t)(e->length - at) : sizeof buf;
		int rc = disk_read(from, buf, n, e->offset + at, err);

		if (!rc && io_pwrite_full(to, buf, n, e->offset + at) < 0)
			rc = error_set(err, -EIO, "cannot write the copy");
		if (rc < 0)
			return rc;
		at += n;
	}
	return 0;
}

static int copy(struct disk *from, const char *path, const struct extents *used, struct error *err)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return error_errno(err, errno, "%s", path);
	for (size_t i = 0; !rc && i < used->n; i++)
		rc = copy_extent(from, fd, &used->at[i], err);
	close(fd);
	return rc;
}

static void print(const struct fs_info *info, const struct extents *used)
{
	printf("kind: %s\nlabel: %s\nuuid: %s\ncluster: %" PRIu32 "\ncluster-offset: %" PRIu64 "\nsize: %" PRIu64 "\n",
	       info->kind, info->label, info->uuid, info->cluster_bytes, info->cluster_offset, info->size_bytes);
	printf("used: %" PRIu64 "\nmetadata: %" PRIu64 "\nnote: %s\n", info->used_bytes, info->metadata_bytes,
	       info->note);
	for (size_t i = 0; i < used->n; i++)
		printf("%" PRIu64 " %" PRIu64 "\n", used->at[i].offset, used->at[i].length);
}

int main(int argc, char **argv)
{
	struct fs_view view = {0};
	struct extents used = {0};
	struct error err = {0};
	struct fs_info info;
	int rc;

	if (argc < 2)
		return 2;
	rc = disk_open_file(argv[1], 0, 0, &view.disk, &err);
	if (!rc) {
		view.length = view.disk->size_bytes;
		rc = fs_used_map(&view, &used, &info, &err);
	}
	if (!rc)
		print(&info, &used);
	if (!rc && argc > 2)
		rc = copy(view.disk, argv[2], &used, &err);
	extents_free(&used);
	disk_close(view.disk);
	if (rc < 0)
		fprintf(stderr, "%s\n", err.text);
	return !rc ? 0 : rc == -ERR_FORMAT ? 3 : rc == -ENOENT ? 4 : 1;
}
