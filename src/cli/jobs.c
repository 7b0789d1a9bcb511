/* g4l status, watch, log, screen, cancel: what the jobs on g4ld do, live and afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/remote.h"

static const struct cli_option options[] = {
	CLI_OPTION_JSON,
	CLI_OPTIONS_SERVER,
	{0},
};

static int job_number(const char *text, uint64_t *number, struct error *err)
{
	if (text_u64(text, INT64_MAX, number) < 0)
		return error_set(err, -ERR_USAGE, "'%s' is not the number of a job; `g4l status` lists them", text);
	return 0;
}

/* "reading  1.2 GiB of 4.0 GiB  30 %  95 MiB/s  31 s left", from g4ld's figures. */
static void progress_text(const json_t *job, char *to, size_t to_bytes)
{
	struct progress_meter meter = {.rate = remote_number(job, "rate")};
	struct progress p = {.phase = remote_text(job, "phase"),
			     .done_bytes = (uint64_t)remote_number(job, "done_bytes"),
			     .total_bytes = (uint64_t)remote_number(job, "total_bytes")};

	progress_line(&meter, &p, to, to_bytes);
}

static void print_job(const json_t *job)
{
	const char *state = remote_text(job, "state"), *why = remote_text(job, "error");
	char t[TEXT_SIZE_BYTES], line[200] = "";

	if (strcmp(state, "working") == 0 || strcmp(state, "verifying") == 0)
		progress_text(job, line, sizeof line);
	printf("%5d  %-16s %-8s %-10s %s  %s%s\n", (int)remote_number(job, "job"), remote_text(job, "host"),
	       remote_text(job, "kind"), state, text_time((int64_t)remote_number(job, "created"), t), line, why);
}

static int print_jobs(struct remote *remote, const char *path, const struct cli_args *args, struct error *err)
{
	json_t *answer = NULL, *jobs, *job;
	size_t i;
	int r = remote_call(remote, "GET", path, NULL, &answer, err);

	jobs = json_is_array(answer) ? answer : json_object_get(answer, "jobs");
	if (r == 0 && !args->json && json_array_size(jobs))
		printf("%5s  %-16s %-8s %-10s %-20s\n", "job", "host", "kind", "state", "created");
	json_array_foreach(jobs, i, job)
	{
		if (args->json)
			cli_print_json(json_incref(job));
		else
			print_job(job);
	}
	if (r == 0 && !args->json && json_array_size(jobs) == 0)
		printf("no jobs\n");
	json_decref(answer);
	return r;
}

static int status_all(struct remote *remote, const struct cli_args *args, struct error *err)
{
	char a[TEXT_SIZE_BYTES];
	const json_t *store;
	json_t *answer = NULL;
	int r = remote_call(remote, "GET", "/api/v1/status", NULL, &answer, err);

	if (r < 0)
		return r;
	if (args->json) {
		cli_print_json(answer);
		return 0;
	}
	store = json_object_get(answer, "store");
	printf("g4ld %s: %d host%s; store %s ", remote_text(answer, "version"), (int)remote_number(answer, "hosts"),
	       remote_number(answer, "hosts") == 1 ? "" : "s", remote_text(store, "location"));
	if (*remote_text(store, "error"))
		printf("cannot be used: %s\n", remote_text(store, "error"));
	else
		printf("with %.0f snapshots in %s\n", remote_number(store, "snapshots"),
		       text_size((uint64_t)remote_number(store, "stored_bytes"), a));
	json_decref(answer);
	return print_jobs(remote, "/api/v1/jobs?limit=15", args, err);
}

/* A host that g4ld does not know, and that has no jobs of an earlier time either, is a mistake and not "no jobs". */
static int check_host(struct remote *remote, const char *host, struct error *err)
{
	char path[120];
	json_t *answer = NULL;
	bool has_jobs;
	int r;

	snprintf(path, sizeof path, "/api/v1/jobs?host=%s&limit=1", host);
	r = remote_call(remote, "GET", path, NULL, &answer, err);
	has_jobs = json_array_size(json_object_get(answer, "jobs")) > 0;
	json_decref(answer);
	if (r < 0 || has_jobs)
		return r;
	snprintf(path, sizeof path, "/api/v1/hosts/%s", host);
	return remote_call(remote, "GET", path, NULL, NULL, err);
}

static int status_run(const struct cli_args *args, struct error *err)
{
	struct remote *remote = NULL;
	char path[120];
	int r;

	if (args->n_operands && !text_is_name(args->operands[0]))
		return error_set(err, -ERR_USAGE, "'%s' is not a host name", args->operands[0]);
	r = remote_open(args, &remote, err);
	if (r < 0)
		return r;
	if (args->n_operands) {
		r = check_host(remote, args->operands[0], err);
		snprintf(path, sizeof path, "/api/v1/jobs?host=%s&limit=15", args->operands[0]);
		if (r == 0)
			r = print_jobs(remote, path, args, err);
	} else {
		r = status_all(remote, args, err);
	}
	remote_close(remote);
	return r;
}

const struct command cli_status = {
	.name = "status",
	.synopsis = {"[NAME] [--json]"},
	.summary = "Show what g4ld is doing, or the last jobs of one host.",
	.options = options,
	.max_operands = 1,
	.run = status_run,
};

/* Without a number: the newest job. */
static int newest_job(struct remote *remote, uint64_t *number, struct error *err)
{
	json_t *answer = NULL, *jobs;
	int r = remote_call(remote, "GET", "/api/v1/jobs?limit=1", NULL, &answer, err);

	jobs = json_is_array(answer) ? answer : json_object_get(answer, "jobs");
	if (r == 0 && json_array_size(jobs) == 0)
		r = error_set(err, -ERR_USAGE, "there are no jobs yet");
	if (r == 0)
		*number = (uint64_t)remote_number(json_array_get(jobs, 0), "job");
	json_decref(answer);
	return r;
}

static int watch_run(const struct cli_args *args, struct error *err)
{
	struct remote *remote = NULL;
	json_t *job = NULL;
	uint64_t number = 0;
	int r = args->n_operands ? job_number(args->operands[0], &number, err) : 0;

	if (r == 0)
		r = remote_open(args, &remote, err);
	if (r == 0 && !args->n_operands)
		r = newest_job(remote, &number, err);
	if (r == 0)
		r = remote_follow(remote, (json_int_t)number, args->json, &job, err);
	if (job && args->json)
		cli_print_json(json_incref(job));
	else if (job)
		print_job(job);
	json_decref(job);
	remote_close(remote);
	return r;
}

const struct command cli_watch = {
	.name = "watch",
	.synopsis = {"[JOB] [--json]"},
	.summary = "Follow a job (the newest one by default) until it ends; the exit code is the job's.",
	.options = options,
	.max_operands = 1,
	.run = watch_run,
};

static void print_line(const json_t *line)
{
	char t[TEXT_SIZE_BYTES], text[2100];

	printf("%s %-7s %-7s %s\n", text_time((int64_t)remote_number(line, "time"), t), remote_text(line, "source"),
	       remote_text(line, "level"), text_printable(remote_text(line, "text"), text, sizeof text));
}

/* g4ld gives a long log in parts. 1: a part was printed and *from is behind it; 0: that was all. */
static int print_part(struct remote *remote, uint64_t number, json_int_t *from, const struct cli_args *args,
		      struct error *err)
{
	json_t *answer = NULL, *lines, *line;
	char path[120];
	size_t i, n;
	int r;

	snprintf(path, sizeof path, "/api/v1/jobs/%llu/log?from=%lld", (unsigned long long)number, (long long)*from);
	r = remote_call(remote, "GET", path, NULL, &answer, err);
	lines = json_object_get(answer, "lines");
	n = json_array_size(lines);
	json_array_foreach(lines, i, line)
	{
		if (args->json)
			cli_print_json(json_incref(line));
		else
			print_line(line);
	}
	if (n)
		*from = json_integer_value(json_object_get(json_array_get(lines, n - 1), "id")) + 1;
	json_decref(answer);
	return r < 0 ? r : n > 0;
}

static int log_run(const struct cli_args *args, struct error *err)
{
	struct remote *remote = NULL;
	uint64_t number = 0;
	json_int_t from = 0;
	int r = job_number(args->operands[0], &number, err);

	if (r == 0)
		r = remote_open(args, &remote, err);
	if (r < 0)
		return r;
	do {
		r = print_part(remote, number, &from, args, err);
	} while (r == 1);
	remote_close(remote);
	return r;
}

const struct command cli_log = {
	.name = "log",
	.synopsis = {"JOB [--json]"},
	.summary = "Print all that happened in a job, in order of time.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = log_run,
};

static void print_screen(const char *text)
{
	char line[400];

	while (*text) {
		size_t n = strcspn(text, "\n"), kept = n < sizeof line - 1 ? n : sizeof line - 1;
		char clean[400];

		memcpy(line, text, kept);
		line[kept] = '\0';
		printf("%s\n", text_printable(line, clean, sizeof clean));
		text += n + (text[n] == '\n');
	}
}

static int screen_run(const struct cli_args *args, struct error *err)
{
	struct remote *remote = NULL;
	json_t *answer = NULL;
	char path[120], t[TEXT_SIZE_BYTES];
	int r;

	if (!text_is_name(args->operands[0]))
		return error_set(err, -ERR_USAGE, "'%s' is not a host name", args->operands[0]);
	r = remote_open(args, &remote, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "/api/v1/hosts/%s/screen", args->operands[0]);
	r = remote_call(remote, "GET", path, NULL, &answer, err);
	if (r == 0 && args->json)
		cli_print_json(json_incref(answer));
	if (r == 0 && !args->json) {
		/* It may be of another day. */
		fprintf(stderr, "%s at %s, job %d:\n", args->operands[0],
			text_time((int64_t)remote_number(answer, "time"), t), (int)remote_number(answer, "job"));
		print_screen(remote_text(answer, "text"));
	}
	json_decref(answer);
	remote_close(remote);
	return r;
}

const struct command cli_screen = {
	.name = "screen",
	.synopsis = {"NAME [--json]"},
	.summary = "Print what was last on a host's screen while our agent ran on it.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = screen_run,
};

static int cancel_run(const struct cli_args *args, struct error *err)
{
	struct remote *remote = NULL;
	json_t *answer = NULL;
	uint64_t number = 0;
	char path[120];
	int r = job_number(args->operands[0], &number, err);

	if (r == 0)
		r = remote_open(args, &remote, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "/api/v1/jobs/%llu/cancel", (unsigned long long)number);
	r = remote_call(remote, "POST", path, NULL, &answer, err);
	if (r == 0 && args->json)
		cli_print_json(json_incref(answer));
	else if (r == 0)
		printf("job %llu is %s\n", (unsigned long long)number,
		       strcmp(remote_text(answer, "state"), "cancelled") == 0 ? "cancelled"
									      : "being cancelled; its host is told");
	json_decref(answer);
	remote_close(remote);
	return r;
}

const struct command cli_cancel = {
	.name = "cancel",
	.synopsis = {"JOB"},
	.summary = "Cancel a job; its host is disarmed and powered off.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = cancel_run,
};
