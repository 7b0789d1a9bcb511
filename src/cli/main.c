/* g4l: finds the subcommand, parses its options, runs it, and turns its code into an exit code. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"

static const struct {
	const char *title;
	const struct command *commands[9];
} groups[] = {
	{"Back up and bring back", {&cli_backup, &cli_restore, &cli_verify, &cli_snapshots, &cli_inspect}},
	{"Hosts and jobs", {&cli_host, &cli_status, &cli_watch, &cli_log, &cli_screen, &cli_cancel}},
	{"Stores", {&cli_store, &cli_forget, &cli_prune}},
	{"Setting up", {&cli_bootimage, &cli_doctor}},
};

static const struct command *find(const char *name)
{
	for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
		for (const struct command *const *c = groups[g].commands; *c; c++)
			if (strcmp((*c)->name, name) == 0 || ((*c)->alias && strcmp((*c)->alias, name) == 0))
				return *c;
	return NULL;
}

static void usage(FILE *to)
{
	fprintf(to, "usage: g4l COMMAND [OPTION…] [OPERAND…]\n\n"
		    "Backs up and restores whole PCs over the network, unattended.\n");
	for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
		fprintf(to, "\n%s\n", groups[g].title);
		for (const struct command *const *c = groups[g].commands; *c; c++)
			fprintf(to, "  %-12s %s\n", (*c)->name, (*c)->summary);
	}
	fprintf(to, "\n`g4l COMMAND --help` says more; so does g4l(1).\n");
}

static int run(const struct command *c, int argc, char **argv)
{
	struct cli_args args = {0};
	struct error err = {0};
	int r = cli_parse(c, argc, argv, &args, &err);

	if (r == 1) {
		cli_help(c);
		return EXIT_CODE_DONE;
	}
	if (r == 0)
		r = c->run(&args, &err);
	if (r > 0)
		return r;
	if (r < 0)
		fprintf(stderr, "g4l %s: %s\n", c->name, err.text[0] ? err.text : error_name(r));
	if (r == -ERR_USAGE && c->min_operands > args.n_operands)
		fprintf(stderr, "See `g4l %s --help`.\n", c->name);
	if (fflush(stdout) != 0 && r == 0) {
		fprintf(stderr, "g4l %s: the output could not be written\n", c->name);
		return EXIT_CODE_FAILED;
	}
	return (int)error_exit_code(r);
}

static void print_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	fprintf(stderr, "g4l: %s: %s\n", log_level_name(level), line);
}

int main(int argc, char **argv)
{
	const struct command *c;

	log_set_sink(print_log, NULL);
	log_set_level(LOG_LEVEL_WARNING);
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		usage(stderr);
		return EXIT_CODE_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
		printf("g4l %s\n", G4L_VERSION);
		return EXIT_CODE_DONE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		c = argc > 2 ? find(argv[2]) : NULL;
		if (c)
			cli_help(c);
		else
			usage(stdout);
		return EXIT_CODE_DONE;
	}
	c = find(argv[1]);
	if (!c) {
		fprintf(stderr, "g4l: there is no command '%s'; `g4l --help` lists them\n", argv[1]);
		return EXIT_CODE_USAGE;
	}
	return run(c, argc - 1, argv + 1);
}
