/* Every file of a store cut short, changed, swapped, missing or from the future: a clear answer, never wrong data. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "fixture.h"

struct names {
	char at[16][256];
	size_t n;
};

static int note(void *arg, const char *name, uint64_t size_bytes)
{
	struct names *l = arg;

	assert_true(l->n < 16);
	snprintf(l->at[l->n++], sizeof l->at[0], "%s", name);
	return 0;
}

static struct names list(struct store *s, const char *prefix)
{
	struct names l = {0};
	struct error err = {0};

	assert_done(store_backend_list(s->backend, prefix, note, &l, &err), err);
	return l;
}

struct damages {
	char objects[64][256], snapshots[64][128];
	size_t n;
};

static void found(void *arg, const struct store_damage *d)
{
	struct damages *l = arg;

	assert_true(d->what[0] != '\0');
	if (l->n == 64)
		return;
	snprintf(l->objects[l->n], sizeof l->objects[0], "%s", d->object);
	snprintf(l->snapshots[l->n++], sizeof l->snapshots[0], "%s", d->snapshot ? d->snapshot : "");
}

static bool names_object(const struct damages *l, const char *object)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->objects[i], object) == 0)
			return true;
	return false;
}

static bool names_snapshot(const struct damages *l, const char *snapshot)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->snapshots[i], snapshot) == 0)
			return true;
	return false;
}

static char *path_of(const char *folder, const char *name)
{
	char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
	return path;
}

static void flip(const char *folder, const char *name, off_t at, uint8_t bits)
{
	char *path = path_of(folder, name);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_true(fd >= 0 && pread(fd, &byte, 1, at) == 1);
	byte ^= bits;
	assert_true(pwrite(fd, &byte, 1, at) == 1);
	close(fd);
	free(path);
}

static off_t size_of(const char *folder, const char *name)
{
	char *path = path_of(folder, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	free(path);
	return st.st_size;
}

/* Opens a store, checks it, restores from it: the codes, and what check named. A restore is right or refused. */
static int check_all(const char *folder, bool read_data, struct damages *l)
{
	struct error err = {0};
	struct store *s;
	int r = store_open(folder, &s, &err), restored;

	*l = (struct damages){0};
	if (r < 0)
		return r;
	r = store_check(s, read_data, found, l, NULL, NULL, &err);
	restored = fixture_verify(s, "john", NULL, &err);
	if (restored != 0 && restored != -ERR_DAMAGED && restored != -ERR_VERSION)
		fail_msg("restore: %d %s", restored, err.text);
	assert_true(restored == 0 ? err.code == 0 || r < 0 : err.text[0] != '\0');
	store_close(s);
	return r;
}

static char *two_backups(void)
{
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);
	struct fixture_backup a = {.host = "jane", .time = 1000, .first = 300, .n = 12};
	struct fixture_backup b = {.host = "john", .time = 1000, .first = 0, .n = 20};
	struct error err = {0};

	assert_done(fixture_run(s, &a, &err), err);
	assert_done(fixture_run(s, &b, &err), err);
	store_close(s);
	return folder;
}

static void every_byte_of_a_pack_counts(void **state)
{
	char *folder = two_backups();
	struct store *s = fixture_open(folder);
	struct names packs = list(s, "packs/");
	struct damages l;
	off_t size = size_of(folder, packs.at[0]);

	store_close(s);
	assert_int_equal(packs.n, 2);
	for (off_t at = 0; at < size; at += at < 120 || at > size - 200 ? 7 : size / 60) {
		flip(folder, packs.at[0], at, (uint8_t)(1u << (at % 8)));
		assert_int_equal(check_all(folder, true, &l), -ERR_DAMAGED);
		if (!names_object(&l, packs.at[0]))
			fail_msg("check does not name the pack for byte %lld", (long long)at);
		flip(folder, packs.at[0], at, (uint8_t)(1u << (at % 8)));
	}
	assert_int_equal(check_all(folder, true, &l), 0);
	fixture_remove(folder);
}

static void damage_names_the_snapshots_that_are_hit(void **state)
{
	char *folder = two_backups();
	struct store *s = fixture_open(folder);
	struct names snaps = list(s, "snapshots/john/"), packs = list(s, "packs/");
	size_t in_john = size_of(folder, packs.at[0]) > size_of(folder, packs.at[1]) ? 0 : 1;
	char john[128];
	struct damages l;

	store_close(s);
	snprintf(john, sizeof john, "john@%s", snaps.at[0] + strlen("snapshots/john/"));
	flip(folder, packs.at[in_john], 500, 1);
	assert_int_equal(check_all(folder, true, &l), -ERR_DAMAGED);
	assert_int_equal(l.n, 2); /* the pack's frame, and john's snapshot; jane's is well */
	assert_true(names_object(&l, packs.at[in_john]) && names_snapshot(&l, john));
	assert_int_equal(check_all(folder, false, &l), 0); /* the structure alone is sound */
	fixture_remove(folder);
}

static void files_cut_short(void **state)
{
	char *folder = two_backups();
	struct store *s = fixture_open(folder);
	struct names packs = list(s, "packs/"), snaps = list(s, "snapshots/john/");
	const char *names[] = {packs.at[0], snaps.at[0], "config"};
	struct damages l;

	store_close(s);
	for (size_t i = 0; i < 3; i++) {
		off_t size = size_of(folder, names[i]);
		off_t cuts[] = {0, 1, 31, 60, size / 2, size - 97, size - 1};

		for (size_t k = 0; k < sizeof cuts / sizeof *cuts; k++) {
			char *copy = fixture_copy(folder), *path = path_of(copy, names[i]);

			if (cuts[k] < 0 || cuts[k] >= size) {
				free(path);
				fixture_remove(copy);
				continue;
			}
			assert_int_equal(truncate(path, cuts[k]), 0);
			assert_int_equal(check_all(copy, false, &l), -ERR_DAMAGED);
			assert_true(i == 2 || names_object(&l, names[i]));
			free(path);
			fixture_remove(copy);
		}
	}
	fixture_remove(folder);
}

static void swap(const char *folder, const char *a, const char *b)
{
	char *pa = path_of(folder, a), *pb = path_of(folder, b), *tmp = path_of(folder, "swap");

	assert_true(rename(pa, tmp) == 0 && rename(pb, pa) == 0 && rename(tmp, pb) == 0);
	free(pa);
	free(pb);
	free(tmp);
}

static void swapped_files(void **state)
{
	char *folder = two_backups();
	struct store *s = fixture_open(folder);
	struct names packs = list(s, "packs/"), jane = list(s, "snapshots/jane/"), john = list(s, "snapshots/john/");
	struct damages l;

	store_close(s);
	swap(folder, packs.at[0], packs.at[1]);
	assert_int_equal(check_all(folder, false, &l), -ERR_DAMAGED);
	assert_true(names_object(&l, packs.at[0]) && names_object(&l, packs.at[1]));
	swap(folder, packs.at[0], packs.at[1]);
	swap(folder, jane.at[0], john.at[0]);
	assert_int_equal(check_all(folder, false, &l), -ERR_DAMAGED);
	assert_true(names_object(&l, jane.at[0]) && names_object(&l, john.at[0]));
	swap(folder, jane.at[0], john.at[0]);
	assert_int_equal(check_all(folder, true, &l), 0);
	fixture_remove(folder);
}

static void every_byte_of_config_and_snapshot_counts(void **state)
{
	char *folder = two_backups();
	struct store *s = fixture_open(folder);
	struct names snaps = list(s, "snapshots/john/");
	struct damages l;

	store_close(s);
	for (off_t at = 0; at < 96; at++) {
		flip(folder, "config", at, 0x10);
		assert_int_equal(check_all(folder, false, &l), -ERR_DAMAGED);
		flip(folder, "config", at, 0x10);
	}
	for (off_t at = 0, size = size_of(folder, snaps.at[0]); at < size; at += 5) {
		flip(folder, snaps.at[0], at, 0x10);
		assert_true(check_all(folder, false, &l) == -ERR_DAMAGED && names_object(&l, snaps.at[0]));
		flip(folder, snaps.at[0], at, 0x10);
	}
	fixture_remove(folder);
}

/* Of two chunks in two packs, one pack is gone: a client is told to send the one that was in it. */
static void assert_one_of_two(const char *folder)
{
	uint8_t *plain = malloc(CHUNK_MAX_BYTES);
	struct store *s = fixture_open(folder);
	struct chunk_sink *sink;
	struct hash hashes[2];
	struct error err = {0};
	bool present[2];

	hashes[0] = hash_of(plain, fixture_chunk(0, plain));
	hashes[1] = hash_of(plain, fixture_chunk(300, plain));
	assert_done(store_open_sink(s, &sink, &err), err);
	assert_done(chunk_sink_have(sink, hashes, 2, present, &err), err);
	assert_true(present[0] != present[1]);
	chunk_sink_close(sink);
	store_close(s);
	free(plain);
}

static void missing_files(void **state)
{
	char *folder = two_backups(), *path;
	struct store *s = fixture_open(folder);
	struct names packs = list(s, "packs/");
	struct error err = {0};
	struct damages l;

	store_close(s);
	path = path_of(folder, packs.at[0]);
	assert_int_equal(unlink(path), 0);
	free(path);
	assert_one_of_two(folder);
	assert_int_equal(check_all(folder, false, &l), -ERR_DAMAGED);
	path = path_of(folder, "config");
	assert_int_equal(unlink(path), 0);
	free(path);
	assert_int_equal(store_open(folder, &s, &err), -ERR_DAMAGED);
	assert_non_null(strstr(err.text, "config"));
	assert_int_equal(store_init(folder, &err), -ENOTEMPTY);
	fixture_remove(folder);
}

/* A config as a later version would write it: right checksum, higher version, or a feature we do not know. */
static void config_from_the_future(void **state)
{
	for (int feature = 0; feature < 2; feature++) {
		char *folder = two_backups(), *path = path_of(folder, "config");
		struct error err = {0};
		struct buf b = {0};
		struct store *s;
		struct hash h;

		assert_done(io_read_file(path, 4096, &b, &err), err);
		b.data[feature ? 12 : 8] = 2;
		h = hash_of(b.data, 64);
		memcpy(b.data + 64, h.bytes, 32);
		assert_done(io_replace_file(path, b.data, b.len, 0600, &err), err);
		assert_int_equal(store_open(folder, &s, &err), -ERR_VERSION);
		assert_int_equal(error_exit_code(err.code), EXIT_CODE_USAGE);
		buf_free(&b);
		free(path);
		fixture_remove(folder);
	}
}

/* The index is a cache: whatever happens to it, nothing is lost and nobody needs to act. */
static void index_in_every_state(void **state)
{
	char *folder = two_backups(), *path = path_of(folder, "cache/index.sqlite");
	off_t size = size_of(folder, "cache/index.sqlite");
	struct error err = {0};
	struct damages l;

	for (int i = 0; i < 24; i++) {
		char *copy = fixture_copy(folder), *in_copy = path_of(copy, "cache/index.sqlite");

		if (i == 0)
			assert_int_equal(unlink(in_copy), 0);
		else if (i == 1)
			assert_done(io_replace_file(in_copy, "not a database, but long enough to be looked at", 47,
						    0600, &err),
				    err);
		else if (i < 6)
			assert_int_equal(truncate(in_copy, size * (i - 2) / 5), 0);
		else
			for (off_t at = i - 6; at < size; at += 97)
				flip(copy, "cache/index.sqlite", at, 0x55);
		assert_int_equal(check_all(copy, true, &l), 0);
		free(in_copy);
		fixture_remove(copy);
	}
	free(path);
	fixture_remove(folder);
}

/* An index that was damaged without anybody noticing: a wrong place is found out, and the pack's own index is asked. */
static void index_with_a_wrong_place(void **state)
{
	char *folder = two_backups(), *command = NULL;
	struct error err = {0};
	struct store *s;

	assert_true(asprintf(&command,
			     "python3 -c \"import sqlite3; d=sqlite3.connect('%s/cache/index.sqlite'); "
			     "d.execute('UPDATE chunks SET offset=offset+1'); d.commit()\"",
			     folder) > 0);
	if (system(command) != 0) {
		free(command);
		fixture_remove(folder);
		skip();
	}
	free(command);
	s = fixture_open(folder);
	assert_done(fixture_verify(s, "john", NULL, &err), err);
	assert_done(store_rebuild_index(s, NULL, NULL, &err), err);
	assert_done(fixture_verify(s, "john", NULL, &err), err);
	store_close(s);
	fixture_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_of_a_pack_counts),
		cmocka_unit_test(damage_names_the_snapshots_that_are_hit),
		cmocka_unit_test(files_cut_short),
		cmocka_unit_test(swapped_files),
		cmocka_unit_test(every_byte_of_config_and_snapshot_counts),
		cmocka_unit_test(missing_files),
		cmocka_unit_test(config_from_the_future),
		cmocka_unit_test(index_in_every_state),
		cmocka_unit_test(index_with_a_wrong_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
