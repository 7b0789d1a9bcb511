/* Whole jobs of the agent on image files, against the scripted server of the wire's tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "../wire/script_server.h"
#include "agent/session.h"
#include "base/clock.h"
#include "base/io.h"

#define TOKEN "abababababababababababababababababababababababababababababababab"
#define DISK_BYTES (24u << 20)

struct fixture {
	struct memory_store *store;
	struct script_server *server;
	struct boot_args boot;
	char source[64], target[64];
	struct session_end end;
};

static void make_file(char path[64], bool noise)
{
	uint8_t *bytes = calloc(1, DISK_BYTES);
	int fd;

	strcpy(path, "/tmp/g4l-session-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0 && bytes);
	/* Noise, zeros, noise that repeats. */
	if (noise) {
		io_random(bytes, DISK_BYTES / 2);
		memcpy(bytes + DISK_BYTES - (2u << 20), bytes, 2u << 20);
	} else {
		memset(bytes, 0x5a, DISK_BYTES);
	}
	assert_int_equal(io_write_full(fd, bytes, DISK_BYTES), 0);
	close(fd);
	free(bytes);
}

static void read_back(const char *path, struct buf *b)
{
	*b = (struct buf){0};
	assert_int_equal(io_read_file(path, DISK_BYTES, b, NULL), 0);
}

static bool same(const char *a, const char *b)
{
	struct buf x, y;
	bool equal;

	read_back(a, &x);
	read_back(b, &y);
	equal = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
	buf_free(&x);
	buf_free(&y);
	return equal;
}

static void restart_server(struct fixture *f)
{
	if (f->server)
		script_server_stop(f->server);
	f->server = script_server_start(f->store, TOKEN, 0);
	script_server_set_cancel(f->server, false);
	snprintf(f->boot.server, sizeof f->boot.server, "%s", script_server_url(f->server));
	snprintf(f->boot.pin, sizeof f->boot.pin, "%s", script_server_pin(f->server));
	strcpy(f->boot.token, TOKEN);
	strcpy(f->boot.mac, "aa:bb:cc:dd:ee:ff");
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->store = memory_store_new();
	make_file(f->source, true);
	make_file(f->target, false);
	restart_server(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	script_server_stop(f->server);
	memory_store_free(f->store);
	unlink(f->source);
	unlink(f->target);
	free(f);
	return 0;
}

/* One agent, from start to end. */
static const struct session_end *run(struct fixture *f, const char *disk, uint32_t limit_ms)
{
	char *files[1] = {(char *)disk};
	struct session_options o = {.boot = &f->boot, .disk_files = files, .n_disk_files = 1, .limit_ms = limit_ms};
	struct screen screen = {0};
	struct error err = {0};
	struct live live;
	struct beat *beat;

	live_init(&live);
	log_set_sink(live_log, &live);
	assert_int_equal(beat_start(&live, &screen, &beat, &err), 0);
	session_run(&o, &live, beat, &f->end);
	beat_stop(beat);
	log_set_sink(NULL, NULL);
	live_clear(&live);
	return &f->end;
}

static uint64_t snapshots(struct fixture *f)
{
	struct memory_store_facts facts;

	memory_store_get_facts(f->store, &facts);
	return facts.snapshots;
}

static void backup_and_restore(void **state)
{
	struct wire_job job = {.job = 8, .kind = WIRE_RESTORE, .host = "john", .after = WIRE_REBOOT, .read_back = true};
	static const struct script_step cuts[] = {
		{"/hello", SCRIPT_STATUS, 503, "busy"},	 {"/put", SCRIPT_CUT_UPLOAD, 0, NULL},
		{"/put", SCRIPT_STATUS, 507, "full"},	 {"/put", SCRIPT_CUT_ANSWER, 0, NULL},
		{"/commit", SCRIPT_CUT_ANSWER, 0, NULL}, {"/finish", SCRIPT_CUT_ANSWER, 0, NULL},
	};
	static const struct script_step get_cuts[] = {
		{"/snapshot", SCRIPT_CUT_ANSWER, 0, NULL},
		{"/get", SCRIPT_CUT_ANSWER, 0, NULL},
		{"/get", SCRIPT_SHORT_GET, 0, NULL},
	};
	struct fixture *f = *state;
	const struct session_end *end;
	struct buf before, after;

	read_back(f->source, &before);
	script_server_set(f->server, cuts, 6);
	end = run(f, f->source, 20000);
	assert_string_equal(end->text, "");
	assert_int_equal(end->code, 0);
	assert_true(end->acknowledged);
	assert_int_equal(script_server_used(f->server), 6);
	assert_non_null(strstr(script_server_last_body(f->server), "\"result\":\"done\""));
	assert_non_null(strstr(script_server_last_body(f->server), "\"new_bytes\":"));
	assert_true(snapshots(f) >= 1);
	read_back(f->source, &after);
	assert_true(before.len == after.len && memcmp(before.data, after.data, after.len) == 0);
	buf_free(&before);
	buf_free(&after);

	/* The target has another identity: refused, and not a byte of it is changed. */
	restart_server(f);
	script_server_set_job(f->server, &job);
	end = run(f, f->target, 5000);
	assert_int_equal(end->code, EXIT_CODE_REFUSED);
	assert_true(end->acknowledged);
	assert_non_null(strstr(end->text, f->target));
	read_back(f->target, &after);
	for (size_t i = 0; i < after.len; i++)
		assert_int_equal(after.data[i], 0x5a);
	buf_free(&after);

	restart_server(f);
	job.allow_single = true;
	script_server_set_job(f->server, &job);
	script_server_set(f->server, get_cuts, 3);
	end = run(f, f->target, 20000);
	assert_string_equal(end->text, "");
	assert_int_equal(end->code, 0);
	assert_int_equal(script_server_used(f->server), 3);
	assert_int_equal(end->after, WIRE_REBOOT);
	assert_true(same(f->source, f->target));
}

/* A figure of the last finish. */
static uint64_t told(const struct fixture *f, const char *name)
{
	char key[40];
	const char *at;

	snprintf(key, sizeof key, "\"%s\":", name);
	at = strstr(script_server_last_body(f->server), key);
	assert_non_null(at);
	return strtoull(at + strlen(key), NULL, 10);
}

static void round_trip(void **state)
{
	struct wire_job job = {.job = 8, .kind = WIRE_RESTORE, .host = "john", .allow_single = true, .full = true};
	struct fixture *f = *state;

	assert_int_equal(run(f, f->source, 5000)->code, 0);
	restart_server(f);
	script_server_set_job(f->server, &job);
	assert_int_equal(run(f, f->target, 5000)->code, 0);
	assert_true(same(f->source, f->target));
	assert_in_range(told(f, "read_bytes"), 0, DISK_BYTES / 4);
	assert_in_range(told(f, "written_bytes"), DISK_BYTES / 2, DISK_BYTES);

	/* What was written is read back. */
	job.read_back = true;
	restart_server(f);
	script_server_set_job(f->server, &job);
	assert_int_equal(run(f, f->target, 5000)->code, 0);
	assert_in_range(told(f, "read_bytes"), DISK_BYTES / 2, 2 * DISK_BYTES);

	job.kind = WIRE_VERIFY;
	job.against_disk = true;
	restart_server(f);
	script_server_set_job(f->server, &job);
	assert_int_equal(run(f, f->target, 5000)->code, 0);
	assert_non_null(strstr(script_server_last_body(f->server), "\"sound\":true"));

	/* One byte differs. */
	{
		int fd = open(f->target, O_RDWR);

		assert_int_equal(io_pwrite_full(fd, "x", 1, 5000), 0);
		close(fd);
	}
	restart_server(f);
	script_server_set_job(f->server, &job);
	assert_int_equal(run(f, f->target, 5000)->code, EXIT_CODE_FAILED);
	assert_non_null(strstr(script_server_last_body(f->server), "\"result\":\"failed\""));
	assert_non_null(strstr(script_server_last_body(f->server), "\"sound\":false"));

	job.kind = WIRE_INSPECT;
	restart_server(f);
	script_server_set_job(f->server, &job);
	assert_int_equal(run(f, f->target, 5000)->code, 0);
	assert_non_null(strstr(script_server_last_body(f->server), "\"regions\":"));
}

/* What is only read is not even opened for writing: the kernel tells. */
static void sources_are_opened_for_reading(void **state)
{
	static const enum wire_kind kinds[] = {WIRE_BACKUP, WIRE_VERIFY, WIRE_INSPECT};
	struct fixture *f = *state;
	int seen = inotify_init1(IN_NONBLOCK);
	uint8_t event[4096];

	assert_true(seen >= 0 && inotify_add_watch(seen, f->source, IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB) >= 0);
	for (size_t i = 0; i < 3; i++) {
		struct wire_job job = {.job = 7, .kind = kinds[i], .host = "john", .against_disk = true};

		restart_server(f);
		script_server_set_job(f->server, &job);
		assert_int_equal(run(f, f->source, 20000)->code, 0);
		assert_int_equal(read(seen, event, sizeof event), -1);
	}
	close(seen);
	/* The same eyes see a write. */
	seen = inotify_init1(IN_NONBLOCK);
	assert_true(seen >= 0 && inotify_add_watch(seen, f->source, IN_CLOSE_WRITE) >= 0);
	close(open(f->source, O_WRONLY));
	assert_true(read(seen, event, sizeof event) > 0);
	close(seen);
}

/* A file system that cannot be judged: what is left of one, here. */
static void what_could_not_be_judged_is_told(void **state)
{
	static const uint8_t magic[] = {0x53, 0xef};
	struct fixture *f = *state;
	uint8_t super[1024] = {0};
	const struct session_end *end;
	int fd = open(f->source, O_RDWR);

	memcpy(super + 56, magic, 2);
	assert_int_equal(io_pwrite_full(fd, super, sizeof super, 1024), 0);
	close(fd);
	end = run(f, f->source, 20000);
	assert_int_equal(end->code, EXIT_CODE_DEGRADED);
	assert_true(end->acknowledged);
	assert_non_null(strstr(end->text, "ext"));
	assert_non_null(strstr(script_server_last_body(f->server), "\"result\":\"degraded\""));
	assert_int_equal(snapshots(f), 1);
}

/* The work is done, and the server cannot be told: that is not an end that the server knows of. */
static void untold_end_is_not_acknowledged(void **state)
{
	struct script_step broken[200];
	struct fixture *f = *state;
	const struct session_end *end;

	for (size_t i = 0; i < 200; i++)
		broken[i] = (struct script_step){"/finish", SCRIPT_STATUS, 500, "failed"};
	script_server_set(f->server, broken, 200);
	end = run(f, f->source, 1500);
	assert_false(end->acknowledged);
	assert_int_equal(end->code, EXIT_CODE_FAILED);
	assert_non_null(strstr(end->text, "did not take the end of the job"));
	assert_int_equal(snapshots(f), 1);
}

/* A PC does what the server wants only when the server knows how the job ended; else it shows what went wrong first. */
static void leaves_as_the_server_knows(void **state)
{
	struct session_end end = {.acknowledged = true, .after = WIRE_POWEROFF};

	assert_int_equal(session_leave(&end).after, WIRE_POWEROFF);
	assert_in_range(session_leave(&end).wait_s, 0, 5);
	end.after = WIRE_REBOOT;
	assert_int_equal(session_leave(&end).after, WIRE_REBOOT);
	assert_in_range(session_leave(&end).wait_s, 0, 5);
	end.after = WIRE_STAY;
	assert_int_equal(session_leave(&end).after, WIRE_STAY);
	assert_in_range(session_leave(&end).wait_s, 3600, 7 * 24 * 3600);
	end.acknowledged = false;
	for (int after = WIRE_POWEROFF; after <= WIRE_STAY; after++) {
		end.after = (enum wire_after)after;
		assert_int_equal(session_leave(&end).after, WIRE_POWEROFF);
		assert_in_range(session_leave(&end).wait_s, 30, 600);
	}
}

static void ends_that_are_not_done(void **state)
{
	static const struct script_step refused[] = {{"/hello", SCRIPT_STATUS, 403, "refused"}};
	static const struct script_step rejected[] = {{"/commit", SCRIPT_STATUS, 422, "damaged"},
						      {"/commit", SCRIPT_STATUS, 422, "damaged"},
						      {"/commit", SCRIPT_STATUS, 422, "damaged"}};
	static const struct script_step over[] = {{"/finish", SCRIPT_STATUS, 409, "state"}};
	struct fixture *f = *state;
	const struct session_end *end;

	strcpy(f->boot.token, "00");
	assert_int_equal(run(f, f->source, 5000)->code, EXIT_CODE_USAGE);
	restart_server(f);
	f->boot.token[0] = '0';
	end = run(f, f->source, 5000);
	assert_int_equal(end->code, EXIT_CODE_FAILED);
	assert_false(end->acknowledged);
	restart_server(f);
	script_server_set(f->server, refused, 1);
	assert_int_equal(run(f, f->source, 5000)->code, EXIT_CODE_REFUSED);
	/* The engine believes in its work, the server does not. */
	restart_server(f);
	script_server_set(f->server, rejected, 3);
	assert_int_equal(run(f, f->source, 5000)->code, EXIT_CODE_DAMAGED);
	assert_non_null(strstr(script_server_last_body(f->server), "\"result\":\"failed\""));
	restart_server(f);
	script_server_set(f->server, over, 1);
	end = run(f, f->source, 5000);
	assert_int_not_equal(end->code, 0);
	assert_true(end->acknowledged);
}

static void sends_again_what_the_server_lost(void **state)
{
	static const struct script_step once[] = {{"/commit", SCRIPT_STATUS, 422, "damaged"}};
	struct fixture *f = *state;
	struct memory_store_facts facts;

	script_server_set(f->server, once, 1);
	assert_int_equal(run(f, f->source, 5000)->code, 0);
	assert_int_equal(script_server_used(f->server), 1);
	assert_int_equal(snapshots(f), 1);
	/* What it has was not sent again. */
	memory_store_get_facts(f->store, &facts);
	assert_int_equal(facts.duplicate_puts, 0);
}

static void cancelled_by_the_server(void **state)
{
	struct script_step busy[100];
	struct fixture *f = *state;
	const struct session_end *end;
	uint64_t start = clock_ms();

	for (size_t i = 0; i < 100; i++)
		busy[i] = (struct script_step){"/put", SCRIPT_STATUS, 503, "busy"};
	script_server_set(f->server, busy, 100);
	script_server_set_cancel(f->server, true);
	end = run(f, f->source, 60000);
	assert_in_range(clock_ms() - start, 0, 10000);
	assert_int_equal(end->code, EXIT_CODE_INTERRUPTED);
	assert_true(end->acknowledged);
	assert_non_null(strstr(script_server_last_body(f->server), "\"result\":\"cancelled\""));
	assert_int_equal(snapshots(f), 0);
}

/* The server has given the job up, and says so to the heart-beat. */
static void ended_by_the_server(void **state)
{
	static const struct {
		unsigned status;
		const char *name;
	} ways[] = {{409, "state"}, {410, "cancelled"}, {401, "token"}};
	struct script_step busy[100];
	struct fixture *f = *state;

	for (size_t i = 0; i < 100; i++)
		busy[i] = (struct script_step){"/put", SCRIPT_STATUS, 503, "busy"};
	for (size_t i = 0; i < 3; i++) {
		uint64_t start = clock_ms();

		restart_server(f);
		script_server_set(f->server, busy, 100);
		script_server_end_job(f->server, ways[i].status, ways[i].name);
		assert_int_equal(run(f, f->source, 60000)->code, EXIT_CODE_INTERRUPTED);
		assert_in_range(clock_ms() - start, 0, 10000);
	}
	assert_int_equal(snapshots(f), 0);
}

static void lost_server_is_not_success(void **state)
{
	struct fixture *f = *state;
	const struct session_end *end;

	script_server_stop(f->server);
	end = run(f, f->source, 1000);
	assert_int_equal(end->code, EXIT_CODE_UNREACHABLE);
	assert_false(end->acknowledged);
	f->server = NULL;
	restart_server(f);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(backup_and_restore),
		WITH(round_trip),
		WITH(sources_are_opened_for_reading),
		WITH(what_could_not_be_judged_is_told),
		WITH(untold_end_is_not_acknowledged),
		cmocka_unit_test(leaves_as_the_server_knows),
		WITH(ends_that_are_not_done),
		WITH(sends_again_what_the_server_lost),
		WITH(cancelled_by_the_server),
		WITH(ended_by_the_server),
		WITH(lost_server_is_not_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
