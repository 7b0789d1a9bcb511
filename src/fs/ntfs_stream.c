/*
 * Streams of NTFS files: an attribute gathered from all its fragments, across an attribute list where there
 * is one, and read through its runlist. Fragments must follow each other without gaps, and sizes must agree.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fs/ntfs_volume.h"

#define REFERENCE_MASK ((UINT64_C(1) << 48) - 1)
#define LIST_BYTES_MAX (256u << 10) /* Windows makes none larger */
#define COMPRESSED_OR_ENCRYPTED 0x40ffu

/* A walk over one file's attributes. */
struct walk {
	const struct ntfs_volume *vol;
	uint64_t number, extra_number; /* the base record; the record in `extra`, 0 when none */
	const uint8_t *record;
	uint8_t *extra;
	uint32_t type;
	ntfs_visit_fn *visit;
	void *arg;
};

static bool name_is(const struct ntfs_attr *a, const char *name)
{
	size_t len = strlen(name);

	if (a->name_len != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (bytes_le16(a->name + 2 * i) != (uint8_t)name[i])
			return false;
	}
	return true;
}

/* Visits each attribute of the base record; gives its attribute list, if it has one, in *list. */
static int walk_base(const struct walk *w, struct ntfs_attr *list, bool *has_list, bool visit_all, struct error *err)
{
	struct cursor at = {0};
	struct ntfs_attr a;
	int rc;

	*has_list = false;
	while ((rc = ntfs_record_next_attr(w->vol, w->record, &at, &a, err)) == 1) {
		if (a.type == NTFS_ATTRIBUTE_LIST) {
			if (*has_list)
				return error_set(err, -ERR_FORMAT, "an NTFS file record has two attribute lists");
			*list = a;
			*has_list = true;
		}
		if (!visit_all || (w->type && a.type != w->type))
			continue;
		rc = w->visit(w->arg, &a, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* Makes sure that the record with this number is at hand, and gives it. */
static int walk_record(struct walk *w, uint64_t number, const uint8_t **record, struct error *err)
{
	int rc;

	*record = number == w->number ? w->record : w->extra;
	if (number == w->number || (w->extra_number && number == w->extra_number))
		return 0;
	w->extra_number = 0;
	rc = ntfs_record_read(w->vol, number, w->extra, err);
	if (rc == -ENOENT)
		rc = -ERR_FORMAT;
	if (rc < 0)
		return rc;
	if (ntfs_record_base(w->extra) != w->number)
		return error_set(err, -ERR_FORMAT, "NTFS file record %" PRIu64 " does not belong to record %" PRIu64,
				 number, w->number);
	w->extra_number = number;
	return 0;
}

/* Visits the one attribute that an entry of the list names. */
static int walk_entry(struct walk *w, struct cursor entry, struct error *err)
{
	uint32_t type = cursor_le32(&entry);
	struct cursor at = {0};
	const uint8_t *record;
	uint64_t lowest_vcn, number;
	uint16_t instance;
	struct ntfs_attr a;
	int rc;

	cursor_take(&entry, 4);			       /* length, name */
	lowest_vcn = cursor_le64(&entry);	       /* 8 */
	number = cursor_le64(&entry) & REFERENCE_MASK; /* 16 */
	instance = cursor_le16(&entry);		       /* 24 */
	if (entry.failed)
		return error_set(err, -ERR_FORMAT, "an NTFS attribute list has an entry that is too short");
	if (w->type && type != w->type)
		return 0;
	rc = walk_record(w, number, &record, err);
	if (rc < 0)
		return rc;
	while ((rc = ntfs_record_next_attr(w->vol, record, &at, &a, err)) == 1) {
		if (a.type == type && a.instance == instance && a.lowest_vcn == lowest_vcn)
			return w->visit(w->arg, &a, err);
	}
	return rc < 0 ? rc
		      : error_set(err, -ERR_FORMAT,
				  "NTFS file record %" PRIu64 " lacks an attribute that record %" PRIu64 " lists",
				  number, w->number);
}

static int walk_list(struct walk *w, struct cursor list, struct error *err)
{
	while (cursor_left(&list)) {
		struct cursor head = list, entry;
		uint16_t len;
		int rc;

		cursor_take(&head, 4);
		len = cursor_le16(&head);
		entry = cursor_sub(&list, len);
		if (head.failed || entry.failed || len < 26)
			return error_set(err, -ERR_FORMAT,
					 "the attribute list of NTFS file record %" PRIu64 " is damaged", w->number);
		rc = walk_entry(w, entry, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Takes a fragment's runs or content into the stream. */
static int add_fragment(const struct ntfs_volume *vol, struct ntfs_stream *s, const struct ntfs_attr *a,
			struct error *err)
{
	int rc;

	if (a->flags & COMPRESSED_OR_ENCRYPTED)
		return error_set(err, -ERR_FORMAT, "a system file of NTFS is compressed or encrypted");
	if (!a->non_resident) {
		if (s->found)
			return error_set(err, -ERR_FORMAT, "a system file of NTFS has its content twice");
		s->found = true;
		buf_put(&s->resident, a->value.at, cursor_left(&a->value));
		s->allocated = s->size = s->initialised = s->resident.len;
		return s->resident.failed ? error_set(err, -ENOMEM, "no memory for an NTFS attribute") : 0;
	}
	if (a->lowest_vcn != s->runs.next_vcn || (!a->lowest_vcn && s->found))
		return error_set(err, -ERR_FORMAT,
				 "a system file of NTFS has a gap at cluster %" PRIu64 " of its content",
				 s->runs.next_vcn);
	if (!a->lowest_vcn) {
		s->allocated = a->allocated;
		s->size = a->size;
		s->initialised = a->initialised;
	}
	s->found = true;
	rc = ntfs_runs_decode(vol, a->value, &s->runs, err);
	if (rc < 0)
		return rc;
	if (a->highest_vcn + 1 != s->runs.next_vcn)
		return error_set(err, -ERR_FORMAT, "an NTFS runlist ends at cluster %" PRIu64 " instead of %" PRIu64,
				 s->runs.next_vcn, a->highest_vcn + 1);
	return 0;
}

static int check_stream(const struct ntfs_volume *vol, const struct ntfs_stream *s, struct error *err)
{
	if (s->runs.holes)
		return error_set(err, -ERR_FORMAT, "a system file of NTFS has a hole");
	if (s->initialised > s->size || s->size > s->allocated)
		return error_set(err, -ERR_FORMAT,
				 "a system file of NTFS claims %" PRIu64 " bytes, %" PRIu64
				 " of them written, in %" PRIu64 " allocated",
				 s->size, s->initialised, s->allocated);
	if (s->runs.n && s->allocated != s->runs.next_vcn * vol->cluster_bytes)
		return error_set(err, -ERR_FORMAT,
				 "a system file of NTFS claims %" PRIu64 " bytes and has %" PRIu64 " clusters",
				 s->allocated, s->runs.next_vcn);
	if (!s->runs.n && s->allocated != s->resident.len)
		return error_set(err, -ERR_FORMAT, "a system file of NTFS claims %" PRIu64 " bytes and has none",
				 s->allocated);
	return 0;
}

/* The content of the attribute list itself, which never has fragments. */
static int load_list(const struct ntfs_volume *vol, const struct ntfs_attr *a, struct buf *out, struct error *err)
{
	struct ntfs_stream s = {0};
	uint8_t *to;
	int rc = add_fragment(vol, &s, a, err);

	if (!rc)
		rc = check_stream(vol, &s, err);
	if (!rc && s.size > LIST_BYTES_MAX)
		rc = error_set(err, -ERR_FORMAT, "an NTFS attribute list claims %" PRIu64 " bytes", s.size);
	if (!rc && s.size) {
		to = buf_add(out, s.size);
		rc = to ? ntfs_stream_read(vol, &s, to, s.size, 0, err)
			: error_set(err, -ENOMEM, "no memory for an attribute list");
	}
	ntfs_stream_free(&s);
	return rc;
}

int ntfs_stream_walk(const struct ntfs_volume *vol, uint64_t number, const uint8_t *record, uint32_t type,
		     ntfs_visit_fn *visit, void *arg, struct error *err)
{
	struct walk w = {.vol = vol, .number = number, .record = record, .type = type, .visit = visit, .arg = arg};
	struct ntfs_attr list;
	struct buf bytes = {0};
	bool has_list;
	int rc;

	if (ntfs_record_base(record))
		return error_set(err, -ERR_FORMAT, "NTFS file record %" PRIu64 " is only a part of another", number);
	rc = walk_base(&w, &list, &has_list, false, err);
	if (rc < 0)
		return rc;
	if (!has_list)
		return walk_base(&w, &list, &has_list, true, err);
	if (!type || type == NTFS_ATTRIBUTE_LIST) {
		rc = visit(arg, &list, err);
		if (rc < 0)
			return rc;
	}
	w.extra = malloc(vol->record_bytes);
	rc = w.extra ? load_list(vol, &list, &bytes, err) : error_set(err, -ENOMEM, "no memory for an NTFS record");
	if (!rc)
		rc = walk_list(&w, cursor_of(bytes.data, bytes.len), err);
	buf_free(&bytes);
	free(w.extra);
	return rc;
}

/* What gather() looks for, and where it goes. */
struct gather {
	const struct ntfs_volume *vol;
	const char *name;
	struct ntfs_stream *to;
};

static int gather_one(void *arg, const struct ntfs_attr *a, struct error *err)
{
	struct gather *g = arg;

	return name_is(a, g->name) ? add_fragment(g->vol, g->to, a, err) : 0;
}

int ntfs_stream_gather(const struct ntfs_volume *vol, uint64_t number, const uint8_t *record, uint32_t type,
		       const char *name, struct ntfs_stream *s, struct error *err)
{
	struct gather g = {.vol = vol, .name = name, .to = s};
	int rc = ntfs_stream_walk(vol, number, record, type, gather_one, &g, err);

	if (!rc)
		rc = check_stream(vol, s, err);
	return rc < 0 && rc != -ENOMEM ? error_prefix(err, "file record %" PRIu64, number) : rc;
}

int ntfs_stream_load(const struct ntfs_volume *vol, uint64_t number, uint32_t type, const char *name,
		     struct ntfs_stream *s, struct error *err)
{
	uint8_t *record = malloc(vol->record_bytes);
	int rc;

	*s = (struct ntfs_stream){0};
	if (!record)
		return error_set(err, -ENOMEM, "no memory for an NTFS record");
	rc = ntfs_record_read(vol, number, record, err);
	if (!rc)
		rc = ntfs_stream_gather(vol, number, record, type, name, s, err);
	free(record);
	return rc;
}

int ntfs_stream_read(const struct ntfs_volume *vol, const struct ntfs_stream *s, void *buf, size_t len, uint64_t offset,
		     struct error *err)
{
	uint8_t *to = buf;

	if (offset > s->size || len > s->size - offset)
		return error_set(err, -ERR_FORMAT, "an NTFS file of %" PRIu64 " bytes ends before byte %" PRIu64,
				 s->size, offset + len);
	while (len) {
		const struct ntfs_run *r = ntfs_runs_find(&s->runs, offset / vol->cluster_bytes);
		uint64_t within, n = len;
		int rc;

		if (offset >= s->initialised) {
			memset(to, 0, len);
			return 0;
		}
		if (n > s->initialised - offset)
			n = s->initialised - offset;
		if (s->resident.len) {
			memcpy(to, s->resident.data + offset, n);
		} else {
			if (!r || r->lcn == NTFS_HOLE)
				return error_set(err, -ERR_FORMAT, "an NTFS file has nothing at byte %" PRIu64, offset);
			within = offset - r->vcn * vol->cluster_bytes;
			if (n > r->length * vol->cluster_bytes - within)
				n = r->length * vol->cluster_bytes - within;
			rc = fs_view_read(&vol->view, to, n, r->lcn * vol->cluster_bytes + within, err);
			if (rc < 0)
				return rc;
		}
		to += n;
		offset += n;
		len -= n;
	}
	return 0;
}

void ntfs_stream_free(struct ntfs_stream *s)
{
	ntfs_runs_free(&s->runs);
	buf_free(&s->resident);
	*s = (struct ntfs_stream){0};
}
