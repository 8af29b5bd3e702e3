/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reference clock (hyperv.h): units of 100 ns since the VM's start,
 *
 *   (TSC * scale >> 64) + offset
 *
 * with scale and offset in a page that the guest reads without an exit, or by an MSR.
 * The VM's TSC starts at 0 and goes on over moves with its own frequency (vmtime.c), so
 * the offset is 0 for ever, and what a guest has read is never taken back. A page serves
 * all vCPUs: when the guest has set one's TSC apart, or for a TSC of less than 10 MHz,
 * whose scale has no room, its sequence is 0, which sends guests to the MSR.
 *
 * There are no hypercalls: the page for them has code that says so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hyperv.h"
#include "vm_int.h"

#define MSR_GUEST_OS_ID 0x40000000u
#define MSR_HYPERCALL 0x40000001u
#define MSR_VP_INDEX 0x40000002u
#define MSR_TIME_REF_COUNT 0x40000020u
#define MSR_REFERENCE_TSC 0x40000021u
#define MSR_TSC_FREQUENCY 0x40000022u
#define MSR_APIC_FREQUENCY 0x40000023u
#define ENABLED 1u
#define LOCKED 2u

#define UNITS_PER_MS 10000u
#define APIC_TIMER_HZ 1000000000u /* vdev/lapic_timer.c */
#define SEQUENCE_NONE 0u
#define SEQUENCE_OLD_NONE UINT32_MAX /* the same, in the specification's first version */

struct tsc_page {
	uint32_t sequence; /* 0 */
	uint32_t zero;	   /* 4 */
	uint64_t scale;	   /* 8 2^-64 units a tick */
	int64_t offset;	   /* 16 units */
};
_Static_assert(sizeof(struct tsc_page) == 24, "reference TSC page");

/* mov $HV_STATUS_INVALID_HYPERCALL_CODE, %eax; ret: the same for both vendors, in every mode. */
static const uint8_t no_hypercalls[] = { 0xb8, 2, 0, 0, 0, 0xc3 };

int hyperv_init(struct vm *vm)
{
	if (!vm->cfg.hyperv)
		return 0;
	vm->hyperv = calloc(1, sizeof(*vm->hyperv));
	if (!vm->hyperv)
		return -ENOMEM;
	mutex_init(&vm->hyperv->lock, LOCK_VDEV, "hyperv");
	return 0;
}

void hyperv_fini(struct vm *vm)
{
	free(vm->hyperv);
	vm->hyperv = NULL;
}

void hyperv_reset(struct vm *vm)
{
	struct hyperv *h = vm->hyperv;

	if (h)
		h->guest_os_id = h->hypercall = h->reference_tsc = 0;
}

/* 0: none fits. */
static uint64_t scale_of(const struct vm *vm)
{
	if (vm->tsc_khz <= UNITS_PER_MS)
		return 0;
	return mul_div64((uint64_t)UNITS_PER_MS << 32, 1ull << 32, vm->tsc_khz);
}

static uint64_t reference_count(const struct vm *vm)
{
	uint64_t scale = scale_of(vm);
	struct vm_time t;

	vm_time_read(vm, &t);
	if (!scale)
		return mul_div64(t.tsc, UNITS_PER_MS, vm->tsc_khz);
	return (uint64_t)((unsigned __int128)t.tsc * scale >> 64);
}

static bool one_tsc(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		if (vcpu_tsc_ahead(vm->vcpu[i]))
			return false;
	return true;
}

static void next_sequence(struct hyperv *h)
{
	h->sequence++;
	if (h->sequence == SEQUENCE_NONE || h->sequence == SEQUENCE_OLD_NONE)
		h->sequence = 1;
}

/* Invalid while it changes. A page outside of RAM is the guest's own loss. */
static void write_page_locked(struct vm *vm)
{
	struct hyperv *h = vm->hyperv;
	struct tsc_page p = { .scale = scale_of(vm) };
	gpa_t at = GPA(h->reference_tsc & ~(uint64_t)PAGE_MASK);

	if (!(h->reference_tsc & ENABLED))
		return;
	if (gmem_write(vm->mem, at, &p, sizeof(p)) || !p.scale || !one_tsc(vm))
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	next_sequence(h);
	if (gmem_write(vm->mem, at, &h->sequence, sizeof(h->sequence)))
		return;
}

void hyperv_refresh(struct vm *vm)
{
	if (!vm->hyperv)
		return;
	mutex_lock(&vm->hyperv->lock);
	write_page_locked(vm);
	mutex_unlock(&vm->hyperv->lock);
}

static int set_hypercall_locked(struct vm *vm, uint64_t value)
{
	struct hyperv *h = vm->hyperv;

	if (h->hypercall & LOCKED)
		return 0;
	if (!h->guest_os_id)
		value &= ~(uint64_t)ENABLED;
	if (value & ENABLED && gmem_write(vm->mem, GPA(value & ~(uint64_t)PAGE_MASK), no_hypercalls,
					  sizeof(no_hypercalls)))
		return -EINVAL;
	h->hypercall = value;
	return 0;
}

static int set_locked(struct vm *vm, uint32_t index, uint64_t value)
{
	struct hyperv *h = vm->hyperv;

	switch (index) {
	case MSR_GUEST_OS_ID:
		h->guest_os_id = value;
		if (!value)
			h->hypercall &= ~(uint64_t)ENABLED;
		return 0;
	case MSR_HYPERCALL:
		return set_hypercall_locked(vm, value);
	case MSR_REFERENCE_TSC:
		h->reference_tsc = value;
		write_page_locked(vm);
		return 0;
	case MSR_VP_INDEX:
	case MSR_TIME_REF_COUNT:
	case MSR_TSC_FREQUENCY:
	case MSR_APIC_FREQUENCY:
		return -EINVAL; /* read only */
	default:
		return -ENOENT;
	}
}

int hyperv_msr_set(struct vcpu *c, uint32_t index, uint64_t value)
{
	struct hyperv *h = c->vm->hyperv;
	int err;

	if (!h)
		return -ENOENT;
	mutex_lock(&h->lock);
	err = set_locked(c->vm, index, value);
	mutex_unlock(&h->lock);
	return err;
}

int hyperv_msr_get(struct vcpu *c, uint32_t index, uint64_t *value)
{
	const struct hyperv *h = c->vm->hyperv;

	if (!h)
		return -ENOENT;
	switch (index) {
	case MSR_GUEST_OS_ID:
		*value = h->guest_os_id;
		return 0;
	case MSR_HYPERCALL:
		*value = h->hypercall;
		return 0;
	case MSR_VP_INDEX:
		*value = c->index;
		return 0;
	case MSR_TIME_REF_COUNT:
		*value = reference_count(c->vm);
		return 0;
	case MSR_REFERENCE_TSC:
		*value = h->reference_tsc;
		return 0;
	case MSR_TSC_FREQUENCY:
		*value = (uint64_t)c->vm->tsc_khz * 1000;
		return 0;
	case MSR_APIC_FREQUENCY:
		*value = APIC_TIMER_HZ;
		return 0;
	default:
		return -ENOENT;
	}
}
