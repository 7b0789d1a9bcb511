/* g4l doctor: asks g4ld to check its set-up, and says what to mend. */
#include <stdio.h>

#include "cli/remote.h"

static const struct cli_option options[] = {
	CLI_OPTION_JSON,
	CLI_OPTIONS_SERVER,
	{0},
};

static int run(const struct cli_args *args, struct error *err)
{
	struct remote *remote = NULL;
	json_t *answer = NULL, *check;
	size_t i, bad = 0;
	int r = remote_open(args, &remote, err);

	if (r < 0)
		return r;
	r = remote_call(remote, "GET", "/api/v1/doctor", NULL, &answer, err);
	remote_close(remote);
	if (r < 0)
		return r;
	json_array_foreach(json_object_get(answer, "checks"), i, check)
	{
		bool ok = json_is_true(json_object_get(check, "ok"));
		const char *mend = remote_text(check, "mend");

		bad += !ok;
		if (args->json)
			continue;
		printf("%-4s %-12s %s\n", ok ? "ok" : "BAD", remote_text(check, "name"), remote_text(check, "text"));
		if (!ok && *mend)
			printf("     %-12s do: %s\n", "", mend);
	}
	if (args->json)
		cli_print_json(json_incref(answer));
	json_decref(answer);
	return bad ? error_set(err, -EIO, "%zu thing%s to mend", bad, bad == 1 ? "" : "s") : 0;
}

const struct command cli_doctor = {
	.name = "doctor",
	.synopsis = {"[--json]"},
	.summary = "Check the server's set-up and say what to mend.",
	.options = options,
	.run = run,
};
