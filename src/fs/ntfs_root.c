/*
 * Finding one file in the root folder of NTFS. All index blocks are looked at, whatever the tree above them
 * says: a stale block can only name a file whose record then turns out to be another one.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fs/ntfs_volume.h"

#define REFERENCE_MASK ((UINT64_C(1) << 48) - 1)
#define INDEX_BYTES_MAX (64u << 20)
#define ENTRY_IS_LAST 2

static bool is_name(const uint8_t *utf16, size_t n, const char *name)
{
	if (n != strlen(name))
		return false;
	for (size_t i = 0; i < n; i++) {
		uint16_t u = bytes_le16(utf16 + 2 * i);

		if (u >= 'A' && u <= 'Z')
			u = (uint16_t)(u + 'a' - 'A');
		if (u != (uint8_t)name[i])
			return false;
	}
	return true;
}

/* Looks through the entries of one node. header: the index header (entries' offset, used bytes …). 1: found; 0: not
 * here. */
static int search_node(struct cursor header, const char *name, uint64_t *number)
{
	struct cursor node = header, c = header;
	uint32_t first = cursor_le32(&c), used = cursor_le32(&c);

	node = cursor_sub(&node, used);
	cursor_take(&node, first);
	while (cursor_left(&node)) {
		struct cursor head = node, entry, key;
		uint64_t ref = cursor_le64(&head);
		uint16_t len = cursor_le16(&head), key_len = cursor_le16(&head), flags = cursor_le16(&head);
		const uint8_t *utf16;
		uint8_t n;

		entry = cursor_sub(&node, len);
		if (head.failed || entry.failed || len < 16 || flags & ENTRY_IS_LAST)
			return 0;
		cursor_take(&entry, 16);
		key = cursor_sub(&entry, key_len);
		cursor_take(&key, 64); /* $FILE_NAME: the name's length at 64, its name space at 65 */
		n = cursor_u8(&key);
		cursor_u8(&key);
		utf16 = cursor_take(&key, 2u * n);
		if (!utf16 || !is_name(utf16, n, name))
			continue;
		*number = ref & REFERENCE_MASK;
		return 1;
	}
	return 0;
}

static int search_blocks(const struct ntfs_volume *vol, const struct ntfs_stream *s, const char *name, uint64_t *number,
			 struct error *err)
{
	uint8_t *block = malloc(vol->index_bytes);
	int rc = 0;

	if (!block)
		return error_set(err, -ENOMEM, "no memory for an NTFS index block");
	if (s->initialised > INDEX_BYTES_MAX)
		rc = error_set(err, -ERR_FORMAT, "the root folder of NTFS claims %" PRIu64 " bytes", s->initialised);
	for (uint64_t at = 0; !rc && s->initialised - at >= vol->index_bytes; at += vol->index_bytes) {
		rc = ntfs_stream_read(vol, s, block, vol->index_bytes, at, err);
		if (rc < 0 || memcmp(block, "INDX", 4) != 0)
			continue;
		rc = ntfs_record_fix_up(block, vol->index_bytes, err); /* a torn block may hold the name */
		if (!rc)
			rc = search_node(cursor_of(block + 24, vol->index_bytes - 24), name, number);
	}
	free(block);
	return rc;
}

int ntfs_root_find(const struct ntfs_volume *vol, const char *name, uint64_t *number, struct error *err)
{
	struct ntfs_stream root, blocks;
	struct cursor c;
	int rc = ntfs_stream_load(vol, NTFS_ROOT, NTFS_INDEX_ROOT, "$I30", &root, err);

	if (!rc) {
		c = cursor_of(root.resident.data, root.resident.len);
		cursor_take(&c, 16);
		rc = search_node(c, name, number);
	}
	ntfs_stream_free(&root);
	if (rc)
		return rc;
	rc = ntfs_stream_load(vol, NTFS_ROOT, NTFS_INDEX_ALLOCATION, "$I30", &blocks, err);
	if (!rc)
		rc = search_blocks(vol, &blocks, name, number, err);
	ntfs_stream_free(&blocks);
	return rc;
}
