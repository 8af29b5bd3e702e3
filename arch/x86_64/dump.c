/* SPDX-License-Identifier: BSD-2-Clause */
/* The last words: registers and backtrace for panic(), and stopping the other CPUs. */
#include <tern/arch.h>
#include <tern/log.h>
#include <tern/percpu.h>

#include <stdarg.h>
#include <stdio.h>

#include "arch.h"
#include "lapic.h"
#include "regs.h"

static uint32_t panic_cpu; /* [atom] 0 none, 1 + CPU that panics */

static const char *const exception_names[VEC_EXCEPTIONS] = {
	[0] = "divide error",	      [1] = "debug",
	[3] = "breakpoint",	      [4] = "overflow",
	[5] = "bound range",	      [6] = "invalid opcode",
	[7] = "device not available", [8] = "double fault",
	[10] = "invalid TSS",	      [11] = "segment not present",
	[12] = "stack fault",	      [13] = "general protection",
	[14] = "page fault",	      [16] = "x87 error",
	[17] = "alignment check",     [18] = "machine check",
	[19] = "SIMD error",	      [21] = "control protection",
	[29] = "VMM communication",   [30] = "security exception",
};

bool arch_panic_begin(void)
{
	uint32_t none = 0, self = 1 + this_cpu()->index;

	__asm__ volatile("cli" ::: "memory");
	if (!__atomic_compare_exchange_n(&panic_cpu, &none, self, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return false;
	apic_nmi_others();
	return true;
}

bool arch_in_panic(void)
{
	return __atomic_load_n(&panic_cpu, __ATOMIC_RELAXED) != 0;
}

void arch_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" ::: "memory");
}

void trap_panic(const struct trap_frame *f)
{
	const char *name = exception_names[f->vector];
	uint64_t cr2;

	__asm__ volatile("cli; movq %%cr2, %0" : "=r"(cr2));
	this_cpu()->trap = f;
	if (f->vector == VEC_PAGE_FAULT)
		panic("page fault at %016llx: %s, %s (error %llx)", (unsigned long long)cr2,
		      f->error & 16  ? "fetch"
		      : f->error & 2 ? "write"
				     : "read",
		      f->error & 8   ? "reserved bit set"
		      : f->error & 1 ? "not permitted"
				     : "not mapped",
		      (unsigned long long)f->error);
	panic("exception %u, %s (error %llx)", (unsigned)f->vector, name ? name : "reserved",
	      (unsigned long long)f->error);
}

static void PRINTF_LIKE(1, 2) out(const char *fmt, ...)
{
	char line[128];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);

	va_end(ap);
	if (n > 0)
		console_write(line, MIN((size_t)n, sizeof(line) - 1));
}

static void out4(const char *names, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	out("%.3s %016llx  %.3s %016llx  %.3s %016llx  %.3s %016llx\n", names,
	    (unsigned long long)a, names + 3, (unsigned long long)b, names + 6,
	    (unsigned long long)c, names + 9, (unsigned long long)d);
}

void arch_dump_regs(void)
{
	const struct trap_frame *f = this_cpu()->trap;
	uint64_t cr0, cr2, cr3, cr4;

	__asm__ volatile("movq %%cr0, %0; movq %%cr2, %1; movq %%cr3, %2; movq %%cr4, %3"
			 : "=r"(cr0), "=r"(cr2), "=r"(cr3), "=r"(cr4));
	if (f) {
		out4("riprsprflcs ", f->rip, f->rsp, f->rflags, f->cs);
		out4("raxrbxrcxrdx", f->rax, f->rbx, f->rcx, f->rdx);
		out4("rsirdirbpr8 ", f->rsi, f->rdi, f->rbp, f->r8);
		out4("r9 r10r11r12", f->r9, f->r10, f->r11, f->r12);
		out4("r13r14r15err", f->r13, f->r14, f->r15, f->error);
	}
	out4("cr0cr2cr3cr4", cr0, cr2, cr3, cr4);
}

/* Frames lie in the kernel image or the direct map; anything else ends the walk. */
static bool frame_ok(uint64_t fp, uint64_t last)
{
	return fp > last && fp % 8 == 0 && fp >= 0xffff800000000000ull && fp - last < 65536;
}

unsigned arch_backtrace(uint64_t *addrs, unsigned max)
{
	const struct trap_frame *f = this_cpu()->trap;
	uint64_t fp = f ? f->rbp : (uint64_t)__builtin_frame_address(0);
	uint64_t last = f ? f->rsp - 16 : fp - 8;
	unsigned n = 0;

	if (f && n < max)
		addrs[n++] = f->rip;
	while (n < max && frame_ok(fp, last)) {
		uint64_t ret = ((const uint64_t *)fp)[1];

		if (ret == 0)
			break;
		addrs[n++] = ret;
		last = fp;
		fp = ((const uint64_t *)fp)[0];
	}
	return n;
}
