/* Requests to g4ld by libcurl. */
#include "cli/remote.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/io.h"
#include "base/text.h"

#define DEFAULT_SOCKET "/run/ghost4linux/g4ld.sock"
#define MAX_ANSWER_BYTES (256u << 20)

struct remote {
	CURL *curl;
	struct curl_slist *headers;
	char where[512]; /* for messages */
	char base[512];	 /* "http://g4ld" or "https://HOST:PORT" */
	char pin[100];	 /* "sha256//BASE64", or "" */
	const char *socket;
};

/* curl wants the pin in base64. */
static int set_pin(struct remote *r, const char *hex, struct error *err)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t key[33] = {0};
	char *to = r->pin + sprintf(r->pin, "sha256//");

	if (strlen(hex) != 64 || text_unhex(hex, key, 32) < 0)
		return error_set(err, -ERR_USAGE,
				 "--pin wants 64 hex digits: the line 'pin' of `g4l doctor` on the server");
	for (size_t i = 0; i < 33; i += 3) {
		uint32_t v = (uint32_t)key[i] << 16 | (uint32_t)key[i + 1] << 8 | key[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			*to++ = digits[v >> shift & 63];
	}
	to[-1] = '='; /* 32 bytes are 43 digits and one sign of padding */
	*to = '\0';
	return 0;
}

static int set_token(struct remote *r, const char *file, struct error *err)
{
	struct buf token = {0};
	char header[300];
	int n = io_read_file(file, 200, &token, err);

	if (n == 0) {
		while (token.len && isspace(token.data[token.len - 1]))
			token.len--;
		snprintf(header, sizeof header, "Authorization: Bearer %.*s", (int)token.len, (char *)token.data);
		r->headers = curl_slist_append(r->headers, header);
	}
	buf_free(&token);
	return n < 0 ? error_set(err, -ERR_USAGE, "the admin token cannot be read: %s", err->text) : 0;
}

static int set_server(struct remote *r, const struct cli_args *args, const char *url, struct error *err)
{
	const char *token = cli_value(args, "token-file", "G4L_TOKEN_FILE");
	const char *pin = cli_value(args, "pin", "G4L_PIN");
	int n;

	if (strncmp(url, "https://", 8) != 0 || strlen(url) >= sizeof r->base)
		return error_set(err, -ERR_USAGE, "--server wants https://HOST:PORT, not '%s'", url);
	if (!token || !pin)
		return error_set(err, -ERR_USAGE, "--server needs --token-file and --pin as well");
	snprintf(r->base, sizeof r->base, "%s", url);
	while (r->base[0] && r->base[strlen(r->base) - 1] == '/')
		r->base[strlen(r->base) - 1] = '\0';
	snprintf(r->where, sizeof r->where, "%s", r->base);
	n = set_pin(r, pin, err);
	return n < 0 ? n : set_token(r, token, err);
}

int remote_open(const struct cli_args *args, struct remote **out, struct error *err)
{
	const char *url = cli_value(args, "server", "G4L_SERVER");
	struct remote *r = calloc(1, sizeof *r);
	int n = 0;

	if (!r || curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(r->curl = curl_easy_init())) {
		free(r);
		return error_errno(err, ENOMEM, "cannot prepare the connection to g4ld");
	}
	r->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (url && !cli_flag(args, "socket")) {
		n = set_server(r, args, url, err);
	} else {
		r->socket = cli_value(args, "socket", "G4L_SOCKET");
		if (!r->socket)
			r->socket = DEFAULT_SOCKET;
		snprintf(r->base, sizeof r->base, "http://g4ld");
		snprintf(r->where, sizeof r->where, "%s", r->socket);
	}
	if (n < 0) {
		remote_close(r);
		return n;
	}
	*out = r;
	return 0;
}

void remote_close(struct remote *r)
{
	if (!r)
		return;
	curl_slist_free_all(r->headers);
	curl_easy_cleanup(r->curl);
	free(r);
}

static size_t take_answer(char *p, size_t size, size_t n, void *arg)
{
	struct buf *answer = arg;

	if (answer->len + size * n > MAX_ANSWER_BYTES)
		return 0;
	buf_put(answer, p, size * n);
	return answer->failed ? 0 : size * n;
}

const char *remote_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

double remote_number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

/* What g4ld's error answers mean here. */
static int error_of(long status, const json_t *answer, struct error *err)
{
	static const struct {
		const char *name;
		int code;
	} codes[] = {{"usage", -ERR_USAGE},   {"unknown", -ERR_USAGE},	     {"refused", -ERR_REFUSED},
		     {"busy", -EBUSY},	      {"damaged", -ERR_DAMAGED},     {"token", -ERR_USAGE},
		     {"missing", -ERR_USAGE}, {"cancelled", -ERR_CANCELLED}, {"unreachable", -ERR_UNREACHABLE}};
	const char *name = remote_text(answer, "code"), *text = remote_text(answer, "error");

	if (!*text)
		text = "g4ld gave no reason";
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (strcmp(codes[i].name, name) == 0)
			return error_set(err, codes[i].code, "%s", text);
	return error_set(err, -EIO, "%s (HTTP status %ld)", text, status);
}

static int perform(struct remote *r, const char *method, const char *url, const char *body, struct buf *answer,
		   long *status, struct error *err)
{
	CURLcode done;

	curl_easy_reset(r->curl);
	curl_easy_setopt(r->curl, CURLOPT_URL, url);
	curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT, 10L);
	curl_easy_setopt(r->curl, CURLOPT_TIMEOUT, 120L);
	curl_easy_setopt(r->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, r->headers);
	curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, method);
	if (body)
		curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, body);
	else if (strcmp(method, "POST") == 0)
		curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, "");
	if (r->socket)
		curl_easy_setopt(r->curl, CURLOPT_UNIX_SOCKET_PATH, r->socket);
	if (r->pin[0]) {
		/* The certificate is the server's own; its key is what is trusted. TLS 1.3 has no answer without a
		 * certificate, which would pass by the pin. */
		curl_easy_setopt(r->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
		curl_easy_setopt(r->curl, CURLOPT_PINNEDPUBLICKEY, r->pin);
		curl_easy_setopt(r->curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(r->curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	done = curl_easy_perform(r->curl);
	if (done == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
		return error_set(err, -ERR_UNREACHABLE, "the server at %s shows another key than --pin says", r->where);
	if (done != CURLE_OK)
		return error_set(err, -ERR_UNREACHABLE,
				 "g4ld cannot be reached at %s (%s): is it running, and may you use it?", r->where,
				 curl_easy_strerror(done));
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, status);
	return 0;
}

int remote_call(struct remote *r, const char *method, const char *path, json_t *body, json_t **answer,
		struct error *err)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct buf bytes = {0};
	json_t *parsed = NULL;
	char url[1024];
	long status = 0;
	int n;

	if (answer)
		*answer = NULL;
	if (snprintf(url, sizeof url, "%s%s", r->base, path) >= (int)sizeof url)
		n = error_set(err, -ERR_USAGE, "the request is too long");
	else
		n = perform(r, method, url, text, &bytes, &status, err);
	if (n == 0) {
		parsed = json_loadb((char *)bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL);
		if (status != 200)
			n = error_of(status, parsed, err);
		else if (!parsed)
			n = error_set(err, -EIO, "g4ld at %s gave an answer that is not JSON", r->where);
	}
	free(text);
	buf_free(&bytes);
	if (n == 0 && answer)
		*answer = parsed;
	else
		json_decref(parsed);
	return n;
}
