/* What an agent may do and what not, and who decides how a job ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "fixture.h"
#include "server/conductor.h"
#include "wire/codec.h"

#define NONCE "000102030405060708090a0b0c0d0e0f"
#define NONCE2 "ff0102030405060708090a0b0c0d0e0f"
#define BACKUP "{\"kind\":\"backup\",\"host\":\"john\"}"

static int setup(void **state)
{
	int r = fixture_setup(state);

	if (r == 0)
		fixture_add_host(*state, "john", MAC);
	return r;
}

static struct job job_of(struct fixture *f, int64_t id)
{
	struct job j;

	assert_int_equal(jobs_get(f->s.db, id, &j, NULL), 0);
	return j;
}

static void a_backup_is_done(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	char token[65];
	struct job j;
	int64_t job;

	fixture_image(&i, "john", 1);
	job = fixture_working(f);
	assert_false(fixture_token(f, MAC, token)); /* disarmed by the hello */
	assert_int_equal(db_number(f->s.db, -1, "SELECT count(*) FROM armings WHERE token<>''", NULL), 0);
	assert_int_equal(fixture_agent(f, "have", i.content.bytes, 32, NULL), 200);
	assert_int_equal(fixture_agent(f, "put", i.frames.data, i.frames.len, NULL), 200);
	assert_int_equal(fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL), 200);
	assert_int_equal(fixture_state(f, job), JOB_VERIFYING);
	/* Repeating does no harm. */
	assert_int_equal(fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL), 200);
	fixture_await(f, job, JOB_FINISHING);
	assert_int_equal(fixture_finish(f, "done", 0), 200);
	j = job_of(f, job);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(j.code, 0);
	assert_string_equal(j.snapshot, i.id);
	assert_string_equal(j.stats, "{\"x\":1}");
	job_clear(&j);
	assert_int_equal(fixture_finish(f, "done", 0), 200);
	assert_int_equal(fixture_agent(f, "put", i.frames.data, i.frames.len, NULL), 409);
	fixture_image_clear(&i);
}

static void done_without_a_commit_is_a_failure(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	int64_t job = fixture_working(f);
	struct job j;

	fixture_image(&i, "john", 1);
	assert_int_equal(fixture_agent(f, "put", i.frames.data, i.frames.len, NULL), 200);
	assert_int_equal(fixture_finish(f, "done", 0), 200);
	j = job_of(f, job);
	assert_int_equal(j.state, JOB_FAILED);
	assert_int_equal(j.code, 1);
	job_clear(&j);
	fixture_image_clear(&i);
}

static void a_failure_has_a_failure_code(void **state)
{
	struct fixture *f = *state;
	int64_t job = fixture_working(f);
	struct job j;

	assert_int_equal(fixture_finish(f, "failed", 0), 200);
	j = job_of(f, job);
	assert_int_equal(j.state, JOB_FAILED);
	assert_int_equal(j.code, 1);
	assert_string_equal(j.error, "it hurts");
	job_clear(&j);
	/* And "done" with a failure's code is no success. */
	job = fixture_working(f);
	assert_int_equal(fixture_finish(f, "done", 5), 200);
	j = job_of(f, job);
	assert_int_equal(j.state, JOB_FAILED);
	assert_int_equal(j.code, 5);
	job_clear(&j);
}

static void degraded_stays_degraded(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	int64_t job = fixture_working(f);
	struct job j;

	fixture_image(&i, "john", 1);
	fixture_agent(f, "put", i.frames.data, i.frames.len, NULL);
	assert_int_equal(fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL), 200);
	fixture_await(f, job, JOB_FINISHING);
	assert_int_equal(fixture_finish(f, "degraded", 3), 200);
	j = job_of(f, job);
	assert_int_equal(j.state, JOB_DEGRADED);
	assert_int_equal(j.code, 3);
	job_clear(&j);
	fixture_image_clear(&i);
}

static void what_cannot_be_read_back_fails(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	int64_t job = fixture_working(f);
	struct job j;

	fixture_image(&i, "john", 1);
	assert_int_equal(fixture_agent(f, "put", i.frames.data, i.frames.len, NULL), 200);
	assert_int_equal(fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL), 200);
	fixture_damage_store(f);
	fixture_await(f, job, JOB_FAILED);
	j = job_of(f, job);
	assert_int_equal(j.code, 5);
	job_clear(&j);
	assert_int_equal(fixture_finish(f, "done", 0), 200); /* it may go, but nothing is better by that */
	assert_int_equal(fixture_state(f, job), JOB_FAILED);
	fixture_image_clear(&i);
}

static void only_the_right_host_says_hello(void **state)
{
	struct fixture *f = *state;
	int64_t job = fixture_job(f, BACKUP);
	char token[65], wrong[65];

	fixture_await(f, job, JOB_WAKING);
	assert_true(fixture_token(f, MAC, token));
	memset(wrong, '0', 64);
	wrong[64] = '\0';
	assert_int_equal(fixture_hello(f, wrong, MAC, UUID, NONCE), 401);
	assert_int_equal(fixture_hello(f, "short", MAC, UUID, NONCE), 401);
	assert_int_equal(fixture_hello(f, NULL, MAC, UUID, NONCE), 401);
	assert_int_equal(fixture_hello(f, token, "52:54:00:99:99:99", UUID, NONCE), 403);
	assert_int_equal(fixture_state(f, job), JOB_WAKING);
	/* The stranger did not spend it. */
	assert_int_equal(fixture_hello(f, token, MAC, UUID, NONCE), 200);
	/* Spent for others; good again for the same boot, whose answer may have been lost. */
	assert_int_equal(fixture_hello(f, token, MAC, UUID, NONCE2), 401);
	assert_int_equal(fixture_hello(f, token, MAC, UUID, NONCE), 200);
	assert_int_equal(fixture_finish(f, "failed", 1), 200);
	assert_int_equal(fixture_hello(f, token, MAC, UUID, NONCE), 409);
	/* The UUID was learnt. */
	job = fixture_job(f, BACKUP);
	fixture_await(f, job, JOB_WAKING);
	assert_true(fixture_token(f, MAC, token));
	assert_int_equal(fixture_hello(f, token, MAC, "99999999-2222-3333-4444-555555555555", NONCE), 403);
	assert_int_equal(fixture_hello(f, token, MAC, UUID, NONCE), 200);
}

static void an_agent_keeps_to_its_job(void **state)
{
	struct fixture *f = *state;
	struct fixture_image mine, other;
	struct hash strange = {{1}};
	char token[65];
	json_t *answer;
	int64_t job;

	fixture_image(&mine, "john", 1);
	fixture_image(&other, "paul", 2);
	job = fixture_working(f);
	/* A backup reads nothing, and commits for its host only. */
	assert_int_equal(fixture_agent(f, "get", mine.content.bytes, 32, NULL), 403);
	assert_int_equal(fixture_agent(f, "snapshot", NULL, 0, NULL), 403);
	assert_int_equal(fixture_agent(f, "put", other.frames.data, other.frames.len, NULL), 200);
	assert_int_equal(fixture_agent(f, "commit", other.envelope.data, other.envelope.len, &answer), 403);
	assert_string_equal(json_string_value(json_object_get(answer, "code")), "refused");
	json_decref(answer);
	assert_int_equal(fixture_state(f, job), JOB_WORKING);
	assert_int_equal(fixture_finish(f, "failed", 1), 200);
	fixture_backup(f, &mine);

	/* A restore writes nothing, and reads its own snapshot's chunks only. */
	job = fixture_job(f, "{\"kind\":\"restore\",\"host\":\"john\",\"yes\":true}");
	fixture_await(f, job, JOB_WAKING);
	assert_true(fixture_token(f, MAC, token));
	assert_int_equal(fixture_hello(f, token, MAC, UUID, NONCE), 200);
	assert_int_equal(fixture_agent(f, "snapshot", NULL, 0, NULL), 200);
	assert_int_equal(fixture_agent(f, "get", mine.content.bytes, 32, NULL), 200);
	assert_int_equal(fixture_agent(f, "get", other.content.bytes, 32, NULL), 403);
	assert_int_equal(fixture_agent(f, "get", strange.bytes, 32, NULL), 403);
	assert_int_equal(fixture_agent(f, "put", mine.frames.data, mine.frames.len, NULL), 403);
	assert_int_equal(fixture_agent(f, "have", mine.content.bytes, 32, NULL), 403);
	assert_int_equal(fixture_agent(f, "commit", mine.envelope.data, mine.envelope.len, NULL), 403);
	assert_int_equal(fixture_finish(f, "done", 0), 200);
	assert_int_equal(fixture_state(f, job), JOB_DONE);
	fixture_image_clear(&mine);
	fixture_image_clear(&other);
}

static void bodies_that_make_no_sense(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;

	fixture_image(&i, "john", 1);
	fixture_working(f);
	assert_int_equal(fixture_agent(f, "have", "abc", 3, NULL), 400);
	assert_int_equal(fixture_agent(f, "put", i.frames.data, i.frames.len - 1, NULL), 400);
	assert_int_equal(fixture_agent(f, "progress", "{", 1, NULL), 400);
	assert_int_equal(fixture_agent(f, "commit", "rubbish", 7, NULL), 422);
	assert_int_equal(fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL),
			 422); /* its chunks are missing */
	i.frames.data[WIRE_FRAME_HEAD_BYTES + 20] ^= 1;
	assert_int_equal(fixture_agent(f, "put", i.frames.data, i.frames.len, NULL), 422);
	assert_int_equal(fixture_agent(f, "dance", NULL, 0, NULL), 404);
	assert_int_equal(fixture_ask(f, true, "POST", "/agent/v1/put", "00", NULL, 0, NULL), 401);
	fixture_image_clear(&i);
}

static void a_silent_agent_fails_the_job(void **state)
{
	struct fixture *f = *state;
	int64_t job = fixture_working(f);

	fixture_round(f);
	assert_int_equal(fixture_state(f, job), JOB_WORKING);
	f->s.config.agent_silence_s = 0;
	fixture_round(f);
	assert_int_equal(fixture_state(f, job), JOB_FAILED);
	assert_int_equal(fixture_agent(f, "progress", "{\"phase\":\"x\"}", 13, NULL), 409);
}

static void silence_after_the_commit_is_degraded(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	int64_t job = fixture_working(f);

	fixture_image(&i, "john", 1);
	fixture_agent(f, "put", i.frames.data, i.frames.len, NULL);
	assert_int_equal(fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL), 200);
	fixture_await(f, job, JOB_FINISHING);
	f->s.config.agent_silence_s = 0;
	fixture_await(f, job, JOB_DEGRADED);
	fixture_image_clear(&i);
}

static void a_host_that_does_not_boot_fails(void **state)
{
	struct fixture *f = *state;
	int64_t job = fixture_job(f, BACKUP);
	char token[65];
	struct job j;

	fixture_await(f, job, JOB_WAKING);
	assert_true(fixture_token(f, MAC, token));
	f->s.config.boot_timeout_s = 0;
	fixture_round(f);
	j = job_of(f, job);
	assert_int_equal(j.state, JOB_FAILED);
	assert_int_equal(j.code, 6);
	job_clear(&j);
	assert_int_equal(fixture_hello(f, token, MAC, UUID, NONCE), 409);
	assert_false(fixture_token(f, MAC, token));
}

static void cancel(struct fixture *f, int64_t job)
{
	char path[64];

	snprintf(path, sizeof path, "/api/v1/jobs/%lld/cancel", (long long)job);
	assert_int_equal(fixture_admin(f, "POST", path, NULL, NULL), 200);
}

static void cancelled_before_the_agent(void **state)
{
	struct fixture *f = *state;
	int64_t a = fixture_job(f, BACKUP), b = fixture_job(f, BACKUP);
	char token[65];

	fixture_await(f, a, JOB_WAKING);
	assert_true(fixture_token(f, MAC, token));
	assert_int_equal(fixture_state(f, b), JOB_QUEUED);
	cancel(f, b);
	assert_int_equal(fixture_state(f, b), JOB_CANCELLED);
	assert_true(fixture_token(f, MAC, token)); /* the other job's arming is untouched */
	conductor_boot_step(&f->s, a, "step");
	assert_int_equal(fixture_state(f, a), JOB_BOOTING);
	cancel(f, a);
	assert_int_equal(fixture_state(f, a), JOB_CANCELLED);
	assert_int_equal(fixture_hello(f, token, MAC, UUID, NONCE), 410);
	assert_false(fixture_token(f, MAC, token));
}

static void cancelled_at_work(void **state)
{
	struct fixture *f = *state;
	int64_t job = fixture_working(f);
	static const char beat[] =
		"{\"phase\":\"reading\",\"done_bytes\":1,\"total_bytes\":2,\"new_bytes\":0,\"stored_bytes\":0,"
		"\"skipped_bytes\":0,\"region\":\"\"}";
	struct hash h = {{0}};
	json_t *answer;

	assert_int_equal(fixture_agent(f, "progress", beat, strlen(beat), &answer), 200);
	assert_true(json_is_false(json_object_get(answer, "cancel")));
	json_decref(answer);
	cancel(f, job);
	assert_int_equal(fixture_state(f, job), JOB_WORKING);
	assert_int_equal(fixture_agent(f, "progress", beat, strlen(beat), &answer), 200);
	assert_true(json_is_true(json_object_get(answer, "cancel")));
	json_decref(answer);
	assert_int_equal(fixture_agent(f, "have", h.bytes, 32, NULL), 410);
	assert_int_equal(fixture_finish(f, "cancelled", 130), 200);
	assert_int_equal(fixture_state(f, job), JOB_CANCELLED);
	/* An agent that does not answer. */
	job = fixture_working(f);
	cancel(f, job);
	f->s.config.cancel_timeout_s = 0;
	fixture_round(f);
	assert_int_equal(fixture_state(f, job), JOB_CANCELLED);
	assert_int_equal(fixture_admin(f, "POST", "/api/v1/jobs/1/cancel", NULL, NULL), 409);
}

static void nobody_asked_to_cancel(void **state)
{
	struct fixture *f = *state;
	int64_t job = fixture_working(f);

	assert_int_equal(fixture_finish(f, "cancelled", 130), 200);
	assert_int_equal(fixture_state(f, job), JOB_FAILED);
}

static void jobs_of_one_host_queue_up(void **state)
{
	struct fixture *f = *state;
	int64_t a = fixture_working(f), b = fixture_job(f, BACKUP), c;
	char token[65];

	fixture_add_host(f, "paul", "52:54:00:11:22:44");
	c = fixture_job(f, "{\"kind\":\"backup\",\"host\":\"paul\"}");
	fixture_await(f, c, JOB_WAKING);
	fixture_round(f);
	assert_int_equal(fixture_state(f, b), JOB_QUEUED);
	assert_int_equal(fixture_admin(f, "DELETE", "/api/v1/hosts/john", NULL, NULL), 409);
	assert_int_equal(fixture_finish(f, "failed", 1), 200);
	assert_int_equal(fixture_state(f, a), JOB_FAILED);
	fixture_await(f, b, JOB_WAKING);
	assert_true(fixture_token(f, MAC, token));
}

static void the_store_is_verified_without_a_host(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	struct job j;
	int64_t job;

	assert_int_equal(fixture_admin(f, "POST", "/api/v1/jobs", "{\"kind\":\"verify\",\"host\":\"john\"}", NULL),
			 404);
	fixture_image(&i, "john", 1);
	fixture_backup(f, &i);
	job = fixture_job(f, "{\"kind\":\"verify\",\"host\":\"john\"}");
	fixture_await(f, job, JOB_DONE);
	fixture_damage_store(f);
	job = fixture_job(f, "{\"kind\":\"verify\",\"host\":\"john\"}");
	fixture_await(f, job, JOB_FAILED);
	j = job_of(f, job);
	assert_int_equal(j.code, 5);
	job_clear(&j);
	fixture_image_clear(&i);
}

static void admins_are_told_what_is_wrong(void **state)
{
	struct fixture *f = *state;
	json_t *answer;

	assert_int_equal(fixture_admin(f, "POST", "/api/v1/jobs", "{\"kind\":\"backup\",\"host\":\"nobody\"}", &answer),
			 404);
	assert_string_equal(json_string_value(json_object_get(answer, "code")), "unknown");
	json_decref(answer);
	assert_int_equal(fixture_admin(f, "POST", "/api/v1/jobs", "{\"kind\":\"restore\",\"host\":\"john\"}", NULL),
			 403);
	assert_int_equal(
		fixture_admin(f, "POST", "/api/v1/hosts", "{\"name\":\"john\",\"macs\":[\"525400112244\"]}", NULL),
		409);
	assert_int_equal(fixture_admin(f, "POST", "/api/v1/hosts", "{\"name\":\"jim\",\"macs\":[\"" MAC "\"]}", NULL),
			 409);
	assert_int_equal(fixture_admin(f, "GET", "/api/v1/hosts/jim", NULL, NULL), 404);
	assert_int_equal(fixture_admin(f, "DELETE", "/api/v1/jobs", NULL, NULL), 400);
	assert_int_equal(fixture_admin(f, "GET", "/api/v1/jobs/77", NULL, NULL), 404);
	assert_int_equal(fixture_admin(f, "GET", "/api/v1/nothing", NULL, NULL), 404);
	assert_int_equal(fixture_admin(f, "GET", "/api/v1/status", NULL, &answer), 200);
	assert_int_equal(json_integer_value(json_object_get(answer, "hosts")), 1);
	json_decref(answer);
	assert_int_equal(fixture_admin(f, "GET", "/api/v1/hosts/john/screen", NULL, NULL), 404);
}

static void logs_and_screens_are_kept(void **state)
{
	struct fixture *f = *state;
	static const char beat[] =
		"{\"phase\":\"reading\",\"done_bytes\":1,\"total_bytes\":2,\"new_bytes\":0,\"stored_bytes\":0,"
		"\"skipped_bytes\":0,\"region\":\"\",\"screen\":\"hello screen\"}";
	static const char lines[] = "{\"lines\":[{\"time\":5,\"level\":\"warning\",\"text\":\"a \\u001b[31mline\"}]}";
	int64_t job = fixture_working(f);
	json_t *answer, *line;
	size_t i, found = 0;
	char path[64];

	assert_int_equal(fixture_agent(f, "progress", beat, strlen(beat), NULL), 200);
	assert_int_equal(fixture_agent(f, "log", lines, strlen(lines), NULL), 200);
	assert_int_equal(fixture_admin(f, "GET", "/api/v1/hosts/john/screen", NULL, &answer), 200);
	assert_string_equal(json_string_value(json_object_get(answer, "text")), "hello screen");
	json_decref(answer);
	snprintf(path, sizeof path, "/api/v1/jobs/%lld/log", (long long)job);
	assert_int_equal(fixture_admin(f, "GET", path, NULL, &answer), 200);
	json_array_foreach(json_object_get(answer, "lines"), i, line)
	{
		if (strcmp(json_string_value(json_object_get(line, "source")), "agent") != 0)
			continue;
		found++;
		assert_null(strchr(json_string_value(json_object_get(line, "text")), 27));
	}
	assert_int_equal(found, 1);
	json_decref(answer);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_backup_is_done),
		T(done_without_a_commit_is_a_failure),
		T(a_failure_has_a_failure_code),
		T(degraded_stays_degraded),
		T(what_cannot_be_read_back_fails),
		T(only_the_right_host_says_hello),
		T(an_agent_keeps_to_its_job),
		T(bodies_that_make_no_sense),
		T(a_silent_agent_fails_the_job),
		T(silence_after_the_commit_is_degraded),
		T(a_host_that_does_not_boot_fails),
		T(cancelled_before_the_agent),
		T(cancelled_at_work),
		T(nobody_asked_to_cancel),
		T(jobs_of_one_host_queue_up),
		T(the_store_is_verified_without_a_host),
		T(admins_are_told_what_is_wrong),
		T(logs_and_screens_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
