/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's network, for who measures it from outside: `tern.net=ADDR/BITS` and
 * `tern.net6=ADDR/BITS` give eth0 its addresses, and on all of them answer
 *
 *   echo     port 7   [RFC 862], UDP and TCP
 *   discard  port 9   [RFC 863], TCP
 *   chargen  port 19  [RFC 864], TCP: as much as the reader takes
 *
 * They run in a process of their own, so that the shell may take the first one's place: one
 * thread for each service and each connection.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

#define DEVICE "eth0"
#define ECHO_PORT 7
#define DISCARD_PORT 9
#define CHARGEN_PORT 19
#define CHUNK (256u << 10)

static int broken(const char *what)
{
	say("guest: no network: %s: %m", what);
	return -1;
}

/* ---- services ---- */

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return -1;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static void echo(int fd, char *buf)
{
	ssize_t n;

	while ((n = recv(fd, buf, CHUNK, 0)) > 0)
		if (write_all(fd, buf, (size_t)n))
			return;
}

static void discard(int fd, char *buf)
{
	while (recv(fd, buf, CHUNK, 0) > 0)
		;
}

static void chargen(int fd, char *buf)
{
	memset(buf, '#', CHUNK);
	while (!write_all(fd, buf, CHUNK))
		;
}

struct service {
	in_port_t port;
	void (*serve)(int fd, char *buf);
};

static const struct service services[] = {
	{ ECHO_PORT, echo },
	{ DISCARD_PORT, discard },
	{ CHARGEN_PORT, chargen },
};

struct session {
	const struct service *s;
	int fd;
};

static void *run_session(void *arg)
{
	struct session *c = arg;
	char *buf = malloc(CHUNK);

	if (buf)
		c->s->serve(c->fd, buf);
	free(buf);
	close(c->fd);
	free(c);
	return NULL;
}

static void start_thread(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, arg))
		broken("thread");
	else
		pthread_detach(thread);
}

/* A socket of both families. */
static int open_socket(int type, in_port_t port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0), no = 0;

	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)))
		return broken("socket");
	return fd;
}

static void *run_service(void *arg)
{
	const struct service *s = arg;
	int fd = open_socket(SOCK_STREAM, s->port), yes = 1;

	if (fd < 0 || listen(fd, SOMAXCONN))
		return NULL;
	for (;;) {
		int peer = accept(fd, NULL, NULL);
		struct session *c = peer < 0 ? NULL : malloc(sizeof(*c));

		if (!c) {
			close(peer);
			continue;
		}
		setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		*c = (struct session){ s, peer };
		start_thread(run_session, c);
	}
}

static void *run_udp_echo(void *arg)
{
	int fd = open_socket(SOCK_DGRAM, ECHO_PORT);
	char buf[2048];

	(void)arg;
	while (fd >= 0) {
		struct sockaddr_in6 from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n >= 0)
			sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
	return NULL;
}

/* ---- addresses ---- */

/* Splits ADDR/BITS in place; the bits, -1 when there are none. */
static int cut_bits(char *text)
{
	char *slash = strchr(text, '/');

	if (!slash)
		return -1;
	*slash = '\0';
	return atoi(slash + 1);
}

static int set_ipv4(char *text)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), bits = cut_bits(text);
	struct ifreq r = { .ifr_name = DEVICE };
	struct sockaddr_in *in = (struct sockaddr_in *)&r.ifr_addr;
	int bad;

	in->sin_family = AF_INET;
	if (bits < 1 || bits > 32 || inet_pton(AF_INET, text, &in->sin_addr) != 1)
		return broken("tern.net is not ADDR/BITS");
	bad = ioctl(fd, SIOCSIFADDR, &r);
	in->sin_addr.s_addr = htonl(0xffffffffu << (32 - bits));
	bad = bad || ioctl(fd, SIOCSIFNETMASK, &r);
	close(fd);
	return bad ? broken(text) : 0;
}

static int set_ipv6(char *text)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), bits = cut_bits(text), bad;
	struct in6_ifreq r = { .ifr6_prefixlen = (uint32_t)bits,
			       .ifr6_ifindex = (int)if_nametoindex(DEVICE) };

	if (bits < 1 || bits > 128 || inet_pton(AF_INET6, text, &r.ifr6_addr) != 1)
		return broken("tern.net6 is not ADDR/BITS");
	bad = ioctl(fd, SIOCSIFADDR, &r);
	close(fd);
	return bad ? broken(text) : 0;
}

/* Usable at once: nobody else has these addresses. [RFC 4862 5.4] */
static void skip_dad(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/" DEVICE "/accept_dad", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		broken("accept_dad");
	close(fd);
}

static int device_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_name = DEVICE };
	int bad = ioctl(fd, SIOCGIFFLAGS, &r);

	r.ifr_flags |= IFF_UP;
	bad = bad || ioctl(fd, SIOCSIFFLAGS, &r);
	close(fd);
	return bad ? broken(DEVICE) : 0;
}

static int configure(const char *name, int (*set)(char *text))
{
	char text[64];

	snprintf(text, sizeof(text), "%s", param_text(name, ""));
	return *text ? set(text) : 0;
}

static void serve_for_ever(void)
{
	for (unsigned i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		start_thread(run_service, (void *)&services[i]);
	start_thread(run_udp_echo, NULL);
	for (;;)
		pause();
}

void net_start(void)
{
	if (!*param_text("tern.net", "") && !*param_text("tern.net6", ""))
		return;
	skip_dad();
	if (device_up() || configure("tern.net", set_ipv4) || configure("tern.net6", set_ipv6))
		return;
	if (!fork())
		serve_for_ever();
}
