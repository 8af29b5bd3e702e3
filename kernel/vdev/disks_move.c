/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All disks of a VM on their way to another host (tern/vdev.h). No transaction
 * spans two datastores, so one disk, the first that has a lease, stands for all: while
 * the source can take that one back, the VM is the source's; once the destination has accepted it,
 * the destination's. What goes wrong with another disk after that is an error of that disk, which
 * the guest sees.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/log.h>
#include <tern/store.h>

#include "q35.h"
#include "vblk.h"

static struct vdisk *disk_of(struct vm *vm, unsigned i)
{
	return q35_of(vm)->disk[i]->disk;
}

static bool leased(struct vm *vm, unsigned i)
{
	return disk_of(vm, i) && vdisk_leased(disk_of(vm, i));
}

void vdisks_host(uint8_t id[16])
{
	memcpy(id, ds_host_self()->id, 16);
}

/* The VM runs, and may end at any time: so with references of its own. */
int vdisks_identify(struct vm *vm, struct vdisk_id *ids, char *why, size_t len)
{
	int rc = 0;

	for (unsigned i = 0; i < vm->cfg.disks && !rc; i++) {
		struct vdisk *d = vdisk_share(vm->cfg.name, i, &vm->cfg.disk[i]);

		snprintf(why, len, "the VM ended by itself before it could move");
		rc = d ? vdisk_identify(d, &ids[i], why, len) : -ESRCH;
		if (d)
			vdisk_close(d);
	}
	return rc;
}

bool vdisks_leased(struct vm *vm)
{
	for (unsigned i = 0; i < vm->cfg.disks; i++)
		if (leased(vm, i))
			return true;
	return false;
}

int vdisks_give(struct vm *vm, const uint8_t host[16], char *why, size_t len)
{
	for (unsigned i = vm->cfg.disks; i-- > 0;) {
		int rc = leased(vm, i) ? vdisk_give(disk_of(vm, i), host) : 0;

		if (!rc)
			continue;
		snprintf(why, len, "the lease of %s cannot be given to the destination: %s",
			 vm->cfg.disk[i].path,
			 rc == -ENOENT	 ? "it has not mounted the datastore"
			 : rc == -EBUSY	 ? "a snapshot of it was made meanwhile"
			 : rc == -ESTALE ? "another host has taken it"
					 : ds_error_text(rc));
		return rc;
	}
	return 0;
}

static void say_lost(struct vm *vm, unsigned i, int rc)
{
	log_error("vdev", "%s: %s is not written any more, its lease is lost: %s", vm->cfg.name,
		  vm->cfg.disk[i].path, ds_error_text(rc));
}

int vdisks_take_back(struct vm *vm, bool decided)
{
	for (unsigned i = 0; i < vm->cfg.disks; i++) {
		int rc = leased(vm, i) ? vdisk_take_back(disk_of(vm, i)) : 0;

		if (rc && (!decided || rc != -ESTALE))
			return rc;
		if (rc)
			say_lost(vm, i, rc);
		decided |= leased(vm, i);
	}
	return 0;
}

int vdisks_check(const struct vm_config *cfg, const struct vdisk_id *ids, char *why, size_t len)
{
	int rc = 0;

	for (unsigned i = 0; i < cfg->disks && !rc; i++)
		rc = vdisk_id_check(&cfg->disk[i], &ids[i], why, len);
	return rc;
}

void vdisks_room(const struct vm_config *cfg, const struct vdisk_id *ids, struct ds_room *room)
{
	for (unsigned i = 0; i < cfg->disks; i++)
		if (ids[i].how == VDISK_COPIED)
			vdisk_copy_room(&cfg->disk[i], &ids[i], room);
}

int vdisks_await(struct vm *vm, const struct vdisk_id *ids, char *why, size_t len)
{
	int rc = 0;

	for (unsigned i = 0; i < vm->cfg.disks && !rc; i++)
		if (!disk_of(vm, i)) /* one that an instance here has is shared with that */
			rc = vblk_await(q35_of(vm)->disk[i], &ids[i], why, len);
	return rc;
}

int vdisks_accept(struct vm *vm, bool decided)
{
	for (unsigned i = 0; i < vm->cfg.disks; i++) {
		int rc = leased(vm, i) ? vblk_accept(q35_of(vm)->disk[i]) : 0;

		if (rc && !decided)
			return rc;
		if (rc)
			say_lost(vm, i, rc);
		decided |= leased(vm, i);
	}
	return 0;
}

/* ---- those whose contents go ---- */

/* The VM may run, and end at any time: so with references of its own. */
void vdisks_copied(struct vm *vm, const struct vdisk_id *ids)
{
	for (unsigned i = 0; i < vm->cfg.disks; i++) {
		struct vdisk *d = vdisk_share(vm->cfg.name, i, &vm->cfg.disk[i]);

		if (!d)
			continue;
		vdisk_copy_set(d, ids[i].how == VDISK_COPIED, false);
		vdisk_close(d);
	}
}

void vdisks_settle(struct vm *vm, bool here)
{
	for (unsigned i = 0; i < vm->cfg.disks; i++) {
		struct vdisk *d = vdisk_share(vm->cfg.name, i, &vm->cfg.disk[i]);

		if (!d)
			continue;
		if (vdisk_is_copied(d))
			vdisk_copy_set(d, !here, !here);
		vdisk_close(d);
	}
}

int vdisks_held(struct vm *vm, char *why, size_t len)
{
	for (unsigned i = 0; i < vm->cfg.disks; i++) {
		struct vdisk *d = disk_of(vm, i);
		int rc =
			d && vdisk_is_copied(d) && vdisk_file(d) ? ds_lease_held(vdisk_file(d)) : 0;

		if (!rc)
			continue;
		snprintf(why, len, "%s: %s", vm->cfg.disk[i].path,
			 rc == -ESTALE ? "another host has taken its lease" : ds_error_text(rc));
		return rc;
	}
	return 0;
}

int vdisks_finish(struct vm *vm, char *why, size_t len)
{
	int rc = 0;

	for (unsigned i = 0; i < vm->cfg.disks && !rc; i++) {
		if (!disk_of(vm, i) || !vdisk_is_copied(disk_of(vm, i)))
			continue;
		rc = vdisk_copy_finish(disk_of(vm, i));
		if (rc)
			snprintf(why, len, "%s: at the destination: %s", vm->cfg.disk[i].path,
				 rc == -ENODATA ? "not all of its snapshots came"
						: ds_error_text(rc));
	}
	return rc;
}
