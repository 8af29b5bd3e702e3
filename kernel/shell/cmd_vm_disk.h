/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks of VMs, for the commands that show them. */
#ifndef KERNEL_SHELL_CMD_VM_DISK_H
#define KERNEL_SHELL_CMD_VM_DISK_H

#include <tern/vm.h>

struct shell;

void cmd_vm_disks_info(struct shell *sh, struct vm *vm);
void cmd_vm_disks_stats(struct shell *sh, struct vm *vm);

/* Members of the object that is open. */
void json_disk_limit(struct shell *sh, const struct vm_disk_limit *l);

#endif
