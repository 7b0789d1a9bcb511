/* The store as its users see it: backups in, snapshots and chunks out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

static void init_and_open(void **state)
{
	struct error err = {0};
	char *folder = fixture_folder(), *missing = NULL;
	struct store *s = NULL;
	FILE *f;

	assert_int_equal(store_open(folder, &s, &err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "g4l store init"));
	assert_true(asprintf(&missing, "%s/none", folder) > 0);
	assert_int_equal(store_open(missing, &s, &err), -ERR_UNREACHABLE);
	assert_done(store_init(missing, &err), err);
	assert_int_equal(store_init(missing, &err), -EEXIST);
	assert_int_equal(store_init(folder, &err), -ENOTEMPTY);
	s = fixture_open(missing);
	store_close(s);
	strcat(strcpy(missing, folder), "/x");
	f = fopen(missing, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(store_init(folder, &err), -ENOTEMPTY);
	assert_int_equal(store_open("s3://bucket/x", &s, &err), -ERR_USAGE);
	free(missing);
	fixture_remove(folder);
}

static void backup_and_restore(void **state)
{
	struct error err = {0};
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);
	struct fixture_backup a = {.host = "john", .time = 1000, .first = 0, .n = 100};
	struct fixture_backup b = {.host = "john", .time = 2000, .first = 2, .n = 100};
	struct store_snapshot *list;
	struct store_facts facts;
	struct snapshot snap;
	size_t n;

	assert_int_equal(store_read_snapshot(s, "john", NULL, &snap, &err), -ENOENT);
	assert_done(fixture_run(s, &a, &err), err);
	assert_done(fixture_verify(s, "john", NULL, &err), err);
	assert_done(fixture_run(s, &b, &err), err);
	assert_true(b.sent >= 2 && b.sent <= 2 + 7 + 1); /* two new chunks and the recipe, which moved */
	assert_done(fixture_verify(s, "john", a.id, &err), err);
	assert_done(fixture_verify(s, "john", "latest", &err), err);
	assert_done(store_list_snapshots(s, NULL, &list, &n, &err), err);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].id, a.id);
	assert_string_equal(list[1].id, b.id);
	free(list);
	assert_done(store_get_facts(s, &facts, &err), err);
	assert_int_equal(facts.snapshots, 2);
	assert_int_equal(facts.packs, 2);
	assert_true(facts.chunks >= 102 && facts.plain_bytes > facts.stored_bytes / 4);
	store_close(s);

	s = fixture_open(folder);
	assert_done(fixture_verify(s, "john", a.id, &err), err);
	assert_done(fixture_verify(s, "john", "latest", &err), err);
	assert_int_equal(store_read_snapshot(s, "john", "zz", &snap, &err), -ENOENT);
	assert_int_equal(store_read_snapshot(s, "jane", NULL, &snap, &err), -ENOENT);
	assert_int_equal(store_read_snapshot(s, "../x", NULL, &snap, &err), -EINVAL);
	store_close(s);
	fixture_remove(folder);
}

static void commit_is_idempotent(void **state)
{
	struct error err = {0};
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);
	struct fixture_backup a = {.host = "john", .time = 1000, .n = 20}, again = a;
	struct store_facts before, after;

	assert_done(fixture_run(s, &a, &err), err);
	assert_done(store_get_facts(s, &before, &err), err);
	assert_done(fixture_run(s, &again, &err), err);
	assert_string_equal(a.id, again.id);
	assert_int_equal(again.sent, 0);
	assert_done(store_get_facts(s, &after, &err), err);
	assert_memory_equal(&before, &after, sizeof before);
	store_close(s);
	fixture_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_and_open),
		cmocka_unit_test(backup_and_restore),
		cmocka_unit_test(commit_is_idempotent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
