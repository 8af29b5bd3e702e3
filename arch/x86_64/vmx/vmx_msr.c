/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: model-specific registers. The bitmap lets through what the VMCS
 * switches (FS, GS, SYSENTER) and what the host never uses and therefore
 * leaves in the CPU while the vCPU is loaded (SYSCALL's, KernelGSBase);
 * everything else exits, and the kernel decides.
 * [SDM 3C 25.6.9 "MSR-Bitmap Address"]
 */
#include <errno.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/timer.h>

#include "vmx.h"

#define MAP_READ 0u
#define MAP_READ_HIGH 0x400u
#define MAP_WRITE 0x800u
#define MSR_X2APIC_TPR 0x808u
#define MSR_X2APIC_PPR 0x80au
#define MSR_X2APIC_EOI 0x80bu
#define MSR_X2APIC_ISR 0x810u /* then TMR and IRR */
#define MSR_X2APIC_IRR_END 0x828u
#define MSR_X2APIC_SELF_IPI 0x83fu

static const uint32_t live_index[LIVE_MSRS] = {
	[LIVE_STAR] = MSR_STAR,
	[LIVE_LSTAR] = MSR_LSTAR,
	[LIVE_CSTAR] = MSR_CSTAR,
	[LIVE_SFMASK] = MSR_SFMASK,
	[LIVE_KERNEL_GS] = MSR_KERNEL_GS_BASE,
};

/* Where the VMCS keeps an MSR as it is. */
static const struct {
	uint32_t index, field;
	bool address, pass;
} kept[] = {
	{ MSR_FS_BASE, GUEST_BASE(SEG_FS), true, true },
	{ MSR_GS_BASE, GUEST_BASE(SEG_GS), true, true },
	{ MSR_SYSENTER_CS, GUEST_SYSENTER_CS, false, true },
	{ MSR_SYSENTER_ESP, GUEST_SYSENTER_ESP, true, true },
	{ MSR_SYSENTER_EIP, GUEST_SYSENTER_EIP, true, true },
	{ MSR_PAT, GUEST_PAT, false, false },
	{ MSR_EFER, GUEST_EFER, false, false },
};

static void allow(uint8_t *map, uint32_t msr, uint32_t what)
{
	uint32_t n = msr & 0x1fff, base = msr >= 0xc0000000 ? MAP_READ_HIGH : 0;

	map[what + base + n / 8] &= (uint8_t) ~(1u << n % 8);
}

static int map_new(hpa_t *out)
{
	uint8_t *map;

	if (page_alloc(ORDER_4K, 0, FRAME_VM, out))
		return -ENOMEM;
	map = hpa_ptr(*out);
	memset(map, 0xff, PAGE_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(kept); i++)
		if (kept[i].pass) {
			allow(map, kept[i].index, MAP_READ);
			allow(map, kept[i].index, MAP_WRITE);
		}
	for (unsigned i = 0; i < LIVE_MSRS; i++) {
		allow(map, live_index[i], MAP_READ);
		allow(map, live_index[i], MAP_WRITE);
	}
	return 0;
}

/* What the CPU does in the virtual-APIC page. Others would reach the host's own APIC. */
static void allow_x2apic(uint8_t *map)
{
	allow(map, MSR_X2APIC_TPR, MAP_READ);
	allow(map, MSR_X2APIC_TPR, MAP_WRITE);
	allow(map, MSR_X2APIC_PPR, MAP_READ);
	allow(map, MSR_X2APIC_EOI, MAP_WRITE);
	allow(map, MSR_X2APIC_SELF_IPI, MAP_WRITE);
	for (uint32_t msr = MSR_X2APIC_ISR; msr < MSR_X2APIC_IRR_END; msr++)
		allow(map, msr, MAP_READ);
}

int vmx_msr_init(void)
{
	if (map_new(&vmx_feat.msr_bitmap))
		return -ENOMEM;
	if (!vmx_feat.apicv)
		return 0;
	if (map_new(&vmx_feat.msr_bitmap_x2apic))
		return -ENOMEM;
	allow_x2apic(hpa_ptr(vmx_feat.msr_bitmap_x2apic));
	return 0;
}

void vmx_live_load(struct vmx_vcpu *s)
{
	for (unsigned i = 0; i < LIVE_MSRS; i++)
		wrmsr(live_index[i], s->live[i]);
}

void vmx_live_save(struct vmx_vcpu *s)
{
	for (unsigned i = 0; i < LIVE_MSRS; i++)
		s->live[i] = rdmsr(live_index[i]);
}

/* ---- the TSC ---- */

static struct tsc_ratio ratio_of(const struct virt_vm *vm)
{
	uint32_t host = tsc_khz();

	return tsc_ratio_of(vmx_feat.tsc_scaling && vm->tsc_khz ? vm->tsc_khz : host, host,
			    TSC_RATIO_BITS); /* fits: caps.tsc_ratio_end */
}

uint64_t vmx_tsc_ratio(const struct virt_vm *vm)
{
	return ratio_of(vm).ratio;
}

static uint64_t scaled_tsc(const struct virt_vm *vm)
{
	return tsc_scale(ratio_of(vm), rdtsc());
}

uint64_t vmx_guest_tsc(const struct virt_vcpu *v)
{
	return scaled_tsc(v->vm) + v->tsc_offset;
}

/* ---- for the kernel ---- */

static int find_live(uint32_t index)
{
	for (int i = 0; i < LIVE_MSRS; i++)
		if (live_index[i] == index)
			return i;
	return -1;
}

static int find_kept(uint32_t index)
{
	for (int i = 0; i < (int)ARRAY_SIZE(kept); i++)
		if (kept[i].index == index)
			return i;
	return -1;
}

static uint64_t read_field(struct virt_vcpu *v, uint32_t field)
{
	struct vmx_hold h = vmcs_open(v);
	uint64_t value = vmcs_read(field);

	vmcs_close(v, h);
	return value;
}

static void write_field(struct virt_vcpu *v, uint32_t field, uint64_t value)
{
	struct vmx_hold h = vmcs_open(v);

	vmcs_write(field, value);
	vmcs_close(v, h);
}

int vmx_msr_get(struct virt_vcpu *v, uint32_t index, uint64_t *value)
{
	struct vmx_vcpu *s = vmx_of(v);
	int i = find_kept(index);

	if (i >= 0) {
		*value = read_field(v, kept[i].field);
		return 0;
	}
	i = find_live(index);
	if (i >= 0) {
		*value = v->cpu >= 0 ? rdmsr(index) : s->live[i];
		return 0;
	}
	switch (index) {
	case MSR_TSC:
		*value = vmx_guest_tsc(v);
		return 0;
	default:
		return guest_msr_get(&s->msrs, index, value);
	}
}

static int set_efer(struct virt_vcpu *v, uint64_t value)
{
	struct vmx_hold h = vmcs_open(v);
	uint64_t old = vmcs_read(GUEST_EFER);
	bool paging = (vmcs_read(GUEST_CR0) & CR0_PG) != 0;
	bool bad = (value & ~guest_feat.efer_mask) || (paging && ((old ^ value) & EFER_LME));

	if (!bad)
		vmcs_write(GUEST_EFER, (value & ~EFER_LMA) | (old & EFER_LMA));
	vmcs_close(v, h);
	vmx_of(v)->flush = true; /* NXE changes what translations mean */
	return bad ? -EINVAL : 0;
}

static int set_kept(struct virt_vcpu *v, int i, uint64_t value)
{
	if (kept[i].index == MSR_EFER)
		return set_efer(v, value);
	if (kept[i].address && !guest_canonical(value))
		return -EINVAL;
	if (kept[i].index == MSR_PAT && !guest_pat_ok(value))
		return -EINVAL;
	write_field(v, kept[i].field, value);
	return 0;
}

static int set_live(struct virt_vcpu *v, int i, uint64_t value)
{
	if (i != LIVE_STAR && i != LIVE_SFMASK && !guest_canonical(value))
		return -EINVAL;
	vmx_of(v)->live[i] = value;
	if (v->cpu >= 0 && wrmsr_safe(live_index[i], value))
		return -EINVAL;
	return 0;
}

int vmx_msr_set(struct virt_vcpu *v, uint32_t index, uint64_t value)
{
	struct vmx_vcpu *s = vmx_of(v);
	int i = find_kept(index);

	if (i >= 0)
		return set_kept(v, i, value);
	i = find_live(index);
	if (i >= 0)
		return set_live(v, i, value);
	switch (index) {
	case MSR_TSC:
		v->tsc_offset = value - scaled_tsc(v->vm);
		return 0;
	default:
		return guest_msr_set(v, &s->msrs, index, value);
	}
}
