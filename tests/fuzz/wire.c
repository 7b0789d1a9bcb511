/*
 * Every decoder of src/wire. The first byte chooses one, the rest is the body. What a decoder accepts must come out the
 * same after being encoded and decoded again.
 */
#include <stdlib.h>
#include <string.h>

#include "wire/codec.h"
#include "wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void frames(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	struct chunk_frame f;
	struct buf b = {0};
	size_t used;

	while (wire_frame_next(&c, true, &f, NULL) == 1)
		must(wire_frame_encode(&f, &b) == 0);
	used = size - cursor_left(&c);
	must(b.len == used && (used == 0 || memcmp(b.data, data, used) == 0));
	buf_free(&b);
}

static void hello(const uint8_t *data, size_t size)
{
	struct wire_hello a, again;
	struct buf b = {0};

	if (wire_hello_decode(data, size, &a, NULL) == 0) {
		must(wire_hello_encode(&a, &b) == 0);
		must(wire_hello_decode(b.data, b.len, &again, NULL) == 0);
		must(again.n_disks == a.n_disks && again.n_macs == a.n_macs && strcmp(again.product, a.product) == 0);
		wire_hello_clear(&again);
	}
	wire_hello_clear(&a);
	buf_free(&b);
}

static void job(const uint8_t *data, size_t size)
{
	struct wire_job a, again;
	struct buf b = {0};

	if (wire_job_decode(data, size, &a, NULL) == 0) {
		must(wire_job_encode(&a, &b) == 0);
		must(wire_job_decode(b.data, b.len, &again, NULL) == 0);
		must(again.n_tags == a.n_tags && again.kind == a.kind && strcmp(again.disk, a.disk) == 0);
		wire_job_clear(&again);
	}
	wire_job_clear(&a);
	buf_free(&b);
}

static void progress(const uint8_t *data, size_t size)
{
	struct wire_progress a, again;
	struct buf b = {0};

	if (wire_progress_decode(data, size, &a, NULL) == 0) {
		must(wire_progress_encode(&a, &b) == 0);
		must(wire_progress_decode(b.data, b.len, &again, NULL) == 0);
		must(again.done_bytes == a.done_bytes && strcmp(again.region, a.region) == 0);
		wire_progress_clear(&again);
	}
	wire_progress_clear(&a);
	buf_free(&b);
}

static void log_lines(const uint8_t *data, size_t size)
{
	struct wire_log a, again;
	struct buf b = {0};

	if (wire_log_decode(data, size, &a, NULL) == 0) {
		must(wire_log_encode(&a, &b) == 0);
		must(wire_log_decode(b.data, b.len, &again, NULL) == 0);
		must(again.n == a.n);
		wire_log_clear(&again);
	}
	wire_log_clear(&a);
	buf_free(&b);
}

static void finish(const uint8_t *data, size_t size)
{
	struct wire_finish a, again;
	struct buf b = {0};

	if (wire_finish_decode(data, size, &a, NULL) == 0) {
		must(wire_finish_encode(&a, &b) == 0);
		must(wire_finish_decode(b.data, b.len, &again, NULL) == 0);
		must(again.code == a.code && strcmp(again.error, a.error) == 0);
		wire_finish_clear(&again);
	}
	wire_finish_clear(&a);
	buf_free(&b);
}

static void answers(const uint8_t *data, size_t size)
{
	const struct hash *hashes;
	struct error err = {0};
	enum wire_after after;
	bool present[64], cancel;
	char id[SNAPSHOT_ID_BYTES];
	uint64_t stored;
	size_t n;

	if (wire_hashes_view(data, size, &hashes, &n, NULL) == 0)
		must(n * HASH_BYTES == size);
	wire_present_decode(data, size, present, size < 64 ? size : 64, NULL);
	wire_cancel_decode(data, size, &cancel, NULL);
	wire_finish_answer_decode(data, size, &after, NULL);
	wire_put_answer_decode(data, size, &stored, NULL);
	wire_commit_answer_decode(data, size, id, NULL);
	must(wire_error_decode(500, data, size, &err) && err.code == -EIO);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const decoders[])(const uint8_t *, size_t) = {frames,    hello,  job,    progress,
								    log_lines, finish, answers};

	if (size > 0)
		decoders[data[0] % 7](data + 1, size - 1);
	return 0;
}
