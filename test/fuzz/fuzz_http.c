/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A web server's answer, and a URL as typed: whatever comes, the texts that are kept end, and
 * a head that is found is one that was there, by its last bytes.
 */
// SOURCES: kernel/xfer/http_head.c
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/xfer/http_head.h"

static void answer(const char *buf, size_t size)
{
	struct http_head h;
	ptrdiff_t n = http_head_parse(buf, size, &h);

	assert(n <= (ptrdiff_t)size);
	assert(strnlen(h.reason, sizeof(h.reason)) < sizeof(h.reason));
	assert(strnlen(h.location, sizeof(h.location)) < sizeof(h.location));
	if (n > 0) {
		assert(buf[n - 1] == '\n' && h.status <= 999);
		for (const char *c = h.reason; *c; c++)
			assert(*c == '\t' || (*c >= ' ' && *c <= '~'));
	}
}

static void url(const char *buf, size_t size)
{
	char *text = strndup(buf, size), request[HTTP_PATH_MAX + 256];
	struct http_url u;

	if (!http_url_parse(text, &u)) {
		size_t n = http_request(&u, request, sizeof(request));
		unsigned lines = 0;

		assert(n == strlen(request) && u.port && u.host[0] && u.path[0] == '/');
		for (const char *c = request; (c = strchr(c, '\n')); c++)
			lines++;
		assert(lines == 6); /* no URL adds a field */
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1); /* so that a byte too far is seen */

	memcpy(copy, data, size);
	answer(copy, size);
	url(copy, size);
	free(copy);
	return 0;
}
