/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICH9 LPC bridge (bridge.h): PMBASE and ACPI_CNTL place the power-management
 * block, the PIRQ and RCBA registers are kept for the firmware that reads them
 * back. [Intel I/O Controller Hub 9, "LPC Interface Bridge Registers"]
 */
#include <errno.h>
#include <stdlib.h>

#include "bridge.h"

#define CLASS_ISA 0x060100u
#define LPC_PIRQ_A 0x60u
#define LPC_PIRQ_E 0x68u
#define LPC_RCBA 0xf0u
#define PIRQ_OFF 0x80808080u

struct lpc {
	struct vdev d; /* for its life time; its state is the bus's record */
	struct pci_func f;
	struct pm *pm; /* [const] */
};

static void lpc_written(struct pci_func *f, unsigned off, unsigned size)
{
	struct lpc *l = container_of(f, struct lpc, f);

	if (off + size <= LPC_PMBASE || off > LPC_ACPI_CNTL)
		return;
	pm_move(l->pm, pci_cfg_get(f, LPC_PMBASE, 2) & 0xff80u,
		pci_cfg_get(f, LPC_ACPI_CNTL, 1) & LPC_ACPI_ENABLE);
}

static const struct pci_func_ops lpc_pci = { .written = lpc_written };

static void lpc_destroy(struct vdev *d)
{
	free(container_of(d, struct lpc, d));
}

static const struct vdev_ops lpc_ops = { .name = "lpc", .destroy = lpc_destroy };

int lpc_create(struct vm *vm, struct pci_bus *bus, struct pm *pm)
{
	struct lpc *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->pm = pm;
	vdev_init(&l->d, vm, &lpc_ops, REC_END, REC_END, LPC_SLOT);
	pci_func_init(&l->f, 0x8086, 0x2918, CLASS_ISA, 2);
	pci_reg_set(&l->f, LPC_PMBASE, 4, 1, 0x0000ff80);
	pci_reg_set(&l->f, LPC_ACPI_CNTL, 1, 0, 0x87);
	pci_reg_set(&l->f, LPC_PIRQ_A, 4, PIRQ_OFF, 0x8f8f8f8f);
	pci_reg_set(&l->f, LPC_PIRQ_E, 4, PIRQ_OFF, 0x8f8f8f8f);
	pci_reg_set(&l->f, LPC_RCBA, 4, 0, 0xffffc001);
	l->f.ops = &lpc_pci;
	pci_func_add(bus, &l->f, LPC_SLOT);
	return 0;
}
