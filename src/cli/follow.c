/* Starting a job on g4ld and following it to its end. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/remote.h"

/* How long g4ld may be away (restarted, say) while a job is followed. */
#define AWAY_SECONDS 120

static bool is_over(const char *state)
{
	static const char *const ends[] = {"done", "degraded", "failed", "cancelled"};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (strcmp(state, ends[i]) == 0)
			return true;
	return false;
}

/* Static texts for struct progress, which keeps no copies. */
static const char *phase_of(const json_t *job)
{
	static const char *const known[] = {"planning",	 "reading",   "writing",  "checking", "committing",
					    "comparing", "verifying", "fetching", "finishing"};
	const char *phase = remote_text(job, "phase");

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i], phase) == 0)
			return known[i];
	return "working";
}

static void show(struct cli_meter *meter, char *last_state, size_t state_bytes, const json_t *job)
{
	const char *state = remote_text(job, "state");
	struct progress p = {.phase = phase_of(job),
			     .done_bytes = (uint64_t)remote_number(job, "done_bytes"),
			     .total_bytes = (uint64_t)remote_number(job, "total_bytes")};

	if (strcmp(state, last_state) != 0) {
		cli_meter_end(meter);
		if (!meter->quiet)
			fprintf(stderr, "%s: %s\n", meter->label, state);
		snprintf(last_state, state_bytes, "%s", state);
	}
	/* Nothing is to be shown before the first figures came. */
	if ((strcmp(state, "working") == 0 || strcmp(state, "verifying") == 0) && (p.done_bytes || p.total_bytes))
		cli_meter_report(meter, &p);
}

/* The code that the job's end means for this program. */
static int end_of(const json_t *job, struct error *err)
{
	const char *state = remote_text(job, "state"), *why = remote_text(job, "error");
	static const int codes[] = {[EXIT_CODE_FAILED] = -EIO,
				    [EXIT_CODE_USAGE] = -ERR_USAGE,
				    [EXIT_CODE_REFUSED] = -ERR_REFUSED,
				    [EXIT_CODE_DAMAGED] = -ERR_DAMAGED,
				    [EXIT_CODE_UNREACHABLE] = -ERR_UNREACHABLE};
	int exit = (int)remote_number(job, "code"), code = -EIO;

	if (strcmp(state, "done") == 0)
		return 0;
	if (strcmp(state, "degraded") == 0)
		return EXIT_CODE_DEGRADED;
	if (strcmp(state, "cancelled") == 0)
		code = -ERR_CANCELLED;
	else if (exit > 0 && exit < (int)(sizeof codes / sizeof *codes) && codes[exit])
		code = codes[exit];
	return error_set(err, code, "job %d of %s %s%s%s; `g4l log %d` says more", (int)remote_number(job, "job"),
			 remote_text(job, "host"), state, *why ? ": " : "", why, (int)remote_number(job, "job"));
}

int remote_follow(struct remote *r, json_int_t number, bool quiet, json_t **job, struct error *err)
{
	char label[80] = "", last_state[32] = "", path[100];
	struct cli_meter meter = {.label = label, .quiet = quiet};
	double answered = clock_seconds();
	json_int_t seen = -1;
	bool away = false;
	json_t *now = NULL;
	int n = 0;

	cli_catch_interrupts();
	*job = NULL;
	for (;;) {
		snprintf(path, sizeof path, "/api/v1/jobs/%lld?wait=1&seen=%lld", (long long)number, (long long)seen);
		n = remote_call(r, "GET", path, NULL, &now, err);
		if (cli_interrupted()) {
			json_decref(now);
			n = error_set(err, -ERR_CANCELLED,
				      "no longer following; job %lld goes on (g4l watch %lld, g4l cancel %lld)",
				      (long long)number, (long long)number, (long long)number);
			break;
		}
		if (n == -ERR_UNREACHABLE && clock_seconds() - answered < AWAY_SECONDS) {
			if (!away && !quiet) {
				cli_meter_end(&meter);
				fprintf(stderr,
					"%s: g4ld does not answer; the job goes on without us, trying again for %d s\n",
					label[0] ? label : "g4l", AWAY_SECONDS);
			}
			away = true;
			clock_sleep_ms(1000);
			continue;
		}
		if (n < 0)
			break;
		answered = clock_seconds();
		away = false;
		json_decref(*job);
		*job = now;
		seen = (json_int_t)remote_number(now, "seq");
		snprintf(label, sizeof label, "%s", remote_text(now, "host"));
		show(&meter, last_state, sizeof last_state, now);
		if (is_over(last_state)) {
			n = end_of(now, err);
			cli_meter_end(&meter);
			if (n == EXIT_CODE_DEGRADED && !quiet)
				fprintf(stderr, "%s: degraded because: %s\n", label,
					*remote_text(now, "error") ? remote_text(now, "error") : "see `g4l log`");
			break;
		}
	}
	cli_meter_end(&meter);
	return n;
}

int remote_run_job(struct remote *r, json_t *request, bool detach, bool quiet, json_t **job, struct error *err)
{
	json_t *answer = NULL;
	json_int_t number;
	int n = remote_call(r, "POST", "/api/v1/jobs", request, &answer, err);

	*job = NULL;
	if (n < 0)
		return n;
	number = json_integer_value(json_object_get(answer, "job"));
	if (detach) {
		*job = answer;
		return 0;
	}
	json_decref(answer);
	return remote_follow(r, number, quiet, job, err);
}
