/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X (msix.h). A message raised while its vector or the function is masked
 * waits in the pending array and goes out at the unmask.
 */
#include <string.h>

#include "msix.h"

#define CAP_MSIX 0x11u
#define CAP_LEN 12u
#define CTRL_OFF 2u
#define CTRL_ENABLE 0x8000u
#define CTRL_MASK 0x4000u
#define PBA_OFF 0x800u
#define ENTRY_SIZE 16u
#define ENTRY_MASKED 1u

void msix_init(struct msix *m, struct vm *vm, struct pci_func *f, unsigned bar, unsigned vectors)
{
	m->vm = vm;
	m->nr = vectors;
	m->cap = pci_cap_add(f, CAP_MSIX, CAP_LEN);
	pci_reg_set(f, m->cap + CTRL_OFF, 2, vectors - 1, CTRL_ENABLE | CTRL_MASK);
	pci_reg_set(f, m->cap + 4, 4, bar, 0); /* table at 0 of the BAR */
	pci_reg_set(f, m->cap + 8, 4, PBA_OFF | bar, 0);
	msix_reset(m);
}

void msix_reset(struct msix *m)
{
	m->enabled = m->masked = false;
	m->pending = 0;
	memset(m->v, 0, sizeof(m->v));
	for (unsigned i = 0; i < m->nr; i++)
		m->v[i].control = ENTRY_MASKED;
}

static void deliver(struct msix *m)
{
	if (!m->enabled || m->masked)
		return;
	for (unsigned i = 0; i < m->nr; i++) {
		if (!(m->pending & 1u << i) || m->v[i].control & ENTRY_MASKED)
			continue;
		m->pending &= ~(1u << i);
		m->vm->irqchip->msi(m->vm, m->v[i].addr, m->v[i].data);
	}
}

void msix_control(struct msix *m, const struct pci_func *f)
{
	uint32_t v = pci_cfg_get(f, m->cap + CTRL_OFF, 2);

	m->enabled = v & CTRL_ENABLE;
	m->masked = v & CTRL_MASK;
	deliver(m);
}

void msix_raise(struct msix *m, unsigned vector)
{
	if (!m->enabled || vector >= m->nr)
		return;
	m->pending |= 1u << vector;
	deliver(m);
}

/* The dword at off of table or pending array. */
static uint32_t dword(const struct msix *m, uint64_t off)
{
	const struct msix_vector *v = &m->v[off / ENTRY_SIZE % MSIX_VECTORS_MAX];

	if (off == PBA_OFF)
		return m->pending;
	if (off / ENTRY_SIZE >= m->nr)
		return 0;
	switch (off % ENTRY_SIZE) {
	case 0:
		return (uint32_t)v->addr;
	case 4:
		return (uint32_t)(v->addr >> 32);
	case 8:
		return v->data;
	default:
		return v->control;
	}
}

void msix_table_read(struct msix *m, uint64_t off, unsigned size, uint64_t *value)
{
	if (off & (size - 1) || size < 4)
		return;
	*value = dword(m, off);
	if (size == 8)
		*value |= (uint64_t)dword(m, off + 4) << 32;
}

static void set_dword(struct msix *m, uint64_t off, uint32_t value)
{
	struct msix_vector *v = &m->v[off / ENTRY_SIZE % MSIX_VECTORS_MAX];

	if (off / ENTRY_SIZE >= m->nr)
		return;
	switch (off % ENTRY_SIZE) {
	case 0:
		v->addr = (v->addr & ~0xffffffffull) | (value & ~3u);
		break;
	case 4:
		v->addr = (v->addr & 0xffffffffull) | (uint64_t)value << 32;
		break;
	case 8:
		v->data = value;
		break;
	default:
		v->control = value & ENTRY_MASKED;
		break;
	}
}

void msix_table_write(struct msix *m, uint64_t off, unsigned size, uint64_t value)
{
	if (off & (size - 1) || size < 4)
		return;
	set_dword(m, off, (uint32_t)value);
	if (size == 8)
		set_dword(m, off + 4, (uint32_t)(value >> 32));
	deliver(m);
}
