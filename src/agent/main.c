/*
 * g4l-agent: does one job for the server, on a netbooted PC or, for tests, on image files. Must never switch a PC off
 * before the server has acknowledged how the job ended, unless the server cannot be reached within the limit.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "agent/beat.h"
#include "agent/boot_args.h"
#include "agent/net.h"
#include "agent/screen.h"
#include "agent/session.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"

struct options {
	struct boot_args boot;
	const char *disks[64];
	size_t n_disks;
	uint32_t limit_ms;
	bool netboot, no_power;
};

static const char usage_text[] =
	"usage: g4l-agent --netboot [--no-power]\n"
	"       g4l-agent --server URL --pin HEX --token HEX --mac MAC --disk FILE [--disk FILE ...]\n"
	"\n"
	"Does one job for a ghost4linux server.\n"
	"\n"
	"  --netboot        on a PC that was booted over the network: takes what it needs from the kernel\n"
	"                   command line, works on the PC's disks and switches it off when the server says so\n"
	"  --server URL     https://ADDRESS:PORT of the server\n"
	"  --pin HEX        SHA-256 of the server's public key\n"
	"  --token HEX      the job's boot token\n"
	"  --mac MAC        as which PC the agent speaks\n"
	"  --disk FILE      an image file or device to work on, in place of this machine's disks\n"
	"  --limit SECONDS  how long a silent server is tried again (600)\n"
	"  --no-power       never switch this machine off\n"
	"  --help, --version\n";

static int take_option(struct options *o, int c, struct error *err)
{
	static const char *const names[] = {['s'] = "server", ['p'] = "pin", ['t'] = "token", ['m'] = "mac"};
	uint64_t seconds = 0;

	switch (c) {
	case 's':
	case 'p':
	case 't':
	case 'm':
		return boot_args_set(&o->boot, names[c], optarg, err);
	case 'd':
		if (o->n_disks == sizeof o->disks / sizeof o->disks[0])
			return error_set(err, -ERR_USAGE, "too many --disk");
		o->disks[o->n_disks++] = optarg;
		return 0;
	case 'l':
		if (text_u64(optarg, 86400, &seconds) < 0 || seconds == 0)
			return error_set(err, -ERR_USAGE, "--limit wants seconds, 1 to 86400");
		o->limit_ms = (uint32_t)seconds * 1000;
		return 0;
	case 'n':
		o->netboot = true;
		return 0;
	case 'x':
		o->no_power = true;
		return 0;
	default:
		return error_set(err, -ERR_USAGE, "see g4l-agent --help");
	}
}

/* 0: go on; 1: nothing more to do; negative: err. */
static int parse_options(int argc, char **argv, struct options *o, struct error *err)
{
	static const struct option longs[] = {
		{"server", required_argument, NULL, 's'},
		{"pin", required_argument, NULL, 'p'},
		{"token", required_argument, NULL, 't'},
		{"mac", required_argument, NULL, 'm'},
		{"disk", required_argument, NULL, 'd'},
		{"limit", required_argument, NULL, 'l'},
		{"netboot", no_argument, NULL, 'n'},
		{"no-power", no_argument, NULL, 'x'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	int c, rc;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'h' || c == 'v') {
			fputs(c == 'h' ? usage_text : "g4l-agent " G4L_VERSION "\n", stdout);
			return 1;
		}
		rc = take_option(o, c, err);
		if (rc == -ENOENT)
			rc = -ERR_USAGE;
		if (rc < 0)
			return rc;
	}
	if (optind < argc)
		return error_set(err, -ERR_USAGE, "%s is not understood; see g4l-agent --help", argv[optind]);
	if (o->netboot)
		return 0;
	/* The disks of the machine that somebody tries this on are not ours. */
	if (o->n_disks == 0)
		return error_set(err, -ERR_USAGE, "without --netboot, --disk must say what to work on");
	return boot_args_check(&o->boot, err);
}

static int read_cmdline(struct boot_args *boot, struct error *err)
{
	struct buf b = {0};
	int rc = io_read_file("/proc/cmdline", 65536, &b, err);

	if (rc == 0) {
		buf_put_u8(&b, 0);
		rc = b.failed ? error_errno(err, ENOMEM, "cannot read the kernel command line")
			      : boot_args_parse((const char *)b.data, boot, err);
	}
	buf_free(&b);
	return rc;
}

/* The network, then the job. */
static void run(struct options *o, struct live *live, struct beat *beat, struct session_end *end)
{
	struct session_options session = {.boot = &o->boot,
					  .disk_files = (char *const *)o->disks,
					  .n_disk_files = o->n_disks,
					  .limit_ms = o->limit_ms};
	struct error err = {0};
	int rc = 0;

	if (o->netboot) {
		rc = read_cmdline(&o->boot, &err);
		if (rc == 0)
			rc = net_start(live, o->boot.mac, &err);
	}
	if (rc == 0) {
		session_run(&session, live, beat, end);
		return;
	}
	log_error("%s", err.text);
	*end = (struct session_end){.after = WIRE_POWEROFF, .code = error_exit_code(rc)};
	snprintf(end->text, sizeof end->text, "%s", err.text);
}

/* Leaves time to read the screen, then powers off or reboots; returns only when the kernel does not do it. */
static void leave(const struct session_end *end, struct live *live)
{
	const struct session_leave how = session_leave(end);

	if (end->text[0])
		LIVE_SET(live, trouble, "%s", end->text);
	for (unsigned left = how.wait_s; left > 0; left--) {
		if (!end->acknowledged)
			LIVE_SET(live, step, "the server does not know how this ended; this PC powers off in %u s",
				 left);
		else if (how.after == WIRE_STAY)
			LIVE_SET(live, step, "done; this PC stays on, as it was told");
		else
			LIVE_SET(live, step, "done; this PC %s", how.after == WIRE_REBOOT ? "restarts" : "powers off");
		clock_sleep_ms(1000);
	}
	sync();
	for (int tries = 0; tries < 3; tries++) {
		reboot(how.after == WIRE_REBOOT ? RB_AUTOBOOT : RB_POWER_OFF);
		log_error("the kernel does not power off; trying again");
		clock_sleep_ms(5000);
	}
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct session_end end = {0};
	struct screen screen;
	struct error err = {0};
	struct live live;
	struct beat *beat;
	int rc = parse_options(argc, argv, &o, &err);

	if (rc != 0) {
		if (rc < 0)
			fprintf(stderr, "g4l-agent: %s\n", err.text);
		return rc > 0 ? 0 : (int)error_exit_code(rc);
	}
	/* A server that goes away in the middle of a request must not end us: libcurl leaves this to its user. */
	signal(SIGPIPE, SIG_IGN);
	live_init(&live);
	live.echo = !o.netboot;
	log_set_sink(live_log, &live);
	if (o.netboot)
		screen_open_consoles(&screen, "/");
	else
		screen_open_stderr(&screen);
	rc = beat_start(&live, &screen, &beat, &err);
	if (rc < 0) {
		fprintf(stderr, "g4l-agent: %s\n", err.text);
		return EXIT_CODE_FAILED;
	}
	run(&o, &live, beat, &end);
	if (o.netboot && !o.no_power)
		leave(&end, &live);
	beat_stop(beat);
	screen_close(&screen);
	log_set_sink(NULL, NULL);
	live_clear(&live);
	return end.code;
}
