/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tools/relay: a small Ethernet switch in user space, whose ports can be slow,
 * lossy or dead.  tools/lab uses it in two ways: between one host's tap and the
 * lab's bridge while a `lab link` rule is active, and as the lab's only switch
 * where no tap can be made.
 *
 *     relay NAME=KIND:ARG...       KIND: packet:IFNAME  tap:IFNAME
 *                                        dgram:LOCALPATH,REMOTEPATH
 *
 * On standard input it takes `NAME RULE [VALUE]` a line and answers `ok` or
 * `error: TEXT`; at end of input it ends.  Rules: up, down, delay MS, loss
 * PERCENT, rate MBIT, clear.  A rule holds for each direction by itself.
 *
 * packet and tap ports carry a 10-byte virtio-net header in front of each frame
 * (so that checksum and segmentation offloads survive), dgram ports do not: the
 * two sorts cannot be mixed.  Frames go to the port where their destination was
 * last seen as a source, else to all.  One thread; no state is shared.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_PORTS 32
#define FRAME_MAX (66u * 1024)
#define VNET_HDR 10u
#define BURST 64
#define QUEUE_RATE (1u << 20)	 /* bytes a limited port may hold back */
#define QUEUE_DELAY (256u << 20) /* bytes a long wire may hold */
#define QUEUE_FULL (4u << 20)	 /* bytes kept for a receiver that takes nothing now */
#define RETRY_NS 200000ull	 /* until it is tried again */
#define NS_PER_S 1000000000ull

struct frame {
	struct frame *next;
	uint64_t due_ns;
	size_t size;
	unsigned char data[];
};

/* One direction of one port. */
struct lane {
	struct frame *head, **tail;
	size_t bytes;
	uint64_t free_ns; /* when the limited wire has sent what it took */
};

struct port {
	char name[64];
	int fd;
	bool is_tap, down;
	uint64_t delay_ns, rate_bps;
	double loss; /* 0..1 */
	struct sockaddr_un remote;
	struct lane in, out;
};

struct seen {
	uint64_t mac;
	unsigned port;
};

static struct port ports[MAX_PORTS];
static unsigned port_count;
static size_t header_size;
static struct seen seen[256];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- ports ----------------------------------------------------------------- */

static int open_packet(const char *ifname)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(ifname),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	int one = 1, room = 32 << 20;

	if (fd < 0 || !at.sll_ifindex)
		die(ifname);
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)))
		die("packet options");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)))
		die("packet bind");
	return fd;
}

static int open_tap(const char *ifname)
{
	struct ifreq req = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		die("/dev/net/tun");
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	if (ioctl(fd, TUNSETIFF, &req))
		die(ifname);
	if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6))
		die("tap offloads");
	return fd;
}

static int open_dgram(struct port *p, char *arg)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	char *comma = strchr(arg, ',');
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int room = 8 << 20;

	if (fd < 0 || !comma)
		die(arg);
	*comma = '\0';
	snprintf(local.sun_path, sizeof(local.sun_path), "%s", arg);
	p->remote.sun_family = AF_UNIX;
	snprintf(p->remote.sun_path, sizeof(p->remote.sun_path), "%s", comma + 1);
	unlink(local.sun_path);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (bind(fd, (struct sockaddr *)&local, sizeof(local)))
		die(arg);
	return fd;
}

static void lane_init(struct lane *l)
{
	l->tail = &l->head;
}

static void add_port(char *spec)
{
	struct port *p = &ports[port_count++];
	char *kind = strchr(spec, '='), *arg = kind ? strchr(kind, ':') : NULL;
	size_t header = VNET_HDR;

	errno = EINVAL;
	if (!arg || port_count > MAX_PORTS)
		die(spec);
	*kind++ = '\0';
	*arg++ = '\0';
	snprintf(p->name, sizeof(p->name), "%s", spec);
	lane_init(&p->in);
	lane_init(&p->out);
	p->is_tap = !strcmp(kind, "tap");
	if (p->is_tap)
		p->fd = open_tap(arg);
	else if (!strcmp(kind, "packet"))
		p->fd = open_packet(arg);
	else if (!strcmp(kind, "dgram"))
		p->fd = open_dgram(p, arg), header = 0;
	else
		die(kind);
	if (port_count > 1 && header != header_size)
		die("ports of different sorts");
	header_size = header;
}

/* --- lanes ----------------------------------------------------------------- */

/* Takes a copy of the frame into the lane, or drops it, as the rules say. */
static void lane_put(struct lane *l, const struct port *p, const void *data, size_t size,
		     uint64_t now)
{
	size_t room = p->rate_bps ? QUEUE_RATE : QUEUE_DELAY;
	struct frame *f;
	uint64_t start = l->free_ns > now ? l->free_ns : now;

	if (p->down || (p->loss > 0 && drand48() < p->loss) || l->bytes + size > room)
		return;
	f = malloc(sizeof(*f) + size);
	if (!f)
		return;
	if (p->rate_bps)
		start += size * 8 * NS_PER_S / p->rate_bps;
	l->free_ns = start;
	f->next = NULL;
	f->due_ns = start + p->delay_ns;
	f->size = size;
	memcpy(f->data, data, size);
	*l->tail = f;
	l->tail = &f->next;
	l->bytes += size;
}

static struct frame *lane_take(struct lane *l, uint64_t now)
{
	struct frame *f = l->head;

	if (!f || f->due_ns > now)
		return NULL;
	l->head = f->next;
	if (!l->head)
		l->tail = &l->head;
	l->bytes -= f->size;
	return f;
}

/* Back to the front of the lane it was taken from. */
static void lane_return(struct lane *l, struct frame *f)
{
	f->next = l->head;
	if (!l->head)
		l->tail = &f->next;
	l->head = f;
	l->bytes += f->size;
}

static void lane_clear(struct lane *l)
{
	struct frame *f;

	while ((f = lane_take(l, UINT64_MAX)))
		free(f);
	l->free_ns = 0;
}

/* --- switching ------------------------------------------------------------- */

static uint64_t mac_at(const unsigned char *at)
{
	uint64_t mac = 0;

	memcpy(&mac, at, 6);
	return mac;
}

static struct seen *seen_slot(uint64_t mac)
{
	return &seen[(mac * 0x9e3779b97f4a7c15ull) >> 56];
}

static void switch_frame(unsigned from, const struct frame *f, uint64_t now)
{
	const unsigned char *eth = f->data + header_size;
	struct seen *to;

	if (f->size < header_size + ETH_HLEN)
		return;
	*seen_slot(mac_at(eth + 6)) = (struct seen){ mac_at(eth + 6), from };
	to = seen_slot(mac_at(eth));
	if (!(eth[0] & 1) && to->mac == mac_at(eth)) {
		if (to->port != from)
			lane_put(&ports[to->port].out, &ports[to->port], f->data, f->size, now);
		return;
	}
	for (unsigned i = 0; i < port_count; i++)
		if (i != from)
			lane_put(&ports[i].out, &ports[i], f->data, f->size, now);
}

/* False when the receiver's queue is full: a socket's holds ten frames, less than a segment. */
static bool port_send(const struct port *p, const struct frame *f)
{
	ssize_t n;

	if (p->is_tap)
		n = write(p->fd, f->data, f->size);
	else if (p->remote.sun_family)
		n = sendto(p->fd, f->data, f->size, 0, (const struct sockaddr *)&p->remote,
			   sizeof(p->remote));
	else
		n = send(p->fd, f->data, f->size, 0);
	/* An absent receiver loses the frame, as a wire does. */
	return n >= 0 || errno != EAGAIN;
}

/* Sends what is due; returns when to look again, or UINT64_MAX. */
static uint64_t port_drain(struct port *p, uint64_t now)
{
	struct frame *f;

	while ((f = lane_take(&p->out, now))) {
		if (!port_send(p, f) && p->out.bytes < QUEUE_FULL) {
			lane_return(&p->out, f);
			return now + RETRY_NS;
		}
		free(f);
	}
	return p->out.head ? p->out.head->due_ns : UINT64_MAX;
}

static void port_receive(struct port *p, uint64_t now)
{
	static unsigned char buf[FRAME_MAX];

	for (int i = 0; i < BURST; i++) {
		ssize_t n = read(p->fd, buf, sizeof(buf));

		if (n <= 0)
			return;
		lane_put(&p->in, p, buf, (size_t)n, now);
	}
}

/* Moves all that is due; returns when the next frame is, or UINT64_MAX. */
static uint64_t run_lanes(uint64_t now)
{
	uint64_t next = UINT64_MAX;
	struct frame *f;

	for (unsigned i = 0; i < port_count; i++)
		for (; (f = lane_take(&ports[i].in, now)); free(f))
			switch_frame(i, f, now);
	for (unsigned i = 0; i < port_count; i++) {
		struct port *p = &ports[i];
		uint64_t again = port_drain(p, now);

		if (p->in.head && p->in.head->due_ns < next)
			next = p->in.head->due_ns;
		if (again < next)
			next = again;
	}
	return next;
}

/* --- rules ----------------------------------------------------------------- */

static bool apply_rule(struct port *p, const char *rule, double value)
{
	if (!strcmp(rule, "up")) {
		p->down = false;
	} else if (!strcmp(rule, "down")) {
		p->down = true;
		lane_clear(&p->in);
		lane_clear(&p->out);
	} else if (!strcmp(rule, "delay") && value >= 0 && value <= 60000) {
		p->delay_ns = (uint64_t)(value * 1e6);
	} else if (!strcmp(rule, "loss") && value >= 0 && value <= 100) {
		p->loss = value / 100;
	} else if (!strcmp(rule, "rate") && value >= 0 && value <= 1e6) {
		p->rate_bps = (uint64_t)(value * 1e6);
	} else if (!strcmp(rule, "clear")) {
		p->down = false;
		p->delay_ns = p->rate_bps = 0;
		p->loss = 0;
	} else {
		return false;
	}
	return true;
}

static void take_rule(const char *line)
{
	char name[64], rule[16];
	double value = -1;

	if (sscanf(line, "%63s %15s %lf", name, rule, &value) < 2) {
		puts("error: NAME RULE [VALUE]");
		return;
	}
	for (unsigned i = 0; i < port_count; i++) {
		if (strcmp(ports[i].name, name))
			continue;
		puts(apply_rule(&ports[i], rule, value) ? "ok" : "error: no such rule or value");
		return;
	}
	puts("error: no such port");
}

static void read_rules(void)
{
	static char buf[512];
	static size_t used;
	ssize_t n = read(0, buf + used, sizeof(buf) - 1 - used);
	char *end;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		exit(0);
	used += n > 0 ? (size_t)n : 0;
	buf[used] = '\0';
	while ((end = strchr(buf, '\n'))) {
		*end++ = '\0';
		take_rule(buf);
		used -= (size_t)(end - buf);
		memmove(buf, end, used + 1);
	}
	if (used == sizeof(buf) - 1)
		used = 0;
	fflush(stdout);
}

static void wait_for(struct pollfd *fds, uint64_t next, uint64_t now)
{
	struct timespec t, *limit = NULL;

	if (next != UINT64_MAX) {
		uint64_t left = next > now ? next - now : 0;

		t = (struct timespec){ (time_t)(left / NS_PER_S), (long)(left % NS_PER_S) };
		limit = &t;
	}
	if (ppoll(fds, port_count + 1, limit, NULL) < 0 && errno != EINTR)
		die("poll");
}

int main(int argc, char **argv)
{
	struct pollfd fds[MAX_PORTS + 1] = { { .fd = 0, .events = POLLIN } };

	if (argc < 2) {
		fprintf(stderr, "usage: relay NAME=packet:IF|tap:IF|dgram:LOCAL,REMOTE...\n");
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		add_port(argv[i]);
		fds[i] = (struct pollfd){ .fd = ports[i - 1].fd, .events = POLLIN };
	}
	srand48((long)now_ns());
	puts("ready");
	fflush(stdout);
	for (;;) {
		uint64_t now = now_ns(), next = run_lanes(now);

		wait_for(fds, next, now);
		now = now_ns();
		if (fds[0].revents)
			read_rules();
		for (unsigned i = 0; i < port_count; i++)
			if (fds[i + 1].revents)
				port_receive(&ports[i], now);
	}
}
