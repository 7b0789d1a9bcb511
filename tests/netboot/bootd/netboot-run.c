/*
 * Runs the built-in network boot for tests: arms what its arguments say, prints each event as a line, takes commands
 * on stdin ("arm HOST MAC BASE CMDLINE...", "disarm MAC", "recover", "wake INTERFACE MAC"), ends at the end of stdin.
 *
 *   netboot-run PROGRAM TFTP_DIR USER INTERFACE[,ADDRESS]...        (USER "-": as we run)
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "netboot/menu.h"
#include "netboot/netboot.h"
#include "netboot/wake.h"

/* With MENUS=FOLDER in the environment: what the HTTP server has to give to iPXE. */
static int write_menu(const struct netboot_arming *a, struct error *err)
{
	const char *folder = getenv("MENUS");
	struct buf menu = {0};
	char path[512];
	int ret = 0;

	if (folder) {
		snprintf(path, sizeof path, "%s/boot.ipxe", folder);
		ret = menu_ipxe(a, &menu, err);
		if (ret == 0)
			ret = io_replace_file(path, menu.data, menu.len, 0644, err);
	}
	buf_free(&menu);
	return ret;
}

static int arm(struct netboot *nb, char *rest, struct error *err)
{
	struct netboot_arming a = {0};
	const char *host = strsep(&rest, " "), *mac = strsep(&rest, " "), *base = strsep(&rest, " ");
	const char *slash = base ? strrchr(base, '/') : NULL;

	if (!slash || netboot_mac_parse(mac, a.mac) < 0)
		return error_set(err, -ERR_USAGE, "arm HOST MAC BASE CMDLINE...");
	snprintf(a.host, sizeof a.host, "%s", host);
	snprintf(a.base, sizeof a.base, "%s", base);
	snprintf(a.nonce, sizeof a.nonce, "%s", slash + 1);
	snprintf(a.cmdline, sizeof a.cmdline, "%s", rest ? rest : "");
	if (write_menu(&a, err) < 0)
		return err->code;
	return netboot_arm(nb, &a, err);
}

static int obey(struct netboot *nb, char *line, struct error *err)
{
	const char *verb = strsep(&line, " ");
	uint8_t mac[NETBOOT_MAC_BYTES];

	if (!strcmp(verb, "arm"))
		return arm(nb, line, err);
	if (!strcmp(verb, "disarm") && line && netboot_mac_parse(line, mac) == 0)
		return netboot_disarm(nb, mac, err);
	if (!strcmp(verb, "recover"))
		return netboot_recover(nb, err);
	if (!strcmp(verb, "wake") && line) {
		const char *interface = strsep(&line, " ");

		if (line && netboot_mac_parse(line, mac) == 0)
			return wake_send(interface, mac, NULL, 0, err);
	}
	return error_set(err, -ERR_USAGE, "unknown command");
}

static void print_events(struct netboot *nb)
{
	struct netboot_event e;

	while (netboot_next_event(nb, &e) > 0) {
		char mac[NETBOOT_MAC_TEXT] = "-";

		if (e.has_mac)
			netboot_mac_format(e.mac, mac);
		printf("%s %s %s\n", netboot_event_name(e.kind), mac, e.text);
		fflush(stdout);
	}
}

static int serve(struct netboot *nb)
{
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = netboot_event_fd(nb), .events = POLLIN}};
	char line[4096];
	size_t used = 0;

	for (;;) {
		char *end;
		ssize_t n;

		if (poll(fds, 2, -1) < 0)
			return EXIT_CODE_FAILED;
		print_events(nb);
		if (!fds[0].revents)
			continue;
		n = read(STDIN_FILENO, line + used, sizeof line - 1 - used);
		if (n <= 0)
			return EXIT_CODE_DONE;
		used += (size_t)n;
		line[used] = '\0';
		while ((end = strchr(line, '\n'))) {
			struct error err = {0};
			int ret;

			*end = '\0';
			ret = obey(nb, line, &err);
			printf("%s\n", ret < 0 ? err.text : "ok");
			fflush(stdout);
			used -= (size_t)(end + 1 - line);
			memmove(line, end + 1, used + 1);
		}
	}
}

int main(int argc, char **argv)
{
	struct netboot_interface interfaces[4] = {0};
	struct netboot_builtin_config config = {.interfaces = interfaces};
	struct error err = {0};
	struct netboot *nb;
	int ret;

	if (argc < 5 || argc > 8) {
		fprintf(stderr, "netboot-run PROGRAM TFTP_DIR USER INTERFACE[,ADDRESS]...\n");
		return EXIT_CODE_USAGE;
	}
	config.program = argv[1];
	config.tftp_dir = argv[2];
	config.user = strcmp(argv[3], "-") ? argv[3] : NULL;
	for (int i = 4; i < argc; i++) {
		struct netboot_interface *p = &interfaces[config.interface_count++];
		char *address = argv[i];
		const char *name = strsep(&address, ",");

		snprintf(p->name, sizeof p->name, "%s", name);
		snprintf(p->address, sizeof p->address, "%s", address ? address : "");
	}
	if (getenv("TEST_PORTS") &&
	    sscanf(getenv("TEST_PORTS"), "%hu,%hu,%hu", &config.dhcp_port, &config.pxe_port, &config.tftp_port) != 3)
		return EXIT_CODE_USAGE;
	if (netboot_open_builtin(&config, &nb, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return error_exit_code(err.code);
	}
	ret = serve(nb);
	netboot_close(nb);
	return ret;
}
