/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Q35 host bridge (bridge.h). Firmware knows the machine by its device ID.
 * PCIEXBAR is 64 bits of which bit 0 enables and bits 28-35 give the base; the
 * shorter lengths that the hardware has are taken as 256 MiB. The PAM
 * registers are kept and do nothing: RAM is behind them either way.
 * [Intel 3 Series Express Chipset, "PCIEXBAR", "PAM0"]
 */
#include <errno.h>
#include <stdlib.h>

#include "bridge.h"

#define CLASS_HOST 0x060000u
#define PAM0 0x90u
#define PAMS 7u

struct hostbridge {
	struct vdev d; /* for its life time; its state is the bus's record */
	struct pci_func f;
};

static void host_written(struct pci_func *f, unsigned off, unsigned size)
{
	uint64_t v;

	if (off + size <= HOST_PCIEXBAR || off >= HOST_PCIEXBAR + 8)
		return;
	v = (uint64_t)pci_cfg_get(f, HOST_PCIEXBAR + 4, 4) << 32 | pci_cfg_get(f, HOST_PCIEXBAR, 4);
	pci_ecam_move(f->bus, v & ~0xfffffffull, v & HOST_PCIEXBAR_ENABLE);
}

static const struct pci_func_ops host_pci = { .written = host_written };

static void host_destroy(struct vdev *d)
{
	free(container_of(d, struct hostbridge, d));
}

static const struct vdev_ops host_ops = { .name = "host bridge", .destroy = host_destroy };

int hostbridge_create(struct vm *vm, struct pci_bus *bus)
{
	struct hostbridge *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	vdev_init(&h->d, vm, &host_ops, REC_END, REC_END, HOST_SLOT);
	pci_func_init(&h->f, 0x8086, 0x29c0, CLASS_HOST, 0);
	pci_reg_set(&h->f, HOST_PCIEXBAR, 4, 0, 0xf0000007);
	pci_reg_set(&h->f, HOST_PCIEXBAR + 4, 4, 0, 0x0000000f);
	for (unsigned i = 0; i < PAMS; i++)
		pci_reg_set(&h->f, PAM0 + i, 1, 0, 0x33);
	h->f.ops = &host_pci;
	pci_func_add(bus, &h->f, HOST_SLOT);
	return 0;
}
