/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net info, set, ping, bench, stats: the host's own interfaces, and what the way
 * to another host is good for. Hosts are addresses, or names of tern.conf.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/net.h>
#include <tern/nic.h>
#include <tern/world.h>

#include "shell_int.h"

#define PING_TIMEOUT_NS NSEC_PER_SEC
#define PING_INTERVAL_NS (200 * NSEC_PER_MSEC)
#define PING_PAYLOAD 56u
#define PING_COUNT_MAX 1000u
#define BENCH_SECONDS 5u
#define BENCH_SECONDS_MAX 60u
#define BENCH_STREAMS_MAX 8u

static int resolve(const char *text, struct net_addr *a)
{
	char key[64];
	const char *value;

	if (!net_addr_parse(text, a))
		return 0;
	snprintf(key, sizeof(key), "host.%s", text);
	value = config_get(key);
	return value ? net_addr_parse(value, a) : -EINVAL;
}

struct error_name {
	int err;
	const char *code, *text;
};

static const struct error_name *error_name(int err)
{
	static const struct error_name names[] = {
		{ -EHOSTUNREACH, "unreachable", "no such host on this network, or no route to it" },
		{ -ETIMEDOUT, "timeout", "no answer" },
		{ -ECONNREFUSED, "refused", "nobody listens there" },
		{ -ECONNRESET, "reset", "the other side closed the connection" },
		{ -EADDRNOTAVAIL, "invalid",
		  "no host's own address: loopback, multicast, the network's or its broadcast" },
		{ -EMSGSIZE, "invalid", "larger than the interface's MTU" },
		{ -ENOMEM, "no-memory", "no memory" },
		{ -ENETDOWN, "no-network", "this host's network is not up" },
		{ 0, "failed", "failed" },
	};
	unsigned i = 0;

	while (names[i].err && names[i].err != err)
		i++;
	return &names[i];
}

static int network_error(struct shell *sh, const char *host, int err)
{
	return shell_error(sh, error_name(err)->code, "%s: %s", host, error_name(err)->text);
}

/* A number option within bounds; false when an error was printed. */
static bool number_opt(struct shell *sh, int *argc, char **argv, const char *name, uint64_t max,
		       unsigned *v)
{
	const char *text = shell_opt(argc, argv, name);
	uint64_t n;

	if (!text)
		return true;
	if (parse_u64(text, &n) || n == 0 || n > max) {
		shell_error(sh, "invalid", "%s %s is not a number from 1 to %u", name, text,
			    (unsigned)max);
		return false;
	}
	*v = (unsigned)n;
	return true;
}

/* The one host of a command line; false when an error was printed. */
static bool host_arg(struct shell *sh, int argc, char **argv, struct net_addr *to)
{
	if (argc != 2) {
		shell_error(sh, "usage", "expected: HOST; got %d argument(s)", argc - 1);
		return false;
	}
	if (resolve(argv[1], to)) {
		shell_error(sh, "invalid", "'%s' is neither an address nor a host.%s of tern.conf",
			    argv[1], argv[1]);
		return false;
	}
	return true;
}

static void address_text(const struct net_addr *a, unsigned prefix, char *buf, size_t len)
{
	char text[48];

	net_addr_format(a, text, sizeof(text));
	if (a->family)
		snprintf(buf, len, "%s/%u", text, prefix);
	else
		snprintf(buf, len, "none");
}

static void lease_json(struct shell *sh, const struct net_if_info *i)
{
	char router[48], server[48];

	net_addr_format(&i->router, router, sizeof(router));
	json_str(sh, "router", router);
	json_bool(sh, "dhcp", i->dhcp);
	if (!i->dhcp_server.family)
		return;
	net_addr_format(&i->dhcp_server, server, sizeof(server));
	json_str(sh, "dhcp_server", server);
	json_u64(sh, "lease_s", i->lease_s);
	json_u64(sh, "lease_left_s", i->lease_left_s);
}

static void info_lease(struct shell *sh, const struct net_if_info *i)
{
	char text[48];

	if (i->router.family) {
		net_addr_format(&i->router, text, sizeof(text));
		shell_printf(sh, "  router %s\n", text);
	}
	if (!i->dhcp)
		return;
	if (!i->dhcp_server.family) {
		shell_printf(sh, "  DHCP: no answer yet\n");
		return;
	}
	net_addr_format(&i->dhcp_server, text, sizeof(text));
	if (i->lease_s == UINT32_MAX)
		shell_printf(sh, "  DHCP: from %s, for good\n", text);
	else
		shell_printf(sh, "  DHCP: from %s, for %u s, %u s left\n", text, i->lease_s,
			     i->lease_left_s);
}

static void info_json(struct shell *sh, const struct net_if_info *i, const char *mac,
		      const char *a4, const char *a6)
{
	json_object(sh, NULL);
	json_str(sh, "name", i->name);
	json_str(sh, "driver", i->driver);
	json_str(sh, "mac", mac);
	json_u64(sh, "mtu", i->mtu);
	json_bool(sh, "up", i->up);
	json_str(sh, "addr", a4);
	json_str(sh, "addr6", a6);
	lease_json(sh, i);
	json_bool(sh, "tso", i->caps & NIC_CAP_TSO4);
	json_bool(sh, "csum", i->caps & NIC_CAP_TX_CSUM);
	json_bool(sh, "lro", i->caps & NIC_CAP_LRO);
	json_u64(sh, "tx_packets", i->tx_packets);
	json_u64(sh, "tx_bytes", i->tx_bytes);
	json_u64(sh, "rx_packets", i->rx_packets);
	json_u64(sh, "rx_bytes", i->rx_bytes);
	json_u64(sh, "dropped", i->dropped);
	json_end(sh);
}

static void info_one(struct shell *sh, const struct net_if_info *i)
{
	char mac[MAC_TEXT], a4[64], a6[64];

	mac_format(i->mac, mac);
	address_text(&i->addr, i->prefix, a4, sizeof(a4));
	address_text(&i->addr6, i->prefix6, a6, sizeof(a6));
	if (shell_json(sh)) {
		info_json(sh, i, mac, a4, a6);
		return;
	}
	shell_printf(sh, "%s: %s, %s, mtu %u, %s%s%s%s\n", i->name, i->up ? "up" : "down",
		     i->driver, i->mtu, mac, (i->caps & NIC_CAP_TX_CSUM) ? ", csum" : "",
		     (i->caps & NIC_CAP_TSO4) ? ", tso" : "",
		     (i->caps & NIC_CAP_LRO) ? ", lro" : "");
	shell_printf(sh, "  addr %s\n  addr6 %s\n", a4, a6);
	info_lease(sh, i);
	shell_printf(sh, "  sent %llu packets, %llu bytes\n", (unsigned long long)i->tx_packets,
		     (unsigned long long)i->tx_bytes);
	shell_printf(sh, "  received %llu packets, %llu bytes, %llu dropped\n",
		     (unsigned long long)i->rx_packets, (unsigned long long)i->rx_bytes,
		     (unsigned long long)i->dropped);
}

static int net_info(struct shell *sh, int argc, char **argv)
{
	struct net_if_info i;
	unsigned n = 0;

	(void)argv;
	if (argc != 1)
		return shell_error(sh, "usage", "net info takes no arguments");
	if (shell_json(sh))
		json_array(sh, NULL);
	for (; net_if_at(n, &i); n++)
		info_one(sh, &i);
	if (shell_json(sh))
		json_end(sh);
	else if (!n)
		shell_printf(sh, "no network card\n");
	return 0;
}

static int find_if(const char *name)
{
	struct net_if_info i;

	for (unsigned n = 0; net_if_at(n, &i); n++)
		if (strcmp(i.name, name) == 0)
			return (int)n;
	return -1;
}

/* "dhcp" or ADDR/LEN; *err as of the network, false when it is neither. */
static bool set_address(unsigned index, const char *text, int *err)
{
	struct net_addr a;
	unsigned prefix;

	if (strcmp(text, "dhcp") == 0) {
		*err = net_if_set_dhcp(index);
		return true;
	}
	if (net_addr_parse_prefix(text, &a, &prefix))
		return false;
	*err = net_if_set_addr(index, &a, prefix);
	return true;
}

static int net_set(struct shell *sh, int argc, char **argv)
{
	int index, err;

	if (argc != 3)
		return shell_error(sh, "usage", "net set IF ADDR/LEN|dhcp");
	index = find_if(argv[1]);
	if (index < 0)
		return shell_error(sh, "not-found", "no interface '%s': see 'net info'", argv[1]);
	if (!set_address((unsigned)index, argv[2], &err))
		return shell_error(sh, "invalid", "'%s' is neither ADDR/LEN nor dhcp", argv[2]);
	if (err)
		return network_error(sh, argv[2], err);
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "name", argv[1]);
		json_str(sh, "addr", argv[2]);
		json_end(sh);
	}
	return 0;
}

struct ping_total {
	unsigned sent, answered;
	uint64_t min_ns, max_ns, sum_ns;
	int last_error;
};

static void ping_once(struct shell *sh, const struct net_addr *to, const char *name, unsigned size,
		      struct ping_total *t)
{
	uint64_t rtt = 0;
	int err = net_ping(to, size, PING_TIMEOUT_NS, &rtt);

	t->sent++;
	if (err) {
		t->last_error = err;
		if (!shell_json(sh))
			shell_printf(sh, "%s: %s\n", name, error_name(err)->text);
		return;
	}
	t->answered++;
	t->sum_ns += rtt;
	t->min_ns = t->answered == 1 ? rtt : MIN(t->min_ns, rtt);
	t->max_ns = MAX(t->max_ns, rtt);
	if (!shell_json(sh))
		shell_printf(sh, "%u bytes from %s: seq=%u time=%llu us\n", size + 8, name, t->sent,
			     (unsigned long long)(rtt / NSEC_PER_USEC));
}

static void ping_result(struct shell *sh, const struct ping_total *t)
{
	uint64_t avg = t->answered ? t->sum_ns / t->answered : 0;

	if (!shell_json(sh)) {
		shell_printf(sh, "%u sent, %u answered, min/avg/max %llu/%llu/%llu us\n", t->sent,
			     t->answered, (unsigned long long)(t->min_ns / NSEC_PER_USEC),
			     (unsigned long long)(avg / NSEC_PER_USEC),
			     (unsigned long long)(t->max_ns / NSEC_PER_USEC));
		return;
	}
	json_object(sh, NULL);
	json_u64(sh, "sent", t->sent);
	json_u64(sh, "answered", t->answered);
	json_u64(sh, "min_ns", t->min_ns);
	json_u64(sh, "avg_ns", avg);
	json_u64(sh, "max_ns", t->max_ns);
	json_end(sh);
}

static int ping_cmd(struct shell *sh, int argc, char **argv)
{
	unsigned count = 3, size = PING_PAYLOAD;
	struct ping_total t = { 0 };
	struct net_addr to;

	if (!number_opt(sh, &argc, argv, "--count", PING_COUNT_MAX, &count) ||
	    !number_opt(sh, &argc, argv, "--size", UINT16_MAX, &size) ||
	    !host_arg(sh, argc, argv, &to))
		return 1;
	while (t.sent < count && !shell_interrupted(sh)) {
		if (t.sent)
			world_sleep_ns(PING_INTERVAL_NS);
		ping_once(sh, &to, argv[1], size, &t);
		if (t.last_error == -EMSGSIZE)
			break;
	}
	if (!t.answered)
		return network_error(sh, argv[1], t.last_error);
	ping_result(sh, &t);
	return 0;
}

/* Hundredths of 10^6 bytes a second. */
static uint64_t centi_mb_per_s(const struct net_bench_result *r)
{
	uint64_t us = r->ns / NSEC_PER_USEC;

	return us ? r->bytes * 100 / us : 0;
}

static int bench_cmd(struct shell *sh, int argc, char **argv)
{
	unsigned seconds = BENCH_SECONDS, streams = 1;
	struct net_bench_result r;
	struct net_addr to;
	uint64_t rate;
	int err;

	if (!number_opt(sh, &argc, argv, "--seconds", BENCH_SECONDS_MAX, &seconds) ||
	    !number_opt(sh, &argc, argv, "--streams", BENCH_STREAMS_MAX, &streams) ||
	    !host_arg(sh, argc, argv, &to))
		return 1;
	err = net_bench(&to, streams, seconds * NSEC_PER_SEC, &r);
	if (err)
		return network_error(sh, argv[1], err);
	rate = centi_mb_per_s(&r);
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_u64(sh, "bytes", r.bytes);
		json_u64(sh, "ns", r.ns);
		json_u64(sh, "streams", r.streams);
		json_u64(sh, "mb_per_s", rate / 100);
		json_end(sh);
		return 0;
	}
	shell_printf(sh, "%llu bytes in %llu ms over %u stream(s): %llu.%02llu MB/s\n",
		     (unsigned long long)r.bytes, (unsigned long long)(r.ns / NSEC_PER_MSEC),
		     r.streams, (unsigned long long)(rate / 100), (unsigned long long)(rate % 100));
	return 0;
}

static int stats_cmd(struct shell *sh, int argc, char **argv)
{
	struct net_stats s;

	(void)argv;
	if (argc != 1)
		return shell_error(sh, "usage", "net stats takes no arguments");
	net_stats(&s);
	const struct {
		const char *name;
		uint64_t v;
	} rows[] = {
		{ "tcp_segs_out", s.tcp_segs_out },
		{ "tcp_segs_in", s.tcp_segs_in },
		{ "tcp_rexmit", s.tcp_rexmit },
		{ "tx_copied_bytes", s.tx_copied_bytes },
		{ "tx_zero_copy_bytes", s.tx_zero_copy_bytes },
		{ "rx_copied_bytes", s.rx_copied_bytes },
		{ "switch_moved_bytes", s.switch_moved_bytes },
		{ "switch_copied_bytes", s.switch_copied_bytes },
		{ "queue_waits", s.queue_waits },
		{ "owner_wakes", s.owner_wakes },
		{ "pool_exhausted", s.pool_exhausted },
		{ "rx_held_bytes", s.rx_held_bytes },
	};
	if (shell_json(sh))
		json_object(sh, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		if (shell_json(sh))
			json_u64(sh, rows[i].name, rows[i].v);
		else
			shell_printf(sh, "%-20s %llu\n", rows[i].name,
				     (unsigned long long)rows[i].v);
	}
	if (shell_json(sh))
		json_end(sh);
	return 0;
}

static void complete_if(struct shell *sh, int argc, char **argv)
{
	struct net_if_info i;

	(void)argv;
	if (argc == 2)
		for (unsigned n = 0; net_if_at(n, &i); n++)
			shell_offer(sh, i.name);
	if (argc == 3)
		shell_offer(sh, "dhcp");
}

void cmd_net_register(void)
{
	static const struct shell_cmd cmds[] = {
		{ "net info", "", "this host's interfaces and their addresses", net_info, NULL },
		{ "net set", "IF ADDR/LEN|dhcp", "gives an interface an address", net_set,
		  complete_if },
		{ "net ping", "HOST [--count N] [--size BYTES]", "echo requests", ping_cmd, NULL },
		{ "net bench", "HOST [--seconds N] [--streams N]",
		  "raw TCP to another Tern host, in MB/s", bench_cmd, NULL },
		{ "net stats", "", "the network's counters", stats_cmd, NULL },
	};

	shell_register(cmds, ARRAY_SIZE(cmds));
}
