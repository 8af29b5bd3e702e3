/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file from a web server: the request, the answer's head, then as many bytes as that
 * says, into a new file of a datastore. The stream's own buffer takes what comes
 * while the disk is written to. Nothing is made before the server has said how long
 * the file is, and nothing is left of one that did not come whole.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/stream.h>
#include <tern/timer.h>
#include <tern/xfer.h>

#include "kernel/xfer/http_head.h"

#define CONNECT_NS (10 * NSEC_PER_SEC)
#define STALL_NS (30 * NSEC_PER_SEC) /* without a byte: the server is lost */
#define LOOK_NS (NSEC_PER_SEC / 5)   /* how soon the caller is asked again */
#define END_NS (2 * NSEC_PER_SEC)    /* for the server to close */

/* One download. */
struct get {
	struct xfer_import *i;
	struct http_url url;
	struct stream *s;
	char head[HTTP_HEAD_MAX];
	size_t nr_head; /* bytes in head, those of the body behind it too */
	struct http_head answer;
};

static int PRINTF_LIKE(4, 5)
	fail(struct xfer_import *i, int err, const char *code, const char *fmt, ...)
{
	va_list ap;

	snprintf(i->fault.code, sizeof(i->fault.code), "%s", code);
	va_start(ap, fmt);
	vsnprintf(i->fault.text, sizeof(i->fault.text), fmt, ap);
	va_end(ap);
	return err;
}

/* ---- the connection ---- */

static int net_failed(struct get *g, int err)
{
	const char *host = g->url.host;

	switch (err) {
	case -EINTR:
		return fail(g->i, err, "interrupted", "nothing is imported");
	case -ECONNREFUSED:
		return fail(g->i, err, "refused", "%s: nobody listens at port %u", host,
			    g->url.port);
	case -EHOSTUNREACH:
		return fail(g->i, err, "unreachable", "%s: no such host, or no route to it", host);
	case -ETIMEDOUT:
		return fail(g->i, err, "timeout", "%s does not answer", host);
	default:
		if (net_fault(err)->here)
			return fail(g->i, err, net_fault(err)->code, "%s", net_fault(err)->text);
		return fail(g->i, err, "link", "%s closed the connection", host);
	}
}

/* At least a byte; 0 at the end. Asks the caller meanwhile whether to go on. */
static ptrdiff_t read_some(struct get *g, void *buf, size_t len)
{
	uint64_t until_ns = time_ns() + STALL_NS;
	ptrdiff_t n;

	do {
		struct xfer_import *i = g->i;

		n = stream_read(g->s, buf, len, time_ns() + LOOK_NS);
		if (!i->go_on(i->arg, i->bytes, g->answer.length))
			return -EINTR;
	} while (n == -ETIMEDOUT && time_ns() < until_ns);
	return n;
}

static int ask(struct get *g)
{
	struct net_addr to;
	char text[HTTP_PATH_MAX + 256];
	size_t n = http_request(&g->url, text, sizeof(text));
	int err = g->i->resolve(g->url.host, &to);

	if (err)
		return fail(g->i, err, "invalid",
			    "'%s' is neither an address nor a host.%s of tern.conf", g->url.host,
			    g->url.host);
	err = stream_connect(&to, g->url.port, CONNECT_NS, &g->s);
	if (err)
		return net_failed(g, err);
	err = stream_write(g->s, text, n, time_ns() + STALL_NS);
	stream_flush(g->s);
	return err ? net_failed(g, err) : 0;
}

/* ---- the answer's head ---- */

static int check_answer(struct get *g)
{
	const struct http_head *h = &g->answer;
	struct xfer_import *i = g->i;

	if (h->status == 404 || h->status == 410)
		return fail(i, -ENOENT, "not-found", "%s has no %s: it says %u %s", g->url.host,
			    g->url.path, h->status, h->reason);
	if (h->status / 100 == 3)
		return fail(i, -EINVAL, "refused", "%s sends elsewhere (%u): %s", g->url.host,
			    h->status, h->location[0] ? h->location : "it does not say where");
	if (h->status != 200)
		return fail(i, -EACCES, "refused", "%s says %u %s", g->url.host, h->status,
			    h->reason);
	if (!h->has_length || h->coded)
		return fail(i, -EBADMSG, "unsupported",
			    "%s does not say how long the file is, or packs it", g->url.host);
	if (!h->length)
		return fail(i, -EINVAL, "invalid", "%s is empty there", g->url.path);
	return 0;
}

static int hear_head(struct get *g)
{
	ptrdiff_t n;

	for (;;) {
		ptrdiff_t len = http_head_parse(g->head, g->nr_head, &g->answer);

		if (len < 0)
			return fail(g->i, (int)len, "bad-stream", "%s does not speak HTTP",
				    g->url.host);
		if (len) {
			g->nr_head -= (size_t)len;
			memmove(g->head, g->head + len, g->nr_head);
			return check_answer(g);
		}
		n = read_some(g, g->head + g->nr_head, sizeof(g->head) - g->nr_head);
		if (n <= 0)
			return net_failed(g, n ? (int)n : -EPIPE);
		g->nr_head += (size_t)n;
	}
}

/* ---- the body ---- */

/* What came with the head, then what comes. */
static ptrdiff_t body(struct get *g, void *buf, size_t len)
{
	size_t n = MIN(len, g->nr_head);

	if (!n)
		return read_some(g, buf, len);
	memcpy(buf, g->head, n);
	g->nr_head -= n;
	memmove(g->head, g->head + n, g->nr_head);
	return (ptrdiff_t)n;
}

static int short_body(struct get *g, ptrdiff_t n)
{
	if (n && n != -ECONNRESET)
		return net_failed(g, (int)n);
	return fail(g->i, -EPIPE, "link", "%s broke off after %llu of %llu bytes", g->url.host,
		    (unsigned long long)g->i->bytes, (unsigned long long)g->answer.length);
}

static const uint8_t qcow2_magic[] = { 'Q', 'F', 'I', 0xfb };

/* A format that holds a disk is not the disk. */
static int check_format(struct get *g, const uint8_t *buf, size_t n)
{
	if (n >= sizeof(qcow2_magic) && !memcmp(buf, qcow2_magic, sizeof(qcow2_magic)))
		return fail(g->i, -EINVAL, "unsupported",
			    "%s is a qcow2 image: 'terndisk push' or 'qemu-img convert -O raw'",
			    g->url.path);
	return 0;
}

/* The connection ends with the body: what comes behind it says that the length was wrong. */
static int hear_end(struct get *g)
{
	char more;

	if (g->nr_head || stream_read(g->s, &more, 1, time_ns() + END_NS) > 0)
		return fail(g->i, -EBADMSG, "bad-stream", "%s sent more than it said, %llu bytes",
			    g->url.host, (unsigned long long)g->answer.length);
	return 0;
}

/* What the new file has at `at`: the store asks in order. */
static int take_body(void *user, uint64_t at, size_t bytes, void *buf)
{
	struct get *g = user;
	uint8_t *to = buf;
	int err = 0;

	for (size_t got = 0; got < bytes;) {
		ptrdiff_t n = body(g, to + got, bytes - got);

		if (n <= 0)
			return short_body(g, n);
		got += (size_t)n;
		g->i->bytes += (uint64_t)n;
	}
	if (!at)
		err = check_format(g, buf, bytes);
	return !err && at + bytes == g->answer.length ? hear_end(g) : err;
}

static int fill_file(struct get *g)
{
	struct xfer_import *i = g->i;
	struct ds_source from = { .size = g->answer.length, .read = take_body, .user = g };
	int err = ds_import(i->ds, i->name, i->kind, &from);

	if (err && !i->fault.code[0])
		fail(i, err, ds_error_code(err), "%s: %s", i->name, ds_error_text(err));
	if (!err)
		(void)i->go_on(i->arg, i->bytes, g->answer.length);
	return err;
}

static int run(struct get *g)
{
	int err = ask(g);

	if (!err)
		err = hear_head(g);
	if (!err)
		err = fill_file(g);
	if (g->s) {
		if (err)
			stream_abort(g->s);
		stream_close(g->s);
	}
	return err;
}

int xfer_import(struct xfer_import *i)
{
	struct get *g = calloc(1, sizeof(*g));
	int err;

	i->bytes = 0;
	i->fault.code[0] = 0;
	if (!g)
		return fail(i, -ENOMEM, "no-memory", "the host has no memory for it");
	g->i = i;
	err = http_url_parse(i->url, &g->url);
	if (err == -EPROTONOSUPPORT)
		err = fail(i, err, "unsupported", "%s: http:// is what can be fetched", i->url);
	else if (err)
		err = fail(i, err, "invalid", "%s is no URL: http://HOST[:PORT]/PATH", i->url);
	else
		err = run(g);
	free(g);
	return err;
}
