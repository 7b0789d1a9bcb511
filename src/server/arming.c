/* From a job to armed NICs and magic packets, and back. */
#include "server/arming.h"

#include <stdio.h>

#include "netboot/wake.h"
#include "server/boot_image.h"
#include "server/hosts.h"

void arming_describe(struct server *s, const struct job *j, const struct arming *a, struct netboot_arming *out)
{
	*out = (struct netboot_arming){0};
	snprintf(out->host, sizeof out->host, "%s", j->host);
	netboot_mac_parse(a->mac, out->mac);
	snprintf(out->nonce, sizeof out->nonce, "%s", a->nonce);
	snprintf(out->base, sizeof out->base, "http://%s:%u/boot/%s", s->address, s->http_port, a->nonce);
	snprintf(out->cmdline, sizeof out->cmdline, "g4l.server=https://%s:%u g4l.pin=%s g4l.token=%s g4l.mac=%s",
		 s->address, s->https_port, s->pin, a->token, a->mac);
}

int arming_arm(struct server *s, const struct job *j, struct error *err)
{
	struct arming armings[HOST_MAX_MACS];
	struct host host;
	int n, r = hosts_get(s->db, j->host, &host, err);

	if (r < 0)
		return r;
	r = jobs_make_armings(s->db, j->id, (const char(*)[MAC_TEXT_BYTES])host.macs, host.n_macs, err);
	host_clear(&host);
	if (r < 0)
		return r;
	n = jobs_armings(s->db, j->id, armings, HOST_MAX_MACS, err);
	for (int i = 0; i < n && r == 0; i++) {
		struct netboot_arming a;

		arming_describe(s, j, &armings[i], &a);
		r = netboot_arm(s->netboot, &a, err);
	}
	return n < 0 ? n : r;
}

void arming_disarm(struct server *s, int64_t job)
{
	struct arming armings[HOST_MAX_MACS];
	struct error err = {0};
	int n = jobs_armings(s->db, job, armings, HOST_MAX_MACS, &err);

	for (int i = 0; i < n; i++) {
		uint8_t mac[NETBOOT_MAC_BYTES];

		if (netboot_mac_parse(armings[i].mac, mac) < 0 || netboot_disarm(s->netboot, mac, &err) < 0)
			log_error("job %lld: %s could not be disarmed: %s", (long long)job, armings[i].mac, err.text);
	}
	if (n < 0 || jobs_disarmed(s->db, job, &err) < 0)
		log_error("job %lld: its boot token could not be forgotten: %s", (long long)job, err.text);
}

void arming_undo(struct server *s, int64_t job)
{
	char macs[HOST_MAX_MACS][MAC_TEXT_BYTES];
	struct error err = {0};
	int n = jobs_armed_macs(s->db, job, macs, HOST_MAX_MACS, &err);

	for (int i = 0; i < n; i++) {
		uint8_t mac[NETBOOT_MAC_BYTES];

		if (netboot_mac_parse(macs[i], mac) < 0 || netboot_disarm(s->netboot, mac, &err) < 0)
			log_error("job %lld: %s could not be disarmed: %s", (long long)job, macs[i], err.text);
	}
	if (n < 0 || jobs_disarmed(s->db, job, &err) < 0)
		log_error("job %lld: its boot token could not be forgotten: %s", (long long)job, err.text);
}

int arming_wake(struct server *s, const struct job *j, struct error *err)
{
	struct arming armings[HOST_MAX_MACS];
	int n = jobs_armings(s->db, j->id, armings, HOST_MAX_MACS, err), sent = 0;

	for (int i = 0; i < n; i++) {
		uint8_t mac[NETBOOT_MAC_BYTES];

		if (netboot_mac_parse(armings[i].mac, mac) < 0)
			continue;
		for (size_t k = 0; k < s->n_interfaces; k++)
			sent += wake_send(s->interfaces[k], mac, NULL, 0, err) == 0;
	}
	if (n < 0)
		return n;
	return sent ? 0 : -EIO;
}
