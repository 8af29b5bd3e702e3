/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile guest code at the emulator: the input sets the mode, the registers,
 * the page tables and the instruction bytes; the access is to a device, to RAM
 * or to a port. Nothing may go outside of guest memory, and each call ends.
 */
// SOURCES: kernel/vm/exit_mem.c kernel/vm/linear.c kernel/vm/alu.c kernel/vm/string.c
// SOURCES: kernel/vm/emulate_rare.c arch/x86_64/vector.S
// SOURCES: kernel/vm/walk.c kernel/vm/cpuid.c kernel/vm/cpuid_bits.c arch/x86_64/decode.c
// LIBS: zydis
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/vm/vm_int.h"

#define RAM 0x10000u
#define TABLES 0x8000u
#define CODE 0x1000u

static _Alignas(4096) uint8_t ram[RAM];
static struct cpuid_table table;
static struct vm vm;
static struct vcpu c;

static bool inside(gpa_t a, size_t len)
{
	return a.v <= RAM && len <= RAM - a.v;
}

int gmem_read(struct gmem *g, gpa_t a, void *buf, size_t len)
{
	if (!inside(a, len))
		return -EFAULT;
	memcpy(buf, ram + a.v, len);
	return 0;
}

int gmem_write(struct gmem *g, gpa_t a, const void *buf, size_t len)
{
	if (!inside(a, len))
		return -EFAULT;
	memcpy(ram + a.v, buf, len);
	return 0;
}

int gmem_pin(struct gmem *g, gpa_t a, size_t len, bool for_write, void **out)
{
	if (!inside(a, len) || (a.v & PAGE_MASK) + len > PAGE_SIZE)
		return -EFAULT;
	*out = ram + a.v;
	return 0;
}

void gmem_unpin(struct gmem *g, gpa_t a, void *p, bool for_write)
{
}

bool gmem_is_rom(const struct gmem *g, gpa_t a)
{
	return a.v & SIZE_2M;
}

int gmem_fault(struct gmem *g, gpa_t a, bool write, bool fetch)
{
	return a.v < RAM ? 0 : -EFAULT;
}

static void check_access(unsigned size)
{
	if (size != 1 && size != 2 && size != 4 && size != 8)
		abort(); /* what device models are promised */
}

void io_read(struct vcpu *who, enum io_space space, uint64_t addr, unsigned size, uint64_t *value)
{
	check_access(size);
	*value = addr * 0x0123456789abcdefull;
}

void io_write(struct vcpu *who, enum io_space space, uint64_t addr, unsigned size, uint64_t value)
{
	check_access(size);
}

void vcpu_skip(struct vcpu *who, struct vmexit *x, uint8_t known)
{
	if (!x->insn_len || x->insn_len > 15)
		abort();
	who->v.rip += x->insn_len;
}

void vcpu_raise_event(struct vcpu *who, const struct virt_event *e)
{
	if (e->type != EV_EXCEPTION || e->vector != EXC_PF)
		abort();
}

enum exit_next vcpu_fail(struct vcpu *who, const char *fmt, ...)
{
	return NEXT_FAIL;
}

struct input {
	uint64_t gpr[16];
	uint64_t rip, rflags, cr3, cr4, efer, gpa, base;
	uint16_t attr, port;
	uint8_t cr0, cpl, kind, given;
	uint8_t code[16];
};

static void set_mode(struct virt_mode *m, const struct input *in)
{
	memset(m, 0, sizeof(*m));
	m->cr0 = (in->cr0 & 1 ? G_CR0_PE : 0) | (in->cr0 & 2 ? G_CR0_PG : 0) |
		 (in->cr0 & 4 ? G_CR0_WP : 0);
	m->cr3 = in->cr0 & 8 ? in->cr3 : TABLES;
	m->cr4 = in->cr4;
	m->efer = in->efer;
	m->cpl = in->cpl & 3;
	for (unsigned i = 0; i < 6; i++) {
		m->seg[i].base = i & 1 ? in->base : 0;
		m->seg[i].attr = in->attr;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmexit x = { .reason = EXIT_SLAT_FAULT };
	struct input in;

	if (size < sizeof(in))
		return 0;
	memcpy(&in, data, sizeof(in));
	data += sizeof(in);
	size -= sizeof(in);
	memset(ram, 0, sizeof(ram));
	memcpy(ram + TABLES, data, MIN(size, (size_t)(RAM - TABLES)));
	memcpy(ram + CODE, in.code, sizeof(in.code));
	memset(&c, 0, sizeof(c));
	vm.cpuid = &table;
	c.vm = &vm;
	memcpy(c.v.gpr, in.gpr, sizeof(in.gpr));
	c.v.rip = in.kind & 0x80 ? in.rip : CODE;
	c.v.rflags = in.rflags;
	set_mode(&x.mode, &in);
	if (in.kind & 0x40) {
		x.insn_bytes = in.given & 15;
		memcpy(x.insn, in.code, sizeof(x.insn));
	}
	if (in.kind & 1) {
		x.reason = EXIT_PIO;
		x.pio.port = in.port;
		x.pio.size = (uint8_t)(1u << (in.kind >> 1 & 1));
		x.pio.in = in.kind & 4;
		x.pio.string = true;
		x.pio.rep = in.kind & 8;
		(void)string_pio(&c, &x);
	} else {
		x.fault.gpa = GPA(in.gpa);
		x.fault.write = in.kind & 2;
		(void)exit_slat_fault(&c, &x);
	}
	return 0;
}
