/* Reading and writing members of JSON objects, with checks. Inner matter of this room. */
#ifndef G4L_WIRE_FIELDS_H
#define G4L_WIRE_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

/* Parses one object of at most max bytes. NULL with err on failure. The caller drops the reference. */
json_t *fields_parse(const void *body, size_t len, size_t max, struct error *err);
/* Appends the text of an object, whose reference it takes (NULL is fine: memory was out). 0 or -ENOMEM. */
int fields_dump(json_t *o, struct buf *out);

/* A string value of whatever bytes text has. */
json_t *fields_string(const char *text);

/* A member; optional ones that are missing or null leave the target as it is. -ERR_FORMAT names the member. */
int fields_text(const json_t *o, const char *name, bool optional, char *to, size_t to_bytes, struct error *err);
/* As fields_text(), into memory that the caller frees. Longer than max is an error. */
int fields_text_dup(const json_t *o, const char *name, bool optional, char **to, size_t max, struct error *err);
int fields_u64(const json_t *o, const char *name, bool optional, uint64_t max, uint64_t *to, struct error *err);
int fields_bool(const json_t *o, const char *name, bool optional, bool *to, struct error *err);
/* An array of at most max values: *to is borrowed; NULL when it is optional and missing. */
int fields_array(const json_t *o, const char *name, bool optional, size_t max, json_t **to, struct error *err);
/* Which of n words text is. 0 or -EINVAL. */
int fields_parse_word(const char *const *words, unsigned n, const char *text, unsigned *out);
/* A member that is one of n words. */
int fields_word(const json_t *o, const char *name, const char *const *words, unsigned n, unsigned *out,
		struct error *err);
/* A member of exactly (to_bytes - 1) hex digits, made lower case; at most 64 bytes' worth. */
int fields_hex(const json_t *o, const char *name, char *to, size_t to_bytes, struct error *err);

#endif
