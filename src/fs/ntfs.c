/*
 * The NTFS reader: opens a volume, checks what its used map rests on, and gives the map. The map is the
 * allocation bitmap and what lies outside of it: the rest behind the last whole cluster and the backup boot
 * sector. It is believed only when the volume was closed and the system files' own clusters are marked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/ntfs_volume.h"

struct ntfs {
	struct ntfs_volume vol;
	struct ntfs_bitmap *bitmap;
	struct extents tail; /* outside the bitmap */
	size_t tail_at;
};

static int probe(const struct fs_view *v)
{
	return ntfs_boot_is_mine(v);
}

/* Finds $MFT by the copy of its own record that stands at cluster lcn. */
static int load_mft_from(struct ntfs_volume *vol, uint64_t lcn, struct error *err)
{
	uint8_t *record = vol->mft_record;
	int rc;

	ntfs_stream_free(&vol->mft);
	rc = fs_view_read(&vol->view, record, vol->record_bytes, lcn * vol->cluster_bytes, err);
	if (!rc)
		rc = ntfs_record_check(vol, record, NTFS_MFT, err);
	if (!rc)
		rc = ntfs_stream_gather(vol, NTFS_MFT, record, NTFS_DATA, "", &vol->mft, err);
	if (!rc && (!vol->mft.runs.n || vol->mft.runs.at[0].lcn != vol->mft_lcn))
		rc = error_set(err, -ERR_FORMAT, "the first record of $MFT says that $MFT is somewhere else");
	if (!rc && vol->mft.initialised / vol->record_bytes <= NTFS_EXTEND)
		rc = error_set(err, -ERR_FORMAT, "$MFT has only %" PRIu64 " bytes", vol->mft.initialised);
	return rc;
}

static int load_mft(struct ntfs_volume *vol, bool *by_mirror, struct error *err)
{
	int rc;

	vol->mft_record = malloc(vol->record_bytes);
	if (!vol->mft_record)
		return error_set(err, -ENOMEM, "no memory for an NTFS record");
	rc = load_mft_from(vol, vol->mft_lcn, err);
	*by_mirror = rc < 0 && rc != -ENOMEM && load_mft_from(vol, vol->mirror_lcn, NULL) == 0;
	return *by_mirror ? 0 : rc;
}

/* The system files' own clusters, gathered to be held against the bitmap. */
struct gather {
	const struct ntfs_volume *vol;
	struct extents *to;
	uint64_t total; /* bytes */
};

static int gather_runs(void *arg, const struct ntfs_attr *a, struct error *err)
{
	struct gather *g = arg;
	uint64_t unit = g->vol->cluster_bytes;
	struct ntfs_runs runs = {0};
	int rc = a->non_resident ? ntfs_runs_decode(g->vol, a->value, &runs, err) : 0;

	for (size_t i = 0; !rc && i < runs.n; i++) {
		if (runs.at[i].lcn == NTFS_HOLE)
			continue;
		g->total += runs.at[i].length * unit;
		if (g->total > g->vol->clusters * unit)
			rc = error_set(err, -ERR_FORMAT, "system files of NTFS share clusters");
		else if (extents_add_unordered(g->to, runs.at[i].lcn * unit, runs.at[i].length * unit) < 0)
			rc = error_set(err, -ENOMEM, "no memory for the list of system files");
	}
	ntfs_runs_free(&runs);
	return rc;
}

/* Whether a system file may be missing: the last ones came with later versions. */
static bool is_optional(uint64_t number)
{
	return number >= NTFS_SECURE;
}

static int gather_system_files(const struct ntfs_volume *vol, struct extents *out, struct error *err)
{
	struct gather g = {.vol = vol, .to = out};
	uint8_t *record = malloc(vol->record_bytes);
	int rc = record ? 0 : error_set(err, -ENOMEM, "no memory for an NTFS record");

	for (uint64_t n = 0; !rc && n <= NTFS_EXTEND; n++) {
		if (n == NTFS_BAD_CLUSTERS) /* its stream spans the volume */
			continue;
		rc = ntfs_record_read(vol, n, record, err);
		if (!rc)
			rc = ntfs_stream_walk(vol, n, record, 0, gather_runs, &g, err);
		else if (rc == -ENOENT)
			rc = is_optional(n) ? 0 : -ERR_FORMAT;
	}
	free(record);
	extents_normalise(out);
	if (!rc && extents_total(out) != g.total)
		rc = error_set(err, -ERR_FORMAT, "system files of NTFS share clusters");
	return rc;
}

/* Both copies of what the whole volume hangs on must be where the boot sector says. */
static int check_mirror(const struct ntfs_volume *vol, struct error *err)
{
	struct ntfs_stream s;
	int rc = ntfs_stream_load(vol, NTFS_MFT_MIRROR, NTFS_DATA, "", &s, err);

	if (!rc && (!s.runs.n || s.runs.at[0].lcn != vol->mirror_lcn))
		rc = error_set(err, -ERR_FORMAT, "$MFTMirr is not where the NTFS boot sector says");
	ntfs_stream_free(&s);
	return rc;
}

/* Sums up the bitmap, and holds the system files against it: each must lie inside one marked stretch. */
static int count_used(struct ntfs *fs, const struct extents *system, uint64_t *used, struct error *err)
{
	struct extent e;
	size_t i = 0;
	int rc;

	*used = 0;
	while ((rc = ntfs_bitmap_next(fs->bitmap, &e, err)) == 1) {
		*used += e.length;
		for (; i < system->n && system->at[i].offset < e.offset + e.length; i++) {
			const struct extent *s = &system->at[i];

			if (s->offset < e.offset || s->length > e.length - (s->offset - e.offset))
				return error_set(err, -ERR_FORMAT,
						 "the bitmap of NTFS lacks a system file's clusters at byte %" PRIu64,
						 s->offset);
		}
	}
	if (!rc && i < system->n)
		return error_set(err, -ERR_FORMAT, "the bitmap of NTFS lacks a system file's clusters at byte %" PRIu64,
				 system->at[i].offset);
	ntfs_bitmap_rewind(fs->bitmap);
	return rc;
}

/* What no bit stands for: the sectors behind the last whole cluster with the backup boot sector, and the
 * region's last sector, where the backup is when the volume was made smaller than its partition. */
static int make_tail(struct ntfs *fs, struct error *err)
{
	const struct ntfs_volume *vol = &fs->vol;
	uint64_t from = vol->clusters * vol->cluster_bytes, to = (vol->sectors + 1) * vol->sector_bytes;
	uint64_t last = vol->view.length - vol->sector_bytes;

	if (to > vol->view.length)
		to = vol->view.length;
	if (last < from)
		last = from;
	if (extents_add(&fs->tail, from, to - from) < 0 || extents_add(&fs->tail, last, vol->view.length - last) < 0)
		return error_set(err, -ENOMEM, "no memory for the list of used space");
	return 0;
}

static void describe(const struct ntfs_volume *vol, const struct ntfs_state *state, bool by_mirror,
		     struct fs_info *info)
{
	memcpy(info->label, state->label, sizeof info->label);
	snprintf(info->note, sizeof info->note, "%s%s%s%s%s",
		 state->hibernated ? "Windows is hibernated or was shut down with Fast Startup; " : "",
		 state->dirty ? "the volume is marked dirty; " : "",
		 state->log_in_use ? "the volume was not unmounted cleanly; " : "",
		 by_mirror ? "the first record of $MFT is damaged, its mirror was used; " : "",
		 state->hiberfil_unknown ? "whether Windows is hibernated could not be told; " : "");
	if (info->note[0])
		info->note[strlen(info->note) - 2] = 0;
}

/* A volume in use may have marked clusters in memory or in its journal that the bitmap on disk does not know. */
static int check_state(const struct ntfs_state *state, const struct fs_info *info, struct error *err)
{
	if (!state->hibernated && !state->dirty && !state->log_in_use && !state->hiberfil_unknown)
		return 0;
	return error_set(
		err, -ERR_FORMAT,
		"%s, so its bitmap may lack used clusters; to have only used blocks copied, shut Windows down fully "
		"(shutdown /s /f /t 0) or run chkdsk /f",
		info->note);
}

static int open_volume(struct ntfs *fs, struct fs_info *info, struct error *err)
{
	struct ntfs_volume *vol = &fs->vol;
	struct extents system = {0};
	struct ntfs_state state;
	bool by_mirror;
	int rc = load_mft(vol, &by_mirror, err);

	if (!rc)
		rc = ntfs_state_read(vol, &state, err);
	if (rc < 0)
		return rc;
	describe(vol, &state, by_mirror, info);
	rc = check_state(&state, info, err);
	if (!rc)
		rc = check_mirror(vol, err);
	if (!rc)
		rc = gather_system_files(vol, &system, err);
	if (!rc)
		rc = ntfs_bitmap_open(vol, &fs->bitmap, err);
	if (!rc)
		rc = count_used(fs, &system, &info->used_bytes, err);
	if (!rc)
		rc = make_tail(fs, err);
	info->used_bytes += extents_total(&fs->tail);
	info->metadata_bytes = extents_total(&system) + extents_total(&fs->tail);
	extents_free(&system);
	return rc;
}

static void close_ntfs(void *arg)
{
	struct ntfs *fs = arg;

	if (!fs)
		return;
	ntfs_bitmap_close(fs->bitmap);
	ntfs_stream_free(&fs->vol.mft);
	free(fs->vol.mft_record);
	extents_free(&fs->tail);
	free(fs);
}

static int open_ntfs(const struct fs_view *v, void **out, struct fs_info *info, struct error *err)
{
	struct ntfs *fs = calloc(1, sizeof *fs);
	int rc;

	snprintf(info->kind, sizeof info->kind, "ntfs");
	if (!fs)
		return error_set(err, -ENOMEM, "no memory for the NTFS reader");
	rc = ntfs_boot_read(v, &fs->vol, err);
	if (rc < 0)
		goto fail;
	info->cluster_bytes = fs->vol.cluster_bytes;
	info->size_bytes = (fs->vol.sectors + 1) * fs->vol.sector_bytes;
	if (info->size_bytes > v->length)
		info->size_bytes = v->length;
	snprintf(info->uuid, sizeof info->uuid, "%016" PRIX64, fs->vol.serial);
	rc = open_volume(fs, info, err);
	if (rc < 0)
		goto fail;
	*out = fs;
	return 0;
fail:
	close_ntfs(fs);
	return rc == -ENOENT ? -ERR_FORMAT : rc;
}

static int next_used(void *arg, struct extent *e, struct error *err)
{
	struct ntfs *fs = arg;
	int rc = ntfs_bitmap_next(fs->bitmap, e, err);

	if (rc || fs->tail_at == fs->tail.n)
		return rc;
	*e = fs->tail.at[fs->tail_at++];
	return 1;
}

const struct fs_reader fs_ntfs_reader = {
	.name = "ntfs",
	.probe = probe,
	.open = open_ntfs,
	.next_used = next_used,
	.close = close_ntfs,
};
