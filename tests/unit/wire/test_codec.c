/* The codecs of src/wire: round trips, and what each decoder must refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "wire/codec.h"
#include "wire/message.h"

static void hashes_are_bounded(void **state)
{
	static uint8_t body[(WIRE_MAX_HASHES + 1) * HASH_BYTES];
	const struct hash *h;
	size_t n;
	struct error err = {0};

	body[32] = 7;
	assert_int_equal(wire_hashes_view(body, 64, &h, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(h[1].bytes[0], 7);
	assert_int_equal(wire_hashes_view(body, WIRE_MAX_HASHES * HASH_BYTES, &h, &n, &err), 0);
	assert_int_equal(n, WIRE_MAX_HASHES);
	assert_int_equal(wire_hashes_view(body, sizeof body, &h, &n, &err), -ERR_FORMAT);
	assert_int_equal(wire_hashes_view(body, 0, &h, &n, &err), -ERR_FORMAT);
	assert_int_equal(wire_hashes_view(body, 33, &h, &n, &err), -ERR_FORMAT);
}

static void present_round_trip(void **state)
{
	bool in[3] = {true, false, true}, out[3];
	struct buf b = {0};
	struct error err = {0};

	assert_int_equal(wire_present_encode(in, 3, &b), 0);
	assert_int_equal(wire_present_decode(b.data, b.len, out, 3, &err), 0);
	assert_memory_equal(in, out, sizeof in);
	assert_int_equal(wire_present_decode(b.data, b.len, out, 2, &err), -ERR_FORMAT);
	b.data[1] = 2;
	assert_int_equal(wire_present_decode(b.data, b.len, out, 3, &err), -ERR_FORMAT);
	buf_free(&b);
}

static void frames_round_trip(void **state)
{
	struct chunk_frame f = {
		.plain_bytes = 5, .body_bytes = 5, .method = CHUNK_PLAIN, .body = (const uint8_t *)"hello"};
	struct chunk_frame z = {
		.plain_bytes = 100, .body_bytes = 3, .method = CHUNK_ZSTD, .body = (const uint8_t *)"xyz"};
	struct chunk_frame got;
	struct error err = {0};
	struct buf b = {0};
	struct cursor c;

	f.hash = hash_of("hello", 5);
	assert_int_equal(wire_frame_encode(&f, &b), 0);
	assert_int_equal(wire_frame_encode(&z, &b), 0);
	assert_int_equal(wire_frame_encode_error(&f.hash, "gone", &b), 0);
	assert_int_equal(b.len, 3 * WIRE_FRAME_HEAD_BYTES + 5 + 3 + 4);
	assert_int_equal(bytes_le32(b.data + 32), 5);
	assert_int_equal(bytes_le32(b.data + 36), 5);
	assert_int_equal(b.data[40], 0);

	c = cursor_of(b.data, b.len);
	assert_int_equal(wire_frame_next(&c, true, &got, &err), 1);
	assert_true(hash_equal(&got.hash, &f.hash));
	assert_memory_equal(got.body, "hello", 5);
	assert_int_equal(wire_frame_next(&c, true, &got, &err), 1);
	assert_int_equal(got.method, CHUNK_ZSTD);
	assert_int_equal(got.plain_bytes, 100);
	assert_int_equal(wire_frame_next(&c, true, &got, &err), 1);
	assert_int_equal(got.method, WIRE_METHOD_ERROR);
	assert_memory_equal(got.body, "gone", 4);
	assert_int_equal(wire_frame_next(&c, true, &got, &err), 0);

	/* A request must not hold error frames. */
	c = cursor_of(b.data + 2 * WIRE_FRAME_HEAD_BYTES + 8, WIRE_FRAME_HEAD_BYTES + 4);
	assert_int_equal(wire_frame_next(&c, false, &got, &err), -ERR_FORMAT);
	/* Every cut says "more is to come" and does not move. */
	for (size_t n = 1; n < WIRE_FRAME_HEAD_BYTES + 5; n++) {
		c = cursor_of(b.data, n);
		assert_int_equal(wire_frame_next(&c, false, &got, &err), -EAGAIN);
		assert_ptr_equal(c.at, b.data);
	}
	buf_free(&b);
}

static int frame_with(uint32_t plain, uint32_t body, uint8_t method, uint8_t padding)
{
	uint8_t bytes[WIRE_FRAME_HEAD_BYTES + 16] = {0};
	struct chunk_frame f = {.plain_bytes = plain, .body_bytes = body, .method = method}, got;
	struct cursor c = cursor_of(bytes, sizeof bytes);

	wire_frame_head(&f, bytes);
	bytes[42] = padding;
	return wire_frame_next(&c, true, &got, NULL);
}

static void frames_are_checked(void **state)
{
	assert_int_equal(frame_with(16, 16, CHUNK_PLAIN, 0), 1);
	assert_int_equal(frame_with(16, 16, CHUNK_PLAIN, 1), -ERR_FORMAT);
	assert_int_equal(frame_with(16, 15, CHUNK_PLAIN, 0), -ERR_FORMAT);
	assert_int_equal(frame_with(16, 15, CHUNK_ZSTD, 0), 1);
	assert_int_equal(frame_with(15, 16, CHUNK_ZSTD, 0), -ERR_FORMAT);
	assert_int_equal(frame_with(0, 0, CHUNK_PLAIN, 0), -ERR_FORMAT);
	assert_int_equal(frame_with(16, 0, CHUNK_ZSTD, 0), -ERR_FORMAT);
	assert_int_equal(frame_with(CHUNK_MAX_BYTES + 1, 16, CHUNK_ZSTD, 0), -ERR_FORMAT);
	assert_int_equal(frame_with(UINT32_MAX, UINT32_MAX, CHUNK_PLAIN, 0), -ERR_FORMAT);
	assert_int_equal(frame_with(16, 16, 2, 0), -ERR_FORMAT);
	assert_int_equal(frame_with(1, 16, WIRE_METHOD_ERROR, 0), -ERR_FORMAT);
	assert_int_equal(frame_with(0, 0, WIRE_METHOD_ERROR, 0), -ERR_FORMAT);
	assert_int_equal(frame_with(0, WIRE_MAX_SENTENCE_BYTES + 1, WIRE_METHOD_ERROR, 0), -ERR_FORMAT);
}

static void statuses_map_both_ways(void **state)
{
	static const struct {
		int code;
		unsigned status;
		const char *name;
		bool later;
	} want[] = {
		{-ERR_FORMAT, 400, "format", false},
		{-EACCES, 401, "token", false},
		{-ERR_REFUSED, 403, "refused", false},
		{-ESTALE, 409, "state", false},
		{-ERR_CANCELLED, 410, "cancelled", false},
		{-ERR_DAMAGED, 422, "damaged", false},
		{-ENOENT, 404, "missing", false},
		{-ENOSPC, 507, "full", true},
		{-EBUSY, 503, "busy", true},
		{-EIO, 500, "failed", true},
	};

	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
		const struct wire_status *s = wire_status_of_code(want[i].code);

		assert_int_equal(s->status, want[i].status);
		assert_string_equal(s->name, want[i].name);
		assert_int_equal(s->later, want[i].later);
		assert_int_equal(wire_status_of_answer(want[i].status, want[i].name)->code, want[i].code);
		assert_int_equal(wire_status_of_answer(want[i].status, NULL)->code, want[i].code);
		assert_int_equal(wire_status_of_answer(want[i].status, "other")->code, want[i].code);
	}
	assert_int_equal(wire_status_of_code(-ERR_USAGE)->status, 400);
	assert_int_equal(wire_status_of_code(-ERR_UNREACHABLE)->status, 503);
	assert_int_equal(wire_status_of_code(-ENOMEM)->status, 500);
	assert_true(wire_status_of_answer(502, "")->later);
	assert_false(wire_status_of_answer(302, "")->later);
}

static void errors_round_trip(void **state)
{
	struct error in = {0}, out = {0};
	struct buf b = {0};

	error_set(&in, -ENOSPC, "the store is \"full\"\n\xff");
	assert_int_equal(wire_error_encode(&in, &b), 0);
	assert_int_equal(wire_error_decode(507, b.data, b.len, &out)->code, -ENOSPC);
	assert_int_equal(out.code, -ENOSPC);
	assert_string_equal(out.text, "the store is \"full\"\?\?");
	buf_free(&b);
	assert_int_equal(wire_error_decode(401, "<html>", 6, &out)->code, -EACCES);
	assert_string_equal(out.text, "the server answered with HTTP status 401");
	assert_int_equal(wire_error_decode(503, "{\"error\":5,\"code\":[]}", 21, &out)->code, -EBUSY);
}

static void hello_round_trip(void **state)
{
	char macs[2][WIRE_MAC_BYTES] = {"AA:bb:cc:dd:ee:0F", "00:11:22:33:44:55"};
	struct disk_found d = {.size_bytes = 1ull << 40, .sector_bytes = 4096, .removable = true, .boot_medium = true};
	struct wire_hello in = {.protocol = 1,
				.version = "0.1.0",
				.firmware = "uefi",
				.secure_boot = true,
				.cpus = 8,
				.memory_bytes = 1ull << 34,
				.macs = macs,
				.n_macs = 2,
				.disks = &d,
				.n_disks = 1},
			  out;
	struct error err = {0};
	struct buf b = {0};

	strcpy(in.nonce, "000102030405060708090A0b0c0d0e0f");
	strcpy(in.product, "PC \xff \"9\"");
	strcpy(d.identity.path, "/dev/sda");
	strcpy(d.identity.wwn, "0x5000");
	assert_int_equal(wire_hello_encode(&in, &b), 0);
	assert_int_equal(wire_hello_decode(b.data, b.len, &out, &err), 0);
	assert_string_equal(out.nonce, "000102030405060708090a0b0c0d0e0f");
	assert_string_equal(out.macs[0], "aa:bb:cc:dd:ee:0f");
	assert_int_equal(out.n_macs, 2);
	assert_string_equal(out.product, "PC ? \"9\"");
	assert_true(out.secure_boot);
	assert_int_equal(out.memory_bytes, in.memory_bytes);
	assert_int_equal(out.n_disks, 1);
	assert_string_equal(out.disks[0].identity.wwn, "0x5000");
	assert_int_equal(out.disks[0].size_bytes, d.size_bytes);
	assert_int_equal(out.disks[0].sector_bytes, 4096);
	assert_true(out.disks[0].removable && out.disks[0].boot_medium);
	wire_hello_clear(&out);

	/* Every cut is refused. */
	for (size_t n = 0; n < b.len; n++) {
		assert_int_equal(wire_hello_decode(b.data, n, &out, &err), -ERR_FORMAT);
		wire_hello_clear(&out);
	}
	buf_free(&b);
	memcpy(macs[0], "aa:bb:cc:dd-ee:ff", WIRE_MAC_BYTES);
	assert_int_equal(wire_hello_encode(&in, &b), 0);
	assert_int_equal(wire_hello_decode(b.data, b.len, &out, &err), -ERR_FORMAT);
	assert_non_null(strstr(err.text, "macs"));
	wire_hello_clear(&out);
	buf_free(&b);
}

static void job_round_trip(void **state)
{
	char *tags[] = {(char *)"golden", (char *)"v2"};
	struct wire_job in = {.job = 12,
			      .kind = WIRE_RESTORE,
			      .host = "john",
			      .after = WIRE_REBOOT,
			      .tags = tags,
			      .n_tags = 2,
			      .disk = "/dev/sda",
			      .full = true,
			      .allow_single = true,
			      .against_disk = true,
			      .time = 1764000000},
			out;
	struct error err = {0};
	struct buf b = {0};

	memset(in.session, 'a', WIRE_TOKEN_HEX_BYTES - 1);
	assert_int_equal(wire_job_encode(&in, &b), 0);
	assert_int_equal(wire_job_decode(b.data, b.len, &out, &err), 0);
	assert_string_equal(out.session, in.session);
	assert_int_equal(out.kind, WIRE_RESTORE);
	assert_int_equal(out.after, WIRE_REBOOT);
	assert_string_equal(out.tags[1], "v2");
	assert_string_equal(out.disk, "/dev/sda");
	assert_true(out.time == 1764000000);
	assert_true(out.full && !out.read_back && out.allow_single && out.against_disk);
	wire_job_clear(&out);
	buf_free(&b);

	in.disk[0] = '\0';
	in.kind = (enum wire_kind)9;
	assert_int_equal(wire_job_encode(&in, &b), 0);
	assert_int_equal(wire_job_decode(b.data, b.len, &out, &err), -ERR_FORMAT);
	wire_job_clear(&out);
	buf_free(&b);
}

static void job_defaults_are_safe(void **state)
{
	static const char text[] = "{\"session\":\"0000000000000000000000000000000000000000000000000000000000000000\","
				   "\"job\":1,\"time\":1,\"kind\":\"restore\",\"host\":\"a\",\"after\":\"stay\","
				   "\"tags\":[],\"disk\":null,\"new\":1}";
	struct wire_job j;
	struct error err = {0};

	assert_int_equal(wire_job_decode(text, strlen(text), &j, &err), 0);
	assert_true(j.read_back);
	assert_false(j.allow_single);
	assert_false(j.full);
	assert_string_equal(j.disk, "");
	wire_job_clear(&j);
}

static void small_messages_round_trip(void **state)
{
	struct wire_progress p = {.phase = "reading",
				  .done_bytes = 1,
				  .total_bytes = 2,
				  .new_bytes = 3,
				  .stored_bytes = 4,
				  .skipped_bytes = 5,
				  .region = "partition 2",
				  .screen = (char *)"a\nb"},
			     p2;
	struct wire_log_line line = {.time = 5, .level = LOG_LEVEL_WARNING, .text = (char *)"odd \xc3"};
	struct wire_log l = {.lines = &line, .n = 1}, l2;
	struct wire_finish f = {.result = WIRE_DEGRADED, .code = 3, .error = "two", .stats = (char *)"{\"a\":1}"}, f2;
	struct error err = {0};
	struct buf b = {0};
	bool cancel = false;
	uint64_t stored;
	enum wire_after after;
	char id[SNAPSHOT_ID_BYTES];

	assert_int_equal(wire_progress_encode(&p, &b), 0);
	assert_int_equal(wire_progress_decode(b.data, b.len, &p2, &err), 0);
	assert_string_equal(p2.screen, "a\nb");
	assert_int_equal(p2.skipped_bytes, 5);
	wire_progress_clear(&p2);
	buf_free(&b);
	assert_int_equal(wire_log_encode(&l, &b), 0);
	assert_int_equal(wire_log_decode(b.data, b.len, &l2, &err), 0);
	assert_string_equal(l2.lines[0].text, "odd ?");
	assert_int_equal(l2.lines[0].level, LOG_LEVEL_WARNING);
	wire_log_clear(&l2);
	buf_free(&b);
	assert_int_equal(wire_finish_encode(&f, &b), 0);
	assert_int_equal(wire_finish_decode(b.data, b.len, &f2, &err), 0);
	assert_int_equal(f2.result, WIRE_DEGRADED);
	assert_int_equal(f2.code, 3);
	assert_string_equal(f2.stats, "{\"a\":1}");
	wire_finish_clear(&f2);
	buf_free(&b);
	assert_int_equal(wire_cancel_encode(true, &b), 0);
	assert_int_equal(wire_cancel_decode(b.data, b.len, &cancel, &err), 0);
	assert_true(cancel);
	buf_free(&b);
	assert_int_equal(wire_put_answer_encode(77, &b), 0);
	assert_int_equal(wire_put_answer_decode(b.data, b.len, &stored, &err), 0);
	assert_int_equal(stored, 77);
	assert_int_equal(wire_finish_answer_decode(b.data, b.len, &after, &err), -ERR_FORMAT);
	buf_free(&b);
	assert_int_equal(wire_finish_answer_encode(WIRE_REBOOT, &b), 0);
	assert_int_equal(wire_finish_answer_decode(b.data, b.len, &after, &err), 0);
	assert_int_equal(after, WIRE_REBOOT);
	buf_free(&b);
	assert_int_equal(wire_commit_answer_encode("0123456789abcdef0123456789abcdef", &b), 0);
	assert_int_equal(wire_commit_answer_decode(b.data, b.len, id, &err), 0);
	assert_string_equal(id, "0123456789abcdef0123456789abcdef");
	buf_free(&b);
	assert_int_equal(wire_put_answer_decode("{\"stored_bytes\":-1}", 19, &stored, &err), -ERR_FORMAT);
	assert_int_equal(wire_put_answer_decode("[]", 2, &stored, &err), -ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_are_bounded),	  cmocka_unit_test(present_round_trip),
		cmocka_unit_test(frames_round_trip),	  cmocka_unit_test(frames_are_checked),
		cmocka_unit_test(statuses_map_both_ways), cmocka_unit_test(errors_round_trip),
		cmocka_unit_test(hello_round_trip),	  cmocka_unit_test(job_round_trip),
		cmocka_unit_test(job_defaults_are_safe),  cmocka_unit_test(small_messages_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
