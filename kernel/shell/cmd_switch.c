/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands about the virtual switch: net networks, net ports.
 */
#include <stdio.h>

#include <tern/vswitch.h>

#include "shell_int.h"

static int networks_cmd(struct shell *sh, int argc, char **argv)
{
	struct network_info n;

	(void)argv;
	if (argc != 1)
		return shell_error(sh, "usage", "net networks takes no arguments");
	if (shell_json(sh))
		json_array(sh, NULL);
	else
		shell_printf(sh, "%-16s %-8s %5s %6s\n", "network", "uplink", "vlan", "ports");
	for (unsigned i = 0; network_at(i, &n); i++) {
		if (!shell_json(sh)) {
			shell_printf(sh, "%-16s net%-5u %5u %6u\n", n.name, n.uplink, n.vlan,
				     n.ports);
			continue;
		}
		json_object(sh, NULL);
		json_str(sh, "name", n.name);
		json_u64(sh, "uplink", n.uplink);
		json_u64(sh, "vlan", n.vlan);
		json_u64(sh, "ports", n.ports);
		json_end(sh);
	}
	if (shell_json(sh))
		json_end(sh);
	return 0;
}

static void port_json(struct shell *sh, const struct vport_stats *s, const char *mac)
{
	json_object(sh, NULL);
	json_str(sh, "vm", s->owner);
	json_str(sh, "network", s->network);
	json_str(sh, "mac", mac);
	json_bool(sh, "muted", s->muted);
	json_array(sh, "addresses");
	for (unsigned i = 0; i < s->nr_addrs; i++) {
		char text[48];

		net_addr_format(&s->addr[i], text, sizeof(text));
		json_str(sh, NULL, text);
	}
	json_end(sh);
	json_u64(sh, "tx_frames", s->tx_frames);
	json_u64(sh, "tx_bytes", s->tx_bytes);
	json_u64(sh, "tx_dropped", s->tx_dropped);
	json_u64(sh, "spoofed", s->spoofed);
	json_u64(sh, "rx_frames", s->rx_frames);
	json_u64(sh, "rx_bytes", s->rx_bytes);
	json_u64(sh, "rx_dropped", s->rx_dropped);
	json_end(sh);
}

static int ports_cmd(struct shell *sh, int argc, char **argv)
{
	struct vport_stats s;

	(void)argv;
	if (argc != 1)
		return shell_error(sh, "usage", "net ports takes no arguments");
	if (shell_json(sh))
		json_array(sh, NULL);
	for (unsigned i = 0; vport_at(i, &s); i++) {
		char mac[MAC_TEXT];

		mac_format(s.mac, mac);
		if (shell_json(sh))
			port_json(sh, &s, mac);
		else
			shell_printf(sh,
				     "%s on %s  %s%s  out %llu (%llu dropped, %llu spoofed)  "
				     "in %llu (%llu dropped)\n",
				     s.owner, s.network, mac, s.muted ? "  muted" : "",
				     (unsigned long long)s.tx_frames,
				     (unsigned long long)s.tx_dropped,
				     (unsigned long long)s.spoofed, (unsigned long long)s.rx_frames,
				     (unsigned long long)s.rx_dropped);
	}
	if (shell_json(sh))
		json_end(sh);
	return 0;
}

void cmd_switch_register(void)
{
	static const struct shell_cmd cmds[] = {
		{ "net networks", "", "networks that guests can be on", networks_cmd, NULL },
		{ "net ports", "", "guests' network devices and their counters", ports_cmd, NULL },
	};

	shell_register(cmds, ARRAY_SIZE(cmds));
}
