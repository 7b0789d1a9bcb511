/* Retention and prune: what is kept, what is freed, and when nothing may be touched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define DAY 86400

static void backup(struct store *s, const char *host, int64_t time, uint64_t first, size_t n, char *id)
{
	struct fixture_backup b = {.host = host, .time = time, .first = first, .n = n};
	struct error err = {0};

	assert_done(fixture_run(s, &b, &err), err);
	if (id)
		memcpy(id, b.id, sizeof b.id);
}

/* The times that are left of a host, as one text. */
static void assert_left(struct store *s, const char *host, const char *expected)
{
	struct store_snapshot *list;
	struct error err = {0};
	char text[400] = "";
	size_t n;

	assert_done(store_list_snapshots(s, host, &list, &n, &err), err);
	for (size_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%lld ", (long long)list[i].time);
	free(list);
	assert_string_equal(text, expected);
}

static void forget(struct store *s, const char *host, struct store_keep keep, bool dry_run, size_t gone, size_t kept)
{
	struct store_forgotten f;
	struct error err = {0};

	assert_done(store_forget(s, host, &keep, dry_run, &f, &err), err);
	assert_int_equal(f.n, gone);
	assert_int_equal(f.kept, kept);
	free(f.at);
}

static void rules_keep_the_newest_of_each_stretch(void **state)
{
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);

	/* 1970-01-05 was a Monday. */
	for (int d = 0; d < 4; d++)
		for (int h = 0; h < 3; h++)
			backup(s, "john", (4 + d) * DAY + h * 3600 + 60, 1, 2, NULL);
	backup(s, "jane", 100, 1, 2, NULL);
	backup(s, "jane", 200, 1, 2, NULL);
	forget(s, NULL, (struct store_keep){0}, false, 0, 14);
	forget(s, "john", (struct store_keep){.last = 1}, true, 11, 1);
	forget(s, "john", (struct store_keep){.daily = 3, .hourly = 2}, false, 8, 4);
	assert_left(s, "john", "439260 525660 608460 612060 ");
	forget(s, "john", (struct store_keep){.weekly = 5, .yearly = 1, .monthly = 1}, false, 3, 1);
	assert_left(s, "john", "612060 ");
	forget(s, NULL, (struct store_keep){.last = 1}, false, 1, 2);
	assert_left(s, "jane", "200 ");
	store_close(s);
	fixture_remove(folder);
}

static void weeks_months_and_years(void **state)
{
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);

	backup(s, "a", 3 * DAY, 1, 2, NULL);   /* Sunday 1970-01-04 */
	backup(s, "a", 4 * DAY, 1, 2, NULL);   /* Monday */
	backup(s, "a", 10 * DAY, 1, 2, NULL);  /* the Sunday of the same week */
	backup(s, "a", 31 * DAY, 1, 2, NULL);  /* 1970-02-01 */
	backup(s, "a", 365 * DAY, 1, 2, NULL); /* 1971-01-01 */
	forget(s, "a", (struct store_keep){.weekly = 9}, true, 1, 4);
	forget(s, "a", (struct store_keep){.monthly = 9}, true, 2, 3);
	forget(s, "a", (struct store_keep){.yearly = 9}, true, 3, 2);
	store_close(s);
	fixture_remove(folder);
}

static void prune_frees_what_nobody_needs(void **state)
{
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);
	struct store_facts before, after;
	struct store_pruned p, dry;
	struct error err = {0};

	backup(s, "john", 1000, 0, 100, NULL);
	backup(s, "john", 2000, 60, 100, NULL);
	backup(s, "jane", 2000, 500, 20, NULL);
	assert_done(store_get_facts(s, &before, &err), err);
	assert_done(store_prune(s, false, &p, NULL, NULL, &err), err);
	assert_int_equal(p.packs_deleted + p.packs_rewritten + p.freed_bytes, 0);
	forget(s, NULL, (struct store_keep){.last = 1}, false, 1, 2);
	assert_done(store_prune(s, true, &dry, NULL, NULL, &err), err);
	assert_done(store_get_facts(s, &after, &err), err);
	assert_int_equal(after.stored_bytes, before.stored_bytes);
	assert_done(store_prune(s, false, &p, NULL, NULL, &err), err);
	assert_memory_equal(&p, &dry, sizeof p);
	assert_int_equal(p.packs_rewritten, 1);
	assert_done(store_get_facts(s, &after, &err), err);
	assert_int_equal(before.stored_bytes - after.stored_bytes, p.freed_bytes);
	assert_int_equal(before.chunks - after.chunks, p.chunks_deleted);
	assert_true(p.chunks_deleted >= 60);
	assert_done(store_check(s, true, NULL, NULL, NULL, NULL, &err), err);
	assert_done(fixture_verify(s, "john", NULL, &err), err);
	assert_done(fixture_verify(s, "jane", NULL, &err), err);
	store_close(s);
	s = fixture_open(folder);
	assert_done(fixture_verify(s, "john", NULL, &err), err);
	store_close(s);
	fixture_remove(folder);
}

static void prune_of_a_store_without_snapshots_empties_it(void **state)
{
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);
	struct fixture_backup b = {.host = "john", .n = 30};
	struct store_facts facts;
	struct store_pruned p;
	struct chunk_sink *sink;
	struct error err = {0};

	assert_done(store_open_sink(s, &sink, &err), err);
	assert_done(fixture_put(sink, &b, &err), err);
	chunk_sink_close(sink);
	assert_done(store_prune(s, false, &p, NULL, NULL, &err), err);
	assert_int_equal(p.packs_deleted, 1);
	assert_done(store_get_facts(s, &facts, &err), err);
	assert_int_equal(facts.packs + facts.chunks + facts.stored_bytes, 0);
	store_close(s);
	fixture_remove(folder);
}

static void prune_touches_nothing_beside_a_damaged_snapshot(void **state)
{
	char *folder = fixture_store(), *path = NULL, id[SNAPSHOT_ID_BYTES];
	struct store *s = fixture_open(folder);
	struct store_facts before, after;
	struct store_pruned p;
	struct snapshot snap;
	struct error err = {0};
	FILE *f;

	backup(s, "john", 1000, 0, 100, NULL);
	backup(s, "john", 2000, 90, 100, id);
	forget(s, NULL, (struct store_keep){.last = 1}, false, 1, 1);
	assert_true(asprintf(&path, "%s/snapshots/john/%s", folder, id) > 0);
	f = fopen(path, "r+");
	assert_non_null(f);
	assert_int_equal(fseek(f, 70, SEEK_SET), 0);
	fputc(0xa5, f);
	fclose(f);
	assert_done(store_get_facts(s, &before, &err), err);
	assert_int_equal(store_prune(s, false, &p, NULL, NULL, &err), -ERR_DAMAGED);
	assert_non_null(strstr(err.text, id));
	assert_done(store_get_facts(s, &after, &err), err);
	assert_memory_equal(&before, &after, sizeof before);
	assert_int_equal(store_read_snapshot(s, "john", NULL, &snap, &err), -ERR_DAMAGED);
	forget(s, "john", (struct store_keep){.last = 1}, false, 0, 1);
	free(path);
	store_close(s);
	fixture_remove(folder);
}

/* Flips a bit in the last pack that was written, as soon as it is read. */
struct spoiler {
	const char *folder;
	char pack[PACK_NAME_BYTES];
	bool spoiled;
};

static int spoil(void *arg, uint64_t nth, const char *op, const char *name)
{
	struct spoiler *sp = arg;
	char *path = NULL;
	FILE *f;
	int byte;

	if (strcmp(op, "put") == 0 && strncmp(name, "packs/", 6) == 0)
		snprintf(sp->pack, sizeof sp->pack, "%s", name);
	if (sp->spoiled || strcmp(op, "get") != 0 || strcmp(name, sp->pack) != 0)
		return 0;
	sp->spoiled = true;
	assert_true(asprintf(&path, "%s/%s", sp->folder, name) > 0);
	f = fopen(path, "r+");
	assert_non_null(f);
	assert_int_equal(fseek(f, 2000, SEEK_SET), 0);
	byte = fgetc(f);
	assert_int_equal(fseek(f, 2000, SEEK_SET), 0);
	fputc(byte ^ 8, f);
	fclose(f);
	free(path);
	return 0;
}

/* What is rewritten is read before its source goes. */
static void prune_reads_back_what_it_wrote(void **state)
{
	char *folder = fixture_store(), cache[300], lock[300];
	struct store *s = fixture_open(folder);
	struct spoiler sp = {.folder = folder};
	struct store_backend *under, *b;
	struct store_pruned p;
	struct error err = {0};

	backup(s, "john", 1000, 0, 100, NULL);
	backup(s, "john", 2000, 60, 100, NULL);
	forget(s, NULL, (struct store_keep){.last = 1}, false, 1, 1);
	store_close(s);
	assert_done(store_directory_open(folder, 0, &under, &err), err);
	assert_done(store_fault_wrap(under, spoil, &sp, &b, &err), err);
	snprintf(cache, sizeof cache, "%s/cache/index.sqlite", folder);
	snprintf(lock, sizeof lock, "%s/lock", folder);
	assert_done(store_open_on(b, cache, lock, &s, &err), err);
	assert_int_equal(store_prune(s, false, &p, NULL, NULL, &err), -ERR_DAMAGED);
	assert_true(sp.spoiled);
	assert_done(fixture_verify(s, "john", NULL, &err), err);
	store_close(s);
	fixture_remove(folder);
}

static void prune_waits_for_its_turn(void **state)
{
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);
	struct chunk_source *src;
	struct chunk_sink *sink;
	struct store_pruned p;
	struct error err = {0};

	s->exclusive_wait_ms = 100;
	assert_done(store_open_sink(s, &sink, &err), err);
	assert_int_equal(store_prune(s, false, &p, NULL, NULL, &err), -EBUSY);
	chunk_sink_close(sink);
	assert_done(store_open_source(s, &src, &err), err);
	assert_int_equal(store_prune(s, false, &p, NULL, NULL, &err), -EBUSY);
	chunk_source_close(src);
	assert_done(store_prune(s, false, &p, NULL, NULL, &err), err);
	store_close(s);
	fixture_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_keep_the_newest_of_each_stretch),
		cmocka_unit_test(weeks_months_and_years),
		cmocka_unit_test(prune_frees_what_nobody_needs),
		cmocka_unit_test(prune_of_a_store_without_snapshots_empties_it),
		cmocka_unit_test(prune_touches_nothing_beside_a_damaged_snapshot),
		cmocka_unit_test(prune_reads_back_what_it_wrote),
		cmocka_unit_test(prune_waits_for_its_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
