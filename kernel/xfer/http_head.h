/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a download by HTTP needs of it: a URL taken apart, the request, and the head of the
 * answer. Pure code; test/fuzz/fuzz_http.c feeds it.
 *
 * The request is HTTP/1.0, so the body comes as it is and the connection ends with it
 * [RFC 9112 6.1 "Transfer-Encoding": none to a client of HTTP/1.0].
 */
#ifndef KERNEL_XFER_HTTP_HEAD_H
#define KERNEL_XFER_HTTP_HEAD_H

#include <tern/types.h>

#define HTTP_HEAD_MAX 8192u /* bytes of an answer's head */
#define HTTP_HOST_MAX 64u
#define HTTP_PATH_MAX 768u

struct http_url {
	char host[HTTP_HOST_MAX]; /* an address or a name, without brackets */
	bool in_brackets;
	uint16_t port;
	char path[HTTP_PATH_MAX]; /* from the slash on, the query with it */
};
/* -EPROTONOSUPPORT another scheme than http, -EINVAL. */
MUST_CHECK int http_url_parse(const char *text, struct http_url *out);
/* Its length, always below len when that is HTTP_PATH_MAX + 256. */
size_t http_request(const struct http_url *u, char *buf, size_t len);

struct http_head {
	unsigned status;   /* 200 */
	char reason[48];   /* in words, printable, may be empty */
	char location[96]; /* of a redirection, as far as it fits */
	bool has_length;
	uint64_t length; /* bytes of the body */
	bool coded;	 /* the body is packed or in pieces */
};
/*
 * How long the head is, the empty line with it; 0 when it goes on behind len bytes;
 * -EBADMSG when it is none.
 */
ptrdiff_t http_head_parse(const char *buf, size_t len, struct http_head *out);

#endif
