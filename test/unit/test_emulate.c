/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Emulated instructions: real encodings through the decoder, that load, store, change and push;
 * faults that leave nothing, accesses over an edge, and what is not offered. Strings and flags are
 * in test_emulate_string.c.
 */
// SOURCES: kernel/vm/exit_mem.c kernel/vm/linear.c kernel/vm/alu.c kernel/vm/string.c
// SOURCES: kernel/vm/emulate_rare.c arch/x86_64/vector.S
// SOURCES: kernel/vm/walk.c kernel/vm/cpuid.c kernel/vm/cpuid_bits.c arch/x86_64/decode.c
// LIBS: zydis
#include "test/unit/fake_emulate.h"

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

static void machine_status(void **state)
{
	RUN(DEV + 2, "\x0f\x01\x63\x02"); /* smsw [rbx+2] */
	done(4, "w2.2=33 ");
	setup(state);
	RUN(DEV + 2, "\x48\x0f\x01\x63\x02"); /* REX.W does not make it wider */
	done(5, "w2.2=33 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(stack, setup),
		cmocka_unit_test_setup(vectors, setup),
		cmocka_unit_test_setup(machine_status, setup),
		cmocka_unit_test_setup(loads, setup),
		cmocka_unit_test_setup(stores, setup),
		cmocka_unit_test_setup(read_modify_write, setup),
		cmocka_unit_test_setup(rom_keeps, setup),
		cmocka_unit_test_setup(faults_leave_nothing, setup),
		cmocka_unit_test_setup(split_access, setup),
		cmocka_unit_test_setup(not_offered, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
