/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Emulated instructions: real encodings through the decoder, on a fake device at
 * 0x100000 (16 bytes that log accesses) and fake RAM below it, paging off.
 */
// SOURCES: kernel/vm/exit_mem.c kernel/vm/linear.c kernel/vm/alu.c kernel/vm/string.c
// SOURCES: kernel/vm/emulate_rare.c arch/x86_64/vector.S
// SOURCES: kernel/vm/walk.c kernel/vm/cpuid.c kernel/vm/cpuid_bits.c arch/x86_64/decode.c
// LIBS: zydis
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

static void loads(void **state)
{
	c.v.gpr[GPR_RAX] = ~0ull;
	RUN(DEV, "\x8b\x03"); /* mov eax, [rbx] */
	done(2, "r0.4=83828180 ");
	assert_int_equal(c.v.gpr[GPR_RAX], 0x83828180);
	setup(state);
	c.v.gpr[GPR_RAX] = ~0ull;
	RUN(DEV + 4, "\x66\x8b\x43\x04"); /* mov ax, [rbx+4] */
	done(4, "r4.2=8584 ");
	assert_int_equal(c.v.gpr[GPR_RAX], 0xffffffffffff8584);
	setup(state);
	RUN(DEV, "\x8a\x23"); /* mov ah, [rbx] */
	assert_int_equal(c.v.gpr[GPR_RAX], 0x8000);
	setup(state);
	RUN(DEV + 1, "\x48\x0f\xbe\x4b\x01"); /* movsx rcx, byte [rbx+1] */
	assert_int_equal(c.v.gpr[GPR_RCX], 0xffffffffffffff81);
	setup(state);
	RUN(DEV + 2, "\x0f\xb7\x53\x02"); /* movzx edx, word [rbx+2] */
	assert_int_equal(c.v.gpr[GPR_RDX], 0x8382);
	setup(state);
	RUN(DEV + 8, "\x4c\x8b\x43\x08"); /* mov r8, [rbx+8] */
	done(4, "r8.8=8f8e8d8c8b8a8988 ");
	assert_int_equal(c.v.gpr[8], 0x8f8e8d8c8b8a8988);
}

static void stores(void **state)
{
	c.v.gpr[GPR_RCX] = 0x1122334455667788;
	RUN(DEV, "\x89\x0b"); /* mov [rbx], ecx */
	done(2, "w0.4=55667788 ");
	setup(state);
	c.v.gpr[GPR_RCX] = 0x7788;
	RUN(DEV + 3, "\x88\x6b\x03"); /* mov [rbx+3], ch */
	done(3, "w3.1=77 ");
	setup(state);
	RUN(DEV + 4, "\x48\xc7\x43\x04\xfe\xff\xff\xff"); /* mov qword [rbx+4], -2 */
	done(8, "w4.8=fffffffffffffffe ");
	setup(state);
	RUN(DEV + 8, "\x66\xc7\x43\x08\x34\x12"); /* mov word [rbx+8], 0x1234 */
	done(6, "w8.2=1234 ");
}

static void read_modify_write(void **state)
{
	RUN(DEV, "\x83\x0b\x01"); /* or dword [rbx], 1 */
	done(3, "r0.4=83828180 w0.4=83828181 ");
	assert_int_equal(c.v.rflags & (RFLAGS_SF | RFLAGS_ZF | RFLAGS_CF | RFLAGS_OF), RFLAGS_SF);
	setup(state);
	c.v.gpr[GPR_RDX] = 5;
	RUN(DEV, "\x87\x13"); /* xchg [rbx], edx */
	done(2, "r0.4=83828180 w0.4=5 ");
	assert_int_equal(c.v.gpr[GPR_RDX], 0x83828180);
	setup(state);
	c.v.gpr[GPR_RAX] = 0x80;
	c.v.gpr[GPR_RDX] = 0x55;
	RUN(DEV, "\x0f\xb0\x13"); /* cmpxchg [rbx], dl */
	done(3, "r0.1=80 w0.1=55 ");
	assert_true(c.v.rflags & RFLAGS_ZF);
	setup(state);
	c.v.gpr[GPR_RAX] = 0x99;
	RUN(DEV, "\x0f\xb0\x13");
	assert_false(c.v.rflags & RFLAGS_ZF);
	assert_int_equal(c.v.gpr[GPR_RAX] & 0xff, 0x80);
	setup(state);
	c.v.rflags |= RFLAGS_CF;
	RUN(DEV, "\xfe\x03"); /* inc byte [rbx]: CF stays */
	done(2, "r0.1=80 w0.1=81 ");
	assert_true(c.v.rflags & RFLAGS_CF);
	setup(state);
	RUN(DEV, "\xf6\x1b"); /* neg byte [rbx] */
	done(2, "r0.1=80 w0.1=80 ");
	assert_int_equal(c.v.rflags & (RFLAGS_CF | RFLAGS_OF), RFLAGS_CF | RFLAGS_OF);
	setup(state);
	RUN(DEV, "\x0f\xba\x2b\x01"); /* bts dword [rbx], 1 */
	done(4, "r0.4=83828180 w0.4=83828182 ");
	assert_false(c.v.rflags & RFLAGS_CF);
}

/* What is read is there, what is written goes nowhere. */
static void rom_keeps(void **state)
{
	memset(rom, 0x40, sizeof(rom));
	c.v.gpr[GPR_RBX] = ROM;
	RUN(ROM, "\x83\x0b\x01"); /* or dword [rbx], 1 */
	done(3, "");
	assert_int_equal(c.v.rflags & (RFLAGS_SF | RFLAGS_ZF), 0);
	setup(state);
	c.v.gpr[GPR_RBX] = ROM;
	c.v.gpr[GPR_RDX] = 5;
	RUN(ROM, "\x87\x13"); /* xchg [rbx], edx */
	done(2, "");
	assert_int_equal(c.v.gpr[GPR_RDX], 0x40404040);
	assert_int_equal(rom[0], 0x40);
}

static void compares(void **state)
{
	RUN(DEV, "\x80\x3b\x80"); /* cmp byte [rbx], 0x80 */
	done(3, "r0.1=80 ");
	assert_true(c.v.rflags & RFLAGS_ZF);
	setup(state);
	RUN(DEV, "\xf7\x03\x00\x00\x00\x01"); /* test dword [rbx], 1<<24 */
	assert_false(c.v.rflags & RFLAGS_ZF);
	setup(state);
	c.v.gpr[GPR_RAX] = 1;
	RUN(DEV, "\x3b\x03"); /* cmp eax, [rbx]: below */
	assert_true(c.v.rflags & RFLAGS_CF);
	assert_int_equal(c.v.gpr[GPR_RAX], 1);
	setup(state);
	c.v.gpr[GPR_RAX] = 0x10;
	RUN(DEV, "\x03\x03"); /* add eax, [rbx] */
	assert_int_equal(c.v.gpr[GPR_RAX], 0x83828190);
}

/* Two pages, of which only the first is a device's. */
static void strings(void **state)
{
	c.v.gpr[GPR_RSI] = DEV;
	c.v.gpr[GPR_RDI] = 0x2000;
	c.v.gpr[GPR_RCX] = 3;
	RUN(DEV, "\xf3\xa5"); /* rep movsd */
	done(2, "r0.4=83828180 r4.4=87868584 r8.4=8b8a8988 ");
	assert_memory_equal(ram + 0x2000, dev, 12);
	assert_int_equal(c.v.gpr[GPR_RCX], 0);
	assert_int_equal(c.v.gpr[GPR_RSI], DEV + 12);
	setup(state);
	c.v.gpr[GPR_RDI] = DEV + 1;
	c.v.gpr[GPR_RAX] = 0x7a;
	c.v.gpr[GPR_RCX] = 2;
	c.v.rflags |= RFLAGS_DF;
	RUN(DEV + 1, "\xf3\xaa"); /* rep stosb, downwards */
	done(2, "w1.1=7a w0.1=7a ");
	assert_int_equal(c.v.gpr[GPR_RDI], DEV - 1);
	setup(state);
	c.v.gpr[GPR_RSI] = DEV + 2;
	RUN(DEV + 2, "\x66\xad"); /* lodsw */
	done(2, "r2.2=8382 ");
	assert_int_equal(c.v.gpr[GPR_RAX], 0x8382);
}

static void long_string_is_restartable(void **state)
{
	struct vmexit x = { .mode = long64 };
	struct insn i;
	enum exit_next next;
	unsigned turns = 0;

	c.v.gpr[GPR_RDI] = 0x2000;
	c.v.gpr[GPR_RAX] = 0xab;
	c.v.gpr[GPR_RCX] = 2000;
	memcpy(ram + CODE, "\xf3\xaa", 2);
	do {
		assert_int_equal(insn_decode(ram + CODE, 15, &long64, &i), 0);
		x.insn_len = i.length;
		next = string_mem(&c, &x, &i);
		turns++;
	} while (next == NEXT_RETRY_LATER && c.v.rip == CODE);
	assert_int_equal(next, NEXT_RESUME);
	assert_int_equal(turns, 4);
	assert_int_equal(c.v.gpr[GPR_RCX], 0);
	assert_int_equal(ram[0x2000], 0xab);
	assert_int_equal(ram[0x2000 + 1999], 0xab);
	assert_int_equal(ram[0x2000 + 2000], 0);
}

static void port_strings(void **state)
{
	struct vmexit x = {
		.mode = long64,
		.pio = { .port = 0x60, .size = 1, .in = true, .string = true, .rep = true }
	};

	c.v.gpr[GPR_RDI] = 0x3000;
	c.v.gpr[GPR_RCX] = 3;
	memcpy(ram + CODE, "\xf3\x6c", 2); /* rep insb */
	assert_int_equal(string_pio(&c, &x), NEXT_RESUME);
	done(2, "i60.1=11 i60.1=12 i60.1=13 ");
	assert_memory_equal(ram + 0x3000, "\x11\x12\x13", 3);
	setup(state);
	x.pio.in = false;
	x.insn_len = 0;
	c.v.gpr[GPR_RSI] = 0x3000;
	memcpy(ram + 0x3000, "\x44\x33", 2);
	memcpy(ram + CODE, "\x66\x6f", 2); /* outsw */
	x.pio.rep = false;
	assert_int_equal(string_pio(&c, &x), NEXT_RESUME);
	done(2, "o60.2=3344 ");
}

/* Paging on with empty tables: every linear address faults; the port must not be read. */
static void faults_leave_nothing(void **state)
{
	struct vmexit x = {
		.mode = long64,
		.pio = { .port = 0x60, .size = 1, .in = true, .string = true, .rep = true }
	};
	struct virt_mode paged = long64;
	struct virt_event fault = { 0 };
	uint64_t v = 0x55;

	paged.cr0 = G_CR0_PG | G_CR0_PE;
	paged.cr4 = G_CR4_PAE;
	paged.cr3 = 0x8000;
	paged.cpl = 3;
	assert_int_equal(linear_write(&c, &paged, 0x7ffe, &v, 8, &fault), -EFAULT);
	assert_int_equal(fault.vector, EXC_PF);
	assert_int_equal(fault.error, PF_WRITE | PF_USER);
	assert_int_equal(fault.cr2, 0x7ffe);
	x.mode = paged;
	memcpy(x.insn, "\xf3\x6c", 2);
	x.insn_bytes = 2;
	c.v.gpr[GPR_RDI] = 0x3000;
	c.v.gpr[GPR_RCX] = 3;
	assert_int_equal(string_pio(&c, &x), NEXT_RESUME);
	assert_int_equal(raised.vector, EXC_PF);
	assert_int_equal(raised.cr2, 0x3000);
	assert_int_equal(c.v.gpr[GPR_RCX], 3);
	assert_int_equal(c.v.rip, CODE);
	assert_string_equal(trace, "");
}

/* The second page's translation fails: nothing of the first is written. */
static void split_access(void **state)
{
	struct virt_mode paged = long64;
	struct virt_event fault = { 0 };
	uint64_t entry, v = ~0ull;

	paged.cr0 = G_CR0_PG | G_CR0_PE;
	paged.cr4 = G_CR4_PAE;
	paged.cr3 = 0x8000;
	entry = 0x9003;
	memcpy(ram + 0x8000, &entry, 8);
	entry = 0xa003;
	memcpy(ram + 0x9000, &entry, 8);
	entry = 0xb003;
	memcpy(ram + 0xa000, &entry, 8);
	entry = 0xc003;
	memcpy(ram + 0xb000, &entry, 8);
	assert_int_equal(linear_write(&c, &paged, 0xffc, &v, 8, &fault), -EFAULT);
	assert_int_equal(fault.cr2, 0x1000);
	assert_int_equal(ram[0xcffc], 0);
	entry = 0xe003;
	memcpy(ram + 0xb008, &entry, 8);
	assert_int_equal(linear_write(&c, &paged, 0xffc, &v, 8, &fault), 0);
	assert_int_equal(ram[0xcfff], 0xff);
	assert_int_equal(ram[0xe003], 0xff);
	assert_int_equal(ram[0xe004], 0);
}

static void not_offered(void **state)
{
	assert_int_equal(RUN(DEV, "\x0f\x58\x03"), NEXT_FAIL); /* addps xmm0, [rbx] */
	assert_non_null(strstr(failed, "not emulated"));
	setup(state);
	c.v.event.type = EV_IRQ;
	assert_int_equal(RUN(DEV, "\x8b\x03"), NEXT_FAIL);
	assert_non_null(strstr(failed, "event delivery"));
	setup(state);
	assert_int_equal(RUN(0x5000, "\x8b\x03"), NEXT_RESUME); /* RAM: backed, and tried again */
	assert_int_equal(c.v.rip, CODE);
}

static void stack(void **state)
{
	uint64_t v;

	c.v.gpr[GPR_RSP] = 0x800;
	RUN(DEV, "\xff\x33"); /* push qword [rbx] */
	done(2, "r0.8=8786858483828180 ");
	memcpy(&v, ram + 0x7f8, 8);
	assert_int_equal(c.v.gpr[GPR_RSP], 0x7f8);
	assert_true(v == 0x8786858483828180);
	trace[0] = '\0';
	c.v.rip = CODE;
	RUN(DEV + 8, "\x8f\x43\x08"); /* pop qword [rbx+8] */
	done(3, "w8.8=8786858483828180 ");
	assert_int_equal(c.v.gpr[GPR_RSP], 0x800);
}

static void vectors(void **state)
{
	RUN(DEV, "\x0f\x10\x0b"); /* movups xmm1, [rbx] */
	done(3, "r0.8=8786858483828180 r8.8=8f8e8d8c8b8a8988 ");
	setup(state);
	RUN(DEV + 4, "\xf3\x0f\x11\x4b\x04"); /* movss [rbx+4], xmm1 */
	done(5, "w4.4=83828180 ");
}

static void wide_compare(void **state)
{
	c.v.gpr[GPR_RAX] = 0x83828180;
	c.v.gpr[GPR_RDX] = 0x87868584;
	c.v.gpr[GPR_RCX] = 2;
	c.v.gpr[GPR_RBX] = DEV;	  /* is stored, and the address */
	RUN(DEV, "\x0f\xc7\x0b"); /* cmpxchg8b [rbx] */
	done(3, "r0.8=8786858483828180 w0.8=200100000 ");
	assert_true(c.v.rflags & RFLAGS_ZF);
	trace[0] = '\0';
	c.v.rip = CODE;
	RUN(DEV, "\x0f\xc7\x0b");
	done(3, "r0.8=200100000 w0.8=200100000 ");
	assert_false(c.v.rflags & RFLAGS_ZF);
	assert_int_equal(c.v.gpr[GPR_RAX], DEV);
	assert_int_equal(c.v.gpr[GPR_RDX], 2);
}

static void machine_status(void **state)
{
	RUN(DEV + 2, "\x0f\x01\x63\x02"); /* smsw [rbx+2] */
	done(4, "w2.2=33 ");
	setup(state);
	RUN(DEV + 2, "\x48\x0f\x01\x63\x02"); /* REX.W does not make it wider */
	done(5, "w2.2=33 ");
}

static void searches(void **state)
{
	c.v.gpr[GPR_RDI] = DEV;
	c.v.gpr[GPR_RAX] = 0x83;
	c.v.gpr[GPR_RCX] = 16;
	RUN(DEV, "\xf2\xae"); /* repne scasb */
	done(2, "r0.1=80 r1.1=81 r2.1=82 r3.1=83 ");
	assert_int_equal(c.v.gpr[GPR_RCX], 12);
	assert_int_equal(c.v.gpr[GPR_RDI], DEV + 4);
	assert_true(c.v.rflags & RFLAGS_ZF);
}

/* The bit's number reaches out of the operand that is named. */
static void far_bits(void **state)
{
	c.v.gpr[GPR_RBX] = DEV + 8;
	c.v.gpr[GPR_RCX] = (uint64_t)-64;
	RUN(DEV, "\x0f\xab\x0b"); /* bts [rbx], ecx */
	done(3, "r0.4=83828180 w0.4=83828181 ");
	assert_false(c.v.rflags & RFLAGS_CF);
}

/* Flags against the CPU's own, over values that matter. */
static void flags_as_the_cpu(void **state)
{
	static const uint64_t values[] = { 0,
					   1,
					   2,
					   0x7f,
					   0x80,
					   0x81,
					   0xff,
					   0x7fff,
					   0x8000,
					   0xffff,
					   0x7fffffff,
					   0x80000000,
					   0xffffffff,
					   0x7fffffffffffffff,
					   0x8000000000000000,
					   ~0ull };
	const uint64_t all = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF;

#define CHECK(op, insn, type, size)                                                                \
	do {                                                                                       \
		uint64_t want, got = 2 | RFLAGS_CF, start = got;                                   \
		type r = (type)a;                                                                  \
		uint64_t result = alu_compute(op, size, a, b, &got);                               \
		__asm__("lea -128(%%rsp), %%rsp; pushq %2; popfq; " insn                           \
			" %3, %1; pushfq; popq %0; lea 128(%%rsp), %%rsp"                          \
			: "=&r"(want), "+&r"(r)                                                    \
			: "r"(start), "r"((type)b)                                                 \
			: "cc");                                                                   \
		assert_int_equal(result, (uint64_t)r &size_mask(size));                            \
		assert_int_equal(got &all, want &all);                                             \
	} while (0)

	for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
		for (unsigned k = 0; k < ARRAY_SIZE(values); k++) {
			uint64_t a = values[i], b = values[k];

			CHECK(ALU_ADD, "addb", uint8_t, 1);
			CHECK(ALU_ADC, "adcw", uint16_t, 2);
			CHECK(ALU_ADC, "adcq", uint64_t, 8);
			CHECK(ALU_SUB, "subl", uint32_t, 4);
			CHECK(ALU_SUB, "subq", uint64_t, 8);
			CHECK(ALU_SBB, "sbbb", uint8_t, 1);
			CHECK(ALU_SBB, "sbbq", uint64_t, 8);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(stack, setup),
		cmocka_unit_test_setup(vectors, setup),
		cmocka_unit_test_setup(wide_compare, setup),
		cmocka_unit_test_setup(machine_status, setup),
		cmocka_unit_test_setup(searches, setup),
		cmocka_unit_test_setup(far_bits, setup),
		cmocka_unit_test_setup(loads, setup),
		cmocka_unit_test_setup(stores, setup),
		cmocka_unit_test_setup(read_modify_write, setup),
		cmocka_unit_test_setup(rom_keeps, setup),
		cmocka_unit_test_setup(compares, setup),
		cmocka_unit_test_setup(strings, setup),
		cmocka_unit_test_setup(long_string_is_restartable, setup),
		cmocka_unit_test_setup(port_strings, setup),
		cmocka_unit_test_setup(faults_leave_nothing, setup),
		cmocka_unit_test_setup(split_access, setup),
		cmocka_unit_test_setup(not_offered, setup),
		cmocka_unit_test_setup(flags_as_the_cpu, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
