/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One emulated instruction at a time: RUN() has a real encoding decoded and carried out, on a fake
 * device at 0x100000 (16 bytes that log accesses in trace) and fake RAM below it, paging off;
 * done() says that it was, and what the device saw. One test program, one include.
 */
#ifndef TEST_FAKE_EMULATE_H
#define TEST_FAKE_EMULATE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vm/vm_int.h"

#define RAM 0x100000u
#define DEV 0x100000ull
#define CODE 0x1000ull
#define ROM 0x200000ull

static uint8_t ram[RAM], dev[16], rom[16];
static char trace[512];
static struct vm vm;
static struct vcpu c;
static struct cpuid_table table;
static struct virt_event raised;
static char failed[128];
static const struct virt_mode long64 = { .cr0 = 0x10033,
					 .efer = G_EFER_LMA,
					 .seg[SEG_CS].attr = SEG_ATTR_L };
static uint16_t port_data;

/* ---- what the code under test calls ---- */

bool gmem_is_rom(const struct gmem *g, gpa_t a)
{
	return a.v >= ROM && a.v < ROM + sizeof(rom);
}

int gmem_read(struct gmem *g, gpa_t a, void *buf, size_t len)
{
	if (gmem_is_rom(g, a)) {
		memcpy(buf, rom + (a.v - ROM), len);
		return 0;
	}
	if (a.v > RAM - len)
		return -EFAULT;
	memcpy(buf, ram + a.v, len);
	return 0;
}

int gmem_write(struct gmem *g, gpa_t a, const void *buf, size_t len)
{
	if (a.v > RAM - len)
		return -EFAULT;
	memcpy(ram + a.v, buf, len);
	return 0;
}

int gmem_pin(struct gmem *g, gpa_t a, size_t len, bool for_write, void **out)
{
	return -EFAULT;
}

void gmem_unpin(struct gmem *g, gpa_t a, void *p, bool for_write)
{
}

int gmem_fault(struct gmem *g, gpa_t a, bool write, bool fetch)
{
	return a.v < RAM ? 0 : -EFAULT;
}

static void note(char kind, uint64_t at, unsigned size, uint64_t v)
{
	size_t n = strlen(trace);

	snprintf(trace + n, sizeof(trace) - n, "%c%x.%u=%llx ", kind, (unsigned)at, size,
		 (unsigned long long)v);
}

void io_read(struct vcpu *who, enum io_space space, uint64_t addr, unsigned size, uint64_t *value)
{
	*value = ~0ull;
	if (space == IO_PIO) {
		*value = port_data++;
		note('i', addr, size, *value);
	} else if (addr >= DEV && addr + size <= DEV + sizeof(dev)) {
		memcpy(value, dev + (addr - DEV), size);
		note('r', addr - DEV, size, *value & size_mask(size));
	}
}

void io_write(struct vcpu *who, enum io_space space, uint64_t addr, unsigned size, uint64_t value)
{
	if (space == IO_PIO) {
		note('o', addr, size, value);
	} else if (addr >= DEV && addr + size <= DEV + sizeof(dev)) {
		memcpy(dev + (addr - DEV), &value, size);
		note('w', addr - DEV, size, value);
	}
}

void vcpu_skip(struct vcpu *who, struct vmexit *x, uint8_t known)
{
	who->v.rip += x->insn_len;
}

void vcpu_raise_event(struct vcpu *who, const struct virt_event *e)
{
	raised = *e;
}

enum exit_next vcpu_fail(struct vcpu *who, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(failed, sizeof(failed), fmt, ap);
	va_end(ap);
	return NEXT_FAIL;
}

/* ---- running one instruction ---- */

static int setup(void **state)
{
	memset(ram, 0, sizeof(ram));
	memset(&vm, 0, sizeof(vm));
	memset(&c, 0, sizeof(c));
	memset(&raised, 0, sizeof(raised));
	for (unsigned i = 0; i < sizeof(dev); i++)
		dev[i] = (uint8_t)(0x80 + i);
	trace[0] = failed[0] = '\0';
	vm.cpuid = &table;
	c.vm = &vm;
	c.v.rip = CODE;
	c.v.rflags = 2;
	c.v.gpr[GPR_RBX] = DEV;
	port_data = 0x11;
	return 0;
}

static enum exit_next run_at(uint64_t gpa, const char *code, size_t len)
{
	struct vmexit x = { .reason = EXIT_SLAT_FAULT, .mode = long64 };

	memcpy(ram + c.v.rip, code, len);
	x.fault.gpa = GPA(gpa);
	return exit_slat_fault(&c, &x);
}

#define RUN(at, code) run_at(at, code, sizeof(code) - 1)

static void done(size_t len, const char *want)
{
	assert_int_equal(c.v.rip, CODE + len);
	assert_string_equal(trace, want);
	assert_string_equal(failed, "");
	assert_int_equal(raised.type, EV_NONE);
}

#endif
