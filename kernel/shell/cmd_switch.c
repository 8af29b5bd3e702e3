/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands about the virtual switch: net networks, net ports, net port.
 */
#include <string.h>

#include <tern/timer.h>
#include <tern/vm.h>
#include <tern/vswitch.h>

#include "shell_int.h"

#define PORT_ARGS "VM[/N] [--rate MBIT|none] [--spoof allow|deny]"

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

static uint64_t sum(const struct vport_stats *s, enum vport_counter first, enum vport_counter last)
{
	uint64_t n = 0;

	for (unsigned c = first; c <= last; c++)
		n += s->count[c];
	return n;
}

static uint64_t tx_dropped(const struct vport_stats *s)
{
	return sum(s, VPORT_TX_SPOOFED, VPORT_TX_NO_MEMORY);
}

static uint64_t rx_dropped(const struct vport_stats *s)
{
	return sum(s, VPORT_RX_FULL, VPORT_RX_NO_MEMORY);
}

/* Bytes copied for each byte that went in or out, in thousandths. */
static uint64_t copies_permille(const struct vport_stats *s)
{
	uint64_t moved = s->count[VPORT_TX_BYTES] + s->count[VPORT_RX_BYTES];

	return moved ? mul_div64(s->count[VPORT_COPIED_BYTES], 1000, moved) : 0;
}

static void queues_json(struct shell *sh, const struct vport_stats *s)
{
	json_array(sh, "queues");
	for (unsigned i = 0; i < s->queues; i++) {
		json_object(sh, NULL);
		json_u64(sh, "tx_frames", s->queue[i].tx_frames);
		json_u64(sh, "rx_frames", s->queue[i].rx_frames);
		json_end(sh);
	}
	json_end(sh);
}

static void port_json(struct shell *sh, const struct vport_stats *s, const char *mac)
{
	json_object(sh, NULL);
	json_str(sh, "vm", s->owner);
	json_u64(sh, "nic", s->index);
	json_str(sh, "network", s->network);
	json_str(sh, "mac", mac);
	json_bool(sh, "muted", s->muted);
	json_u64(sh, "rate_mbit", s->rules.rate_mbit);
	json_str(sh, "spoof", s->rules.any_source ? "allow" : "deny");
	json_array(sh, "addresses");
	for (unsigned i = 0; i < s->nr_addrs; i++) {
		char text[48];

		net_addr_format(&s->addr[i], text, sizeof(text));
		json_str(sh, NULL, text);
	}
	json_end(sh);
	for (unsigned c = 0; c < VPORT_COUNTERS; c++)
		json_u64(sh, vport_counter_name(c), s->count[c]);
	json_u64(sh, "tx_dropped", tx_dropped(s));
	json_u64(sh, "rx_dropped", rx_dropped(s));
	json_u64(sh, "copies_permille", copies_permille(s));
	queues_json(sh, s);
	json_end(sh);
}

/* Those that are not zero: most are, and each says that something is unusual. */
static void reasons_plain(struct shell *sh, const struct vport_stats *s)
{
	const char *before = "  ";

	for (unsigned c = VPORT_TX_SPOOFED; c < VPORT_COPIED_BYTES; c++) {
		if (!s->count[c])
			continue;
		shell_printf(sh, "%s%s %llu", before, vport_counter_name(c),
			     (unsigned long long)s->count[c]);
		before = ", ";
	}
	if (before[0] == ',')
		shell_printf(sh, "\n");
}

static void port_plain(struct shell *sh, const struct vport_stats *s, const char *mac)
{
	uint64_t copies = copies_permille(s);

	shell_printf(sh, "%s/%u on %s  %s%s%s", s->owner, s->index, s->network, mac,
		     s->muted ? "  muted" : "", s->rules.any_source ? "  spoof=allow" : "");
	if (s->rules.rate_mbit)
		shell_printf(sh, "  rate=%u", s->rules.rate_mbit);
	shell_printf(sh,
		     "  %u queue%s  out %llu (%llu dropped)  in %llu (%llu dropped)  "
		     "copies %llu.%02llu\n",
		     s->queues, s->queues == 1 ? "" : "s",
		     (unsigned long long)s->count[VPORT_TX_FRAMES],
		     (unsigned long long)tx_dropped(s),
		     (unsigned long long)s->count[VPORT_RX_FRAMES],
		     (unsigned long long)rx_dropped(s), (unsigned long long)copies / 1000,
		     (unsigned long long)copies % 1000 / 10);
	reasons_plain(sh, s);
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
			port_plain(sh, &s, mac);
	}
	if (shell_json(sh))
		json_end(sh);
	return 0;
}

/* "VM" or "VM/N": the VM's device N, the first without. False when it cannot be that. */
static bool port_name(char *text, uint64_t *index)
{
	char *slash = strchr(text, '/');

	*index = 0;
	if (!slash)
		return true;
	*slash = '\0';
	return !parse_u64(slash + 1, index) && *index < VM_NICS_MAX;
}

/* One rule of two: 0, or 1 with the error said. */
static int port_rule(struct shell *sh, const char *key, const char *value, struct vport_rules *r)
{
	if (!strcmp(key, "rate"))
		return parse_rate(value, &r->rate_mbit)
			       ? 0
			       : shell_error(sh, "invalid",
					     "rate %s: it is 1 to %u Mbit/s, or none", value,
					     VPORT_RATE_MAX);
	return parse_spoof(value, &r->any_source)
		       ? 0
		       : shell_error(sh, "invalid", "spoof %s: it is allow or deny", value);
}

static int port_cmd(struct shell *sh, int argc, char **argv)
{
	const char *rate = shell_opt(&argc, argv, "--rate");
	const char *spoof = shell_opt(&argc, argv, "--spoof");
	struct vport_rules r;
	uint64_t index;

	if (argc != 2 || (!rate && !spoof))
		return shell_error(sh, "usage", "net port " PORT_ARGS);
	if (!port_name(argv[1], &index) || vport_rules_of(argv[1], (unsigned)index, NULL, &r))
		return shell_error(sh, "not-found",
				   "no port '%s': 'net ports' lists those that are, as VM/N",
				   argv[1]);
	if ((rate && port_rule(sh, "rate", rate, &r)) ||
	    (spoof && port_rule(sh, "spoof", spoof, &r)))
		return 1;
	if (vport_rules_of(argv[1], (unsigned)index, &r, &r))
		return shell_error(sh, "not-found", "the VM has gone meanwhile");
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "vm", argv[1]);
		json_u64(sh, "nic", index);
		json_u64(sh, "rate_mbit", r.rate_mbit);
		json_str(sh, "spoof", r.any_source ? "allow" : "deny");
		json_end(sh);
	}
	return 0;
}

void cmd_switch_register(void)
{
	static const struct shell_cmd cmds[] = {
		{ "net networks", "", "networks that guests can be on", networks_cmd, NULL },
		{ "net ports", "", "guests' network devices and their counters", ports_cmd, NULL },
		{ "net port", PORT_ARGS,
		  "limit a guest's network device, or let it use others' addresses", port_cmd,
		  cmd_offer_vms },
	};

	shell_register(cmds, ARRAY_SIZE(cmds));
}
