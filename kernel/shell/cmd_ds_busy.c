/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who keeps a datastore in use: a move of a VM whose disks are on it, or come to it, if there is
 * one; else VMs.
 */
#include <stdio.h>
#include <string.h>

#include <tern/vm.h>

#include "cmd_ds.h"
#include "cmd_mig.h"
#include "shell_int.h"

static bool has_disk_on(const char *name, const char *ds)
{
	char path[40];
	struct vm *vm = vm_find(name);
	bool has = false;

	if (!vm)
		return false;
	snprintf(path, sizeof(path), "/ds/%s/", ds);
	for (unsigned i = 0; i < vm->cfg.disks; i++)
		has = has || !strncmp(vm->cfg.disk[i].path, path, strlen(path));
	vm_put(vm);
	return has;
}

int cmd_ds_busy(struct shell *sh, const char *ds)
{
	struct mig_status s;
	uint32_t cursor = 0;

	while (mig_next(&cursor, &s)) {
		bool comes = s.storage && !strcmp(s.disk.to, ds);

		if (!cmd_job_ended(&s) && (comes || has_disk_on(s.vm, ds)))
			return shell_error(sh, "busy",
					   "job %u moves %s, with files of %s: wait for its end "
					   "('migrate follow %u') or cancel it",
					   (unsigned)s.id, s.vm, ds, (unsigned)s.id);
	}
	return shell_error(sh, "busy", "files of %s are open: stop the VMs that use them", ds);
}
