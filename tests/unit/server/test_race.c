/* Two sides change a job at the same moment: nobody stays armed, nothing is done twice, nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "fixture.h"
#include "server/arming.h"
#include "server/conductor.h"
#include "server/worker.h"

#define NONCE "000102030405060708090a0b0c0d0e0f"
#define MAC2 "52:54:00:11:22:44"
#define BACKUP "{\"kind\":\"backup\",\"host\":\"john\"}"

static int setup(void **state)
{
	static const char host[] = "{\"name\":\"john\",\"macs\":[\"" MAC "\",\"" MAC2 "\"]}";
	int r = fixture_setup(state);

	if (r == 0)
		assert_int_equal(fixture_admin(*state, "POST", "/api/v1/hosts", host, NULL), 200);
	return r;
}

/* A netboot in which somebody ends the job between the arming of its first NIC and its second. */
struct meddler {
	struct netboot netboot;
	struct netboot *inner;
	struct fixture *f;
	enum job_state to;
	unsigned arms;
};

static int meddler_arm(struct netboot *nb, const struct netboot_arming *a, struct error *err)
{
	struct meddler *m = (struct meddler *)nb;
	int r = netboot_arm(m->inner, a, err);

	if (m->arms++ == 0) {
		netboot_disarm(m->inner, a->mac, NULL);
		assert_int_equal(jobs_disarmed(m->f->s.db, 1, NULL), 0);
		assert_int_equal(jobs_move(m->f->s.db, 1, JOB_ARMING, m->to, NULL, NULL), 0);
	}
	return r;
}

static int meddler_disarm(struct netboot *nb, const uint8_t mac[NETBOOT_MAC_BYTES], struct error *err)
{
	return netboot_disarm(((struct meddler *)nb)->inner, mac, err);
}

static int meddler_event_fd(struct netboot *nb)
{
	return -1;
}

static const struct netboot_ops meddler_ops = {
	.name = "meddler", .arm = meddler_arm, .disarm = meddler_disarm, .event_fd = meddler_event_fd};

static void meddle(struct fixture *f, enum job_state to)
{
	struct meddler m = {.inner = f->s.netboot, .f = f, .to = to};
	char token[65];

	netboot_init(&m.netboot, &meddler_ops);
	f->s.netboot = &m.netboot;
	assert_int_equal(fixture_job(f, BACKUP), 1);
	fixture_round(f);
	fixture_round(f);
	f->s.netboot = m.inner;
	pthread_mutex_destroy(&m.netboot.lock);
	assert_int_equal(m.arms, 2);
	assert_int_equal(fixture_state(f, 1), to);
	assert_false(fixture_token(f, MAC, token));
	assert_false(fixture_token(f, MAC2, token));
}

static void cancelled_while_it_is_armed(void **state)
{
	meddle(*state, JOB_CANCELLED);
}

static void hello_while_it_is_armed(void **state)
{
	meddle(*state, JOB_WORKING);
}

/* The end of a backup says that its snapshot stays. */
static void cancelled_after_the_commit(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	int64_t job = fixture_working(f);
	struct error err = {0};
	struct job j;

	fixture_image(&i, "john", 1);
	fixture_agent(f, "put", i.frames.data, i.frames.len, NULL);
	assert_int_equal(fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL), 200);
	fixture_await(f, job, JOB_FINISHING);
	assert_int_equal(conductor_cancel(&f->s, job, "test", &err), 0);
	assert_int_equal(fixture_finish(f, "cancelled", 130), 200);
	assert_int_equal(jobs_get(f->s.db, job, &j, NULL), 0);
	assert_int_equal(j.state, JOB_CANCELLED);
	assert_non_null(strstr(j.error, "committed"));
	job_clear(&j);
	fixture_image_clear(&i);
}

/* What comes for a job that is over opens nothing that nobody closes. */
static void nothing_lives_on(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	struct live *v;
	int64_t job = 1;

	fixture_image(&i, "john", 1);
	fixture_backup(f, &i);
	assert_int_equal(fixture_agent(f, "put", i.frames.data, i.frames.len, NULL), 409);
	assert_int_equal(fixture_finish(f, "done", 0), 200);
	assert_null(f->s.lives.first);
	/* A conductor whose list is older than the end of the job. */
	v = live_get(&f->s.lives, job);
	worker_start(&f->s, job, v);
	assert_false(atomic_load(&v->worker));
	live_end(&f->s.lives, job);
	live_release(&f->s.lives, v);
	assert_null(f->s.lives.first);
	fixture_image_clear(&i);
}

/* A hello that is repeated at a new g4ld does not make it believe that it saw all chunks come. */
static void a_repeated_hello(void **state)
{
	struct fixture *f = *state;
	int64_t job = fixture_job(f, BACKUP);
	char token[65];
	struct live *v;

	fixture_await(f, job, JOB_WAKING);
	assert_true(fixture_token(f, MAC, token));
	assert_int_equal(fixture_hello(f, token, MAC, UUID, NONCE), 200);
	fixture_restart(f);
	assert_int_equal(fixture_hello(f, token, MAC, UUID, NONCE), 200);
	v = live_get(&f->s.lives, job);
	assert_false(v->whole_history);
	live_release(&f->s.lives, v);
}

/* An agent that talks without end does not keep the server's word out of the log. */
static void a_talkative_agent(void **state)
{
	struct fixture *f = *state;
	int64_t job = fixture_working(f);

	assert_int_equal(
		db_run(f->s.db, NULL, "UPDATE jobs SET log_lines=? WHERE id=?", "ii", (int64_t)JOBS_MAX_LOG_LINES, job),
		1);
	jobs_log(f->s.db, job, 1, LOG_LEVEL_INFO, "agent", "one more");
	assert_int_equal(db_number(f->s.db, -1, "SELECT count(*) FROM job_log WHERE text='one more'", NULL), 0);
	assert_int_equal(fixture_finish(f, "failed", 1), 200);
	assert_int_equal(db_number(f->s.db, -1, "SELECT count(*) FROM job_log WHERE text LIKE 'failed%'", NULL), 1);
}

static void move_store(struct fixture *f, bool away)
{
	char here[100], there[100];

	snprintf(here, sizeof here, "%s/store", f->dir);
	snprintf(there, sizeof there, "%s/away", f->dir);
	assert_int_equal(away ? rename(here, there) : rename(there, here), 0);
}

/* A store that is not mounted for a while: agents are told to try again, nobody calls it well, and all goes on
 * afterwards. */
static void the_store_goes_away(void **state)
{
	struct fixture *f = *state;
	struct fixture_image i;
	json_t *answer;
	unsigned status;
	struct job j;
	int64_t job;

	fixture_image(&i, "john", 1);
	fixture_backup(f, &i);
	fixture_image_clear(&i);
	job = fixture_job(f, "{\"kind\":\"verify\",\"host\":\"john\"}");
	move_store(f, true);
	fixture_await(f, job, JOB_FAILED);
	assert_int_equal(jobs_get(f->s.db, job, &j, NULL), 0);
	assert_int_equal(j.code, EXIT_CODE_UNREACHABLE);
	assert_non_null(strstr(j.error, "mounted"));
	job_clear(&j);
	assert_int_equal(fixture_admin(f, "GET", "/api/v1/status", NULL, &answer), 200);
	assert_non_null(json_object_get(json_object_get(answer, "store"), "error"));
	json_decref(answer);

	job = fixture_working(f);
	fixture_image(&i, "john", 2);
	fixture_agent(f, "put", i.frames.data, i.frames.len, NULL);
	status = fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL);
	if (status != 503 && status != 500)
		fail_msg("the agent is told %u", status);
	assert_int_equal(fixture_state(f, job), JOB_WORKING);
	move_store(f, false);
	assert_int_equal(fixture_agent(f, "put", i.frames.data, i.frames.len, NULL), 200);
	assert_int_equal(fixture_agent(f, "commit", i.envelope.data, i.envelope.len, NULL), 200);
	fixture_await(f, job, JOB_FINISHING);
	fixture_image_clear(&i);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(cancelled_while_it_is_armed),
		T(hello_while_it_is_armed),
		T(cancelled_after_the_commit),
		T(nothing_lives_on),
		T(a_repeated_hello),
		T(a_talkative_agent),
		T(the_store_goes_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
