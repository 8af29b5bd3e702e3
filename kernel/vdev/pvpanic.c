/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pvpanic (pvpanic.h): one byte of I/O space, which the DSDT names QEMU0001, as kernels
 * look for it. Read: the events that are understood. Written: those that have happened.
 * A panic that a crash kernel will deal with is logged only: that one must be let run.
 * [QEMU docs/specs/pvpanic "PVPANIC DEVICE"]
 */
#include <errno.h>
#include <stdlib.h>

#include <tern/log.h>

#include "pvpanic.h"

struct pvpanic {
	struct vdev d; /* for its life time; it has no state */
	struct io_region io;
};

static void io_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	(void)arg;
	(void)c;
	(void)off;
	if (size == 1)
		*value = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void io_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct vm *vm = ((struct vdev *)arg)->vm;

	(void)c;
	(void)off;
	if (size != 1)
		return;
	if (value & PVPANIC_PANICKED)
		vm_trouble(vm, VM_PANIC);
	else if (value & PVPANIC_CRASH_LOADED)
		log_warn("vm", "%s: its kernel has panicked; its crash kernel goes on",
			 vm->cfg.name);
}

static const struct io_ops pvpanic_io = { .read = io_read, .write = io_write };

static void pvpanic_destroy(struct vdev *d)
{
	free(container_of(d, struct pvpanic, d));
}

static const struct vdev_ops pvpanic_ops = { .name = "pvpanic", .destroy = pvpanic_destroy };

int pvpanic_create(struct vm *vm)
{
	struct pvpanic *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	vdev_init(&p->d, vm, &pvpanic_ops, REC_END, REC_END, PVPANIC_PORT);
	vdev_region(&p->d, &p->io, IO_PIO, PVPANIC_PORT, 1, &pvpanic_io, &p->d.lock);
	return 0;
}
