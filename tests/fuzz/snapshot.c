/*
 * Snapshots of unknown origin. A checksum guards the envelope, so the input is taken once as an envelope and once as
 * the JSON inside it; what decodes must survive being written and read again.
 */
#include <stdlib.h>

#include "image/snapshot_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(struct snapshot *s)
{
	struct snapshot back;
	struct error err = {0};
	struct buf b = {0};

	if (snapshot_encode(s, &b, &err) == 0) {
		if (snapshot_decode(b.data, b.len, &back, &err) < 0)
			abort();
		if (strcmp(back.id, s->id) != 0 || strcmp(back.host, s->host) != 0 || back.n_disks != s->n_disks)
			abort();
		snapshot_clear(&back);
	}
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot s;
	struct error err = {0};

	if (snapshot_decode(data, size, &s, &err) == 0) {
		write_again(&s);
		snapshot_clear(&s);
	}
	s = (struct snapshot){0};
	if (snapshot_json_parse((const char *)data, size, &s, &err) == 0)
		write_again(&s);
	snapshot_clear(&s);
	return 0;
}
