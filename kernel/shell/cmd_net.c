/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net info, set, stats: the host's own interfaces. What the way to another host is good for is in
 * cmd_net_probe.c.
 */
#include <stdio.h>
#include <string.h>

#include <tern/net.h>
#include <tern/nic.h>

#include "cmd_net.h"
#include "shell_int.h"

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
		return cmd_net_error(sh, argv[2], err);
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "name", argv[1]);
		json_str(sh, "addr", argv[2]);
		json_end(sh);
	}
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
		{ "net ping", "HOST [--count N] [--size BYTES]", "echo requests", cmd_net_ping,
		  NULL },
		{ "net bench", "HOST [--seconds N] [--streams N]",
		  "raw TCP to another Tern host, in MB/s", cmd_net_bench, NULL },
		{ "net stats", "", "the network's counters", stats_cmd, NULL },
	};

	shell_register(cmds, ARRAY_SIZE(cmds));
}
