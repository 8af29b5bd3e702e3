/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * terndisk push: a file goes to a host that runs, which makes it on one of its datastores
 * (docs/wire.md "Pushing a file"). Holes and zeros are not sent. So few messages are under way at
 * a time that the host's word, when it fails, is read before the connection breaks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/lib/crc32c.h"
#include "kernel/xfer/push_wire.h"
#include "tools/terndisk/terndisk.h"

#define PORT "8904"
#define STALL_S 60 /* the host flushes its disk before its last word */

struct push {
	const char *host;
	int s, fd;
	uint64_t size, shown;
	unsigned under_way;	  /* messages of contents without an ACK */
	struct push_offset *data; /* one message's body */
};

/* ---- the connection ---- */

/* "HOST", "HOST:PORT", "[ADDRESS]:PORT"; a lone IPv6 address needs no brackets. */
static bool split(const char *text, char host[256], const char **port)
{
	const char *colon = strrchr(text, ':'), *bracket = strchr(text, ']');
	size_t n = strlen(text);

	*port = PORT;
	if (bracket ? colon > bracket : colon && strchr(text, ':') == colon) {
		*port = colon + 1;
		n = (size_t)(colon - text);
	}
	if (*text == '[') {
		text++;
		n = bracket ? (size_t)(bracket - text) : 0;
	}
	if (!n || n >= 256)
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	return true;
}

static int connect_any(const struct addrinfo *list)
{
	const struct timeval stall = { .tv_sec = STALL_S };

	for (; list; list = list->ai_next) {
		int s = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (s < 0)
			continue;
		setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall));
		setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof(stall));
		if (!connect(s, list->ai_addr, list->ai_addrlen))
			return s;
		close(s);
	}
	return -1;
}

static int connect_to(const char *where)
{
	const struct addrinfo want = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	char host[256];
	const char *port;
	int err, s;

	if (!split(where, host, &port)) {
		fprintf(stderr, "terndisk: '%s' is no host\n", where);
		return -1;
	}
	err = getaddrinfo(host, port, &want, &found);
	if (err) {
		fprintf(stderr, "terndisk: %s: %s\n", where, gai_strerror(err));
		return -1;
	}
	s = connect_any(found);
	freeaddrinfo(found);
	if (s < 0)
		fprintf(stderr, "terndisk: %s: %s: is there a 'datastore listen on'?\n", where,
			strerror(errno));
	return s;
}

static int lost(const struct push *p)
{
	fprintf(stderr, "terndisk: %s: %s\n", p->host,
		errno == EAGAIN ? "does not answer" : "the connection broke");
	return -EIO;
}

static int send_all(struct push *p, const void *buf, size_t n)
{
	while (n) {
		ssize_t sent = send(p->s, buf, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return lost(p);
		buf = (const char *)buf + sent;
		n -= (size_t)sent;
	}
	return 0;
}

static int send_message(struct push *p, enum push_type type, const void *body, size_t n)
{
	struct push_head h;
	int err;

	push_head_fill(&h, type, body, n);
	err = send_all(p, &h, sizeof(h));
	return err ? err : send_all(p, body, n);
}

/* ---- what the host says ---- */

static int hear_all(struct push *p, void *buf, size_t n)
{
	ssize_t got;

	if (!n) /* recv would wait for a byte all the same */
		return 0;
	errno = 0;
	got = recv(p->s, buf, n, MSG_WAITALL);
	return got == (ssize_t)n ? 0 : lost(p);
}

static void show(struct push *p, uint64_t done)
{
	uint64_t percent = p->size ? done * 100 / p->size : 100;

	if (percent <= p->shown || !isatty(STDERR_FILENO))
		return;
	p->shown = percent;
	fprintf(stderr, "\r%3u %%  %llu MiB%s", (unsigned)percent, (unsigned long long)(done >> 20),
		percent == 100 ? "\n" : "");
}

/* The next word, which has to be `want`, or an ACK where that is DONE. */
static int hear(struct push *p, enum push_type want)
{
	union {
		struct push_fail fail;
		struct push_offset offset;
	} body;
	struct push_head h;
	int err = hear_all(p, &h, sizeof(h));

	if (!err && push_head_check(&h, false))
		err = -EBADMSG;
	else if (!err)
		err = hear_all(p, &body, h.length);
	if (!err && crc32c(push_head_crc(&h), &body, h.length) != h.crc)
		err = -EBADMSG;
	if (!err && h.type == PUSH_FAIL) {
		fprintf(stderr, "terndisk: %s: %.*s: %.*s\n", p->host, (int)sizeof(body.fail.code),
			body.fail.code, (int)sizeof(body.fail.text), body.fail.text);
		return -EIO;
	}
	if (!err && h.type == PUSH_ACK && want == PUSH_DONE) {
		show(p, body.offset.offset);
		return hear(p, want);
	}
	if (err == -EBADMSG || (!err && h.type != want)) {
		fprintf(stderr, "terndisk: %s: speaks something else\n", p->host);
		err = -EBADMSG;
	}
	if (!err && want == PUSH_ACK)
		show(p, body.offset.offset);
	return err;
}

/* ---- the file ---- */

static int say_put(struct push *p, const char *path, enum ds_kind kind)
{
	struct push_put put = { .version = PUSH_VERSION, .kind = (uint16_t)kind, .size = p->size };
	const char *rest = strncmp(path, "/ds/", 4) ? NULL : path + 4;
	const char *slash = rest ? strchr(rest, '/') : NULL;
	int err;

	if (!slash || (size_t)(slash - rest) >= sizeof(put.datastore) ||
	    strlen(slash + 1) >= sizeof(put.name)) {
		fprintf(stderr, "terndisk: %s is no path: /ds/NAME/FILE\n", path);
		return -EINVAL;
	}
	memcpy(put.datastore, rest, (size_t)(slash - rest));
	memcpy(put.name, slash + 1, strlen(slash + 1));
	err = send_message(p, PUSH_PUT, &put, sizeof(put));
	return err ? err : hear(p, PUSH_READY);
}

/* n bytes at `at`, unless they are zeros. */
static int say_data(struct push *p, uint64_t at, size_t n)
{
	int err = raw_read(p->fd, at, n, p->data + 1);

	if (err) {
		fprintf(stderr, "terndisk: the file cannot be read: %s\n", strerror(-err));
		return err;
	}
	if (ds_all_zero(p->data + 1, n))
		return 0;
	p->data->offset = at;
	if (p->under_way == PUSH_WINDOW) {
		err = hear(p, PUSH_ACK);
		p->under_way--;
	}
	p->under_way++;
	return err ? err : send_message(p, PUSH_DATA, p->data, sizeof(*p->data) + n);
}

static int say_file(struct push *p)
{
	struct push_offset end = { p->size };
	uint64_t at = 0;
	int err = 0;

	while (!err && (at = raw_next(p->fd, at, p->size)) < p->size) {
		size_t n;

		at -= at % PUSH_DATA_MAX;
		n = (size_t)MIN(p->size - at, (uint64_t)PUSH_DATA_MAX);
		err = say_data(p, at, n);
		at += n;
	}
	if (!err)
		err = send_message(p, PUSH_END, &end, sizeof(end));
	return err ? err : hear(p, PUSH_DONE);
}

int cmd_push(struct options *o, int argc, char **argv)
{
	struct push p = { .host = argv[0], .s = -1 };
	enum ds_kind kind;
	int err = -1;

	(void)argc;
	if (ds_kind_of(o->kind ? o->kind : "thin", &kind)) {
		fprintf(stderr, "terndisk: no kind '%s': flat, thin or plain\n", o->kind);
		return 2;
	}
	p.fd = raw_open(argv[1], &p.size);
	p.data = malloc(sizeof(*p.data) + PUSH_DATA_MAX);
	if (p.fd >= 0 && p.data)
		p.s = connect_to(p.host);
	if (p.s >= 0) {
		err = say_put(&p, argv[2], kind);
		if (!err)
			err = say_file(&p);
		close(p.s);
	}
	free(p.data);
	if (p.fd >= 0)
		close(p.fd);
	return err ? 1 : 0;
}
