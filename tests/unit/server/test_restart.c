/* g4ld is killed and started again in each state of a job. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fixture.h"
#include "server/conductor.h"

#define NONCE "000102030405060708090a0b0c0d0e0f"
#define BACKUP "{\"kind\":\"backup\",\"host\":\"john\"}"

static int setup(void **state)
{
	int r = fixture_setup(state);

	if (r == 0)
		fixture_add_host(*state, "john", MAC);
	return r;
}

static void queued(void **state)
{
	struct fixture *f = *state;
	int64_t job = fixture_job(f, BACKUP);

	fixture_restart(f);
	assert_int_equal(fixture_state(f, job), JOB_QUEUED);
	fixture_await(f, job, JOB_WAKING);
}

static void arming(void **state)
{
	struct fixture *f = *state;
	int64_t job = fixture_job(f, BACKUP);
	char token[65];

	assert_int_equal(jobs_move(f->s.db, job, JOB_QUEUED, JOB_ARMING, NULL, NULL), 0);
	fixture_restart(f);
	assert_int_equal(fixture_state(f, job), JOB_ARMING);
	fixture_await(f, job, JOB_WAKING);
	assert_true(fixture_token(f, MAC, token));
	assert_int_equal(fixture_hello(f, token, MAC, UUID, NONCE), 200);
}

/* waking and booting: armed again with the same token, which may lie in the host's memory already. */
static void awaited(struct fixture *f, enum job_state s)
{
	int64_t job = fixture_job(f, BACKUP);
	char before[65], after[65];

	fixture_await(f, job, JOB_WAKING);
	assert_true(fixture_token(f, MAC, before));
	if (s == JOB_BOOTING)
		conductor_boot_step(&f->s, job, "step");
	fixture_restart(f);
	assert_int_equal(fixture_state(f, job), s);
	assert_true(fixture_token(f, MAC, after));
	assert_string_equal(before, after);
	fixture_round(f);
	assert_int_equal(fixture_state(f, job), s);
	assert_int_equal(fixture_hello(f, before, MAC, UUID, NONCE), 200);
	assert_int_equal(fixture_state(f, job), JOB_WORKING);
	assert_false(fixture_token(f, MAC, after));
}

static void waking(void **state)
{
	awaited(*state, JOB_WAKING);
}

static void booting(void **state)
{
	awaited(*state, JOB_BOOTING);
}

static void limits_go_on(void **state)
{
	struct fixture *f = *state;
	int64_t job = fixture_job(f, BACKUP);

	fixture_await(f, job, JOB_WAKING);
	assert_int_equal(db_run(f->s.db, NULL, "UPDATE jobs SET armed=armed-3600", NULL), 1);
	fixture_restart(f);
	fixture_round(f);
	assert_int_equal(fixture_state(f, job), JOB_FAILED);
}

static void working(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	int64_t job = fixture_working(f);
	char token[65];

	fixture_image(&i, "john", 1);
	assert_int_equal(fixture_agent(f, "put", i.frames.data, i.frames.len, NULL), 200);
	fixture_restart(f);
	assert_int_equal(fixture_state(f, job), JOB_WORKING);
	assert_false(fixture_token(f, MAC, token));
	fixture_round(f);
	/* The agent goes on with its session. What was put before may be lost with the sink; it is put again. */
	assert_int_equal(fixture_agent(f, "put", i.frames.data, i.frames.len, NULL), 200);
	assert_int_equal(fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL), 200);
	fixture_await(f, job, JOB_FINISHING);
	assert_int_equal(fixture_finish(f, "done", 0), 200);
	assert_int_equal(fixture_state(f, job), JOB_DONE);
	fixture_image_clear(&i);
}

static void verifying(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	int64_t job = fixture_working(f);

	fixture_image(&i, "john", 1);
	fixture_agent(f, "put", i.frames.data, i.frames.len, NULL);
	assert_int_equal(fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL), 200);
	assert_int_equal(fixture_state(f, job), JOB_VERIFYING);
	fixture_restart(f);
	assert_int_equal(fixture_state(f, job), JOB_VERIFYING);
	/* The answer to the commit may have been lost. */
	assert_int_equal(fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL), 200);
	fixture_await(f, job, JOB_FINISHING);
	fixture_restart(f);
	assert_int_equal(fixture_state(f, job), JOB_FINISHING);
	assert_int_equal(fixture_finish(f, "done", 0), 200);
	assert_int_equal(fixture_state(f, job), JOB_DONE);
	fixture_restart(f);
	assert_int_equal(fixture_state(f, job), JOB_DONE);
	assert_int_equal(fixture_finish(f, "done", 0), 200);
	fixture_image_clear(&i);
}

/* After a restart all chunks are read back, also those that came before it. */
static void verifying_finds_old_damage(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	int64_t job = fixture_working(f);

	fixture_image(&i, "john", 1);
	fixture_agent(f, "put", i.frames.data, i.frames.len, NULL);
	assert_int_equal(fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL), 200);
	fixture_restart(f);
	fixture_damage_store(f);
	fixture_await(f, job, JOB_FAILED);
	fixture_image_clear(&i);
}

static void local_job(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	int64_t job;

	fixture_image(&i, "john", 1);
	fixture_backup(f, &i);
	job = fixture_job(f, "{\"kind\":\"verify\",\"host\":\"john\"}");
	assert_int_equal(jobs_move(f->s.db, job, JOB_QUEUED, JOB_WORKING, NULL, NULL), 0);
	fixture_restart(f);
	assert_int_equal(fixture_state(f, job), JOB_QUEUED);
	fixture_await(f, job, JOB_DONE);
	/* Not for ever. */
	job = fixture_job(f, "{\"kind\":\"verify\",\"host\":\"john\"}");
	for (int n = 0; n < 4; n++) {
		assert_int_equal(jobs_move(f->s.db, job, JOB_QUEUED, JOB_WORKING, NULL, NULL), 0);
		fixture_restart(f);
	}
	assert_int_equal(fixture_state(f, job), JOB_FAILED);
	fixture_image_clear(&i);
}

/* All was read, and g4ld died before it could say so: nobody else will. */
static void local_job_that_was_read(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	int64_t job;

	fixture_image(&i, "john", 1);
	fixture_backup(f, &i);
	job = fixture_job(f, "{\"kind\":\"verify\",\"host\":\"john\"}");
	assert_int_equal(jobs_move(f->s.db, job, JOB_QUEUED, JOB_WORKING, NULL, NULL), 0);
	assert_int_equal(jobs_move(f->s.db, job, JOB_WORKING, JOB_FINISHING, NULL, NULL), 0);
	fixture_restart(f);
	fixture_await(f, job, JOB_DONE);
	fixture_image_clear(&i);
}

/* g4ld died between the wish to cancel a job and its end: the host must not stay armed until its boot limit. */
static void cancelled_in(struct fixture *f, enum job_state s)
{
	int64_t job = fixture_job(f, BACKUP);
	char token[65];

	if (s == JOB_ARMING)
		assert_int_equal(jobs_move(f->s.db, job, JOB_QUEUED, JOB_ARMING, NULL, NULL), 0);
	else if (s != JOB_QUEUED)
		fixture_await(f, job, JOB_WAKING);
	if (s == JOB_BOOTING)
		conductor_boot_step(&f->s, job, "step");
	assert_int_equal(jobs_want_cancel(f->s.db, job, NULL), 0);
	fixture_restart(f);
	assert_false(fixture_token(f, MAC, token));
	fixture_round(f);
	assert_int_equal(fixture_state(f, job), JOB_CANCELLED);
	assert_false(fixture_token(f, MAC, token));
}

static void cancelled_and_killed(void **state)
{
	struct fixture *f = *state;

	cancelled_in(f, JOB_QUEUED);
	cancelled_in(f, JOB_ARMING);
	cancelled_in(f, JOB_WAKING);
	cancelled_in(f, JOB_BOOTING);
}

/* An arming that nobody needs any more. */
static void stale_arming(void **state)
{
	struct fixture *f = *state;
	int64_t job = fixture_job(f, BACKUP);
	char token[65];

	fixture_await(f, job, JOB_WAKING);
	assert_true(fixture_token(f, MAC, token));
	/* It died between the move and the disarming. */
	assert_int_equal(jobs_move(f->s.db, job, JOB_WAKING, JOB_FAILED, NULL, NULL), 0);
	fixture_restart(f);
	assert_false(fixture_token(f, MAC, token));
	assert_int_equal(db_number(f->s.db, -1, "SELECT count(*) FROM armings WHERE token<>''", NULL), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(queued),
		T(arming),
		T(waking),
		T(booting),
		T(limits_go_on),
		T(working),
		T(verifying),
		T(verifying_finds_old_damage),
		T(local_job),
		T(stale_arming),
		T(local_job_that_was_read),
		T(cancelled_and_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
