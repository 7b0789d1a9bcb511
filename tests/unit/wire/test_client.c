/* The client against a server that fails by script: what is tried again, what is not, and what arrives in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "script_server.h"
#include "wire/client.h"

#define TOKEN "abababababababababababababababababababababababababababababababab"
#define CHUNKS 24
#define PLAIN 700000u /* so that all together take more than one body of put */

struct fixture {
	struct memory_store *store;
	struct script_server *server;
	struct wire_client *client;
	struct chunk_sink *sink;
	struct chunk_source *source;
	uint8_t *plain; /* CHUNKS times PLAIN bytes of noise */
	struct hash hashes[CHUNKS];
	struct chunk_frame frames[CHUNKS];
	_Atomic unsigned waits, ends;
	uint32_t silence_ms; /* 0: the default */
};

static void on_waiting(void *arg, const char *why, unsigned left)
{
	struct fixture *f = arg;

	if (why)
		f->waits++;
	else
		f->ends++;
}

static void connect_with(struct fixture *f, const char *pin, uint32_t limit_ms)
{
	struct wire_client_options o = {.url = script_server_url(f->server),
					.pin = pin,
					.limit_ms = limit_ms,
					.first_wait_ms = 20,
					.silence_ms = f->silence_ms,
					.waiting = on_waiting,
					.arg = f};

	assert_int_equal(wire_client_new(&o, &f->client, NULL), 0);
	assert_int_equal(wire_client_set_token(f->client, TOKEN, NULL), 0);
	assert_int_equal(wire_client_open_sink(f->client, &f->sink, NULL), 0);
	assert_int_equal(wire_client_open_source(f->client, &f->source, NULL), 0);
}

static void disconnect(struct fixture *f)
{
	chunk_sink_close(f->sink);
	chunk_source_close(f->source);
	wire_client_free(f->client);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->store = memory_store_new();
	f->server = script_server_start(f->store, TOKEN, 0);
	f->plain = malloc((size_t)CHUNKS * PLAIN);
	io_random(f->plain, (size_t)CHUNKS * PLAIN);
	for (size_t i = 0; i < CHUNKS; i++) {
		const uint8_t *p = f->plain + i * PLAIN;

		f->hashes[i] = hash_of(p, PLAIN);
		f->frames[i] = (struct chunk_frame){.hash = f->hashes[i],
						    .plain_bytes = PLAIN,
						    .body_bytes = PLAIN,
						    .method = CHUNK_PLAIN,
						    .body = p};
	}
	connect_with(f, script_server_pin(f->server), 5000);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	disconnect(f);
	script_server_stop(f->server);
	memory_store_free(f->store);
	free(f->plain);
	free(f);
	return 0;
}

static void put_all(struct fixture *f)
{
	struct error err = {0};
	uint64_t stored = 0;
	int rc = chunk_sink_put(f->sink, f->frames, CHUNKS, &stored, &err);

	if (rc)
		fail_msg("%s", err.text);
}

struct got {
	const struct fixture *f;
	size_t n;
	int fail_at;
};

static int on_chunk(void *arg, size_t index, const uint8_t *plain, size_t n)
{
	struct got *g = arg;

	assert_int_equal(index, g->n);
	assert_int_equal(n, PLAIN);
	assert_memory_equal(plain, g->f->plain + index * PLAIN, PLAIN);
	if (g->fail_at && (int)index + 1 == g->fail_at)
		return -ENOTTY;
	g->n++;
	return 0;
}

static void serves_plainly(void **state)
{
	struct fixture *f = *state;
	struct memory_store_facts facts;
	struct got g = {.f = f};
	bool present[CHUNKS];
	uint64_t fetched = 0;
	struct error err = {0};

	assert_int_equal(chunk_sink_have(f->sink, f->hashes, CHUNKS, present, &err), 0);
	assert_false(present[0]);
	script_server_set(f->server, NULL, 0);
	put_all(f);
	/* 16.8 MB in bodies of at most 8 MiB. */
	assert_int_equal(script_server_requests(f->server), 3);
	memory_store_get_facts(f->store, &facts);
	assert_int_equal(facts.chunks, CHUNKS);
	assert_int_equal(chunk_sink_have(f->sink, f->hashes, CHUNKS, present, &err), 0);
	assert_true(present[0] && present[CHUNKS - 1]);
	assert_int_equal(chunk_source_get(f->source, f->hashes, CHUNKS, on_chunk, &g, &fetched, &err), 0);
	assert_int_equal(g.n, CHUNKS);
	assert_true(fetched >= (uint64_t)CHUNKS * PLAIN);
	assert_int_equal(f->waits, 0);
}

static void tries_again_what_may_help(void **state)
{
	static const struct script_step steps[] = {
		{"/put", SCRIPT_CUT_UPLOAD, 0, NULL},	{"/put", SCRIPT_STATUS, 503, "busy"},
		{"/put", SCRIPT_STATUS, 507, "full"},	{"/put", SCRIPT_CUT_ANSWER, 0, NULL},
		{"/put", SCRIPT_STATUS, 500, "failed"}, {"/put", SCRIPT_SERVE, 0, NULL},
	};
	struct fixture *f = *state;
	struct memory_store_facts facts;

	script_server_set(f->server, steps, 6);
	put_all(f);
	assert_int_equal(script_server_used(f->server), 6);
	memory_store_get_facts(f->store, &facts);
	assert_int_equal(facts.chunks, CHUNKS);
	assert_true(f->waits >= 5);
	assert_int_equal(f->ends, 1);
}

static void cut_get_goes_on_where_it_was(void **state)
{
	static const struct script_step steps[] = {
		{"/get", SCRIPT_CUT_ANSWER, 0, NULL},
		{"/get", SCRIPT_CUT_ANSWER, 0, NULL},
		{"/get", SCRIPT_SHORT_GET, 0, NULL},
		{"/get", SCRIPT_STATUS, 503, "busy"},
	};
	struct fixture *f = *state;
	struct got g = {.f = f};
	struct error err = {0};
	uint64_t fetched = 0;

	put_all(f);
	script_server_set(f->server, steps, 4);
	assert_int_equal(chunk_source_get(f->source, f->hashes, CHUNKS, on_chunk, &g, &fetched, &err), 0);
	assert_int_equal(g.n, CHUNKS);
	assert_int_equal(script_server_used(f->server), 4);
	/* Nothing that was delivered was fetched again. */
	assert_int_equal(fetched, (uint64_t)CHUNKS * PLAIN);
}

static void ends_at_once_what_cannot_help(void **state)
{
	static const struct {
		unsigned status;
		const char *name;
		int code;
	} cases[] = {{400, "format", -ERR_FORMAT},	 {401, "token", -EACCES},
		     {403, "refused", -ERR_REFUSED},	 {409, "state", -ESTALE},
		     {410, "cancelled", -ERR_CANCELLED}, {422, "damaged", -ERR_DAMAGED},
		     {404, "missing", -ENOENT}};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct script_step step = {"/put", SCRIPT_STATUS, cases[i].status, cases[i].name};
		struct error err = {0};
		uint64_t stored;

		script_server_set(f->server, &step, 1);
		assert_int_equal(chunk_sink_put(f->sink, f->frames, 1, &stored, &err), cases[i].code);
		assert_int_equal(script_server_requests(f->server), 1);
		assert_string_equal(err.text, "as the script says");
	}
	assert_int_equal(f->waits, 0);
}

static void refuses_another_key(void **state)
{
	struct fixture *f = *state;
	char pin[HASH_HEX_BYTES];
	struct error err = {0};
	bool present[1];

	disconnect(f);
	strcpy(pin, script_server_pin(f->server));
	pin[0] = pin[0] == '0' ? '1' : '0';
	connect_with(f, pin, 5000);
	script_server_set(f->server, NULL, 0);
	assert_int_equal(chunk_sink_have(f->sink, f->hashes, 1, present, &err), -ERR_REFUSED);
	assert_int_equal(script_server_requests(f->server), 0);
	assert_int_equal(f->waits, 0);
}

/* Only TLS 1.3 cannot do without a certificate. */
static void refuses_an_older_tls(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	bool present[1];

	disconnect(f);
	script_server_stop(f->server);
	f->server = script_server_start_old(f->store, TOKEN);
	connect_with(f, script_server_pin(f->server), 100);
	assert_int_equal(chunk_sink_have(f->sink, f->hashes, 1, present, &err), -ERR_UNREACHABLE);
	assert_int_equal(script_server_requests(f->server), 0);
}

/* A server that hangs is like one that is gone: it is asked again. */
static void silence_has_a_limit(void **state)
{
	static const struct script_step silent[] = {{"/have", SCRIPT_SILENT, 0, NULL}};
	struct fixture *f = *state;
	struct error err = {0};
	bool present[1];
	uint64_t start = clock_ms();

	disconnect(f);
	f->silence_ms = 1000;
	connect_with(f, script_server_pin(f->server), 20000);
	script_server_set(f->server, silent, 1);
	assert_int_equal(chunk_sink_have(f->sink, f->hashes, 1, present, &err), 0);
	assert_in_range(clock_ms() - start, 900, 20000);
	assert_int_equal(script_server_requests(f->server), 2);
}

static void wrong_token_ends(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	bool present[1];

	assert_int_equal(wire_client_set_token(f->client, "00", &err), -ERR_USAGE);
	assert_int_equal(wire_client_set_token(
				 f->client, "0000000000000000000000000000000000000000000000000000000000000000", NULL),
			 0);
	assert_int_equal(chunk_sink_have(f->sink, f->hashes, 1, present, &err), -EACCES);
}

static void gives_up_after_the_limit(void **state)
{
	struct script_step steps[200];
	struct fixture *f = *state;
	struct error err = {0};
	uint64_t start, stored;
	bool present[1];

	disconnect(f);
	connect_with(f, script_server_pin(f->server), 600);
	for (size_t i = 0; i < 200; i++)
		steps[i] = (struct script_step){"/put", SCRIPT_STATUS, 507, "full"};
	script_server_set(f->server, steps, 200);
	start = clock_ms();
	assert_int_equal(chunk_sink_put(f->sink, f->frames, 1, &stored, &err), -ENOSPC);
	assert_in_range(clock_ms() - start, 550, 3000);
	assert_non_null(strstr(err.text, "as the script says"));
	/* Waits grow: not more than a handful of tries. */
	assert_in_range(script_server_requests(f->server), 3, 12);

	script_server_stop(f->server);
	start = clock_ms();
	assert_int_equal(chunk_sink_have(f->sink, f->hashes, 1, present, &err), -ERR_UNREACHABLE);
	assert_in_range(clock_ms() - start, 550, 3000);
	/* The server has been silent for the limit: the next request does not wait that long again. */
	start = clock_ms();
	assert_int_equal(chunk_sink_have(f->sink, f->hashes, 1, present, &err), -ERR_UNREACHABLE);
	assert_in_range(clock_ms() - start, 0, 300);
	f->server = script_server_start(f->store, TOKEN, 0);
}

static void *cancel_soon(void *arg)
{
	clock_sleep_ms(200);
	wire_client_cancel(arg);
	return NULL;
}

static void cancel_ends_waiting(void **state)
{
	struct script_step steps[50];
	struct fixture *f = *state;
	struct error err = {0};
	struct wire_finish fin = {.result = WIRE_CANCELLED, .code = 130};
	enum wire_after after;
	struct snapshot s = {.host = "john", .time = 1000, .version = "0.1.0"};
	struct got g = {.f = f};
	char id[SNAPSHOT_ID_BYTES];
	bool present[1];
	uint64_t start = clock_ms(), stored;
	pthread_t t;

	for (size_t i = 0; i < 50; i++)
		steps[i] = (struct script_step){"/put", SCRIPT_STATUS, 503, "busy"};
	script_server_set(f->server, steps, 50);
	pthread_create(&t, NULL, cancel_soon, f->client);
	assert_int_equal(chunk_sink_put(f->sink, f->frames, 1, &stored, &err), -ERR_CANCELLED);
	assert_in_range(clock_ms() - start, 150, 1500);
	pthread_join(t, NULL);
	/* What is asked for the job from now on ends before it begins. */
	script_server_set(f->server, NULL, 0);
	assert_int_equal(chunk_sink_have(f->sink, f->hashes, 1, present, &err), -ERR_CANCELLED);
	assert_int_equal(chunk_sink_commit(f->sink, &s, id, &err), -ERR_CANCELLED);
	assert_int_equal(chunk_source_get(f->source, f->hashes, 1, on_chunk, &g, &stored, &err), -ERR_CANCELLED);
	assert_int_equal(wire_client_snapshot(f->client, &s, &err), -ERR_CANCELLED);
	assert_int_equal(script_server_requests(f->server), 0);
	/* The job's end is still told. */
	assert_int_equal(wire_client_finish(f->client, &fin, &after, &err), 0);
	assert_int_equal(after, WIRE_REBOOT);
	assert_non_null(strstr(script_server_last_body(f->server), "\"cancelled\""));
}

static void small_requests(void **state)
{
	static const struct script_step steps[] = {{"/hello", SCRIPT_CUT_ANSWER, 0, NULL}};
	static const struct script_step busy[] = {{"/progress", SCRIPT_STATUS, 503, "busy"}};
	char macs[1][WIRE_MAC_BYTES] = {"aa:bb:cc:dd:ee:ff"};
	struct wire_hello hello = {.protocol = 1,
				   .nonce = "00112233445566778899aabbccddeeff",
				   .firmware = "bios",
				   .macs = macs,
				   .n_macs = 1};
	struct wire_progress p = {.phase = "reading"};
	struct fixture *f = *state;
	struct error err = {0};
	struct wire_job job;
	bool cancel = false;

	/* The session replaces the token: the requests that follow are let in. */
	assert_int_equal(wire_client_hello(f->client, &hello, &job, &err), 0);
	assert_int_equal(job.job, 7);
	assert_string_equal(job.host, "john");
	wire_job_clear(&job);
	assert_int_equal(wire_client_progress(f->client, &p, &cancel, &err), 0);
	assert_true(cancel);
	/* A heart-beat is not tried again: the next one comes anyway. */
	script_server_set(f->server, busy, 1);
	assert_int_equal(wire_client_progress(f->client, &p, &cancel, &err), -EBUSY);
	assert_false(cancel);
	assert_int_equal(script_server_requests(f->server), 1);
	script_server_set(f->server, steps, 1);
	assert_int_equal(wire_client_hello(f->client, &hello, &job, &err), 0);
	wire_job_clear(&job);
	assert_int_equal(script_server_requests(f->server), 2);
}

static void damage_and_nonsense_are_errors(void **state)
{
	static const struct script_step garbage[] = {{"/get", SCRIPT_GARBAGE, 0, NULL},
						     {"/have", SCRIPT_GARBAGE, 0, NULL},
						     {"/put", SCRIPT_GARBAGE, 0, NULL}};
	struct fixture *f = *state;
	struct got g = {.f = f, .fail_at = 3};
	struct error err = {0};
	uint64_t fetched, stored;
	bool present[CHUNKS];

	put_all(f);
	/* The receiver's own code comes through. */
	assert_int_equal(chunk_source_get(f->source, f->hashes, CHUNKS, on_chunk, &g, &fetched, &err), -ENOTTY);
	assert_int_equal(g.n, 2);
	script_server_set(f->server, garbage, 3);
	g = (struct got){.f = f};
	assert_int_equal(chunk_source_get(f->source, f->hashes, CHUNKS, on_chunk, &g, &fetched, &err), -ERR_FORMAT);
	assert_int_equal(chunk_sink_have(f->sink, f->hashes, CHUNKS, present, &err), -ERR_FORMAT);
	assert_int_equal(chunk_sink_put(f->sink, f->frames, 1, &stored, &err), -ERR_FORMAT);
	assert_true(memory_store_damage(f->store, &f->hashes[1]));
	assert_int_equal(chunk_source_get(f->source, f->hashes, CHUNKS, on_chunk, &g, &fetched, &err), -ERR_DAMAGED);
	assert_int_equal(g.n, 1);
	assert_true(memory_store_lose(f->store, &f->hashes[0]));
	g.n = 0;
	assert_int_equal(chunk_source_get(f->source, f->hashes, CHUNKS, on_chunk, &g, &fetched, &err), -ERR_DAMAGED);
	assert_int_equal(f->waits, 0);
}

/* Answers that are whole and wrong. */
static void lies_are_errors(void **state)
{
	static const struct script_step lies[] = {
		{"/get", SCRIPT_OTHER_GET, 0, NULL}, {"/get", SCRIPT_PART_GET, 0, NULL},
		{"/get", SCRIPT_EMPTY_GET, 0, NULL}, {"/put", SCRIPT_TOO_LONG, 0, NULL},
		{"/have", SCRIPT_TOO_LONG, 0, NULL}, {"/commit", SCRIPT_OTHER_ID, 0, NULL}};
	static const size_t got[] = {0, 1, 0};
	struct snapshot s = {.host = "john", .time = 1000, .version = "0.1.0"};
	struct fixture *f = *state;
	struct error err = {0};
	uint64_t fetched, stored;
	bool present[1];
	char id[SNAPSHOT_ID_BYTES];

	put_all(f);
	script_server_set(f->server, lies, 6);
	for (size_t i = 0; i < 3; i++) {
		struct got g = {.f = f};

		assert_int_equal(chunk_source_get(f->source, f->hashes, 3, on_chunk, &g, &fetched, &err), -ERR_FORMAT);
		assert_int_equal(g.n, got[i]);
	}
	assert_int_equal(chunk_sink_put(f->sink, f->frames, 1, &stored, &err), -ERR_FORMAT);
	assert_non_null(strstr(err.text, "is longer than"));
	assert_int_equal(chunk_sink_have(f->sink, f->hashes, 1, present, &err), -ERR_FORMAT);
	assert_non_null(strstr(err.text, "is longer than"));
	assert_int_equal(chunk_sink_commit(f->sink, &s, id, &err), -ERR_FORMAT);
	assert_int_equal(script_server_used(f->server), 6);
	assert_int_equal(f->waits, 0);
}

static void commits(void **state)
{
	static const struct script_step steps[] = {{"/commit", SCRIPT_CUT_ANSWER, 0, NULL}};
	struct snapshot s = {.host = "john", .time = 1000, .version = "0.1.0"};
	struct memory_store_facts facts;
	struct fixture *f = *state;
	struct error err = {0};
	char id[SNAPSHOT_ID_BYTES];

	script_server_set(f->server, steps, 1);
	assert_int_equal(chunk_sink_commit(f->sink, &s, id, &err), 0);
	assert_int_equal(strlen(id), 32);
	memory_store_get_facts(f->store, &facts);
	assert_int_not_equal(facts.snapshots, 0);
}

static void bad_options(void **state)
{
	struct wire_client *c;
	struct wire_client_options o = {.url = "http://127.0.0.1:1", .pin = TOKEN};

	assert_int_equal(wire_client_new(&o, &c, NULL), -ERR_USAGE);
	o.url = "https://127.0.0.1:1";
	o.pin = "12";
	assert_int_equal(wire_client_new(&o, &c, NULL), -ERR_USAGE);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(serves_plainly),
		WITH(tries_again_what_may_help),
		WITH(cut_get_goes_on_where_it_was),
		WITH(ends_at_once_what_cannot_help),
		WITH(refuses_another_key),
		WITH(refuses_an_older_tls),
		WITH(silence_has_a_limit),
		WITH(wrong_token_ends),
		WITH(gives_up_after_the_limit),
		WITH(cancel_ends_waiting),
		WITH(small_requests),
		WITH(damage_and_nonsense_are_errors),
		WITH(lies_are_errors),
		WITH(commits),
		cmocka_unit_test(bad_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
