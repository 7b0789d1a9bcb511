/*
 * The read-only TFTP server: listening sockets that it was given, one socket of its own for each transfer.
 * Serves regular files below one folder, and menus that exist only while their host is armed. It writes nothing,
 * follows no symbolic link and no "..".
 */
#ifndef G4L_NETBOOT_TFTPD_H
#define G4L_NETBOOT_TFTPD_H

#include <netinet/in.h>

#include "netboot/armed.h"

struct tftpd;

struct tftpd_config {
	int epoll_fd; /* sockets are added here, with data.ptr pointing to a struct tftpd_watch */
	int dir_fd;   /* the folder; stays the caller's */
	const struct armed *armed;
	void (*event)(void *arg, const struct netboot_event *event);
	void *event_arg;
};

/* The first member of everything in the epoll set: what to do when it is readable. */
struct tftpd_watch {
	void (*ready)(struct tftpd_watch *watch);
};

/* 0 or -ENOMEM. */
int tftpd_new(const struct tftpd_config *config, struct tftpd **out);
void tftpd_free(struct tftpd *t);

/* Serves a bound UDP socket, which it then owns. interface names where it is, for asking the kernel which MAC a
 * client has; "" when that is not to be asked. 0 or -errno. */
int tftpd_listen(struct tftpd *t, int fd, const struct in_addr *address, const char *interface);

/* Sends again what is due, ends what is over. Returns the time until it has to be called again, or -1: no transfers. */
int tftpd_tick(struct tftpd *t);

/* Opens a file below dir_fd by a name from the network: relative parts only ("a/b"; a leading '/' is passed over),
 * no "." or "..", no symbolic links, regular files only. An fd, or -ENOENT, -EACCES, -EINVAL … */
int tftpd_open_file(int dir_fd, const char *name);

#endif
