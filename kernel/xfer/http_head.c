/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "kernel/xfer/http_head.h"

#define HTTP_PORT 80u
#define SCHEME "http://"

static bool printable(char c)
{
	return c >= ' ' && c <= '~';
}

/* ---- the URL ---- */

/* "HOST", "HOST:PORT" or "[ADDRESS]:PORT", n characters. */
static int authority(const char *at, size_t n, struct http_url *out)
{
	const char *end = at + n, *host = at, *stop = memchr(at, ':', n);
	uint32_t port = 0;

	out->in_brackets = n && *at == '[';
	if (out->in_brackets) {
		stop = memchr(at, ']', n);
		if (!stop)
			return -EINVAL;
		host++;
	}
	at = stop ? stop : end;
	if (at == host || (size_t)(at - host) >= sizeof(out->host))
		return -EINVAL;
	memcpy(out->host, host, (size_t)(at - host));
	at += out->in_brackets;
	out->port = HTTP_PORT;
	if (at == end)
		return 0;
	if (*at++ != ':' || at == end)
		return -EINVAL;
	for (; at < end && port <= UINT16_MAX; at++) {
		if (*at < '0' || *at > '9')
			return -EINVAL;
		port = port * 10 + (uint32_t)(*at - '0');
	}
	out->port = (uint16_t)port;
	return port && port <= UINT16_MAX ? 0 : -EINVAL;
}

int http_url_parse(const char *text, struct http_url *out)
{
	const char *path;
	size_t len;

	memset(out, 0, sizeof(*out));
	if (strncasecmp(text, SCHEME, strlen(SCHEME)))
		return strstr(text, "://") ? -EPROTONOSUPPORT : -EINVAL;
	text += strlen(SCHEME);
	for (const char *c = text; *c; c++)
		if (!printable(*c) || strchr(" \"<>\\^`{|}#@", *c))
			return -EINVAL;
	path = strchr(text, '/');
	len = path ? (size_t)(path - text) : strlen(text);
	if (path && strlen(path) >= sizeof(out->path))
		return -EINVAL;
	strcpy(out->path, path ? path : "/");
	return authority(text, len, out);
}

size_t http_request(const struct http_url *u, char *buf, size_t len)
{
	char port[8] = "";

	if (u->port != HTTP_PORT)
		snprintf(port, sizeof(port), ":%u", u->port);
	return (size_t)snprintf(buf, len,
				"GET %s HTTP/1.0\r\nHost: %s%s%s%s\r\nUser-Agent: tern\r\n"
				"Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
				u->path, u->in_brackets ? "[" : "", u->host,
				u->in_brackets ? "]" : "", port);
}

/* ---- the answer's head ---- */

static void keep_text(const char *from, size_t n, char *to, size_t len)
{
	n = MIN(n, len - 1);
	memcpy(to, from, n);
	to[n] = '\0';
}

/* "HTTP/1.1 200 OK" [RFC 9112 4 "Status Line"] */
static int status_line(const char *line, size_t n, struct http_head *out)
{
	static const char version[] = "HTTP/1.";
	const char *digit = line + sizeof(version) + 1; /* behind "HTTP/1.x " */

	if (n < sizeof(version) + 4 || memcmp(line, version, sizeof(version) - 1) ||
	    digit[-1] != ' ')
		return -EBADMSG;
	for (unsigned i = 0; i < 3; i++) {
		if (digit[i] < '0' || digit[i] > '9')
			return -EBADMSG;
		out->status = out->status * 10 + (unsigned)(digit[i] - '0');
	}
	digit += 3;
	n -= (size_t)(digit - line);
	if (n && *digit != ' ')
		return -EBADMSG;
	if (n)
		keep_text(digit + 1, n - 1, out->reason, sizeof(out->reason));
	return 0;
}

/* Two lengths that differ are none [RFC 9112 6.3 "Message Body Length"]. */
static int take_length(const char *value, size_t n, struct http_head *out)
{
	uint64_t v = 0;

	if (!n)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++) {
		if (value[i] < '0' || value[i] > '9' || v > (UINT64_MAX - 9) / 10)
			return -EBADMSG;
		v = v * 10 + (uint64_t)(value[i] - '0');
	}
	if (out->has_length && v != out->length)
		return -EBADMSG;
	out->has_length = true;
	out->length = v;
	return 0;
}

static bool is_word(const char *text, size_t n, const char *word)
{
	return n == strlen(word) && !strncasecmp(text, word, n);
}

static int field_line(const char *line, size_t n, struct http_head *out)
{
	const char *value = memchr(line, ':', n), *end = line + n;
	size_t name;

	if (!value || value == line)
		return -EBADMSG;
	name = (size_t)(value++ - line);
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	n = (size_t)(end - value);
	if (is_word(line, name, "Content-Length"))
		return take_length(value, n, out);
	if (is_word(line, name, "Transfer-Encoding") || is_word(line, name, "Content-Encoding"))
		out->coded |= !is_word(value, n, "identity");
	if (is_word(line, name, "Location"))
		keep_text(value, n, out->location, sizeof(out->location));
	return 0;
}

static bool is_text(const char *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!printable(line[i]) && line[i] != '\t')
			return false;
	return true;
}

ptrdiff_t http_head_parse(const char *buf, size_t len, struct http_head *out)
{
	const char *at = buf, *stop;
	int err = 0;

	memset(out, 0, sizeof(*out));
	for (; (stop = memchr(at, '\n', len - (size_t)(at - buf))); at = stop + 1) {
		size_t n = (size_t)(stop - at);

		if (n && at[n - 1] == '\r')
			n--;
		if (!n && at != buf)
			return stop + 1 - buf;
		if (!is_text(at, n))
			return -EBADMSG;
		err = at == buf ? status_line(at, n, out) : field_line(at, n, out);
		if (err)
			return err;
	}
	return len < HTTP_HEAD_MAX ? 0 : -EBADMSG;
}
