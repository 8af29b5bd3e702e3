/* SPDX-License-Identifier: BSD-2-Clause */
/* The way from long to real mode and back (modes.S), and what was done on it. */
#include "rt.h"

extern const char modes_code[], modes_code_end[];
extern volatile uint32_t modes_compat, modes_inc, modes_efer, modes_flat, modes_big, modes_cpuid;
extern volatile uint16_t modes_int, modes_in, modes_ins, modes_mmio;
void modes_trip(void);
void modes_overflow(void);

static unsigned overflows;

static void on_overflow(struct frame *f)
{
	overflows++;
	check(f->cs == SEL_CODE32, "of-cs", "CS is %x", f->cs);
}

void group_modes(void)
{
	uint8_t *to = (void *)(uint64_t)REAL_START;

	for (long i = 0; i < modes_code_end - modes_code; i++)
		to[i] = (uint8_t)modes_code[i];
	irqs_off();
	modes_trip();
	check(modes_compat == 0x32, "compat", "no 32-bit code ran");
	check(modes_inc == SEL_DATA + 1, "compat-decode", "INC gave %x", (uint64_t)modes_inc);
	check(!(modes_efer & BIT(10)), "efer-lma-clears", "EFER without paging is %x",
	      (uint64_t)modes_efer);
	check(modes_flat == 0x5a5a, "protected", "no store without paging");
	check(modes_int == 0x2121, "real-int", "BX is %x", (uint64_t)modes_int);
	check(modes_cpuid == cpuid(0, 0).a, "real-cpuid", "%x", (uint64_t)modes_cpuid);
	check(modes_in == 0xcafe, "real-io", "read %x", (uint64_t)modes_in);
	check(modes_ins == 0x7a7a, "real-string-io", "read %x", (uint64_t)modes_ins);
	check(modes_big == 0xb16, "real-big", "read %x", (uint64_t)modes_big);
	check(modes_mmio == 0x1234, "real-mmio", "read %x", (uint64_t)modes_mmio);
	check((rdmsr(0xc0000080) & 0x500) == 0x500, "long-again", "EFER is %x", rdmsr(0xc0000080));
	on_vector[4] = on_overflow;
	modes_overflow();
	check(overflows == 1, "of", "%u taken", (uint64_t)overflows);
	on_vector[4] = NULL;
}
