/* How an NTFS volume was left, by its own records: label, dirty flag, open journal, a Windows that sleeps. */
#include <string.h>

#include "fs/ntfs_volume.h"

#define VOLUME_IS_DIRTY 1

/* UTF-16LE to UTF-8; lone surrogates become '?'. Cut at a character where `to` is full. */
static void utf8_of(struct cursor c, char *to, size_t to_bytes)
{
	size_t n = 0;

	while (cursor_left(&c) >= 2) {
		uint32_t u = cursor_le16(&c);
		size_t need;

		if (u >= 0xd800 && u < 0xdc00 && cursor_left(&c) >= 2 && (bytes_le16(c.at) & 0xfc00) == 0xdc00)
			u = 0x10000 + ((u & 0x3ff) << 10) + (cursor_le16(&c) & 0x3ffu);
		else if ((u & 0xf800) == 0xd800 || u < 0x20)
			u = '?';
		need = u < 0x80 ? 1 : u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
		if (n + need >= to_bytes)
			break;
		if (need == 1) {
			to[n++] = (char)u;
			continue;
		}
		to[n++] = (char)((0xf00 >> need & 0xff) | u >> 6 * (need - 1));
		for (size_t i = need - 1; i-- > 0;)
			to[n++] = (char)(0x80 | (u >> 6 * i & 0x3f));
	}
	to[n] = 0;
}

static int read_volume_record(const struct ntfs_volume *vol, struct ntfs_state *state, struct error *err)
{
	struct ntfs_stream s;
	int rc = ntfs_stream_load(vol, NTFS_VOLUME, NTFS_VOLUME_INFORMATION, "", &s, err);

	if (!rc && s.resident.len < 12)
		rc = error_set(err, -ERR_FORMAT, "the NTFS volume record says nothing about the volume");
	if (!rc)
		state->dirty = bytes_le16(s.resident.data + 10) & VOLUME_IS_DIRTY; /* after the version at 8 and 9 */
	ntfs_stream_free(&s);
	if (rc < 0)
		return rc;
	rc = ntfs_stream_load(vol, NTFS_VOLUME, NTFS_VOLUME_NAME, "", &s, err);
	if (!rc && s.resident.len)
		utf8_of(cursor_of(s.resident.data, s.resident.len), state->label, sizeof state->label);
	ntfs_stream_free(&s);
	return rc;
}

/* Reads the signature of hiberfil.sys. A stale index block may name a record that is no longer in use. */
static void look_for_sleep(const struct ntfs_volume *vol, struct ntfs_state *state)
{
	struct ntfs_stream s;
	uint8_t sign[4] = {0};
	uint64_t number;
	int rc = ntfs_root_find(vol, "hiberfil.sys", &number, NULL);

	state->hiberfil_unknown = rc < 0;
	if (rc != 1)
		return;
	rc = ntfs_stream_load(vol, number, NTFS_DATA, "", &s, NULL);
	if (!rc && s.size >= sizeof sign)
		rc = ntfs_stream_read(vol, &s, sign, sizeof sign, 0, NULL);
	ntfs_stream_free(&s);
	state->hiberfil_unknown = rc < 0 && rc != -ENOENT;
	for (size_t i = 0; i < sizeof sign; i++)
		sign[i] &= 0xdf; /* upper case */
	state->hibernated = memcmp(sign, "HIBR", 4) == 0 || memcmp(sign, "RSTR", 4) == 0;
}

int ntfs_state_read(const struct ntfs_volume *vol, struct ntfs_state *state, struct error *err)
{
	int rc;

	*state = (struct ntfs_state){0};
	rc = read_volume_record(vol, state, err);
	if (rc < 0)
		return rc;
	look_for_sleep(vol, state);
	rc = ntfs_log_in_use(vol, err);
	if (rc < 0)
		return rc;
	state->log_in_use = rc == 1;
	return 0;
}
