/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every form of forms.S on a device's registers must do what it does on memory:
 * the same contents, registers and flags afterwards. Registers that read back
 * are the test device's. Then faults in the middle, and the interrupt
 * controllers' own registers.
 */
#include "rt.h"

#define DEVICE 0xff000000ull
#define AREA 128u /* bytes compared, the operand in the middle */
#define MIDDLE 64u

struct form {
	const char *name;
	void (*fn)(void);
	uint64_t flags; /* that it defines */
};
extern const struct form forms[], forms_end[];

struct regs {
	uint64_t rax, rcx, rdx, rbx, rsi, rdi, r8, flags, xmm[2];
};
void form_run(struct regs *r, void (*fn)(void));

static uint64_t memory[AREA / 8] __attribute__((aligned(64)));
static uint64_t beside[2][AREA / 8]; /* what rbx points to, for each run */

static void prepare(struct regs *r, volatile uint64_t *at, uint64_t *other, unsigned round)
{
	for (unsigned i = 0; i < AREA / 8; i++) {
		at[i] = 0x8182838485868788ull * (2 * i + 1) + round * 0x7f0000000001ull;
		other[i] = 0x1112131415161718ull * (i + 1);
	}
	((uint8_t *)other)[8] = 0xc3; /* RET, to be called */
	*r = (struct regs){ .rax = round ? 0x123456789abcdef0 : 0xffffffffffffff80,
			    .rcx = 0x0102030405060708,
			    .rdx = 4,
			    .rbx = (uint64_t)other,
			    .rsi = (uint64_t)at + MIDDLE + 32,
			    .rdi = (uint64_t)at + MIDDLE,
			    .r8 = 0x8877665544332211,
			    .flags = round ? 0x3 : 0x2,
			    .xmm = { 0x1020304050607080, 0x90a0b0c0d0e0f000 } };
}

/* Pointers count from their own area. */
static bool same(uint64_t a, uint64_t b, const volatile void *base_a, const volatile void *base_b)
{
	return a == b || a - (uint64_t)base_a == b - (uint64_t)base_b;
}

static const char *difference(const struct form *f, const struct regs *a, const struct regs *b,
			      const volatile uint64_t *device)
{
	for (unsigned i = 0; i < AREA / 8; i++) {
		if (!same(memory[i], device[i], beside[0], beside[1]))
			return "contents";
		if (beside[0][i] != beside[1][i])
			return "memory beside";
	}
	if ((a->flags ^ b->flags) & f->flags)
		return "flags";
	if (a->rax != b->rax || !same(a->rcx, b->rcx, beside[0], beside[1]) || a->rdx != b->rdx ||
	    a->r8 != b->r8)
		return "registers";
	if (!(same(a->rdi, b->rdi, memory, device) || same(a->rdi, b->rdi, beside[0], beside[1])) ||
	    !(same(a->rsi, b->rsi, memory, device) || same(a->rsi, b->rsi, beside[0], beside[1])))
		return "pointers";
	return a->xmm[0] != b->xmm[0] || a->xmm[1] != b->xmm[1] ? "vector register" : NULL;
}

static void one_form(const struct form *f)
{
	volatile uint64_t *device = (void *)DEVICE;
	const char *wrong = NULL;
	struct regs a, b;

	for (unsigned round = 0; round < 2 && !wrong; round++) {
		prepare(&a, memory, beside[0], round);
		prepare(&b, device, beside[1], round);
		form_run(&a, f->fn);
		outl(0xe0, 0);
		form_run(&b, f->fn);
		wrong = difference(f, &a, &b, device);
		if (wrong)
			say("# %s: rax %x %x rcx %x %x flags %x %x at %x %x\n", f->name, a.rax,
			    b.rax, a.rcx, b.rcx, a.flags, b.flags, memory[MIDDLE / 8],
			    device[MIDDLE / 8]);
	}
	check(!wrong, f->name, "other %s than on memory", wrong ? wrong : "");
}

/* A copy that runs off a mapped page into nothing stops there, and can go on. */
static void fault_in_copy(void)
{
	volatile uint32_t *from = map(0, DEVICE, PTE_P | PTE_W);
	uint64_t count = 4, to;

	(void)map(1, 0, 0);
	trap.count = 0;
	__asm__ volatile("movq $991f, trap(%%rip)\n\tcld; rep movsl\n991: movq $0, trap(%%rip)"
			 : "+c"(count), "=D"(to)
			 : "S"((uint64_t)from + 4096 - 8), "1"(memory)
			 : "memory");
	raised("movs-fault", 14, 0);
	check(count == 2 && to == (uint64_t)memory + 8, "movs-fault-count", "%u left", count);
	check(trap.cr2 == MAP_AT + 4096, "movs-fault-cr2", "CR2 is %x", trap.cr2);
}

/* One access over the edge of two device pages, and from memory into a device. */
static void edges(void)
{
	volatile uint8_t *at = map(0, (uint64_t)pages[0], PTE_P | PTE_W);

	(void)map(1, DEVICE, PTE_P | PTE_W);
	*(volatile uint32_t *)DEVICE = 0;
	*(volatile uint32_t *)(at + 4094) = 0x44332211;
	check(pages[0][4094] == 0x11 && pages[0][4095] == 0x22 &&
		      *(volatile uint32_t *)DEVICE == 0x4433,
	      "edge-store", "device has %x", (uint64_t) * (volatile uint32_t *)DEVICE);
	check(*(volatile uint32_t *)(at + 4094) == 0x44332211, "edge-load", "reads %x",
	      (uint64_t) * (volatile uint32_t *)(at + 4094));
}

static void controllers(void)
{
	volatile uint32_t *ioapic = (void *)0xfec00000ull, *lapic = (void *)0xfee00000ull;
	uint32_t before;

	ioapic[0] = 0x10 + 2 * 5; /* low half of pin 5 */
	ioapic[4] = 0x10077;
	check((ioapic[4] & 0x1ffff) == 0x10077, "ioapic", "reads %x", (uint64_t)ioapic[4]);
	before = lapic[0xd0 / 4];
	lapic[0xd0 / 4] = 0x5a000000; /* logical destination */
	check(lapic[0xd0 / 4] == 0x5a000000, "lapic", "reads %x", (uint64_t)lapic[0xd0 / 4]);
	lapic[0xd0 / 4] = before;
}

void group_mmio(void)
{
	for (const struct form *f = forms; f < forms_end; f++)
		one_form(f);
	fault_in_copy();
	edges();
	controllers();
}
