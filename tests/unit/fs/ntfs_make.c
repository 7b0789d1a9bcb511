/* The maker of small NTFS volumes; see the header. */
#include "ntfs_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* A volume under construction. */
struct maker {
	const struct ntfs_make *how;
	uint8_t *image;
	uint64_t unit;
};

struct piece {
	uint64_t at, len; /* bytes */
};

size_t ntfs_make_record_at(const struct ntfs_make *how, unsigned n)
{
	if (how->mft_in_pieces && n >= 16)
		return MAKE_MFT_PART_AT + (n - 16) * MAKE_RECORD_BYTES;
	return MAKE_MFT_AT + n * MAKE_RECORD_BYTES;
}

static uint8_t *record(struct maker *m, unsigned n)
{
	return m->image + ntfs_make_record_at(m->how, n);
}

static uint8_t *start_record(struct maker *m, unsigned n, unsigned base)
{
	uint8_t *r = record(m, n);

	memcpy(r, "FILE", 4);
	bytes_put_le16(r + 4, 48);
	bytes_put_le16(r + 6, 3);
	bytes_put_le16(r + 16, 1); /* sequence */
	bytes_put_le16(r + 20, 56);
	bytes_put_le16(r + 22, 1); /* in use */
	bytes_put_le32(r + 24, 64);
	bytes_put_le32(r + 28, MAKE_RECORD_BYTES);
	bytes_put_le64(r + 32, base);
	bytes_put_le32(r + 44, n);
	bytes_put_le32(r + 56, 0xffffffff);
	return r;
}

/* Makes room for an attribute before the end mark; gives its place. */
static uint8_t *add_attr(uint8_t *r, uint32_t type, size_t len, bool non_resident, const char *name, size_t name_at)
{
	uint32_t used = bytes_le32(r + 24);
	uint8_t *a = r + used - 8;
	uint16_t instance = bytes_le16(r + 40);

	len = (len + 7) & ~(size_t)7;
	if (used + len > MAKE_RECORD_BYTES)
		abort();
	memset(a, 0, len + 8);
	bytes_put_le32(a, type);
	bytes_put_le32(a + 4, (uint32_t)len);
	a[8] = non_resident;
	a[9] = (uint8_t)strlen(name);
	bytes_put_le16(a + 10, (uint16_t)name_at);
	bytes_put_le16(a + 14, instance);
	for (size_t i = 0; name[i]; i++)
		bytes_put_le16(a + name_at + 2 * i, (uint8_t)name[i]);
	bytes_put_le16(r + 40, (uint16_t)(instance + 1));
	bytes_put_le32(a + len, 0xffffffff);
	bytes_put_le32(r + 24, (uint32_t)(used + len));
	return a;
}

static void add_resident(uint8_t *r, uint32_t type, const char *name, const void *value, size_t len)
{
	size_t at = (24 + 2 * strlen(name) + 7) & ~(size_t)7;
	uint8_t *a = add_attr(r, type, at + len, false, name, 24);

	bytes_put_le32(a + 16, (uint32_t)len);
	bytes_put_le16(a + 20, (uint16_t)at);
	memcpy(a + at, value, len);
}

/* One run: 4 bytes of length, 4 bytes of place. */
static size_t put_run(uint8_t *to, uint64_t clusters, int64_t delta)
{
	to[0] = 0x44;
	bytes_put_le32(to + 1, (uint32_t)clusters);
	bytes_put_le32(to + 5, (uint32_t)delta);
	return 9;
}

/* A non-resident attribute (fragment) of these pieces, standing at vcn of a stream of `total` bytes. */
static void add_runs(struct maker *m, uint8_t *r, uint64_t vcn, const struct piece *pieces, size_t n, uint64_t total)
{
	uint8_t pairs[64] = {0}, *a;
	uint64_t clusters = 0, lcn = 0;
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t at = pieces[i].at / m->unit, count = pieces[i].len / m->unit;

		len += put_run(pairs + len, count, (int64_t)(at - lcn));
		lcn = at;
		clusters += count;
	}
	a = add_attr(r, 0x80, 64 + len + 1, true, "", 64);
	bytes_put_le64(a + 16, vcn);
	bytes_put_le64(a + 24, vcn + clusters - 1);
	bytes_put_le16(a + 32, 64);
	if (!vcn) {
		bytes_put_le64(a + 40, total);
		bytes_put_le64(a + 48, total);
		bytes_put_le64(a + 56, total);
	}
	memcpy(a + 64, pairs, len + 1);
}

static size_t put_list_entry(uint8_t *to, uint64_t vcn, unsigned number, unsigned instance)
{
	memset(to, 0, 32);
	bytes_put_le32(to, 0x80);
	bytes_put_le16(to + 4, 32);
	to[7] = 26;
	bytes_put_le64(to + 8, vcn);
	bytes_put_le64(to + 16, number | UINT64_C(1) << 48);
	bytes_put_le16(to + 24, (uint16_t)instance);
	return 32;
}

/* A stream of two pieces, the second one in an extension record. at: where the list goes when it is outside. */
static void add_in_pieces(struct maker *m, unsigned number, unsigned extra, const struct piece p[2], uint64_t list_at)
{
	uint64_t total = p[0].len + p[1].len;
	uint8_t list[64], *r = record(m, number), *a;
	size_t len = put_list_entry(list, 0, number, 1);

	len += put_list_entry(list + len, p[0].len / m->unit, extra, 0);
	if (m->how->list_outside) {
		a = add_attr(r, 0x20, 64 + 10, true, "", 64);
		bytes_put_le16(a + 32, 64);
		bytes_put_le64(a + 40, m->unit);
		bytes_put_le64(a + 48, len);
		bytes_put_le64(a + 56, len);
		put_run(a + 64, 1, (int64_t)(list_at / m->unit));
		memcpy(m->image + list_at, list, len);
		ntfs_make_mark(m->how, m->image, list_at, m->unit, true);
	} else {
		add_resident(r, 0x20, "", list, len);
	}
	add_runs(m, r, 0, &p[0], 1, total);
	add_runs(m, start_record(m, extra, number), p[0].len / m->unit, &p[1], 1, total);
}

static void add_file(struct maker *m, unsigned number, uint64_t at, uint64_t len)
{
	struct piece p = {at, len};

	add_runs(m, start_record(m, number, 0), 0, &p, 1, len);
	ntfs_make_mark(m->how, m->image, at, len, true);
}

static void add_mft(struct maker *m)
{
	const uint64_t half = MAKE_RECORDS / 2 * MAKE_RECORD_BYTES;
	struct piece p[2] = {{MAKE_MFT_AT, half}, {MAKE_MFT_PART_AT, half}};

	if (!m->how->mft_in_pieces) {
		add_file(m, 0, MAKE_MFT_AT, 2 * half);
		return;
	}
	start_record(m, 0, 0);
	add_in_pieces(m, 0, 15, p, MAKE_LIST_AT);
	ntfs_make_mark(m->how, m->image, MAKE_MFT_AT, half, true);
	ntfs_make_mark(m->how, m->image, MAKE_MFT_PART_AT, half, true);
}

static uint64_t bitmap_bytes(const struct ntfs_make *how)
{
	return (how->sectors * 512 / how->cluster_bytes + 7) / 8;
}

static void add_bitmap(struct maker *m)
{
	uint64_t clusters = (bitmap_bytes(m->how) - 1) / m->unit + 1, rest = (clusters - 1) * m->unit;
	struct piece p[2] = {{MAKE_BITMAP_AT, m->unit}, {MAKE_BITMAP_PART_AT, rest}};
	uint8_t *a;

	if (m->how->bitmap_in_pieces) {
		start_record(m, 6, 0);
		add_in_pieces(m, 6, 24, p, MAKE_LIST_AT + 4096);
		ntfs_make_mark(m->how, m->image, MAKE_BITMAP_AT, m->unit, true);
		ntfs_make_mark(m->how, m->image, MAKE_BITMAP_PART_AT, rest, true);
		return;
	}
	add_file(m, 6, MAKE_BITMAP_AT, clusters * m->unit);
	a = record(m, 6) + 56;
	bytes_put_le64(a + 48, bitmap_bytes(m->how));
	bytes_put_le64(a + 56, m->how->bitmap_initialised ? m->how->bitmap_initialised : bitmap_bytes(m->how));
	if (m->how->bitmap_pairs)
		memcpy(a + 64, m->how->bitmap_pairs, 16);
}

static void add_log_page(uint8_t *page, uint64_t lsn, bool open)
{
	memset(page, 0, 4096);
	memcpy(page, "RSTR", 4);
	bytes_put_le16(page + 4, 30);
	bytes_put_le16(page + 6, 9);
	bytes_put_le32(page + 16, 4096);
	bytes_put_le32(page + 20, 4096);
	bytes_put_le16(page + 24, 48);
	bytes_put_le64(page + 48, lsn);
	bytes_put_le16(page + 48 + 12, open ? 0 : 0xffff);
}

/* Puts the sector signatures in. */
static void seal(uint8_t *r, size_t len)
{
	uint8_t *number = r + bytes_le16(r + 4);

	bytes_put_le16(number, 7);
	for (size_t i = 1; i <= len / 512; i++) {
		memcpy(number + 2 * i, r + 512 * i - 2, 2);
		bytes_put_le16(r + 512 * i - 2, 7);
	}
}

static void add_log(struct maker *m)
{
	uint8_t *log = m->image + MAKE_LOG_AT;
	enum ntfs_make_log how = m->how->log;

	add_file(m, 2, MAKE_LOG_AT, MAKE_LOG_BYTES);
	memset(log, 0xff, MAKE_LOG_BYTES);
	if (how == MAKE_LOG_EMPTY)
		return;
	add_log_page(log, 100, how == MAKE_LOG_OPEN);
	add_log_page(log + 4096, how == MAKE_LOG_REOPENED ? 101 : 99, how != MAKE_LOG_CLOSED);
	seal(log, 4096);
	seal(log + 4096, 4096);
	if (how == MAKE_LOG_DAMAGED)
		log[510] = log[4096 + 510] = 'x';
}

/* The root folder with one entry, hiberfil.sys in record 25, or none. */
static void add_root(struct maker *m)
{
	static const char name[] = "HiberFil.sys";
	uint8_t v[32 + 112 + 16] = {0}, *e = v + 32;
	uint32_t at = 16;

	bytes_put_le32(v, 0x30);
	bytes_put_le32(v + 8, 4096);
	if (m->how->hiberfil) {
		bytes_put_le64(e, 25 | UINT64_C(1) << 48);
		bytes_put_le16(e + 8, 16 + 66 + 24 + 6);
		bytes_put_le16(e + 10, 66 + 24);
		e[16 + 64] = sizeof name - 1;
		for (size_t i = 0; i + 1 < sizeof name; i++)
			bytes_put_le16(e + 16 + 66 + 2 * i, (uint8_t)name[i]);
		at += 112;
	}
	bytes_put_le16(v + 16 + at + 8, 16);
	bytes_put_le16(v + 16 + at + 12, 2); /* the last entry */
	bytes_put_le32(v + 16, 16);
	bytes_put_le32(v + 20, at + 16);
	bytes_put_le32(v + 24, at + 16);
	add_resident(start_record(m, 5, 0), 0x90, "$I30", v, 16 + at + 16);
	if (!m->how->hiberfil)
		return;
	add_file(m, 25, MAKE_HIBERFIL_AT, 4096);
	memcpy(m->image + MAKE_HIBERFIL_AT, m->how->hiberfil, 4);
}

static void add_boot(struct maker *m)
{
	uint8_t *b = m->image;

	memcpy(b + 3, "NTFS    ", 8);
	bytes_put_le16(b + 11, 512);
	b[13] = (uint8_t)(m->unit / 512);
	b[21] = 0xf8;
	bytes_put_le64(b + 40, m->how->sectors);
	bytes_put_le64(b + 48, MAKE_MFT_AT / m->unit);
	bytes_put_le64(b + 56, MAKE_MIRROR_AT / m->unit);
	b[64] = 0xf6; /* 1024 bytes */
	b[68] = 0xf4; /* 4096 bytes */
	bytes_put_le64(b + 72, UINT64_C(0x1122334455667788));
	b[510] = 0x55;
	b[511] = 0xaa;
}

void ntfs_make_mark(const struct ntfs_make *how, uint8_t *image, uint64_t offset, uint64_t length, bool used)
{
	uint64_t unit = how->cluster_bytes;

	for (uint64_t c = offset / unit; c < (offset + length) / unit; c++) {
		uint64_t byte = c / 8;
		uint8_t *p = image + MAKE_BITMAP_AT + byte;

		if (how->bitmap_in_pieces && byte >= unit)
			p = image + MAKE_BITMAP_PART_AT + (byte - unit);
		*p = (uint8_t)(used ? *p | 1u << c % 8 : *p & ~(1u << c % 8));
	}
}

uint8_t *ntfs_make(const struct ntfs_make *how, size_t *len)
{
	uint64_t region = how->region_sectors ? how->region_sectors : how->sectors + 1;
	struct maker m = {.how = how, .unit = how->cluster_bytes};
	uint8_t information[12] = {0};

	*len = region * 512;
	m.image = calloc(1, *len);
	if (!m.image)
		abort();
	add_boot(&m);
	add_mft(&m);
	add_file(&m, 1, MAKE_MIRROR_AT, 4096);
	add_log(&m);
	information[8] = 3;
	information[9] = 1;
	information[10] = how->dirty;
	add_resident(start_record(&m, 3, 0), 0x60, "", "M\0a\0\xdf\0\x3d\xd8\xbe\xdc",
		     10); /* "Maß" and a floppy disk */
	add_resident(record(&m, 3), 0x70, "", information, sizeof information);
	add_resident(start_record(&m, 4, 0), 0x80, "", "", 0);
	add_root(&m);
	add_bitmap(&m);
	add_file(&m, 7, MAKE_BOOT_AT, 8192);
	for (unsigned n = 8; n < 12; n++)
		start_record(&m, n, 0);
	ntfs_make_mark(how, m.image, MAKE_DATA_AT, 12 << 10, true);
	for (unsigned n = 0; n < MAKE_RECORDS; n++) {
		if (!memcmp(record(&m, n), "FILE", 4))
			seal(record(&m, n), MAKE_RECORD_BYTES);
	}
	memcpy(m.image + MAKE_MIRROR_AT, m.image + MAKE_MFT_AT, 4096);
	memcpy(m.image + *len - 512, m.image, 512);
	return m.image;
}
