/*
 * The folders of a FAT, walked once to find files that the allocation table knows nothing of: a file that begins in a
 * free cluster would be lost, one that begins inside another is damage. Names play no role here.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "fs/fat_volume.h"

/* Offsets in an entry of a folder. */
enum {
	AT_ATTRIBUTES = 11,
	AT_CLUSTER_HIGH = 20, /* FAT32; other things elsewhere */
	AT_CLUSTER_LOW = 26,
};

enum {
	ATTRIBUTE_VOLUME = 0x08,
	ATTRIBUTE_FOLDER = 0x10,
	ATTRIBUTES_LONG_NAME = 0x0f,
};

#define READ_BYTES (64u << 10) /* of a folder at once; a multiple of an entry */

/* Folders that are still to be read. */
struct tree {
	struct fat_volume *v;
	struct fs_info *info;
	uint32_t *todo;
	size_t n, cap;
	uint8_t *buf; /* READ_BYTES */
	bool in_root, labelled, ended;
};

static int push(struct tree *t, uint32_t cluster, struct error *err)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		uint32_t *grown = realloc(t->todo, cap * sizeof *grown);

		if (!grown)
			return error_set(err, -ENOMEM, "no memory for a list of %zu folders", cap);
		t->todo = grown;
		t->cap = cap;
	}
	t->todo[t->n++] = cluster;
	return 0;
}

/* A file or folder that begins in this cluster. Each cluster is claimed once, so the walk ends. */
static int claim_first(struct fat_volume *v, uint32_t cluster, struct error *err)
{
	if (!fat_is_cluster(v, cluster) || !fat_bit(v->used, cluster))
		return error_set(err, -ERR_FORMAT, "a file begins in cluster %" PRIu32 ", which is not in use",
				 cluster);
	if (fat_bit(v->claimed, cluster))
		return error_set(err, -ERR_FORMAT, "two files share cluster %" PRIu32, cluster);
	fat_set_bit(v->claimed, cluster);
	return 0;
}

/* The label in the root folder is the one that counts. */
static void take_label(struct fs_info *info, const uint8_t *entry)
{
	char label[12] = {0};
	size_t n = 11;

	memcpy(label, entry, n);
	if ((uint8_t)label[0] == 0x05)
		label[0] = (char)0xe5;
	while (n && label[n - 1] == ' ')
		label[--n] = '\0';
	text_printable(label, info->label, sizeof info->label);
}

static int take_entry(struct tree *t, const uint8_t *e, struct error *err)
{
	struct fat_volume *v = t->v;
	uint8_t attributes = e[AT_ATTRIBUTES];
	uint32_t cluster = bytes_le16(e + AT_CLUSTER_LOW);
	int rc;

	if (!e[0])
		t->ended = true;
	/* Deleted, the folder itself and the one above, a piece of a long name. */
	if (t->ended || e[0] == 0xe5 || !memcmp(e, ".          ", 11) || !memcmp(e, "..         ", 11) ||
	    (attributes & 0x3f) == ATTRIBUTES_LONG_NAME)
		return 0;
	if (attributes & ATTRIBUTE_VOLUME) {
		if (t->in_root && !t->labelled)
			take_label(t->info, e);
		t->labelled = true;
		return 0;
	}
	if (v->bits == 32)
		cluster |= (uint32_t)bytes_le16(e + AT_CLUSTER_HIGH) << 16;
	if (!cluster)
		return 0; /* an empty file */
	rc = claim_first(v, cluster, err);
	if (!rc && attributes & ATTRIBUTE_FOLDER)
		rc = push(t, cluster, err);
	return rc;
}

/* Takes len bytes of a folder that lie at offset. */
static int take_stretch(struct tree *t, uint64_t offset, uint64_t len, struct error *err)
{
	int rc = 0;

	while (len && !rc && !t->ended) {
		size_t n = len < READ_BYTES ? (size_t)len : READ_BYTES;

		rc = fs_view_read(&t->v->view, t->buf, n, offset, err);
		for (size_t at = 0; at < n && !rc && !t->ended; at += FAT_DIR_ENTRY_BYTES)
			rc = take_entry(t, t->buf + at, err);
		offset += n;
		len -= n;
	}
	return rc;
}

/* A chain cannot run in circles: its first cluster is nobody's successor, and no cluster has two predecessors. */
static int take_folder(struct tree *t, uint32_t cluster, struct error *err)
{
	int rc = 0;

	t->ended = false;
	while (cluster && !rc) {
		if (++t->v->n_folder_clusters > t->v->n_used)
			return error_set(err, -ERR_FORMAT, "the FAT changed while it was read");
		rc = take_stretch(t, fat_cluster_at(t->v, cluster), t->v->cluster_bytes, err);
		if (!rc)
			rc = fat_table_next(t->v, cluster, &cluster, err);
	}
	return rc;
}

int fat_tree_check(struct fat_volume *v, struct fs_info *info, struct error *err)
{
	struct tree t = {.v = v, .info = info, .in_root = true};
	int rc = 0;

	t.buf = malloc(READ_BYTES);
	if (!t.buf)
		rc = error_set(err, -ENOMEM, "no memory to read folders");
	else if (v->bits == 32)
		rc = claim_first(v, v->root_cluster, err);
	if (!rc)
		rc = v->bits == 32
			     ? take_folder(&t, v->root_cluster, err)
			     : take_stretch(&t, v->root_at, v->n_root_entries * (uint64_t)FAT_DIR_ENTRY_BYTES, err);
	t.in_root = false;
	while (t.n && !rc)
		rc = take_folder(&t, t.todo[--t.n], err);
	free(t.todo);
	free(t.buf);
	return rc;
}
