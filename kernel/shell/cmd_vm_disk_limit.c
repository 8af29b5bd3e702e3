/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vm disk limit`: how much a guest may ask of a disk, also while it runs.
 */
#include <tern/vdev.h>

#include "kernel/lib/text.h"

#include "cmd_vm_disk.h"
#include "shell_int.h"

#define LIMIT_ARGS "VM N [--iops N|none] [--mbps N|none]"

static int set(struct shell *sh, const char *name, const char *value, uint32_t most, uint32_t *out)
{
	if (!value || parse_limit(value, most, out))
		return 0;
	return shell_error(sh, "invalid", "--%s %s: it is 1 to %u a second, or none", name, value,
			   most);
}

void json_disk_limit(struct shell *sh, const struct vm_disk_limit *l)
{
	json_u64(sh, "limit_iops", l->iops);
	json_u64(sh, "limit_mbps", l->mbps);
}

static int limit(struct shell *sh, struct vm *vm, unsigned n, const char *iops, const char *mbps)
{
	struct vm_disk_limit l;
	struct vdisk_info i;

	if (!vdisk_at(vm, n, &i))
		return shell_error(sh, "not-found", "%s has no disk %u: 'vm info' shows them",
				   vm->cfg.name, n);
	l = i.limit;
	if (set(sh, "iops", iops, VM_DISK_IOPS_MAX, &l.iops) ||
	    set(sh, "mbps", mbps, VM_DISK_MBPS_MAX, &l.mbps))
		return 1;
	if (vdisk_limit(vm, n, &l))
		return shell_error(sh, "invalid", "no such limit");
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "vm", vm->cfg.name);
		json_u64(sh, "disk", n);
		json_disk_limit(sh, &l);
		json_end(sh);
	}
	return 0;
}

static int vm_disk_limit_cmd(struct shell *sh, int argc, char **argv)
{
	const char *iops = shell_opt(&argc, argv, "--iops");
	const char *mbps = shell_opt(&argc, argv, "--mbps");
	struct vm *vm;
	uint64_t n;
	int rc;

	if (argc != 3 || (!iops && !mbps))
		return shell_error(sh, "usage", "vm disk limit " LIMIT_ARGS);
	if (parse_u64(argv[2], &n) || n >= VM_DISKS_MAX)
		return shell_error(sh, "invalid", "disk %s: it is a number below %u", argv[2],
				   VM_DISKS_MAX);
	vm = cmd_find_vm(sh, 2, argv);
	if (!vm)
		return 1;
	rc = limit(sh, vm, (unsigned)n, iops, mbps);
	vm_put(vm);
	return rc;
}

void cmd_vm_disk_limit_register(void)
{
	static const struct shell_cmd cmds[] = {
		{ "vm disk limit", LIMIT_ARGS,
		  "requests and MB a second that a guest may ask of a disk", vm_disk_limit_cmd,
		  cmd_offer_vms },
	};

	shell_register(cmds, ARRAY_SIZE(cmds));
}
