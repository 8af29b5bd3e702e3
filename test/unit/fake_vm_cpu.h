/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kernel/vm/vm_cpu.c stands on: a host of KHZ with a small CPUID, 8 KiB of guest
 * memory, and VMs of two vCPUs. The backend, virt, is the includer's. One test program,
 * one include.
 */
#ifndef TEST_UNIT_FAKE_VM_CPU_H
#define TEST_UNIT_FAKE_VM_CPU_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/rec.h>

#include "kernel/vm/vm_int.h"

#define KHZ 2100003u

static uint32_t host_khz = KHZ;
static uint64_t host_base; /* TSC at the fake host's time 0 */
static uint8_t ram[8192];

/* ---- the host ---- */

uint32_t tsc_khz(void)
{
	return host_khz;
}

uint64_t tsc_to_ns(uint64_t tsc)
{
	return mul_div64(tsc - host_base, 1000000, host_khz);
}

uint64_t time_ns(void)
{
	return tsc_to_ns(rdtsc());
}

uint64_t wall_clock_ns(void)
{
	return 1700000000 * NSEC_PER_SEC + time_ns();
}

static struct cpuid_regs host_read(const void *ctx, uint32_t leaf, uint32_t sub)
{
	if (leaf == 0)
		return (struct cpuid_regs){ 0xd, 1, 2, 3 };
	if (leaf == 0x80000000u)
		return (struct cpuid_regs){ 0x80000008u, 1, 2, 3 };
	if (leaf == 0xd && sub == 0)
		return (struct cpuid_regs){ 7, 832, 832, 0 };
	if (leaf == 0xd && sub == 2)
		return (struct cpuid_regs){ 256, 576, 0, 0 };
	return (struct cpuid_regs){ 0x3030, ~0u, ~0u, ~0u };
}

static const struct cpuid_source host = { host_read, NULL };

void cpu_model_host(struct cpu_model *m)
{
	struct cpuid_table t;

	cpuid_build(&t, &host, 1);
	cpu_model_of(&t, m);
}

int gmem_read(struct gmem *g, gpa_t a, void *buf, size_t len)
{
	if (a.v > sizeof(ram) - len)
		return -EFAULT;
	memcpy(buf, ram + a.v, len);
	return 0;
}

int gmem_write(struct gmem *g, gpa_t a, const void *buf, size_t len)
{
	if (a.v > sizeof(ram) - len)
		return -EFAULT;
	memcpy(ram + a.v, buf, len);
	return 0;
}

/* ---- VMs ---- */

static struct vm *make(void)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	vm->run = calloc(1, sizeof(*vm->run));
	vm->cpuid = calloc(1, sizeof(*vm->cpuid));
	vm->nr_vcpus = 2;
	vm->tsc_khz = vm->virt.tsc_khz = host_khz;
	cpuid_build(vm->cpuid, &host, 2);
	for (unsigned i = 0; i < 2; i++) {
		struct vcpu *c = vm->vcpu[i] = calloc(1, sizeof(*c));

		c->vm = vm;
		c->index = c->v.index = i;
		c->msrs = calloc(1, sizeof(*c->msrs));
		c->clock = calloc(1, sizeof(*c->clock));
		msr_list_reset(c->msrs);
	}
	vm_time_start(vm);
	return vm;
}

static void unmake(struct vm *vm)
{
	for (unsigned i = 0; i < 2; i++) {
		free(vm->run->incoming[i]);
		free(vm->vcpu[i]->msrs);
		free(vm->vcpu[i]->clock);
		free(vm->vcpu[i]);
	}
	free(vm->cpuid);
	free(vm->run);
	free(vm);
}

#endif
