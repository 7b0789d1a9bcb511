/* The hosts we look after, as rows of the state database. */
#ifndef G4L_SERVER_HOSTS_H
#define G4L_SERVER_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "server/db.h"

#define HOST_MAX_MACS 16
#define MAC_TEXT_BYTES 18 /* "aa:bb:cc:dd:ee:ff" and its end */

struct host {
	char name[64];
	char macs[HOST_MAX_MACS][MAC_TEXT_BYTES]; /* lower case; the first is the one named first */
	size_t n_macs;
	char after[12]; /* "poweroff", "reboot", "stay" */
	char uuid[40];	/* SMBIOS UUID, learnt from the first hello; "" until then */
	int64_t created, seen;
	char *hello; /* what its last hello said, JSON; NULL: none yet */
};

void host_clear(struct host *h);

/* Six hex pairs with ':' or '-' between, or twelve digits; to gets lower case with ':'. 0; -EINVAL also for addresses
 * that no NIC has (zero, multicast). */
int host_mac_parse(const char *text, char to[MAC_TEXT_BYTES]);
bool host_after_is_known(const char *after);

/* 0; -EEXIST (the name or one of the MACs is taken, err names whose). The fields were checked by the caller. */
int hosts_add(struct db *db, const struct host *h, struct error *err);
/* 0; -ENOENT. host_clear() after success. */
int hosts_get(struct db *db, const char *name, struct host *out, struct error *err);
/* By name. host_clear() each, then free(*list). */
int hosts_list(struct db *db, struct host **list, size_t *n, struct error *err);
/* 0; -ENOENT; -EBUSY: has a job that is not over. */
int hosts_remove(struct db *db, const char *name, struct error *err);
/* Keeps what a hello said, and the UUID when none was known. */
int hosts_saw(struct db *db, const char *name, const char *uuid, const char *hello, struct error *err);

#endif
