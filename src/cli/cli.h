/*
 * The command line: a table of subcommands, each in a file of its own, and what they share. Only this room
 * prints results; human text about progress goes to stderr, results to stdout.
 */
#ifndef G4L_CLI_CLI_H
#define G4L_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "image/snapshot.h"
#include "store/store.h"

/* One option of a command. arg NULL: a flag; else the name of its argument in the help. */
struct cli_option {
	const char *name; /* without dashes */
	const char *arg;
	const char *help;
	bool many; /* may be given more than once */
};

#define CLI_MAX_VALUES 64

/* What was given: options by name, and the operands. Points into argv. */
struct cli_args {
	struct {
		const char *name;
		const char *value; /* "" for a flag */
	} values[CLI_MAX_VALUES];
	size_t n_values;
	char **operands;
	size_t n_operands;
	bool json;
};

struct command {
	const char *name;
	const char *alias;		  /* or NULL */
	const char *synopsis[5];	  /* without "g4l NAME"; NULL at the end */
	const char *summary;		  /* one line */
	const char *details;		  /* paragraphs for --help, or NULL */
	const struct cli_option *options; /* name NULL at the end */
	size_t min_operands, max_operands;
	/* 0, or a negative code with a sentence in err; EXIT_CODE_DEGRADED is returned as it is. */
	int (*run)(const struct cli_args *args, struct error *err);
};

extern const struct command cli_backup, cli_restore, cli_verify, cli_inspect, cli_snapshots, cli_forget, cli_prune,
	cli_store, cli_host, cli_status, cli_watch, cli_log, cli_screen, cli_cancel, cli_doctor, cli_bootimage;

/* The options that many commands share, as initialisers. */
#define CLI_OPTION_JSON                                                                                                \
	{                                                                                                              \
		"json", NULL, "print one JSON object (a line each for lists) instead of text", false                   \
	}
#define CLI_OPTION_STORE                                                                                               \
	{                                                                                                              \
		"store", "STORE", "the store to work on; default: $G4L_STORE", false                                   \
	}
#define CLI_OPTIONS_SERVER                                                                                             \
	{"socket", "PATH", "g4ld's socket; default: $G4L_SOCKET, else /run/ghost4linux/g4ld.sock", false},             \
		{"server", "URL", "talk to https://HOST:PORT instead; default: $G4L_SERVER", false},                   \
		{"token-file", "FILE", "the admin token for --server; default: $G4L_TOKEN_FILE", false},               \
	{                                                                                                              \
		"pin", "HEX", "SHA-256 of the server's public key for --server; default: $G4L_PIN", false              \
	}

/* The value of an option, the environment's (env may be NULL), or NULL. The last one given wins. */
const char *cli_value(const struct cli_args *args, const char *name, const char *env);
bool cli_flag(const struct cli_args *args, const char *name);
/* A number option. 0, or -ERR_USAGE; *value keeps its default when the option is absent. */
int cli_number(const struct cli_args *args, const char *name, uint64_t max, uint64_t *value, struct error *err);

/* Options (NULL at the end) that would be passed over here: -ERR_USAGE when one was given; why ends the sentence about
 * it. */
int cli_refuse(const struct cli_args *args, const char *const *names, const char *why, struct error *err);
/* Whether a command that works with a store as well as with g4ld was told, on the command line, to ask g4ld. */
bool cli_wants_server(const struct cli_args *args);

/* Parses argv behind the command's name. 0; -ERR_USAGE; 1 when --help was asked for. */
int cli_parse(const struct command *c, int argc, char **argv, struct cli_args *args, struct error *err);
/* Prints the command's help on stdout. */
void cli_help(const struct command *c);

/* Opens the store that --store or G4L_STORE names. 0; -ERR_USAGE when neither does; what store_open() gives. */
int cli_open_store(const struct cli_args *args, struct store **out, struct error *err);

/* As store_read_snapshot(), but a host, or a snapshot of it, that the store does not have is -ERR_USAGE. */
int cli_read_snapshot(struct store *s, const char *host, const char *which, struct snapshot *out, struct error *err);

/* Splits "HOST@SNAPSHOT" (host has room for 64); *snapshot points into text, or is NULL. 0 or -ERR_USAGE. */
int cli_split_host(const char *text, char host[64], const char **snapshot, struct error *err);

/* True once the user pressed ^C or the program was asked to end. */
bool cli_interrupted(void);
void cli_catch_interrupts(void);

/* Shows progress on stderr: one line that is rewritten on a terminal, a line every ten seconds elsewhere.
 * Zero-initialise with .label. cli_meter_report is a progress_fn; arg is the meter. */
struct cli_meter {
	const char *label;
	struct progress_meter meter;
	double shown;
	char phase[32];
	bool line_open;
	bool quiet;
};
int cli_meter_report(void *arg, const struct progress *p);
/* Ends the line on the terminal. */
void cli_meter_end(struct cli_meter *m);

/* Prints an object on one line of stdout and drops the reference. */
void cli_print_json(json_t *object);
/* What `backup --json` prints. New reference, or NULL when memory is out. */
json_t *cli_snapshot_json(const struct snapshot *s);
/* A line of a list: no regions. */
json_t *cli_snapshot_line_json(const struct snapshot *s);
/* The same for people, several lines on stdout. */
void cli_print_snapshot(const struct snapshot *s);

#endif
