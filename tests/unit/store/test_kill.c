/*
 * A process that dies, a disk that is full and an answer that gets lost, at every single operation of a backup, a
 * forget and a prune: none is left out. Afterwards the store opens, is sound, has every snapshot it had, and the work
 * can be done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "fixture.h"

enum fault { FAULT_KILL, FAULT_FULL, FAULT_LOST_ANSWER, FAULT_FAIL_ONCE };

struct script {
	const char *name;
	int (*run)(struct store *s, struct error *err);
	bool new_snapshot; /* john@3000 is there when it succeeded */
	bool old_gone;	   /* john@1000 is gone when it succeeded */
};

struct plan {
	enum fault fault;
	uint64_t at;
	bool reached;
};

static int decide(void *arg, uint64_t nth, const char *op, const char *name)
{
	struct plan *p = arg;
	bool writes = strcmp(op, "put") == 0 || strcmp(op, "create") == 0;

	if (nth < p->at)
		return 0;
	p->reached = true;
	if (p->fault == FAULT_KILL)
		_exit(77);
	if (p->fault == FAULT_FULL)
		return writes ? -ENOSPC : 0;
	if (nth > p->at)
		return 0;
	return p->fault == FAULT_LOST_ANSWER ? EIO : -EIO;
}

/* Two sinks, so that there are several packs. */
static int run_backup(struct store *s, struct error *err)
{
	struct fixture_backup part = {.host = "john", .first = 20, .n = 16};
	struct fixture_backup whole = {.host = "john", .time = 3000, .first = 20, .n = 40};
	struct chunk_sink *sink;
	int r = store_open_sink(s, &sink, err);

	if (r < 0)
		return r;
	r = fixture_put(sink, &part, err);
	chunk_sink_close(sink);
	return r < 0 ? r : fixture_run(s, &whole, err);
}

static int run_forget(struct store *s, struct error *err)
{
	struct store_forgotten f;
	int r = store_forget(s, NULL, &(struct store_keep){.last = 1}, false, &f, err);

	if (r == 0)
		free(f.at);
	return r;
}

static int run_prune(struct store *s, struct error *err)
{
	struct store_pruned p;
	int r = run_forget(s, err);

	return r < 0 ? r : store_prune(s, false, &p, NULL, NULL, err);
}

static void quiet(void *arg, enum log_level level, const char *line)
{
}

/* In a process of its own: opens the store through the fault and runs the script. Exit codes: 0 done, 1 failed as it
 * should, 77 killed; +10: the fault was not reached. */
static int child(const char *folder, const struct script *script, struct plan plan)
{
	char cache[300], lock[300];
	struct store_backend *dir, *b;
	struct error err = {0};
	struct store *s;
	int r;

	log_set_sink(quiet, NULL);
	snprintf(cache, sizeof cache, "%s/cache/index.sqlite", folder);
	snprintf(lock, sizeof lock, "%s/lock", folder);
	if (store_directory_open(folder, false, &dir, &err) < 0 || store_fault_wrap(dir, decide, &plan, &b, &err) < 0)
		_exit(99);
	r = store_open_on(b, cache, lock, &s, &err);
	if (r == 0) {
		s->retry_after_ms = 1;
		r = script->run(s, &err);
		store_close(s);
	}
	if (r < 0 && err.text[0] == '\0')
		_exit(98); /* a failure without a sentence */
	_exit((r < 0 ? 1 : 0) + (plan.reached ? 0 : 10));
}

static bool has_snapshot(struct store *s, int64_t time)
{
	struct store_snapshot *list;
	struct error err = {0};
	bool found = false;
	size_t n;

	assert_done(store_list_snapshots(s, "john", &list, &n, &err), err);
	for (size_t i = 0; i < n; i++)
		found = found || list[i].time == time;
	free(list);
	return found;
}

static void verify_all(struct store *s)
{
	struct store_snapshot *list;
	struct error err = {0};
	size_t n;

	assert_done(store_check(s, true, NULL, NULL, NULL, NULL, &err), err);
	assert_done(store_list_snapshots(s, NULL, &list, &n, &err), err);
	assert_true(n >= 2);
	for (size_t i = 0; i < n; i++)
		assert_done(fixture_verify(s, list[i].host, list[i].id, &err), err);
	free(list);
}

static void assert_aftermath(const char *folder, const struct script *script, int status)
{
	struct store *s = fixture_open(folder);
	struct error err = {0};

	verify_all(s);
	assert_true(has_snapshot(s, 2000));
	if (!script->old_gone)
		assert_true(has_snapshot(s, 1000));
	if (status % 10 == 0) {
		assert_true(!script->new_snapshot || has_snapshot(s, 3000));
		assert_true(!script->old_gone || !has_snapshot(s, 1000));
	}
	assert_done(script->run(s, &err), err); /* the next try */
	assert_done(store_check(s, true, NULL, NULL, NULL, NULL, &err), err);
	assert_int_equal(has_snapshot(s, 3000), script->new_snapshot);
	store_close(s);
}

static char *base_store(void)
{
	struct fixture_backup b[] = {
		{.host = "jane", .time = 500, .first = 200, .n = 5},
		{.host = "john", .time = 1000, .first = 0, .n = 24},
		{.host = "john", .time = 2000, .first = 12, .n = 24},
	};
	char *folder = fixture_store();
	struct store *s = fixture_open(folder);
	struct error err = {0};

	for (size_t i = 0; i < 3; i++)
		assert_done(fixture_run(s, &b[i], &err), err);
	store_close(s);
	return folder;
}

static void enumerate(const struct script *script, enum fault fault)
{
	char *base = base_store();
	bool reached = true;
	uint64_t at;

	for (at = 1; reached; at++) {
		char *folder = fixture_copy(base);
		int status;
		pid_t pid = fork();

		if (pid == 0)
			child(folder, script, (struct plan){.fault = fault, .at = at});
		assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		status = WEXITSTATUS(status);
		if (status >= 98 || (status == 77 && fault != FAULT_KILL))
			fail_msg("%s: operation %llu ended with %d", script->name, (unsigned long long)at, status);
		reached = status < 10 || status == 77;
		assert_aftermath(folder, script, status == 77 ? 1 : status);
		fixture_remove(folder);
	}
	print_message("%s, fault %d: %llu operations\n", script->name, fault, (unsigned long long)at - 2);
	assert_true(at > 8);
	fixture_remove(base);
}

static const struct script BACKUP = {.name = "backup", .run = run_backup, .new_snapshot = true};
static const struct script PRUNE = {.name = "forget and prune", .run = run_prune, .old_gone = true};

static void killed_in_backup(void **state)
{
	enumerate(&BACKUP, FAULT_KILL);
}

static void killed_in_prune(void **state)
{
	enumerate(&PRUNE, FAULT_KILL);
}

static void full_in_backup(void **state)
{
	enumerate(&BACKUP, FAULT_FULL);
}

static void full_in_prune(void **state)
{
	enumerate(&PRUNE, FAULT_FULL);
}

static void answer_lost_in_backup(void **state)
{
	enumerate(&BACKUP, FAULT_LOST_ANSWER);
}

static void answer_lost_in_prune(void **state)
{
	enumerate(&PRUNE, FAULT_LOST_ANSWER);
}

static void failing_once_in_backup(void **state)
{
	enumerate(&BACKUP, FAULT_FAIL_ONCE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_in_backup),	  cmocka_unit_test(killed_in_prune),
		cmocka_unit_test(full_in_backup),	  cmocka_unit_test(full_in_prune),
		cmocka_unit_test(answer_lost_in_backup),  cmocka_unit_test(answer_lost_in_prune),
		cmocka_unit_test(failing_once_in_backup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
