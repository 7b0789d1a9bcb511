/*
 * Network boot: deciding that a host's next boot comes from the network. A struct netboot is one way to
 * do it (our own proxyDHCP and TFTP, an ISC dhcpd, dnsmasq); this is the seam that the server stands on.
 *
 * A host is armed for one job's boot only and disarmed as soon as its agent reports, when the job fails
 * and when the server starts. Hosts that are not armed must boot exactly as if we were not there.
 *
 * The functions here are the choke point: they check the arguments, serialise the calls and log. arm,
 * disarm and recover may be called from any thread; events are for one thread.
 */
#ifndef G4L_NETBOOT_NETBOOT_H
#define G4L_NETBOOT_NETBOOT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define NETBOOT_MAC_BYTES 6
#define NETBOOT_BASE_MAX 200 /* so that it fits DHCP's boot file option with an object's name behind it */
#define NETBOOT_MAC_TEXT 18  /* "aa:bb:cc:dd:ee:ff" and its end */

/* What one host boots, once. All texts are copied. */
struct netboot_arming {
	char host[64];			/* text_is_name() */
	uint8_t mac[NETBOOT_MAC_BYTES]; /* the NIC that may boot; a host with several is armed once for each */
	char nonce[33];			/* 16 random bytes in lower-case hex */
	char base[256];			/* "http://ADDRESS:PORT/boot/NONCE", no slash at the end */
	char cmdline[1536];		/* the kernel's, as PROTOCOL.md; consoles are added by the menus */
};

enum netboot_event_kind {
	NETBOOT_READY,	  /* the boot service runs and knows every arming (after each start of it) */
	NETBOOT_OFFER,	  /* an armed host's firmware asked, and was told where its loader is */
	NETBOOT_LOADER,	  /* an armed host has fetched its loader whole */
	NETBOOT_MENU,	  /* an armed host has fetched its menu: the kernel comes next */
	NETBOOT_ERROR,	  /* something is wrong; with a mac, for that host */
	NETBOOT_STRANGER, /* a host that is not armed asked; it got no answer. Once for each of its boots */
};

struct netboot_event {
	enum netboot_event_kind kind;
	bool has_mac;
	uint8_t mac[NETBOOT_MAC_BYTES];
	char text[400]; /* a sentence for the job's log: "john asked for a loader (BIOS)" */
};

struct netboot;

struct netboot_ops {
	const char *name; /* "built-in", "dhcpd" … for messages */
	/* The arming was checked. Replaces an older arming of the same MAC. 0 or negative. */
	int (*arm)(struct netboot *nb, const struct netboot_arming *arming, struct error *err);
	/* 0 also when it was not armed. */
	int (*disarm)(struct netboot *nb, const uint8_t mac[NETBOOT_MAC_BYTES], struct error *err);
	/* Forgets every arming, also one that an earlier run of the server left behind. */
	int (*recover)(struct netboot *nb, struct error *err);
	/* Readable when next_event has something to do. -1 where there are no events. */
	int (*event_fd)(struct netboot *nb);
	/* 1: *event is filled; 0: nothing now. Never waits. May be NULL. */
	int (*next_event)(struct netboot *nb, struct netboot_event *event);
	/* Whether hosts that are armed would be answered now. NULL: always. */
	bool (*is_running)(struct netboot *nb);
	void (*close)(struct netboot *nb);
};

/* Embedded as the first member of each implementation's own struct. */
struct netboot {
	const struct netboot_ops *ops;
	pthread_mutex_t lock; /* held by the choke point around every op but event_fd */
};

/* For implementations: sets ops and makes the lock. */
void netboot_init(struct netboot *nb, const struct netboot_ops *ops);

/* Checks every member as the loaders' menus need it. 0, or -ERR_USAGE with the sentence in err. */
int netboot_check(const struct netboot_arming *arming, struct error *err);

/* From the return on, the host's next boot is a network boot. 0, -ERR_USAGE (the arming makes no sense), or what
 * the implementation failed with. Arming the same MAC again replaces the arming. */
int netboot_arm(struct netboot *nb, const struct netboot_arming *arming, struct error *err);

/* Gives the host its own disk back. 0 also when it was not armed. */
int netboot_disarm(struct netboot *nb, const uint8_t mac[NETBOOT_MAC_BYTES], struct error *err);

/* Forgets every arming. To be called once when the server starts, before the first arm. */
int netboot_recover(struct netboot *nb, struct error *err);

/* For poll(2), POLLIN; stays the same until close. -1 where there are no events. */
int netboot_event_fd(struct netboot *nb);

/* To be called when the fd is readable, until it returns 0. 1: *event is filled. 0: nothing (more) now. Does not wait.
 * It also restarts a boot service that died, so it has to be called, even if nobody wants the events. */
int netboot_next_event(struct netboot *nb, struct netboot_event *event);

/* Whether the boot service has said that it is ready and has not ended since. Any thread. */
bool netboot_is_running(struct netboot *nb);

/* Stops the boot service; armings that are left are forgotten. NULL is fine. */
void netboot_close(struct netboot *nb);

/* "ready", "offer" … as in PROTOCOL.md section 4. */
const char *netboot_event_name(enum netboot_event_kind kind);

/* "aa:bb:cc:dd:ee:ff"; returns to. */
char *netboot_mac_format(const uint8_t mac[NETBOOT_MAC_BYTES], char to[NETBOOT_MAC_TEXT]);
/* Six hex pairs with ':' or '-' between them, nothing behind. 0 or -EINVAL. */
int netboot_mac_parse(const char *text, uint8_t mac[NETBOOT_MAC_BYTES]);

/* ---- the built-in implementation (builtin.c): our own proxyDHCP and TFTP in a process of its own ---- */

struct netboot_interface {
	char name[16];	  /* "eth0" */
	char address[16]; /* our IPv4 address there, as clients are to reach it; "" takes the interface's first */
};

struct netboot_builtin_config {
	const struct netboot_interface *interfaces;
	size_t interface_count; /* 1 to 16 */
	/* Holds lpxelinux.0, ldlinux.c32 and snponly.efi as real files (symbolic links are not followed), readable by
	 * `user`. They may appear or change while the service runs. */
	const char *tftp_dir;
	const char *user; /* the service runs as this user, in a chroot at tftp_dir; NULL or "": as we run, no chroot */
	const char *program;			 /* path of g4l-bootd */
	uint16_t dhcp_port, pxe_port, tftp_port; /* 0: 67, 4011 and 69. Others are for tests without privileges */
};

/* Opens the sockets (this needs privileges), starts g4l-bootd and hands them to it. It is restarted with all
 * armings when it dies. 0, -ERR_USAGE (no such interface or user), -EADDRINUSE, -EACCES … The caller closes *out. */
int netboot_open_builtin(const struct netboot_builtin_config *config, struct netboot **out, struct error *err);

#endif
