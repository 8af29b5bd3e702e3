/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON written as it is built: objects and arrays nest, members are separated
 * as they come. Strings are escaped; bytes that are not printable ASCII come
 * as \u00XX, so that the result is valid whatever a guest printed.
 * [RFC 8259 7 "Strings"]
 */
#include <stdio.h>
#include <string.h>

#include <tern/log.h>

#include "shell_int.h"

static void put(struct shell *sh, const char *text)
{
	shell_write(sh, text, strlen(text));
}

static void put_quoted(struct shell *sh, const char *v, size_t len)
{
	char esc[8];

	put(sh, "\"");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)v[i];

		if (c == '"' || c == '\\')
			snprintf(esc, sizeof(esc), "\\%c", c);
		else if (c == '\n')
			snprintf(esc, sizeof(esc), "\\n");
		else if (c < 0x20 || c >= 0x7f)
			snprintf(esc, sizeof(esc), "\\u%04x", (unsigned)c);
		else
			snprintf(esc, sizeof(esc), "%c", c);
		put(sh, esc);
	}
	put(sh, "\"");
}

/* Comma when needed, then the key. */
static void member(struct shell *sh, const char *key)
{
	unsigned d = sh->json_depth;

	if (d && sh->json_more[d - 1])
		put(sh, ",");
	if (d)
		sh->json_more[d - 1] = true;
	if (key) {
		put_quoted(sh, key, strlen(key));
		put(sh, ":");
	}
}

static void open(struct shell *sh, const char *key, bool array)
{
	tern_assert(sh->json_depth < SHELL_JSON_DEPTH);
	member(sh, key);
	put(sh, array ? "[" : "{");
	sh->json_array[sh->json_depth] = array;
	sh->json_more[sh->json_depth++] = false;
}

void json_object(struct shell *sh, const char *key)
{
	open(sh, key, false);
}

void json_array(struct shell *sh, const char *key)
{
	open(sh, key, true);
}

void json_end(struct shell *sh)
{
	tern_assert(sh->json_depth > 0);
	put(sh, sh->json_array[--sh->json_depth] ? "]" : "}");
	if (!sh->json_depth)
		put(sh, "\n");
}

void json_u64(struct shell *sh, const char *key, uint64_t v)
{
	char buf[24];

	member(sh, key);
	snprintf(buf, sizeof(buf), "%llu", (unsigned long long)v);
	put(sh, buf);
}

void json_i64(struct shell *sh, const char *key, int64_t v)
{
	char buf[24];

	member(sh, key);
	snprintf(buf, sizeof(buf), "%lld", (long long)v);
	put(sh, buf);
}

void json_bool(struct shell *sh, const char *key, bool v)
{
	member(sh, key);
	put(sh, v ? "true" : "false");
}

void json_strn(struct shell *sh, const char *key, const char *v, size_t len)
{
	member(sh, key);
	put_quoted(sh, v, len);
}

void json_str(struct shell *sh, const char *key, const char *v)
{
	json_strn(sh, key, v, strlen(v));
}
