/* SPDX-License-Identifier: BSD-2-Clause */
// SOURCES: arch/x86_64/decode.c
// LIBS: zydis
/* The decoder's wrapper: instructions that compilers emit for memory, in each mode, byte for byte.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/decode.h>

#define NONE 0xff

static const struct virt_mode long64 = { .cr0 = 0x80000001,
					 .efer = 0x500,
					 .seg[SEG_CS].attr = 0xa9b,
					 .seg[SEG_SS].attr = 0xc93,
					 .seg[SEG_FS].base = 0x7000,
					 .seg[SEG_DS].base = 0x5555 };
static const struct virt_mode flat32 = {
	.cr0 = 1, .seg[SEG_CS].attr = 0xc9b, .seg[SEG_SS].attr = 0xc93, .seg[SEG_DS].base = 0x1000
};
static const struct virt_mode real16 = { .seg[SEG_CS].attr = 0x9b,
					 .seg[SEG_SS].attr = 0x93,
					 .seg[SEG_DS].base = 0x20000,
					 .seg[SEG_ES].base = 0x30000 };

static struct insn decode(const struct virt_mode *m, const char *bytes, size_t len)
{
	struct insn i;

	memset(&i, 0xcc, sizeof(i));
	assert_int_equal(insn_decode((const uint8_t *)bytes, len, m, &i), 0);
	assert_int_equal(i.length, len);
	return i;
}
#define DECODE(mode, bytes) decode(&(mode), bytes, sizeof(bytes) - 1)

static void test_moves(void **state)
{
	struct insn i = DECODE(long64, "\x89\x43\x10"); /* mov %eax, 0x10(%rbx) */

	assert_int_equal(i.op, INSN_STORE);
	assert_int_equal(i.size, 4);
	assert_int_equal(i.reg, GPR_RAX);
	assert_int_equal(i.base, GPR_RBX);
	assert_int_equal(i.index, NONE);
	assert_int_equal(i.disp, 0x10);
	i = DECODE(long64, "\x4d\x8b\x3c\xcc"); /* mov (%r12,%rcx,8), %r15 */
	assert_int_equal(i.op, INSN_LOAD);
	assert_int_equal(i.size, 8);
	assert_int_equal(i.reg, 15);
	assert_int_equal(i.base, 12);
	assert_int_equal(i.index, GPR_RCX);
	assert_int_equal(i.scale, 8);
	i = DECODE(long64, "\xc7\x05\x00\x01\x00\x00\xfe\xff\xff\xff"); /* movl $-2, 0x100(%rip) */
	assert_int_equal(i.op, INSN_STORE);
	assert_true(i.has_imm);
	assert_int_equal(i.reg, NONE);
	assert_int_equal((uint32_t)i.imm, 0xfffffffe);
	assert_int_equal(i.base, 0xfe);
	i = DECODE(long64, "\x48\xc7\x00\xff\xff\xff\xff"); /* movq $-1, (%rax) */
	assert_true(i.imm == ~0ull);
	i = DECODE(long64, "\x0f\xb6\x10"); /* movzbl (%rax), %edx */
	assert_int_equal(i.op, INSN_LOAD);
	assert_int_equal(i.size, 1);
	assert_int_equal(i.reg_size, 4);
	assert_false(i.sign_extend);
	i = DECODE(long64, "\x48\x0f\xbf\x10"); /* movswq (%rax), %rdx */
	assert_true(i.sign_extend);
	assert_int_equal(i.size, 2);
	assert_int_equal(i.reg_size, 8);
	i = DECODE(long64, "\x88\x20"); /* mov %ah, (%rax) */
	assert_true(i.high_byte);
	assert_int_equal(i.reg, GPR_RAX);
	i = DECODE(long64, "\x40\x88\x30"); /* mov %sil, (%rax) */
	assert_false(i.high_byte);
	assert_int_equal(i.reg, GPR_RSI);
	i = DECODE(long64, "\x44\x88\x00"); /* mov %r8b, (%rax) */
	assert_int_equal(i.reg, 8);
	i = DECODE(long64, "\x0f\xc3\x0e"); /* movnti %ecx, (%rsi) */
	assert_int_equal(i.op, INSN_STORE);
	i = DECODE(long64, "\xa1\x00\x00\xe0\xfe\x00\x00\x00\x00"); /* movabs 0xfee00000, %eax */
	assert_int_equal(i.op, INSN_LOAD);
	assert_int_equal(i.base, NONE);
	assert_true(i.disp == 0xfee00000ll);
	(void)state;
}

static void test_alu(void **state)
{
	struct insn i = DECODE(long64, "\xf0\x83\x48\x04\x08"); /* lock orl $8, 4(%rax) */

	assert_int_equal(i.op, INSN_RMW);
	assert_int_equal(i.alu, ALU_OR);
	assert_int_equal(i.size, 4);
	assert_int_equal(i.imm, 8);
	i = DECODE(long64, "\x03\x02"); /* add (%rdx), %eax */
	assert_int_equal(i.op, INSN_LOAD_OP);
	assert_int_equal(i.alu, ALU_ADD);
	i = DECODE(long64, "\x83\x38\x05"); /* cmpl $5, (%rax) */
	assert_int_equal(i.op, INSN_CMP);
	assert_int_equal(i.alu, ALU_CMP);
	i = DECODE(long64, "\x3b\x02"); /* cmp (%rdx), %eax */
	assert_int_equal(i.op, INSN_LOAD_OP);
	i = DECODE(long64, "\xf6\x40\x05\x20"); /* testb $0x20, 5(%rax) */
	assert_int_equal(i.op, INSN_CMP);
	assert_int_equal(i.alu, ALU_TEST);
	assert_int_equal(i.size, 1);
	i = DECODE(long64, "\x87\x08"); /* xchg %ecx, (%rax) */
	assert_int_equal(i.op, INSN_RMW);
	assert_int_equal(i.alu, ALU_XCHG);
	assert_int_equal(i.reg, GPR_RCX);
	i = DECODE(long64, "\xf0\x0f\xb1\x0a"); /* lock cmpxchg %ecx, (%rdx) */
	assert_int_equal(i.alu, ALU_CMPXCHG);
	i = DECODE(long64, "\xff\x00"); /* incl (%rax) */
	assert_int_equal(i.op, INSN_RMW);
	assert_int_equal(i.alu, ALU_INC);
	i = DECODE(long64, "\xf0\x0f\xba\x28\x03"); /* lock btsl $3, (%rax) */
	assert_int_equal(i.op, INSN_RMW);
	assert_int_equal(i.alu, ALU_BTS);
	i = DECODE(long64, "\x0f\xab\x08"); /* bts %ecx, (%rax) */
	assert_int_equal(i.op, INSN_RMW);
	assert_true(i.far_bit);
	i = DECODE(long64, "\x48\x6b\x0a\xfd"); /* imul $-3, (%rdx), %rcx */
	assert_int_equal(i.op, INSN_LOAD_OP);
	assert_int_equal(i.reg, GPR_RCX);
	assert_true(i.three && i.imm == (uint64_t)-3);
	i = DECODE(long64, "\xf7\x28"); /* imull (%rax), into edx:eax */
	assert_int_equal(i.op, INSN_OTHER);
	i = DECODE(long64, "\x0f\x95\x00"); /* setne (%rax) */
	assert_int_equal(i.op, INSN_SET);
	assert_int_equal(i.cond, 5);
	i = DECODE(long64, "\x48\x0f\x44\x08"); /* cmove (%rax), %rcx */
	assert_int_equal(i.op, INSN_CMOV);
	assert_int_equal(i.reg_size, 8);
	i = DECODE(long64, "\x0f\x45\xc8"); /* cmovne %eax, %ecx */
	assert_int_equal(i.op, INSN_OTHER);
	i = DECODE(long64, "\xff\x30"); /* push (%rax) */
	assert_int_equal(i.op, INSN_PUSH);
	assert_int_equal(i.size, 8);
	i = DECODE(long64, "\x44\x0f\x29\x00"); /* movaps %xmm8, (%rax) */
	assert_int_equal(i.op, INSN_VEC_STORE);
	assert_int_equal(i.reg, 8);
	assert_int_equal(i.size, 16);
	i = DECODE(long64, "\xc5\xf8\x10\x00"); /* vmovups (%rax), %xmm0: clears the rest of ymm0 */
	assert_int_equal(i.op, INSN_OTHER);
	(void)state;
}

static void test_strings(void **state)
{
	struct insn i = DECODE(long64, "\xf3\x48\xa5"); /* rep movsq */

	assert_int_equal(i.op, INSN_MOVS);
	assert_int_equal(i.size, 8);
	assert_true(i.rep);
	assert_int_equal(i.seg, SEG_DS);
	i = DECODE(long64, "\xaa"); /* stosb */
	assert_int_equal(i.op, INSN_STOS);
	assert_int_equal(i.size, 1);
	assert_false(i.rep);
	i = DECODE(real16, "\xf3\x26\x6e"); /* rep outsb %es:(%si) */
	assert_int_equal(i.op, INSN_PIO_STRING);
	assert_int_equal(i.seg, SEG_ES);
	assert_int_equal(i.addr_size, 2);
	i = DECODE(long64, "\xf3\x6d"); /* rep insl */
	assert_int_equal(i.op, INSN_PIO_STRING);
	assert_int_equal(i.size, 4);
	i = DECODE(long64, "\xf2\x0f\x10\x00"); /* movsd (%rax), %xmm0 */
	assert_int_equal(i.op, INSN_VEC_LOAD);
	assert_int_equal(i.size, 8);
	i = DECODE(long64, "\xf2\xae"); /* repne scasb */
	assert_int_equal(i.op, INSN_SCAS);
	assert_true(i.repne);
	(void)state;
}

static void test_control(void **state)
{
	struct insn i = DECODE(long64, "\x0f\x22\xd9"); /* mov %rcx, %cr3 */

	assert_int_equal(i.op, INSN_MOV_CR);
	assert_int_equal(i.reg, GPR_RCX);
	assert_int_equal(i.imm, 3);
	i = DECODE(long64, "\x44\x0f\x20\xc0"); /* mov %cr8, %rax */
	assert_int_equal(i.op, INSN_MOV_CR);
	assert_int_equal(i.imm, 8);
	assert_int_equal(DECODE(long64, "\x0f\xa2").op, INSN_OTHER);	 /* cpuid */
	assert_int_equal(DECODE(long64, "\x3e\x0f\x30").op, INSN_OTHER); /* ds wrmsr */
	(void)state;
}

static void test_modes(void **state)
{
	struct insn i = DECODE(flat32, "\x89\x08"); /* mov %ecx, (%eax) */

	assert_int_equal(i.addr_size, 4);
	assert_int_equal(i.size, 4);
	i = DECODE(real16, "\x89\x07"); /* mov %ax, (%bx) */
	assert_int_equal(i.addr_size, 2);
	assert_int_equal(i.size, 2);
	assert_int_equal(i.base, GPR_RBX);
	i = DECODE(real16, "\x67\x66\x89\x08"); /* mov %ecx, (%eax) in 16-bit code */
	assert_int_equal(i.addr_size, 4);
	assert_int_equal(i.size, 4);
	(void)state;
}

static void test_linear(void **state)
{
	uint64_t gpr[16] = {
		[GPR_RBX] = 0x1234fff0, [GPR_RCX] = 2, [GPR_RAX] = 0xffffffffffff0000ull
	};
	struct insn i = DECODE(long64, "\x8b\x44\xcb\x10"); /* mov 0x10(%rbx,%rcx,8), %eax */

	assert_true(insn_linear(&i, &long64, gpr, 0) == 0x1234fff0 + 0x20);
	i = DECODE(long64, "\x8b\x05\xf0\xff\xff\xff"); /* mov -16(%rip), %eax */
	assert_true(insn_linear(&i, &long64, gpr, 0x400000) == 0x400000 + 6 - 16);
	i = DECODE(long64, "\x64\x8b\x03"); /* mov %fs:(%rbx), %eax */
	assert_true(insn_linear(&i, &long64, gpr, 0) == 0x1234fff0 + 0x7000);
	i = DECODE(flat32, "\x8b\x03"); /* mov (%ebx), %eax with a base */
	assert_true(insn_linear(&i, &flat32, gpr, 0) == 0x1234fff0 + 0x1000);
	i = DECODE(real16, "\x89\x47\x20"); /* mov %ax, 0x20(%bx): wraps at 64 KiB */
	assert_true(insn_linear(&i, &real16, gpr, 0) == 0x20000 + 0x10);
	(void)state;
}

static void test_broken(void **state)
{
	struct insn i;

	assert_int_equal(insn_decode((const uint8_t *)"\x48\x8b", 2, &long64, &i), -EAGAIN);
	assert_int_equal(insn_decode((const uint8_t *)"", 0, &long64, &i), -EAGAIN);
	assert_int_equal(insn_decode((const uint8_t *)"\x06", 1, &long64, &i), -EINVAL);
	/* Anything at all must come back in order. */
	for (unsigned n = 0; n < 200000; n++) {
		uint8_t b[15];

		for (unsigned k = 0; k < sizeof(b); k++)
			b[k] = (uint8_t)rand();
		if (!insn_decode(b, sizeof(b), &long64, &i))
			assert_in_range(i.length, 1, 15);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),	cmocka_unit_test(test_alu),
		cmocka_unit_test(test_strings), cmocka_unit_test(test_control),
		cmocka_unit_test(test_modes),	cmocka_unit_test(test_linear),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
