/* The table of job states against a list written down by hand, in C and in the database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "server/jobs.h"

/* Every change that is allowed; all others are not. */
static const struct {
	bool local;
	enum job_state from, to;
} legal[] = {
	{false, JOB_QUEUED, JOB_ARMING},       {false, JOB_QUEUED, JOB_FAILED},
	{false, JOB_QUEUED, JOB_CANCELLED},    {false, JOB_ARMING, JOB_WAKING},
	{false, JOB_ARMING, JOB_WORKING},      {false, JOB_ARMING, JOB_FAILED},
	{false, JOB_ARMING, JOB_CANCELLED},    {false, JOB_WAKING, JOB_BOOTING},
	{false, JOB_WAKING, JOB_WORKING},      {false, JOB_WAKING, JOB_FAILED},
	{false, JOB_WAKING, JOB_CANCELLED},    {false, JOB_BOOTING, JOB_WORKING},
	{false, JOB_BOOTING, JOB_FAILED},      {false, JOB_BOOTING, JOB_CANCELLED},
	{false, JOB_WORKING, JOB_VERIFYING},   {false, JOB_WORKING, JOB_FINISHING},
	{false, JOB_WORKING, JOB_FAILED},      {false, JOB_WORKING, JOB_CANCELLED},
	{false, JOB_VERIFYING, JOB_FINISHING}, {false, JOB_VERIFYING, JOB_FAILED},
	{false, JOB_VERIFYING, JOB_CANCELLED}, {false, JOB_FINISHING, JOB_DONE},
	{false, JOB_FINISHING, JOB_DEGRADED},  {false, JOB_FINISHING, JOB_FAILED},
	{false, JOB_FINISHING, JOB_CANCELLED}, {true, JOB_QUEUED, JOB_WORKING},
	{true, JOB_QUEUED, JOB_FAILED},	       {true, JOB_QUEUED, JOB_CANCELLED},
	{true, JOB_WORKING, JOB_QUEUED},       {true, JOB_WORKING, JOB_FINISHING},
	{true, JOB_WORKING, JOB_FAILED},       {true, JOB_WORKING, JOB_CANCELLED},
	{true, JOB_FINISHING, JOB_DONE},       {true, JOB_FINISHING, JOB_DEGRADED},
	{true, JOB_FINISHING, JOB_FAILED},     {true, JOB_FINISHING, JOB_CANCELLED},
};

static bool is_legal(bool local, enum job_state from, enum job_state to)
{
	for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++)
		if (legal[i].local == local && legal[i].from == from && legal[i].to == to)
			return true;
	return false;
}

static void table_is_as_documented(void **state)
{
	for (int local = 0; local < 2; local++)
		for (unsigned a = 0; a < JOB_STATES; a++)
			for (unsigned b = 0; b < JOB_STATES; b++)
				assert_int_equal(job_state_may(local, a, b), is_legal(local, a, b));
}

static void names_round_trip(void **state)
{
	enum job_state s;
	enum job_kind k;

	for (unsigned i = 0; i < JOB_STATES; i++) {
		assert_int_equal(job_state_parse(job_state_name(i), &s), 0);
		assert_int_equal(s, i);
		assert_int_equal(job_state_is_over(i), i >= JOB_DONE);
	}
	for (unsigned i = 0; i < JOB_KINDS; i++) {
		assert_int_equal(job_kind_parse(job_kind_name(i), &k), 0);
		assert_int_equal(k, i);
	}
	assert_int_equal(job_state_parse("asleep", &s), -EINVAL);
}

static int64_t new_job(struct db *db, const char *host, bool local)
{
	struct job j = {.kind = local ? JOB_VERIFY : JOB_BACKUP, .local = local};
	int64_t id = 0;

	snprintf(j.host, sizeof j.host, "%s", host);
	assert_int_equal(jobs_create(db, &j, &id, NULL), 0);
	return id;
}

/* Puts a job into a state behind the table's back, to try what may follow. */
static void force(struct db *db, int64_t id, enum job_state s)
{
	assert_true(db_run(db, NULL, "INSERT OR IGNORE INTO transitions SELECT local, state, ? FROM jobs WHERE id=?",
			   "ti", job_state_name(s), id) >= 0);
	assert_int_equal(db_run(db, NULL, "UPDATE jobs SET state=? WHERE id=?", "ti", job_state_name(s), id), 1);
}

static void database_refuses_the_rest(void **state)
{
	for (int local = 0; local < 2; local++)
		for (unsigned a = 0; a < JOB_STATES; a++)
			for (unsigned b = 0; b < JOB_STATES; b++) {
				struct db *db;
				struct job j;
				int64_t id;
				int r;

				if (a == b)
					continue;
				assert_int_equal(db_open(":memory:", &db, NULL), 0);
				id = new_job(db, "john", local);
				if (a != JOB_QUEUED)
					force(db, id, a);
				if (a != JOB_QUEUED && !is_legal(local, JOB_QUEUED, a))
					db_run(db, NULL,
					       "DELETE FROM transitions WHERE local=? AND old='queued' AND new=?", "it",
					       (int64_t)local, job_state_name(a));
				r = jobs_move(db, id, a, b, NULL, NULL);
				assert_int_equal(r, is_legal(local, a, b) ? 0 : -EPERM);
				assert_int_equal(jobs_get(db, id, &j, NULL), 0);
				assert_int_equal(j.state, r == 0 ? b : a);
				job_clear(&j);
				db_close(db);
			}
}

static void a_move_needs_its_state(void **state)
{
	struct db *db;
	int64_t id;

	assert_int_equal(db_open(":memory:", &db, NULL), 0);
	id = new_job(db, "john", false);
	assert_int_equal(jobs_move(db, id, JOB_WAKING, JOB_BOOTING, NULL, NULL), -ESTALE);
	assert_int_equal(jobs_move(db, id, JOB_QUEUED, JOB_ARMING, NULL, NULL), 0);
	assert_int_equal(jobs_move(db, id, JOB_QUEUED, JOB_ARMING, NULL, NULL), -ESTALE);
	db_close(db);
}

static void a_host_has_one_active_job(void **state)
{
	struct db *db;
	int64_t a, b, local;

	assert_int_equal(db_open(":memory:", &db, NULL), 0);
	a = new_job(db, "john", false);
	b = new_job(db, "john", false);
	local = new_job(db, "john", true);
	assert_int_equal(jobs_move(db, a, JOB_QUEUED, JOB_ARMING, NULL, NULL), 0);
	assert_int_equal(jobs_move(db, b, JOB_QUEUED, JOB_ARMING, NULL, NULL), -EEXIST);
	assert_int_equal(jobs_move(db, local, JOB_QUEUED, JOB_WORKING, NULL, NULL), 0);
	assert_int_equal(jobs_move(db, a, JOB_ARMING, JOB_FAILED, NULL, NULL), 0);
	assert_int_equal(jobs_move(db, b, JOB_QUEUED, JOB_ARMING, NULL, NULL), 0);
	db_close(db);
}

static void a_move_and_its_log_line_come_together(void **state)
{
	struct job_end end = {.code = 6, .error = "it did not wake"};
	struct db *db;
	struct job j;
	int64_t id;

	assert_int_equal(db_open(":memory:", &db, NULL), 0);
	id = new_job(db, "john", false);
	assert_int_equal(jobs_move(db, id, JOB_QUEUED, JOB_FAILED, &end, NULL), 0);
	assert_int_equal(jobs_get(db, id, &j, NULL), 0);
	assert_string_equal(j.error, "it did not wake");
	assert_int_equal(j.code, 6);
	assert_true(j.ended > 0);
	assert_int_equal(
		db_number(db, 0, "SELECT count(*) FROM job_log WHERE text LIKE 'failed: it did not wake'", NULL), 1);
	/* A move that is refused leaves no line. */
	assert_int_equal(jobs_move(db, id, JOB_FAILED, JOB_DONE, NULL, NULL), -EPERM);
	assert_int_equal(db_number(db, 0, "SELECT count(*) FROM job_log", NULL), 1);
	job_clear(&j);
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_as_documented),    cmocka_unit_test(names_round_trip),
		cmocka_unit_test(database_refuses_the_rest), cmocka_unit_test(a_move_needs_its_state),
		cmocka_unit_test(a_host_has_one_active_job), cmocka_unit_test(a_move_and_its_log_line_come_together),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
