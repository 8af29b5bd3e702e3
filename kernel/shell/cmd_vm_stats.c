/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vm stats`: what a VM's processors and disks did since it was made here or came here.
 */
#include <stdio.h>

#include <tern/gmem.h>
#include <tern/timer.h>
#include <tern/vm.h>

#include "cmd_vm_disk.h"
#include "shell_int.h"

/* What of struct vcpu_stats is shown, by name. */
static const struct {
	const char *name, *plain;
	size_t offset;
} counters[] = {
	{ "injected", "interrupts injected", offsetof(struct vcpu_stats, injected) },
	{ "halts", "halts", offsetof(struct vcpu_stats, halts) },
	{ "ipis", "IPIs sent", offsetof(struct vcpu_stats, ipis) },
	{ "pause_spins", "spins that ended a turn", offsetof(struct vcpu_stats, spins) },
	{ "pause_yields", "  of these, given to a sibling", offsetof(struct vcpu_stats, given) },
	{ "turns_lost", "gave way while it ran", offsetof(struct vcpu_stats, turns_lost) },
};

static uint64_t counter_of(const struct vcpu *c, unsigned i)
{
	return *(const uint64_t *)((const char *)&c->stats + counters[i].offset);
}

/* By enum vcpu_doing; what it was held is nobody's load. */
static const char *const times[] = { "guest", "host", "ready", "halted" };
static const char *const times_json[] = { "guest_ns", "host_ns", "ready_ns", "halted_ns" };

static void parks_json(struct shell *sh, struct vm *vm)
{
	struct vm_park_times p;

	vm_park_times(vm, &p);
	json_object(sh, "parks");
	json_u64(sh, "count", p.count);
	json_u64(sh, "last_ns", p.last_ns);
	json_u64(sh, "median_ns", p.median_ns);
	json_u64(sh, "max_ns", p.max_ns);
	json_end(sh);
}

static void vcpu_json(struct shell *sh, const struct vcpu *c)
{
	uint64_t ns[VCPU_DOINGS];
	char text[CPUS_TEXT];

	cmd_cpus_text(c->vm->cfg.sched.cpus[c->index], text);
	vcpu_times_get(c, ns);
	json_object(sh, NULL);
	json_u64(sh, "index", c->index);
	json_str(sh, "pin", text);
	for (unsigned i = 0; i < ARRAY_SIZE(times); i++)
		json_u64(sh, times_json[i], ns[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(counters); i++)
		json_u64(sh, counters[i].name, counter_of(c, i));
	json_object(sh, "exits");
	for (unsigned i = 0; i < EXIT_REASONS; i++)
		json_u64(sh, exit_name(i), c->stats.exits[i]);
	json_end(sh);
	json_end(sh);
}

static void stats_json(struct shell *sh, struct vm *vm)
{
	json_object(sh, NULL);
	json_str(sh, "name", vm->cfg.name);
	json_str(sh, "state", vm_state_name(vm->state));
	json_sched(sh, vm);
	parks_json(sh, vm);
	json_array(sh, "vcpus");
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_json(sh, vm->vcpu[i]);
	json_end(sh);
	cmd_vm_disks_stats(sh, vm);
	json_end(sh);
}

static void row(struct shell *sh, const struct vm *vm, const char *name,
		uint64_t (*get)(const struct vcpu *c, unsigned i), unsigned arg)
{
	shell_printf(sh, "%-32s", name);
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		shell_printf(sh, " %10llu", (unsigned long long)get(vm->vcpu[i], arg));
	shell_printf(sh, "\n");
}

static uint64_t number_of(const struct vcpu *c, unsigned arg)
{
	(void)arg;
	return c->index;
}

static uint64_t ms_of(const struct vcpu *c, unsigned doing)
{
	uint64_t ns[VCPU_DOINGS];

	vcpu_times_get(c, ns);
	return ns[doing] / NSEC_PER_MSEC;
}

static uint64_t exits_of(const struct vcpu *c, unsigned reason)
{
	return c->stats.exits[reason];
}

static bool any_exit(const struct vm *vm, unsigned reason)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpu[i]->stats.exits[reason])
			return true;
	return false;
}

static void stats_plain(struct shell *sh, struct vm *vm)
{
	const struct vm_sched *s = &vm->cfg.sched;
	struct vm_park_times p;
	char text[CPUS_TEXT], name[40];

	vm_park_times(vm, &p);
	shell_printf(sh, "%-32s %10u\n%-32s", "shares", s->shares ? s->shares : WORLD_SHARES,
		     "pin");
	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		cmd_cpus_text(s->cpus[i], text);
		shell_printf(sh, " %10s", text);
	}
	shell_printf(sh, "\n");
	row(sh, vm, "vCPU", number_of, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(times); i++) {
		(void)snprintf(name, sizeof(name), "%s ms", times[i]);
		row(sh, vm, name, ms_of, i);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(counters); i++)
		row(sh, vm, counters[i].plain, counter_of, i);
	for (unsigned i = 0; i < EXIT_REASONS; i++) {
		(void)snprintf(name, sizeof(name), "exits: %s", exit_name(i));
		if (any_exit(vm, i))
			row(sh, vm, name, exits_of, i);
	}
	shell_printf(sh, "parked %llu times, the last in %llu us, median %llu, longest %llu\n",
		     (unsigned long long)p.count, (unsigned long long)p.last_ns / 1000,
		     (unsigned long long)p.median_ns / 1000, (unsigned long long)p.max_ns / 1000);
	cmd_vm_disks_stats(sh, vm);
}

static int vm_stats_cmd(struct shell *sh, int argc, char **argv)
{
	struct vm *vm = cmd_find_vm(sh, argc, argv);

	if (!vm)
		return 1;
	if (shell_json(sh))
		stats_json(sh, vm);
	else
		stats_plain(sh, vm);
	vm_put(vm);
	return 0;
}

static const struct shell_cmd cmds[] = {
	{ "vm stats", "NAME",
	  "a VM's processors: time, exits, interrupts, spins, parking; its disks' requests",
	  vm_stats_cmd, cmd_offer_vms },
};

void cmd_vm_stats_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
