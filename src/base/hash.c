#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

struct hash hash_of(const void *p, size_t len)
{
	struct hash h;

	/* SHA256() has no set-up cost worth speaking of, unlike EVP_Digest() which fetches by name. */
	SHA256(p, len, h.bytes);
	return h;
}

struct hash_stream {
	EVP_MD_CTX *ctx;
};

struct hash_stream *hash_stream_new(void)
{
	struct hash_stream *s = malloc(sizeof *s);

	if (!s)
		return NULL;
	s->ctx = EVP_MD_CTX_new();
	if (!s->ctx || !EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL)) {
		EVP_MD_CTX_free(s->ctx);
		free(s);
		return NULL;
	}
	return s;
}

void hash_stream_add(struct hash_stream *s, const void *p, size_t len)
{
	if (!EVP_DigestUpdate(s->ctx, p, len))
		abort(); /* cannot fail for a context that was initialised */
}

struct hash hash_stream_end(struct hash_stream *s)
{
	struct hash h;

	if (!EVP_DigestFinal_ex(s->ctx, h.bytes, NULL))
		abort();
	EVP_MD_CTX_free(s->ctx);
	free(s);
	return h;
}

char *hash_format(const struct hash *h, char to[HASH_HEX_BYTES])
{
	return text_hex(h->bytes, HASH_BYTES, to);
}

int hash_parse(const char *text, struct hash *h)
{
	if (strlen(text) != 2 * HASH_BYTES)
		return -EINVAL;
	return text_unhex(text, h->bytes, HASH_BYTES);
}
