/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Emulated instructions that repeat, compare or set flags: real encodings through the decoder,
 * string instructions on memory, device and ports, flags as the CPU itself leaves them.
 */
// SOURCES: kernel/vm/exit_mem.c kernel/vm/linear.c kernel/vm/alu.c kernel/vm/string.c
// SOURCES: kernel/vm/emulate_rare.c arch/x86_64/vector.S
// SOURCES: kernel/vm/walk.c kernel/vm/cpuid.c kernel/vm/cpuid_bits.c arch/x86_64/decode.c
// LIBS: zydis
#include "test/unit/fake_emulate.h"

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
		cmocka_unit_test_setup(wide_compare, setup),
		cmocka_unit_test_setup(searches, setup),
		cmocka_unit_test_setup(far_bits, setup),
		cmocka_unit_test_setup(compares, setup),
		cmocka_unit_test_setup(strings, setup),
		cmocka_unit_test_setup(long_string_is_restartable, setup),
		cmocka_unit_test_setup(port_strings, setup),
		cmocka_unit_test_setup(flags_as_the_cpu, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
