/* The server under test, and an agent made of calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "fixture.h"
#include "image/recipe.h"
#include "server/api.h"
#include "server/arming.h"
#include "server/conduct.h"
#include "server/conductor.h"
#include "wire/codec.h"

static void open_server(struct fixture *f)
{
	struct error err = {0};
	char path[200];

	server_init(&f->s);
	config_defaults(&f->s.config);
	snprintf(f->s.config.store, sizeof f->s.config.store, "%s/store", f->dir);
	snprintf(f->s.config.state_dir, sizeof f->s.config.state_dir, "%s/state", f->dir);
	snprintf(f->s.config.netboot, sizeof f->s.config.netboot, "none");
	snprintf(f->s.address, sizeof f->s.address, "127.0.0.1");
	f->s.https_port = 1;
	f->s.http_port = 2;
	memset(f->s.pin, 'a', 64);
	if (store_open(f->s.config.store, &f->s.store, &err) < 0)
		fail_msg("%s", err.text);
	snprintf(path, sizeof path, "%s/state.db", f->s.config.state_dir);
	if (db_open(path, &f->s.db, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(netboot_open_none(f->s.config.state_dir, &f->s.netboot, &err), 0);
	if (conductor_recover(&f->s, &err) < 0)
		fail_msg("%s", err.text);
}

static void close_server(struct fixture *f)
{
	atomic_store(&f->s.stopping, true);
	assert_true(lives_end_all(&f->s.lives, 5000));
	netboot_close(f->s.netboot);
	store_close(f->s.store);
	db_close(f->s.db);
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct error err = {0};
	char path[200];

	log_set_level(LOG_LEVEL_ERROR);
	snprintf(f->dir, sizeof f->dir, "/tmp/g4ld-test-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(path, sizeof path, "%s/state", f->dir);
	io_make_dirs(path, 0700, &err);
	snprintf(path, sizeof path, "%s/store", f->dir);
	if (store_init(path, &err) < 0)
		return -1;
	open_server(f);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	close_server(f);
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

void fixture_restart(struct fixture *f)
{
	close_server(f);
	open_server(f);
}

static const char *no_query(const struct http_request *r, const char *name)
{
	return NULL;
}

unsigned fixture_ask(struct fixture *f, bool agent, const char *method, const char *path, const char *bearer,
		     const void *body, size_t len, json_t **answer)
{
	struct http_request q = {.method = method,
				 .path = path,
				 .bearer = bearer,
				 .body = body,
				 .body_bytes = len,
				 .who = "test",
				 .trusted = !agent,
				 .query = no_query};
	struct http_reply reply = {0};
	unsigned status;

	if (agent)
		api_agent(&f->s, &q, &reply);
	else
		api_admin(&f->s, &q, &reply);
	if (answer)
		*answer = json_loadb((char *)reply.body.data, reply.body.len, 0, NULL);
	buf_free(&reply.body);
	status = reply.status ? reply.status : 200;
	return status;
}

unsigned fixture_admin(struct fixture *f, const char *method, const char *path, const char *body, json_t **answer)
{
	return fixture_ask(f, false, method, path, NULL, body, body ? strlen(body) : 0, answer);
}

unsigned fixture_agent(struct fixture *f, const char *name, const void *body, size_t len, json_t **answer)
{
	char path[64];

	snprintf(path, sizeof path, "/agent/v1/%s", name);
	return fixture_ask(f, true, strcmp(name, "snapshot") == 0 ? "GET" : "POST", path, f->session, body, len,
			   answer);
}

void fixture_add_host(struct fixture *f, const char *name, const char *mac)
{
	char body[200];

	snprintf(body, sizeof body, "{\"name\":\"%s\",\"macs\":[\"%s\"]}", name, mac);
	assert_int_equal(fixture_admin(f, "POST", "/api/v1/hosts", body, NULL), 200);
}

int64_t fixture_job(struct fixture *f, const char *body)
{
	json_t *answer;
	int64_t id;

	assert_int_equal(fixture_admin(f, "POST", "/api/v1/jobs", body, &answer), 200);
	id = json_integer_value(json_object_get(answer, "job"));
	assert_true(id > 0);
	json_decref(answer);
	return id;
}

enum job_state fixture_state(struct fixture *f, int64_t job)
{
	enum job_state s;
	struct job j;

	assert_int_equal(jobs_get(f->s.db, job, &j, NULL), 0);
	s = j.state;
	job_clear(&j);
	return s;
}

void fixture_round(struct fixture *f)
{
	conduct_jobs(&f->s);
}

void fixture_await(struct fixture *f, int64_t job, enum job_state s)
{
	uint64_t until = clock_ms() + 5000;

	while (fixture_state(f, job) != s) {
		if (clock_ms() > until)
			fail_msg("job %lld is %s, not %s", (long long)job, job_state_name(fixture_state(f, job)),
				 job_state_name(s));
		fixture_round(f);
		clock_sleep_ms(5);
	}
}

bool fixture_token(struct fixture *f, const char *mac, char token[65])
{
	struct buf text = {0};
	char path[200];
	const char *at;
	bool there;

	snprintf(path, sizeof path, "%s/state/armed/%s.cmdline", f->dir, mac);
	there = io_read_file(path, 4096, &text, NULL) == 0;
	buf_put_u8(&text, 0);
	at = there ? strstr((const char *)text.data, "g4l.token=") : NULL;
	if (at)
		snprintf(token, 65, "%.64s", at + 10);
	buf_free(&text);
	return at;
}

unsigned fixture_hello(struct fixture *f, const char *token, const char *mac, const char *uuid, const char *nonce)
{
	char body[1000];
	json_t *answer;
	unsigned status;
	int n = snprintf(body, sizeof body,
			 "{\"protocol\":1,\"version\":\"0.1.0\",\"nonce\":\"%s\",\"macs\":[\"%s\"],\"uuid\":\"%s\","
			 "\"firmware\":\"uefi\",\"secure_boot\":true,\"product\":\"PC\",\"cpus\":2,\"memory_bytes\":1,"
			 "\"kernel\":\"6.1\",\"disks\":[]}",
			 nonce, mac, uuid);

	status = fixture_ask(f, true, "POST", "/agent/v1/hello", token, body, (size_t)n, &answer);
	if (status == 200)
		snprintf(f->session, sizeof f->session, "%s", json_string_value(json_object_get(answer, "session")));
	json_decref(answer);
	return status;
}

unsigned fixture_finish(struct fixture *f, const char *result, int code)
{
	char body[200];
	int n = snprintf(body, sizeof body,
			 "{\"result\":\"%s\",\"code\":%d,\"error\":\"it hurts\",\"stats\":{\"x\":1}}", result, code);

	return fixture_agent(f, "finish", body, (size_t)n, NULL);
}

static void add_frame(struct buf *out, const void *plain, size_t n, struct hash *hash)
{
	struct chunk_coder *coder = chunk_coder_new(1);
	uint8_t *body = malloc(n);
	struct chunk_frame frame;

	*hash = hash_of(plain, n);
	assert_int_equal(chunk_encode(coder, hash, plain, n, body, &frame), 0);
	assert_int_equal(wire_frame_encode(&frame, out), 0);
	free(body);
	chunk_coder_free(coder);
}

void fixture_image(struct fixture_image *i, const char *host, uint8_t seed)
{
	uint8_t plain[5000];
	struct recipe_chunk chunk = {.plain_bytes = sizeof plain};
	struct recipe_extent extent = {.disk_offset = 4096, .length = 4096};
	struct recipe_segment segment = {.chunks = &chunk, .n_chunks = 1, .extents = &extent, .n_extents = 1};
	struct recipe_root_entry entry = {0};
	struct recipe_root root = {.entries = &entry, .n = 1};
	struct hash root_hash;
	struct snapshot_disk disk = {
		.path = "/dev/sda", .size_bytes = 1 << 20, .sector_bytes = 512, .roots = &root_hash, .n_roots = 1};
	struct snapshot s = {.time = 1700000000, .version = "0.1.0", .disks = &disk, .n_disks = 1};
	struct buf encoded = {0};

	*i = (struct fixture_image){0};
	for (size_t k = 0; k < sizeof plain; k++)
		plain[k] = (uint8_t)(k * k + seed * 31u + (k >> 8));
	add_frame(&i->frames, plain, sizeof plain, &i->content);
	chunk.hash = i->content;
	assert_int_equal(recipe_segment_encode(&segment, &encoded, NULL), 0);
	add_frame(&i->frames, encoded.data, encoded.len, &entry.segment);
	buf_free(&encoded);
	assert_int_equal(recipe_root_encode(&root, &encoded, NULL), 0);
	add_frame(&i->frames, encoded.data, encoded.len, &root_hash);
	buf_free(&encoded);
	snprintf(s.host, sizeof s.host, "%s", host);
	assert_int_equal(snapshot_encode(&s, &i->envelope, NULL), 0);
	snprintf(i->id, sizeof i->id, "%s", s.id);
}

void fixture_image_clear(struct fixture_image *i)
{
	buf_free(&i->frames);
	buf_free(&i->envelope);
}

int64_t fixture_working(struct fixture *f)
{
	int64_t job = fixture_job(f, "{\"kind\":\"backup\",\"host\":\"john\"}");
	char token[65];

	fixture_await(f, job, JOB_WAKING);
	assert_true(fixture_token(f, MAC, token));
	assert_int_equal(fixture_hello(f, token, MAC, UUID, "000102030405060708090a0b0c0d0e0f"), 200);
	assert_int_equal(fixture_state(f, job), JOB_WORKING);
	return job;
}

void fixture_backup(struct fixture *f, struct fixture_image *i)
{
	int64_t job = fixture_working(f);

	assert_int_equal(fixture_agent(f, "put", i->frames.data, i->frames.len, NULL), 200);
	assert_int_equal(fixture_agent(f, "commit", i->envelope.data, i->envelope.len, NULL), 200);
	fixture_await(f, job, JOB_FINISHING);
	assert_int_equal(fixture_finish(f, "done", 0), 200);
	assert_int_equal(fixture_state(f, job), JOB_DONE);
}

static int damage_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	uint8_t byte;
	int fd;

	if (type != FTW_F || !strstr(path, "/packs/") || st->st_size < 100)
		return 0;
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	/* In the middle of the first chunk's body. */
	assert_int_equal(io_pread_full(fd, &byte, 1, 90), 0);
	byte ^= 0x40;
	assert_int_equal(io_pwrite_full(fd, &byte, 1, 90), 0);
	close(fd);
	return 0;
}

void fixture_damage_store(struct fixture *f)
{
	char path[100];

	snprintf(path, sizeof path, "%s/store", f->dir);
	nftw(path, damage_one, 16, FTW_PHYS);
}
