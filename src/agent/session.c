/*
 * The order of a job: who we are, what to do, doing it, telling how it ended. Must never call a job ended before the
 * server has acknowledged it.
 */
#include "agent/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/disks.h"
#include "agent/facts.h"
#include "agent/work.h"
#include "base/text.h"
#include "wire/client.h"

#define LOST_WAIT_S 60		 /* how long a failure that the server does not know of stays on screen */
#define STAY_LIMIT_S (24 * 3600) /* how long a PC that shall stay stays */

static void fail(struct session_end *end, int code, const struct error *err)
{
	end->code = error_exit_code(code);
	snprintf(end->text, sizeof end->text, "%s", err->text);
	log_error("%s", err->text);
}

static void show_machine(struct live *live, const struct wire_hello *h)
{
	char memory[TEXT_SIZE_BYTES], list[700];

	LIVE_SET(live, machine, "%s%s%s%s · %u processor%s · %s", h->product, h->product[0] ? " · " : "",
		 strcmp(h->firmware, "uefi") == 0 ? "UEFI" : "BIOS", h->secure_boot ? ", Secure Boot on" : "", h->cpus,
		 h->cpus == 1 ? "" : "s", text_size(h->memory_bytes, memory));
	log_info("ghost4linux %s on %s%s%s, Linux %s, %s memory", h->version, h->product[0] ? h->product : "a PC",
		 strcmp(h->firmware, "uefi") == 0 ? ", UEFI" : ", BIOS", h->secure_boot ? " with Secure Boot on" : "",
		 h->kernel, text_size(h->memory_bytes, memory));
	log_info("disks: %s", disks_describe(h->disks, h->n_disks, list, sizeof list));
}

static int gather(const struct session_options *o, struct wire_hello *hello, struct error *err)
{
	int rc = facts_gather("/", o->boot->mac, hello, err);

	if (rc < 0)
		return rc;
	if (o->n_disk_files) {
		rc = disks_of_files(o->disk_files, o->n_disk_files, &hello->disks, err);
		hello->n_disks = o->n_disk_files;
	} else {
		rc = disk_list("/", &hello->disks, &hello->n_disks, err);
	}
	if (rc < 0) {
		hello->disks = NULL;
		hello->n_disks = 0;
	}
	return rc;
}

/* Sends the log lines that are left, and how it ended. */
static void tell_end(struct live *live, struct wire_client *client, const struct wire_job *job,
		     const struct wire_finish *finish, struct session_end *end)
{
	struct error err = {0};
	struct wire_log lines;
	int rc;

	LIVE_SET(live, step, "telling the server: %s", wire_result_name(finish->result));
	for (live_take_log(live, &lines); lines.n > 0; live_take_log(live, &lines)) {
		rc = wire_client_log(client, &lines, false, &err);
		wire_log_clear(&lines);
		if (rc < 0)
			break;
	}
	rc = wire_client_finish(client, finish, &end->after, &err);
	end->acknowledged = rc == 0;
	if (rc == 0)
		return;
	/* The server has answered that this job is over: its decision stands, whatever we think of our work. */
	if (rc == -ESTALE || rc == -ERR_CANCELLED || rc == -EACCES || rc == -ERR_REFUSED) {
		end->acknowledged = true;
		end->after = job->after;
	}
	if (end->code == EXIT_CODE_DONE || end->code == EXIT_CODE_DEGRADED)
		end->code = error_exit_code(rc);
	error_prefix(&err, "the server did not take the end of the job");
	snprintf(end->text, sizeof end->text, "%s", err.text);
	log_error("%s", err.text);
}

static void run_job(const struct work *w, struct beat *beat, struct session_end *end)
{
	struct wire_finish finish = {.result = WIRE_FAILED, .code = EXIT_CODE_FAILED};
	struct error err = {0};

	if (beat_start_sending(beat, w->client, &err) < 0)
		snprintf(finish.error, sizeof finish.error, "%s", err.text);
	else
		work_run(w, &finish);
	beat_stop_sending(beat);
	end->code = (int)finish.code;
	snprintf(end->text, sizeof end->text, "%s", finish.error);
	tell_end(w->live, w->client, w->job, &finish, end);
	wire_finish_clear(&finish);
}

void session_run(const struct session_options *o, struct live *live, struct beat *beat, struct session_end *end)
{
	struct wire_client_options options = {.url = o->boot->server,
					      .pin = o->boot->pin,
					      .limit_ms = o->limit_ms,
					      .waiting = live_waiting,
					      .arg = live};
	struct wire_client *client = NULL;
	struct wire_hello hello = {0};
	struct wire_job job = {0};
	struct error err = {0};
	int rc;

	*end = (struct session_end){.after = WIRE_POWEROFF};
	LIVE_SET(live, server, "%s", o->boot->server);
	LIVE_SET(live, step, "asking the server what to do");
	rc = gather(o, &hello, &err);
	if (rc == 0) {
		show_machine(live, &hello);
		rc = wire_client_new(&options, &client, &err);
	}
	if (rc == 0)
		rc = wire_client_set_token(client, o->boot->token, &err);
	if (rc == 0) {
		beat_watch(beat, client);
		rc = wire_client_hello(client, &hello, &job, &err);
	}
	if (rc < 0) {
		fail(end, rc, &err);
	} else {
		LIVE_SET(live, title, "%s of %s", wire_kind_name(job.kind), job.host);
		LIVE_SET(live, server, "%s · job %llu", o->boot->server, (unsigned long long)job.job);
		LIVE_SET(live, step, "preparing");
		run_job(&(struct work){.client = client, .live = live, .job = &job, .hello = &hello}, beat, end);
	}
	beat_watch(beat, NULL);
	wire_client_free(client);
	wire_job_clear(&job);
	wire_hello_clear(&hello);
}

struct session_leave session_leave(const struct session_end *end)
{
	if (!end->acknowledged)
		return (struct session_leave){.after = WIRE_POWEROFF, .wait_s = LOST_WAIT_S};
	return (struct session_leave){.after = end->after, .wait_s = end->after == WIRE_STAY ? STAY_LIMIT_S : 1};
}
