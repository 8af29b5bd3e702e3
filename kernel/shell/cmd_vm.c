/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that show virtual machines, and what all commands about one VM share;
 * cmd_vm_create.c defines them, cmd_vm_life.c starts and stops them.
 */
#include <errno.h>

#include <tern/gmem.h>
#include <tern/store.h>
#include <tern/vm.h>

#include "cmd_vm_disk.h"
#include "shell_int.h"

const char *cmd_vm_code(int err)
{
	switch (err) {
	case -ENOMEM:
		return "no-memory";
	case -ENOSPC:
	case -EMLINK:
	case -EFBIG:
	case -ENFILE:
		return "no-space";
	case -EROFS:
		return "read-only";
	case -EEXIST:
		return "exists";
	case -ENOENT:
		return "not-found";
	case -EBUSY:
		return "busy";
	case -EAGAIN: /* of a description */
		return "in-doubt";
	case -EINVAL:
		return "invalid";
	case -ENOTSUP:
	case -ENODEV:
		return "unsupported";
	case -EIO:
	case -ETIMEDOUT:
	case -EBADMSG:
	case -ESTALE: /* a datastore's */
		return ds_error_code(err);
	default:
		return "failed";
	}
}

static void offer_vm(void *arg, struct vm *vm)
{
	shell_offer(arg, vm->cfg.name);
}

/* Behind a VM's name there is no second one. */
void cmd_offer_vms(struct shell *sh, int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i++) {
		struct vm *vm = vm_find(argv[i]);

		if (!vm)
			continue;
		vm_put(vm);
		return;
	}
	vm_for_each(offer_vm, sh);
}

struct vm *cmd_find_vm(struct shell *sh, int argc, char **argv)
{
	struct vm *vm;

	if (argc != 2) {
		shell_error(sh, "usage", "expected: NAME; got %d argument(s)", argc - 1);
		return NULL;
	}
	vm = vm_find(argv[1]);
	if (!vm)
		shell_error(sh, "not-found", "no VM '%s' here: 'vm list' shows those that are",
			    argv[1]);
	return vm;
}

static void list_one(void *arg, struct vm *vm)
{
	struct shell *sh = arg;
	uint64_t backed = gmem_backed_pages(vm->mem) * PAGE_SIZE;
	enum vm_state state = vm->state;

	if (!shell_json(sh)) {
		shell_printf(sh, "%-20s %-10s %5u %7llu %7llu", vm->cfg.name, vm_state_name(state),
			     vm->nr_vcpus, (unsigned long long)(vm->cfg.mem_bytes >> 20),
			     (unsigned long long)(backed >> 20));
		for (unsigned t = 0; t < VM_TROUBLES; t++)
			if (vm->troubles[t])
				shell_printf(sh, "  %s", vm_trouble_name(t));
		if (state == VM_IN_DOUBT)
			shell_printf(sh, "  resolve by: " CMD_RESOLVE, vm->cfg.name);
		shell_printf(sh, "\n");
		return;
	}
	json_object(sh, NULL);
	json_str(sh, "name", vm->cfg.name);
	json_str(sh, "state", vm_state_name(state));
	if (state == VM_IN_DOUBT)
		json_resolve(sh, vm->cfg.name);
	json_u64(sh, "vcpus", vm->nr_vcpus);
	json_u64(sh, "mem_bytes", vm->cfg.mem_bytes);
	json_u64(sh, "backed_bytes", backed);
	json_end(sh);
}

static int vm_list_cmd(struct shell *sh, int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return shell_error(sh, "usage", "vm list takes no arguments");
	if (shell_json(sh))
		json_array(sh, NULL);
	else
		shell_printf(sh, "%-20s %-10s %5s %7s %7s\n", "name", "state", "vcpus", "MiB",
			     "backed");
	vm_for_each(list_one, sh);
	if (shell_json(sh))
		json_end(sh);
	return 0;
}

static void vcpu_json(struct shell *sh, const struct vcpu *c)
{
	uint64_t total = 0;

	json_object(sh, NULL);
	json_u64(sh, "index", c->index);
	json_bool(sh, "halted", c->halted);
	json_u64(sh, "injected", c->stats.injected);
	json_u64(sh, "halts", c->stats.halts);
	json_u64(sh, "tlb_flushes", c->v.flushes);
	json_object(sh, "exits");
	for (unsigned i = 0; i < EXIT_REASONS; i++) {
		total += c->stats.exits[i];
		json_u64(sh, exit_name(i), c->stats.exits[i]);
	}
	json_end(sh);
	json_u64(sh, "total_exits", total);
	json_end(sh);
}

static void vcpu_plain(struct shell *sh, const struct vcpu *c)
{
	shell_printf(sh, "vcpu %u  interrupts %llu, halts %llu, TLB flushes %llu, exits:", c->index,
		     (unsigned long long)c->stats.injected, (unsigned long long)c->stats.halts,
		     (unsigned long long)c->v.flushes);
	for (unsigned i = 0; i < EXIT_REASONS; i++)
		if (c->stats.exits[i])
			shell_printf(sh, " %s %llu", exit_name(i),
				     (unsigned long long)c->stats.exits[i]);
	shell_printf(sh, "\n");
}

static void troubles_json(struct shell *sh, const struct vm *vm)
{
	json_object(sh, "troubles");
	for (unsigned t = 0; t < VM_TROUBLES; t++) {
		json_object(sh, vm_trouble_name(t));
		json_u64(sh, "count", vm->troubles[t]);
		json_str(sh, "policy", vm_policy_name(vm->cfg.on[t]));
		json_end(sh);
	}
	json_end(sh);
}

static void troubles_plain(struct shell *sh, const struct vm *vm)
{
	for (unsigned t = 0; t < VM_TROUBLES; t++)
		shell_printf(sh, "%s%s %u (%s)", t ? ", " : "trouble  ", vm_trouble_name(t),
			     (unsigned)vm->troubles[t], vm_policy_name(vm->cfg.on[t]));
	shell_printf(sh, "\n");
}

/* What a VM that stopped by an error was at. */
static void registers_plain(struct shell *sh, const struct vcpu *c)
{
	shell_printf(sh, "vcpu %u  rip %llx rflags %llx", c->index, (unsigned long long)c->v.rip,
		     (unsigned long long)c->v.rflags);
	for (unsigned i = 0; i < ARRAY_SIZE(c->v.gpr); i++)
		shell_printf(sh, " r%u %llx", i, (unsigned long long)c->v.gpr[i]);
	shell_printf(sh, "\n");
}

static const char *cpu_kind(const struct vm *vm)
{
	return vm->cfg.baseline ? "baseline" : "host";
}

static void clock_json(struct shell *sh, const struct vm *vm)
{
	struct vm_time t;

	vm_time_read(vm, &t);
	json_object(sh, "clock");
	json_u64(sh, "guest_ns", t.ns);
	json_u64(sh, "guest_tsc", t.tsc);
	json_u64(sh, "host_ns", t.host_ns);
	json_end(sh);
}

static const char *const boots[VM_BOOTS] = { "linux", "multiboot", "firmware" };

static void info_json(struct shell *sh, struct vm *vm)
{
	json_object(sh, NULL);
	json_str(sh, "name", vm->cfg.name);
	json_str(sh, "state", vm_state_name(vm->state));
	json_u64(sh, "mem_bytes", vm->cfg.mem_bytes);
	json_u64(sh, "backed_pages", gmem_backed_pages(vm->mem));
	json_u64(sh, "overhead_bytes", vm_overhead_bytes(&vm->cfg));
	if (vm->exited)
		json_u64(sh, "exit_code", vm->exit_code);
	json_str(sh, "boot", boots[vm->cfg.boot]);
	json_str(sh, "kernel", vm->cfg.kernel);
	json_str(sh, "initrd", vm->cfg.initrd);
	json_array(sh, "modules");
	for (unsigned i = 0; i < vm->cfg.modules; i++)
		json_str(sh, NULL, vm->cfg.module[i]);
	json_end(sh);
	json_array(sh, "nets");
	for (unsigned i = 0; i < vm->cfg.nics; i++) {
		char mac[MAC_TEXT];

		mac_format(vm->cfg.nic[i].mac, mac);
		json_object(sh, NULL);
		json_str(sh, "network", vm->cfg.nic[i].network);
		json_str(sh, "mac", mac);
		json_u64(sh, "queues", MAX(vm->cfg.nic[i].queues, 1u));
		json_end(sh);
	}
	json_end(sh);
	cmd_vm_disks_info(sh, vm);
	cmd_vm_home_info(sh, vm);
	json_str(sh, "cmdline", vm->cfg.cmdline);
	json_str(sh, "cpu", cpu_kind(vm));
	json_bool(sh, "hyperv", vm->cfg.hyperv);
	json_u64(sh, "tsc_khz", vm->tsc_khz);
	clock_json(sh, vm);
	json_str(sh, "stop_reason", vm->stop_reason);
	troubles_json(sh, vm);
	json_array(sh, "vcpus");
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_json(sh, vm->vcpu[i]);
	json_end(sh);
	json_end(sh);
}

static void info_plain(struct shell *sh, struct vm *vm)
{
	shell_printf(sh, "name     %s\nstate    %s%s%s\n", vm->cfg.name, vm_state_name(vm->state),
		     vm->stop_reason[0] ? ": " : "", vm->stop_reason);
	shell_printf(sh, "cpu      %s, %u vCPU%s%s\n", cpu_kind(vm), vm->nr_vcpus,
		     vm->nr_vcpus == 1 ? "" : "s", vm->cfg.hyperv ? ", Hyper-V clock" : "");
	shell_printf(sh, "memory   %llu MiB, %llu MiB backed\n",
		     (unsigned long long)(vm->cfg.mem_bytes >> 20),
		     (unsigned long long)(gmem_backed_pages(vm->mem) >> 8));
	if (vm->exited)
		shell_printf(sh, "exit     %u\n", (unsigned)vm->exit_code);
	if (vm->cfg.boot == VM_BOOT_LINUX)
		shell_printf(sh, "kernel   %s\ninitrd   %s\n", vm->cfg.kernel, vm->cfg.initrd);
	else
		shell_printf(sh, "%-8s %s\n",
			     vm->cfg.boot == VM_BOOT_FIRMWARE ? "firmware" : "payload",
			     vm->cfg.kernel);
	for (unsigned i = 0; i < vm->cfg.modules; i++)
		shell_printf(sh, "module   %s\n", vm->cfg.module[i]);
	for (unsigned i = 0; i < vm->cfg.nics; i++) {
		char mac[MAC_TEXT];

		mac_format(vm->cfg.nic[i].mac, mac);
		shell_printf(sh, "net      %s %s\n", vm->cfg.nic[i].network, mac);
	}
	cmd_vm_disks_info(sh, vm);
	cmd_vm_home_info(sh, vm);
	shell_printf(sh, "cmdline  %s\n", vm->cfg.cmdline);
	troubles_plain(sh, vm);
	for (unsigned i = 0; vm_shows_error(vm) && i < vm->nr_vcpus; i++)
		registers_plain(sh, vm->vcpu[i]);
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_plain(sh, vm->vcpu[i]);
}

static int vm_info_cmd(struct shell *sh, int argc, char **argv)
{
	struct vm *vm = cmd_find_vm(sh, argc, argv);

	if (!vm)
		return 1;
	if (shell_json(sh))
		info_json(sh, vm);
	else
		info_plain(sh, vm);
	vm_put(vm);
	return 0;
}

static const struct shell_cmd cmds[] = {
	{ "vm list", "", "the VMs of this host", vm_list_cmd, NULL },
	{ "vm info", "NAME", "a VM's state, memory, exits by reason", vm_info_cmd, cmd_offer_vms },
};

void cmd_vm_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
