/* Unit tests of the base room. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/extent.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/progress.h"
#include "base/text.h"

static void error_keeps_code_and_sentence(void **state)
{
	struct error err = {0};
	char longer[3000];

	(void)state;
	assert_int_equal(error_set(&err, -ERR_REFUSED, "disk %d", 7), -ERR_REFUSED);
	assert_string_equal(err.text, "disk 7");
	assert_int_equal(error_prefix(&err, "restoring %s", "john"), -ERR_REFUSED);
	assert_string_equal(err.text, "restoring john: disk 7");
	assert_int_equal(error_errno(&err, ENOSPC, "writing"), -ENOSPC);
	assert_string_equal(err.text, "writing: No space left on device");
	assert_int_equal(error_errno(&err, -ENOSPC, "writing"), -ENOSPC);
	assert_int_equal(error_set(NULL, -EIO, "nobody listens"), -EIO);
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	error_set(&err, -EIO, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof err.text - 1);
	error_prefix(&err, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void every_error_has_its_exit_code(void **state)
{
	static const struct {
		int code;
		enum exit_code exit;
	} rows[] = {{0, 0},
		    {-EIO, 1},
		    {-ERR_USAGE, 2},
		    {-ERR_VERSION, 2},
		    {-ERR_REFUSED, 4},
		    {-ERR_DAMAGED, 5},
		    {-ERR_UNREACHABLE, 6},
		    {-ERR_CANCELLED, 130},
		    {-ERR_FORMAT, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(error_exit_code(rows[i].code), rows[i].exit);
		assert_non_null(error_name(rows[i].code));
	}
}

static void cursor_never_passes_its_end(void **state)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	struct cursor c = cursor_of(bytes, sizeof bytes);
	struct cursor sub;

	(void)state;
	assert_int_equal(cursor_le32(&c), 0x04030201);
	assert_int_equal(cursor_be16(&c), 0x0506);
	assert_false(c.failed);
	sub = cursor_sub(&c, 4);
	assert_true(sub.failed);
	assert_true(c.failed);
	assert_int_equal(cursor_u8(&c), 0);
	c = cursor_of(bytes, sizeof bytes);
	assert_null(cursor_take(&c, SIZE_MAX));
	c = cursor_of(bytes, 8);
	assert_true(cursor_le64(&c) == 0x0807060504030201u);
	assert_int_equal(cursor_left(&c), 0);
	assert_int_equal(cursor_le64(&c), 0);
	assert_true(c.failed);
}

static void buffers_grow_and_remember_failure(void **state)
{
	struct buf b = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_put_le32(&b, (uint32_t)i);
	assert_int_equal(b.len, 4000);
	assert_int_equal(bytes_le32(b.data + 4 * 777), 777);
	buf_printf(&b, "%s-%d", "x", 12);
	assert_memory_equal(b.data + 4000, "x-12", 4);
	assert_int_equal(b.len, 4004);
	assert_int_equal(buf_reserve(&b, SIZE_MAX / 2), -ENOMEM);
	assert_true(b.failed);
	buf_put_u8(&b, 1);
	assert_int_equal(b.len, 4004);
	buf_free(&b);
}

static void zero_test_sees_every_byte(void **state)
{
	uint8_t bytes[200] = {0};

	(void)state;
	for (size_t len = 0; len <= sizeof bytes; len++) {
		assert_true(bytes_are_zero(bytes, len));
		for (size_t i = 0; i < len; i++) {
			bytes[i] = 1;
			assert_false(bytes_are_zero(bytes, len));
			bytes[i] = 0;
		}
	}
}

static void hashes_are_sha256(void **state)
{
	char hex[HASH_HEX_BYTES];
	struct hash h = hash_of("abc", 3), again, streamed;
	struct hash_stream *s = hash_stream_new();

	(void)state;
	/* FIPS 180-4, the example of three characters. */
	assert_string_equal(hash_format(&h, hex), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(hash_parse(hex, &again), 0);
	assert_true(hash_equal(&h, &again));
	hash_stream_add(s, "a", 1);
	hash_stream_add(s, "bc", 2);
	streamed = hash_stream_end(s);
	assert_true(hash_equal(&h, &streamed));
	hex[63] = 'g';
	assert_int_equal(hash_parse(hex, &again), -EINVAL);
	hex[63] = '\0';
	assert_int_equal(hash_parse(hex, &again), -EINVAL);
}

static void extents_merge(void **state)
{
	struct extents list = {0};

	(void)state;
	assert_int_equal(extents_add(&list, 10, 10), 0);
	assert_int_equal(extents_add(&list, 20, 5), 0);
	assert_int_equal(extents_add(&list, 22, 1), 0);
	assert_int_equal(extents_add(&list, 30, 1), 0);
	assert_int_equal(list.n, 2);
	assert_true(list.at[0].offset == 10 && list.at[0].length == 15);
	assert_int_equal(extents_add(&list, 5, 1), -EINVAL);
	assert_int_equal(extents_add(&list, UINT64_MAX, 2), -ERANGE);
	assert_int_equal(extents_add_unordered(&list, 0, 11), 0);
	extents_normalise(&list);
	assert_int_equal(list.n, 2);
	assert_true(list.at[0].offset == 0 && list.at[0].length == 25);
	assert_true(extents_total(&list) == 26);
	extents_free(&list);
}

static void sizes_and_times_read_well(void **state)
{
	char t[TEXT_SIZE_BYTES];
	uint64_t v;
	int64_t when;

	(void)state;
	assert_string_equal(text_size(812, t), "812 B");
	assert_string_equal(text_size(1536, t), "1.5 KiB");
	assert_string_equal(text_size(UINT64_MAX, t), "16.0 EiB");
	assert_string_equal(text_duration(4.24, t), "4.2 s");
	assert_string_equal(text_duration(200, t), "3m 20s");
	assert_string_equal(text_duration(3720, t), "1h 02m");
	assert_int_equal(text_parse_size("64M", &v), 0);
	assert_true(v == 64u << 20);
	assert_int_equal(text_parse_size("1GiB", &v), 0);
	assert_true(v == 1u << 30);
	assert_int_equal(text_parse_size("99999999E", &v), -ERANGE);
	assert_int_equal(text_parse_size("-1", &v), -EINVAL);
	assert_int_equal(text_parse_size("", &v), -EINVAL);
	assert_int_equal(text_u64("18446744073709551616", UINT64_MAX, &v), -ERANGE);
	assert_string_equal(text_time(0, t), "1970-01-01T00:00:00Z");
	assert_int_equal(text_parse_time("2026-01-31T12:00:00Z", &when), 0);
	assert_string_equal(text_time(when, t), "2026-01-31T12:00:00Z");
	assert_int_equal(text_parse_time("yesterday", &when), -EINVAL);
}

static void names_are_safe(void **state)
{
	char to[8];

	(void)state;
	assert_true(text_is_name("john-2.lab_3"));
	assert_false(text_is_name(""));
	assert_false(text_is_name(".."));
	assert_false(text_is_name("a/b"));
	assert_false(text_is_name("-x"));
	assert_string_equal(text_printable("a\x1b[2J", to, sizeof to), "a?[2J");
	assert_string_equal(text_printable("gr\xc3\xbc\xff", to, sizeof to), "gr\xc3\xbc?");
	assert_string_equal(text_printable("1234567\xc3\xbc", to, sizeof to), "1234567");
}

static void files_are_replaced_whole(void **state)
{
	char dir[] = "/tmp/g4l-base-XXXXXX", path[PATH_MAX], deep[PATH_MAX];
	struct buf b = {0};
	struct error err = {0};
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(deep, sizeof deep, "%s/a/b/c", dir);
	assert_int_equal(io_make_dirs(deep, 0755, &err), 0);
	snprintf(path, sizeof path, "%s/file", deep);
	assert_int_equal(io_replace_file(path, "one", 3, 0600, &err), 0);
	assert_int_equal(io_replace_file(path, "three", 5, 0600, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(io_read_file(path, 100, &b, &err), 0);
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, "three", 5);
	buf_free(&b);
	assert_int_equal(io_read_file(path, 4, &b, &err), -EFBIG);
	buf_free(&b);
	assert_int_equal(io_replace_file("/nonexistent-folder/x", "", 0, 0600, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent-folder/x"));
	unlink(path);
	for (int i = 0; i < 4; i++) {
		rmdir(deep);
		*strrchr(deep, '/') = '\0';
	}
}

static void progress_tells_rate_and_time_left(void **state)
{
	struct progress_meter m = {0};
	struct progress p = {.phase = "reading", .total_bytes = 1000u << 20};
	char line[200];

	(void)state;
	for (int i = 0; i <= 100; i++) {
		p.done_bytes = (uint64_t)i * (5u << 20);
		progress_meter_feed(&m, &p, 1000 + i * 0.5);
	}
	assert_in_range((uint64_t)m.rate, 10u << 20, (10u << 20) + 1000);
	assert_in_range((uint64_t)progress_meter_left(&m, &p), 49, 51);
	assert_string_equal(progress_line(&m, &p, line, sizeof line),
			    "reading      500 MiB of 1000 MiB   50 %  10.0 MiB/s  50.0 s left");
	p.phase = "checking";
	progress_meter_feed(&m, &p, 1051);
	assert_true(progress_meter_left(&m, &p) < 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_keeps_code_and_sentence),
		cmocka_unit_test(every_error_has_its_exit_code),
		cmocka_unit_test(cursor_never_passes_its_end),
		cmocka_unit_test(buffers_grow_and_remember_failure),
		cmocka_unit_test(zero_test_sees_every_byte),
		cmocka_unit_test(hashes_are_sha256),
		cmocka_unit_test(extents_merge),
		cmocka_unit_test(sizes_and_times_read_well),
		cmocka_unit_test(names_are_safe),
		cmocka_unit_test(files_are_replaced_whole),
		cmocka_unit_test(progress_tells_rate_and_time_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
