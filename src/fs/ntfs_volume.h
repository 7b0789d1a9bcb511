/*
 * The inside of the NTFS reader: what its files share. Nobody outside src/fs includes this. All structures
 * on disk follow the layout that the Linux-NTFS project documents; offsets stand beside each load.
 */
#ifndef G4L_FS_NTFS_VOLUME_H
#define G4L_FS_NTFS_VOLUME_H

#include "base/bytes.h"
#include "fs/fs.h"

/* Numbers of the records that every volume has. */
enum ntfs_number {
	NTFS_MFT = 0,
	NTFS_MFT_MIRROR = 1,
	NTFS_LOG_FILE = 2,
	NTFS_VOLUME = 3,
	NTFS_ROOT = 5,
	NTFS_BITMAP = 6,
	NTFS_BAD_CLUSTERS = 8,
	NTFS_SECURE = 9,
	NTFS_EXTEND = 11,
};

enum ntfs_type {
	NTFS_ATTRIBUTE_LIST = 0x20,
	NTFS_VOLUME_NAME = 0x60,
	NTFS_VOLUME_INFORMATION = 0x70,
	NTFS_DATA = 0x80,
	NTFS_INDEX_ROOT = 0x90,
	NTFS_INDEX_ALLOCATION = 0xa0,
};

#define NTFS_HOLE UINT64_MAX

/* A stretch of a stream, in clusters. */
struct ntfs_run {
	uint64_t vcn;	 /* where it stands in the stream */
	uint64_t lcn;	 /* where it stands on the volume, or NTFS_HOLE */
	uint64_t length; /* > 0 */
};

/* A growable list, ascending and without gaps in vcn. */
struct ntfs_runs {
	struct ntfs_run *at;
	size_t n, cap;
	uint64_t next_vcn; /* where the next run goes */
	bool holes;	   /* there is at least one */
};

/* The content of one attribute, gathered from all its fragments. */
struct ntfs_stream {
	bool found;
	struct ntfs_runs runs;
	struct buf resident;		       /* when it has no runs at all */
	uint64_t allocated, size, initialised; /* bytes */
};

struct ntfs_volume {
	struct fs_view view;
	uint32_t sector_bytes, cluster_bytes, record_bytes, index_bytes;
	uint64_t sectors, clusters; /* sectors: as the boot sector says, without the backup boot sector */
	uint64_t mft_lcn, mirror_lcn, serial;
	struct ntfs_stream mft; /* $MFT's content; empty while it is being found */
	uint8_t *mft_record;	/* $MFT's own record, from where it could be read; the owner of vol frees it */
};

/* One attribute, or a fragment of one; points into the record. */
struct ntfs_attr {
	uint32_t type;
	uint16_t flags, instance;
	bool non_resident;
	const uint8_t *name; /* UTF-16LE */
	uint8_t name_len;    /* in UTF-16 units */
	struct cursor value; /* resident: the content; else the mapping pairs */
	uint64_t lowest_vcn, highest_vcn, allocated, size, initialised; /* the sizes count where lowest_vcn is 0 */
};

/* ntfs_boot.c: geometry. 1 when sector 0 names NTFS; 0 else. */
int ntfs_boot_is_mine(const struct fs_view *v);
/* Fills vol from sector 0. 0, -ERR_FORMAT, or what a read gave. */
int ntfs_boot_read(const struct fs_view *v, struct ntfs_volume *vol, struct error *err);

/* ntfs_runs.c: adds the runs that the mapping pairs describe. 0, -ERR_FORMAT or -ENOMEM. */
int ntfs_runs_decode(const struct ntfs_volume *vol, struct cursor pairs, struct ntfs_runs *runs, struct error *err);
void ntfs_runs_free(struct ntfs_runs *runs);
/* The run that holds vcn, or NULL. */
const struct ntfs_run *ntfs_runs_find(const struct ntfs_runs *runs, uint64_t vcn);

/* ntfs_record.c: undoes the sector signatures of a multi-sector record. 0 or -ERR_FORMAT. */
int ntfs_record_fix_up(uint8_t *record, size_t len, struct error *err);
/* Checks and fixes up a file record that was just read. number: which it ought to be. As ntfs_record_read(). */
int ntfs_record_check(const struct ntfs_volume *vol, uint8_t *record, uint64_t number, struct error *err);
/* Reads record `number` into record_bytes at record. 0, -ENOENT (not in use), -ERR_FORMAT, or what a read gave. */
int ntfs_record_read(const struct ntfs_volume *vol, uint64_t number, uint8_t *record, struct error *err);
/* Walks the attributes of a checked record; *at is NULL-initialised. 1: *a is set; 0: no more; -ERR_FORMAT. */
int ntfs_record_next_attr(const struct ntfs_volume *vol, const uint8_t *record, struct cursor *at, struct ntfs_attr *a,
			  struct error *err);
/* The record's base record number, 0 when it is one itself. */
uint64_t ntfs_record_base(const uint8_t *record);

/* ntfs_stream.c: what visits each attribute of a file. 0 to go on, or a negative code. */
typedef int ntfs_visit_fn(void *arg, const struct ntfs_attr *a, struct error *err);
/* Calls visit for every attribute (fragment) of the file whose checked base record is given, those that an attribute
 * list puts elsewhere too, in the list's order. type: only these, or 0 for all. */
int ntfs_stream_walk(const struct ntfs_volume *vol, uint64_t number, const uint8_t *record, uint32_t type,
		     ntfs_visit_fn *visit, void *arg, struct error *err);
/* Gathers one attribute of a file. name: ASCII, "" for the unnamed one. s->found tells whether there is one.
 * The caller ends with ntfs_stream_free(). 0, -ENOENT (record not in use), -ERR_FORMAT, -ENOMEM, or of a read. */
int ntfs_stream_load(const struct ntfs_volume *vol, uint64_t number, uint32_t type, const char *name,
		     struct ntfs_stream *s, struct error *err);
/* The same from a checked base record; s is filled while it runs, so that s may be vol->mft. */
int ntfs_stream_gather(const struct ntfs_volume *vol, uint64_t number, const uint8_t *record, uint32_t type,
		       const char *name, struct ntfs_stream *s, struct error *err);
/* Reads from the stream; beyond the initialised size it is zeros. 0, -ERR_FORMAT beyond its size, or of a read. */
int ntfs_stream_read(const struct ntfs_volume *vol, const struct ntfs_stream *s, void *buf, size_t len, uint64_t offset,
		     struct error *err);
void ntfs_stream_free(struct ntfs_stream *s);

/* ntfs_bitmap.c: the allocation bitmap of $Bitmap. 0, -ERR_FORMAT, -ENOMEM or of a read. vol must outlive it. */
struct ntfs_bitmap;
int ntfs_bitmap_open(const struct ntfs_volume *vol, struct ntfs_bitmap **out, struct error *err);
/* The next stretch of used clusters, in bytes. 1: *e is set; 0: no more; negative as open. */
int ntfs_bitmap_next(struct ntfs_bitmap *b, struct extent *e, struct error *err);
/* Starts again from the first cluster. */
void ntfs_bitmap_rewind(struct ntfs_bitmap *b);
void ntfs_bitmap_close(struct ntfs_bitmap *b);

/* What the volume says about how it was left. */
struct ntfs_state {
	bool dirty;	       /* chkdsk is wanted */
	bool log_in_use;       /* $LogFile was not closed: a crash, or a Windows that sleeps */
	bool hibernated;       /* hiberfil.sys holds a sleeping Windows */
	bool hiberfil_unknown; /* the root folder or the file could not be read */
	char label[64];
};
/* ntfs_state.c. 0, -ERR_FORMAT, -ENOMEM or of a read. */
int ntfs_state_read(const struct ntfs_volume *vol, struct ntfs_state *state, struct error *err);
/* ntfs_log.c: 0: closed or empty; 1: in use; -ERR_FORMAT: cannot be judged. */
int ntfs_log_in_use(const struct ntfs_volume *vol, struct error *err);
/* ntfs_root.c: the record number of a file in the root folder, by its ASCII name, ignoring case. 1: found; 0: not;
 * negative. */
int ntfs_root_find(const struct ntfs_volume *vol, const char *name, uint64_t *number, struct error *err);

#endif
