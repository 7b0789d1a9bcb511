/*
 * What all parts of g4ld share. main.c makes and ends it. The state database decides; what is here besides can be lost
 * at any moment.
 */
#ifndef G4L_SERVER_SERVER_H
#define G4L_SERVER_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "netboot/netboot.h"
#include "server/config.h"
#include "server/db.h"
#include "server/live.h"
#include "store/store.h"

struct conductor;

struct server {
	struct config config;
	struct db *db;
	struct store *store;
	struct netboot *netboot;
	struct conductor *conductor;
	struct lives lives;

	char interfaces[CONFIG_MAX_INTERFACES][16];
	size_t n_interfaces;
	char address[64];		/* ours, as clients reach it */
	unsigned https_port, http_port; /* those that are bound */
	char pin[65];			/* of our certificate */
	int64_t certificate_until;

	pthread_mutex_t lock;	/* only for `changed` */
	pthread_cond_t changed; /* some job changed, or the end has come */
	atomic_bool stopping;
};

void server_init(struct server *s);
/* Whether the store's folder is there: a file system that is not mounted any more leaves its facts behind in memory.
 * Stores that are no folder count as there. 0, or -ERR_UNREACHABLE. */
int server_store_is_there(const struct server *s, struct error *err);
/* Wakes everybody who waits for a change of a job. */
void server_changed(struct server *s);
/* Waits for the next change, at most ms milliseconds. Look again afterwards: it may have been another job. */
void server_wait(struct server *s, uint64_t ms);

#endif
