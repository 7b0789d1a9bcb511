/* g4ld: reads the configuration, opens everything in order, waits for a signal, and closes everything in order. */
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "server/api.h"
#include "server/arming.h"
#include "server/conductor.h"
#include "server/network.h"
#include "server/tls.h"

#define MAX_AGENT_BODY_BYTES (16u << 20)
#define MAX_ADMIN_BODY_BYTES (1u << 20)
#define MAX_BOOT_BODY_BYTES 4096
#define STOP_MS 1500

struct daemon {
	struct server server;
	struct tls_identity tls;
	int lock;
	struct http *https, *http, *local;
	int https_fd, http_fd, local_fd; /* until their listener has taken them over */
};

static const char usage[] =
	"usage: g4ld [--config FILE] [--no-netboot] [--verbose]\n"
	"\n"
	"The server of ghost4linux: looks after hosts and jobs, wakes and boots hosts, keeps their snapshots.\n"
	"\n"
	"  --config FILE   read this configuration instead of " CONFIG_PATH "\n"
	"  --no-netboot    neither wake nor boot anybody; command lines go to STATE/armed/ (for tests)\n"
	"  --verbose       log also what is only of interest when something goes wrong\n"
	"  --version       print the version\n"
	"  --help          print this\n";

struct arguments {
	const char *config;
	bool no_netboot, verbose;
};

/* -1: go on; else the exit code. */
static int parse_arguments(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"no-netboot", no_argument, NULL, 'n'},
		{"verbose", no_argument, NULL, 'v'},	  {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},	  {0}};
	int c;

	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			out->config = optarg;
			break;
		case 'n':
			out->no_netboot = true;
			break;
		case 'v':
			out->verbose = true;
			break;
		case 'V':
			puts("g4ld " G4L_VERSION);
			return EXIT_CODE_DONE;
		case 'h':
			fputs(usage, stdout);
			return EXIT_CODE_DONE;
		default:
			fputs(usage, stderr);
			return EXIT_CODE_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "g4ld: too many words: %s\n%s", argv[optind], usage);
		return EXIT_CODE_USAGE;
	}
	return -1;
}

static void set_log_level(const struct config *c, bool verbose)
{
	for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++)
		if (strcmp(log_level_name((enum log_level)level), c->log_level) == 0)
			log_set_level((enum log_level)level);
	if (verbose)
		log_set_level(LOG_LEVEL_DEBUG);
}

/* One g4ld for a state folder. */
static int take_lock(struct daemon *d, struct error *err)
{
	char path[300];

	snprintf(path, sizeof path, "%s/lock", d->server.config.state_dir);
	d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock < 0)
		return error_errno(err, errno, "cannot open %s", path);
	if (flock(d->lock, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, -EBUSY, "another g4ld works with %s already", d->server.config.state_dir);
	return 0;
}

static int open_state(struct daemon *d, struct error *err)
{
	struct server *s = &d->server;
	char path[300];
	int r = io_make_dirs(s->config.state_dir, 0755, err);

	if (r == 0)
		r = take_lock(d, err);
	if (r == 0)
		r = store_open(s->config.store, &s->store, err);
	snprintf(path, sizeof path, "%s/state.db", s->config.state_dir);
	if (r == 0)
		r = db_open(path, &s->db, err);
	if (r == 0)
		r = tls_open(s->config.state_dir, s->address, &d->tls, err);
	if (r == 0)
		r = api_make_admin_token(s, err);
	if (r == 0) {
		snprintf(s->pin, sizeof s->pin, "%s", d->tls.pin);
		s->certificate_until = d->tls.until;
	}
	return r;
}

/* All sockets are bound before anything is armed: the ports stand in what hosts boot. */
static int open_sockets(struct daemon *d, struct error *err)
{
	struct server *s = &d->server;

	d->https_fd = http_listen_tcp(s->config.listen, (unsigned)s->config.https_port, &s->https_port, err);
	if (d->https_fd < 0)
		return d->https_fd;
	d->http_fd = http_listen_tcp(s->config.listen, (unsigned)s->config.http_port, &s->http_port, err);
	if (d->http_fd < 0)
		return d->http_fd;
	d->local_fd = http_listen_unix(s->config.socket, s->config.socket_group, err);
	return d->local_fd < 0 ? d->local_fd : 0;
}

/* The boot service's program: as configured, else beside g4ld, in the build tree, or where it is installed. */
static void find_bootd(const struct config *c, char *to, size_t to_bytes)
{
	static const char *const places[] = {"g4l-bootd", "../netboot/g4l-bootd", "../libexec/ghost4linux/g4l-bootd"};
	char self[400] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	snprintf(to, to_bytes, "%s", c->bootd);
	if (to[0] || n <= 0)
		return;
	self[n] = '\0';
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		char copy[400];

		memcpy(copy, self, sizeof copy);
		snprintf(to, to_bytes, "%s/%s", dirname(copy), places[i]);
		if (access(to, X_OK) == 0)
			return;
	}
}

static int open_builtin(struct server *s, struct error *err)
{
	struct netboot_interface interfaces[CONFIG_MAX_INTERFACES] = {0};
	struct netboot_builtin_config config = {
		.interfaces = interfaces, .interface_count = s->n_interfaces, .user = s->config.boot_user};
	char tftp[300], program[600];

	for (size_t i = 0; i < s->n_interfaces; i++) {
		snprintf(interfaces[i].name, sizeof interfaces[i].name, "%s", s->interfaces[i]);
		/* One interface may have several addresses: ours is the one that was configured. */
		if (s->n_interfaces == 1 && strlen(s->address) < sizeof interfaces[i].address)
			memcpy(interfaces[i].address, s->address, strlen(s->address) + 1);
	}
	snprintf(tftp, sizeof tftp, "%s/tftp", s->config.boot_dir);
	config.tftp_dir = tftp;
	find_bootd(&s->config, program, sizeof program);
	config.program = program;
	if (io_make_dirs(tftp, 0755, err) < 0)
		return err->code;
	return netboot_open_builtin(&config, &s->netboot, err);
}

static int start_listeners(struct daemon *d, struct error *err)
{
	struct http_options https = {.fd = d->https_fd,
				     .key_pem = d->tls.key_pem,
				     .cert_pem = d->tls.cert_pem,
				     .max_body_bytes = MAX_AGENT_BODY_BYTES,
				     .max_connections = 1000,
				     .max_connections_per_address = 64,
				     .limit = api_https_limit,
				     .handler = api_https,
				     .arg = &d->server};
	struct http_options http = {.fd = d->http_fd,
				    .max_body_bytes = MAX_BOOT_BODY_BYTES,
				    .max_connections = 500,
				    .max_connections_per_address = 32,
				    .handler = api_boot,
				    .arg = &d->server};
	struct http_options local = {.fd = d->local_fd,
				     .unix_socket = true,
				     .max_body_bytes = MAX_ADMIN_BODY_BYTES,
				     .max_connections = 200,
				     .handler = api_unix,
				     .arg = &d->server};
	int r;

	d->https_fd = -1;
	r = http_start(&https, &d->https, err);
	if (r < 0)
		return r;
	d->http_fd = -1;
	r = http_start(&http, &d->http, err);
	if (r < 0)
		return r;
	d->local_fd = -1;
	return http_start(&local, &d->local, err);
}

static int start(struct daemon *d, struct error *err)
{
	struct server *s = &d->server;
	int r = network_set_up(s, err);

	if (r == 0)
		r = open_state(d, err);
	if (r == 0)
		r = open_sockets(d, err);
	if (r == 0)
		r = strcmp(s->config.netboot, "none") == 0 ? netboot_open_none(s->config.state_dir, &s->netboot, err)
							   : open_builtin(s, err);
	if (r == 0)
		r = conductor_recover(s, err);
	if (r == 0)
		r = start_listeners(d, err);
	if (r == 0)
		r = conductor_start(s, err);
	return r;
}

static void stop(struct daemon *d)
{
	struct server *s = &d->server;

	atomic_store(&s->stopping, true);
	if (s->db)
		conductor_stop(s);
	http_stop(d->local);
	http_stop(d->https);
	http_stop(d->http);
	if (d->local)
		unlink(s->config.socket);
	for (int *fd = (int[]){d->https_fd, d->http_fd, d->local_fd, -2}; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	netboot_close(s->netboot);
	if (!lives_end_all(&s->lives, STOP_MS)) {
		log_warning("work on the store did not stop in time; its job goes on at the next start");
		_exit(EXIT_CODE_DONE);
	}
	if (s->store)
		store_close(s->store);
	db_close(s->db);
	tls_clear(&d->tls);
	if (d->lock >= 0)
		close(d->lock);
}

static void wait_for_signal(const sigset_t *signals)
{
	int which = 0;

	while (sigwait(signals, &which) != 0 || (which != SIGTERM && which != SIGINT))
		;
	log_info("signal %d: g4ld ends", which);
}

int main(int argc, char **argv)
{
	struct daemon d = {.lock = -1, .https_fd = -1, .http_fd = -1, .local_fd = -1};
	struct arguments args = {0};
	struct error err = {0};
	sigset_t signals;
	int r = parse_arguments(argc, argv, &args);

	if (r >= 0)
		return r;
	server_init(&d.server);
	r = config_load(args.config ? args.config : CONFIG_PATH, !args.config, &d.server.config, &err);
	if (r < 0) {
		fprintf(stderr, "g4ld: %s\n", err.text);
		return EXIT_CODE_USAGE;
	}
	if (args.no_netboot)
		snprintf(d.server.config.netboot, sizeof d.server.config.netboot, "none");
	set_log_level(&d.server.config, args.verbose);
	/* Threads inherit the mask: only main takes these. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	r = start(&d, &err);
	if (r == 0) {
		log_info("g4ld %s serves %s: HTTPS %u, HTTP %u, socket %s", G4L_VERSION, d.server.config.store,
			 d.server.https_port, d.server.http_port, d.server.config.socket);
		wait_for_signal(&signals);
	}
	stop(&d);
	if (r < 0)
		fprintf(stderr, "g4ld: %s\n", err.text);
	return error_exit_code(r);
}
