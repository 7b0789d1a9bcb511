/*
 * g4ld's identity: an EC P-256 key with a self-signed certificate, made at first start in state_dir/tls. Agents trust
 * its key by a pin (SHA-256 of the SubjectPublicKeyInfo, RFC 5280), not by a name or a time.
 */
#ifndef G4L_SERVER_TLS_H
#define G4L_SERVER_TLS_H

#include <stdint.h>

#include "base/error.h"

struct tls_identity {
	char *key_pem, *cert_pem;
	char pin[65];
	int64_t until; /* unix seconds */
};

/* Loads, or makes where there is none. address: an IPv4 address for the certificate, may be "". 0; -errno; -ERR_FORMAT:
 * the files are damaged or do not fit each other. */
int tls_open(const char *state_dir, const char *address, struct tls_identity *out, struct error *err);
void tls_clear(struct tls_identity *t);

#endif
