/* Key and certificate by OpenSSL's libcrypto. */
#include "server/tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/text.h"

#define LIFE_SECONDS (20L * 365 * 24 * 3600)

void tls_clear(struct tls_identity *t)
{
	if (t->key_pem)
		OPENSSL_cleanse(t->key_pem, strlen(t->key_pem));
	free(t->key_pem);
	free(t->cert_pem);
	*t = (struct tls_identity){0};
}

static char *bio_text(BIO *b)
{
	char *data;
	long n = BIO_get_mem_data(b, &data);

	return n > 0 ? strndup(data, (size_t)n) : NULL;
}

static int add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	int ok = ext && X509_add_ext(cert, ext, -1);

	X509_EXTENSION_free(ext);
	return ok;
}

static X509 *make_cert(EVP_PKEY *key, const char *address)
{
	X509 *cert = X509_new();
	X509_NAME *name;
	char host[256] = "", names[512];
	uint8_t serial[16];
	BIGNUM *n = NULL;
	int ok;

	if (!cert)
		return NULL;
	gethostname(host, sizeof host - 1);
	if (!text_is_name(host))
		snprintf(host, sizeof host, "ghost4linux");
	snprintf(names, sizeof names, "DNS:%s,DNS:localhost,IP:127.0.0.1%s%s", host, address[0] ? ",IP:" : "", address);
	io_random(serial, sizeof serial);
	serial[0] &= 0x7f;
	name = X509_get_subject_name(cert);
	ok = X509_set_version(cert, 2) && (n = BN_bin2bn(serial, sizeof serial, NULL)) &&
	     BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) &&
	     X509_gmtime_adj(X509_getm_notBefore(cert), -24L * 3600) &&
	     X509_time_adj_ex(X509_getm_notAfter(cert), (int)(LIFE_SECONDS / 86400), 0, NULL) &&
	     X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)host, -1, -1, 0) &&
	     X509_set_issuer_name(cert, name) && X509_set_pubkey(cert, key) &&
	     add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
	     add_extension(cert, NID_key_usage, "critical,digitalSignature") &&
	     add_extension(cert, NID_ext_key_usage, "serverAuth") && add_extension(cert, NID_subject_alt_name, names) &&
	     X509_sign(cert, key, EVP_sha256());
	BN_free(n);
	if (ok)
		return cert;
	X509_free(cert);
	return NULL;
}

static int generate(const char *address, char **key_pem, char **cert_pem, struct error *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = key ? make_cert(key, address) : NULL;
	BIO *kb = BIO_new(BIO_s_mem()), *cb = BIO_new(BIO_s_mem());

	if (cert && kb && cb && PEM_write_bio_PrivateKey(kb, key, NULL, NULL, 0, NULL, NULL) &&
	    PEM_write_bio_X509(cb, cert)) {
		*key_pem = bio_text(kb);
		*cert_pem = bio_text(cb);
	}
	BIO_free(kb);
	BIO_free(cb);
	X509_free(cert);
	EVP_PKEY_free(key);
	if (*key_pem && *cert_pem)
		return 0;
	return error_set(err, -EIO, "cannot make a key and a certificate");
}

/* Pin and end of life, and that key and certificate belong together. */
static int examine(struct tls_identity *t, struct error *err)
{
	BIO *kb = BIO_new_mem_buf(t->key_pem, -1), *cb = BIO_new_mem_buf(t->cert_pem, -1);
	EVP_PKEY *key = kb ? PEM_read_bio_PrivateKey(kb, NULL, NULL, NULL) : NULL;
	X509 *cert = cb ? PEM_read_bio_X509(cb, NULL, NULL, NULL) : NULL;
	unsigned char *spki = NULL;
	struct hash pin;
	struct tm tm;
	int n, r = -ERR_FORMAT;

	if (key && cert && X509_check_private_key(cert, key) == 1 &&
	    (n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki)) > 0 &&
	    ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1) {
		pin = hash_of(spki, (size_t)n);
		hash_format(&pin, t->pin);
		t->until = timegm(&tm);
		r = 0;
	}
	OPENSSL_free(spki);
	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(kb);
	BIO_free(cb);
	return r < 0 ? error_set(err, r, "key.pem and cert.pem do not fit each other or are damaged") : 0;
}

static int read_text(const char *path, char **out, struct error *err)
{
	struct buf b = {0};
	int r = io_read_file(path, 64u << 10, &b, err);

	if (r == 0) {
		*out = strndup(b.len ? (char *)b.data : "", b.len);
		if (!*out)
			r = error_set(err, -ENOMEM, "out of memory");
	}
	buf_free(&b);
	return r;
}

int tls_open(const char *state_dir, const char *address, struct tls_identity *out, struct error *err)
{
	char dir[256], key[300], cert[300];
	int r;

	*out = (struct tls_identity){0};
	snprintf(dir, sizeof dir, "%s/tls", state_dir);
	snprintf(key, sizeof key, "%s/key.pem", dir);
	snprintf(cert, sizeof cert, "%s/cert.pem", dir);
	r = io_make_dirs(dir, 0700, err);
	if (r == 0 && access(key, F_OK) < 0) {
		r = generate(address, &out->key_pem, &out->cert_pem, err);
		/* The key last: while it is missing, both are made anew. */
		if (r == 0)
			r = io_replace_file(cert, out->cert_pem, strlen(out->cert_pem), 0644, err);
		if (r == 0)
			r = io_replace_file(key, out->key_pem, strlen(out->key_pem), 0600, err);
	} else if (r == 0) {
		r = read_text(key, &out->key_pem, err);
		if (r == 0)
			r = read_text(cert, &out->cert_pem, err);
	}
	if (r == 0) {
		r = examine(out, err);
		if (r < 0)
			error_prefix(err, "%s", dir);
	}
	if (r < 0)
		tls_clear(out);
	return r;
}
