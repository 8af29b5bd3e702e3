/* SPDX-License-Identifier: BSD-2-Clause */
/* What direct starts share (direct.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/page.h>

#include "bridge.h"
#include "direct.h"
#include "kernel/lib/elf.h"
#include "pvh.h"

#define ACPI_TABLES_GPA (Q35_BIOS_BASE + 0x40)

int direct_boot(struct vm *vm, char *why, size_t why_len)
{
	const struct vm_config *cfg = &vm->cfg;
	struct bootfile kernel, initrd = { .name = NULL };
	int rc = bootfile_open(&kernel, cfg->kernel, why, why_len);

	if (rc)
		return rc;
	if (cfg->initrd[0])
		rc = bootfile_open(&initrd, cfg->initrd, why, why_len);
	if (!rc)
		rc = bootfile_load(&kernel, why, why_len);
	if (!rc)
		rc = elf_is(kernel.whole, kernel.size)
			     ? pvh_boot(vm, &kernel, &initrd, why, why_len)
			     : linux_boot(vm, &kernel, &initrd, why, why_len);
	bootfile_close(&initrd);
	bootfile_close(&kernel);
	return rc;
}

int direct_zero(struct vm *vm, gpa_t to, const struct bootfile *f, uint64_t len, char *why,
		size_t why_len)
{
	static const uint8_t zeros[PAGE_SIZE];
	int rc = 0;

	for (uint64_t n; len && !rc; to.v += n, len -= n) {
		n = MIN(len, PAGE_SIZE - (to.v & PAGE_MASK));
		rc = gmem_write(vm->mem, to, zeros, (size_t)n);
		if (world_should_yield())
			world_yield();
	}
	if (rc)
		snprintf(why, why_len, "%s: host memory ran out while loading", f->name);
	return rc;
}

static int write_acpi(struct vm *vm)
{
	struct acpi_image *m = malloc(sizeof(*m));
	int rc;

	if (!m)
		return -ENOMEM;
	acpi_build(m, vm->nr_vcpus);
	acpi_relocate(m, ACPI_TABLES_GPA);
	rc = gmem_write(vm->mem, GPA(Q35_BIOS_BASE), m->rsdp, ACPI_RSDP_SIZE);
	if (!rc)
		rc = gmem_write(vm->mem, GPA(ACPI_TABLES_GPA), m->tables, m->len);
	free(m);
	return rc;
}

static void set_up_chipset(struct vm *vm)
{
	struct pci_bus *bus = q35_of(vm)->pci;

	pci_cfg_write(bus, HOST_SLOT, HOST_PCIEXBAR, 4,
		      (uint32_t)Q35_ECAM_BASE | HOST_PCIEXBAR_ENABLE);
	pci_cfg_write(bus, LPC_SLOT, LPC_PMBASE, 4, Q35_PM_BASE);
	pci_cfg_write(bus, LPC_SLOT, LPC_ACPI_CNTL, 1, LPC_ACPI_ENABLE);
	pci_assign(bus, Q35_MMIO_BASE, Q35_MMIO_END);
}

void direct_segments(struct virt_state *s, uint32_t code_attr, uint16_t code, uint16_t data)
{
	for (unsigned i = 0; i <= SEG_GS; i++)
		s->seg[i] = (struct virt_seg){ .limit = UINT32_MAX,
					       .selector = data,
					       .attr = DIRECT_DATA_ATTR };
	s->seg[SEG_CS] =
		(struct virt_seg){ .limit = UINT32_MAX, .selector = code, .attr = code_attr };
	s->seg[SEG_LDTR] = (struct virt_seg){ .attr = SEG_UNUSABLE };
	s->seg[SEG_TR] = (struct virt_seg){ .limit = 0x67, .attr = DIRECT_TR_ATTR };
	s->idtr = (struct virt_seg){ .base = 0 };
}

static int enter(struct vm *vm, void (*fill)(struct virt_state *s, void *arg), void *arg)
{
	struct vcpu *c = vm->vcpu[0];
	struct virt_state *s = malloc(sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	virt->state_save(&c->v, s);
	memset(s->gpr, 0, sizeof(s->gpr));
	s->rflags = 2;
	fill(s, arg);
	rc = virt->state_load(&c->v, s);
	free(s);
	return rc;
}

int direct_start(struct vm *vm, int err, void (*fill)(struct virt_state *s, void *arg), void *arg,
		 char *why, size_t why_len)
{
	if (!err)
		err = write_acpi(vm);
	if (!err)
		err = enter(vm, fill, arg);
	if (err)
		snprintf(why, why_len, "the guest's start state could not be made (%d)", err);
	set_up_chipset(vm);
	return err;
}
