/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The payload's runtime (rt.h), and its beginning: the words of the command
 * line, behind the file's name, are the groups to be run. The exit code is the
 * number of failures.
 */
#include <stdarg.h>

#include "rt.h"

#define COM1 0x3f8
#define EXIT_PORT 0xf4
#define EXIT_TRAP 250u /* a trap that nobody expected */
#define EXIT_BOOT 251u
#define LOADED_MAGIC 0x2badb002u

volatile struct trap trap;
void (*on_vector[256])(struct frame *f);
struct gate idt[256] __attribute__((aligned(16)));
uint8_t tss[104] __attribute__((aligned(16)));

static unsigned checks, failures;
static uint64_t user_return[2]; /* RSP and RIP to come back to from ring 3 */

extern const char stubs[];
extern uint64_t gdt[];
extern char stack_top[];
extern uint32_t boot_info, boot_magic;

/* ---- output: a line in one go, because each access of a port is an exit ---- */

static char line[1024];
static unsigned line_len;

static void flush(void)
{
	const char *from = line;

	__asm__ volatile("cld; rep outsb" : "+S"(from), "+c"(line_len) : "d"(COM1) : "memory");
}

static void put(char c)
{
	line[line_len++] = c;
	if (c == '\n' || line_len == sizeof(line))
		flush();
}

bool typed(void)
{
	if (!(inb(COM1 + 5) & 1))
		return false;
	(void)inb(COM1);
	return true;
}

char typed_line(void)
{
	char first = 0, c;

	do {
		while (!(inb(COM1 + 5) & 1))
			__asm__ volatile("pause");
		c = (char)inb(COM1);
		first = first ? first : c;
	} while (c != '\r');
	return first;
}

static void put_number(uint64_t v, unsigned base)
{
	char digit[20];
	unsigned n = 0;

	do
		digit[n++] = "0123456789abcdef"[v % base];
	while (v /= base);
	while (n)
		put(digit[--n]);
}

static void vsay(const char *fmt, va_list ap)
{
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(*fmt);
			continue;
		}
		fmt++;
		if (*fmt == 's')
			for (const char *s = va_arg(ap, const char *); *s; s++)
				put(*s);
		else
			put_number(va_arg(ap, uint64_t), *fmt == 'x' ? 16 : 10);
	}
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
}

void check(bool good, const char *name, const char *why, ...)
{
	va_list ap;

	checks++;
	say("%s %s", good ? "ok" : "FAIL", name);
	if (!good) {
		failures++;
		put(' ');
		va_start(ap, why);
		vsay(why, ap);
		va_end(ap);
	}
	say("\n");
}

void skip(const char *name, const char *why)
{
	say("skip %s %s\n", name, why);
}

void leave(uint32_t code)
{
	flush();
	for (;;)
		outl(EXIT_PORT, code);
}

bool on_tcg(void)
{
	struct cpuid r = cpuid(0x80000002, 0);

	return r.a == 0x554d4551 && r.b == 0x47435420; /* "QEMU", " TCG" */
}

/* ---- traps ---- */

void set_gate(unsigned vector, uint64_t to, unsigned dpl, unsigned ist)
{
	idt[vector] = (struct gate){
		(uint16_t)to,	      SEL_CODE64,	    (uint16_t)(0x8e00 | dpl << 13 | ist),
		(uint16_t)(to >> 16), (uint32_t)(to >> 32), 0
	};
}

void set_tss_limit(uint32_t limit)
{
	uint64_t base = (uint64_t)tss;

	gdt[SEL_TSS / 8] =
		limit | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
	gdt[SEL_TSS / 8 + 1] = base >> 32;
	__asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
}

void traps_load(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) p = { sizeof(idt) - 1, (uint64_t)idt };

	__asm__ volatile("lidt %0" ::"m"(p));
}

static void traps_init(void)
{
	for (unsigned v = 0; v < 256; v++)
		set_gate(v, (uint64_t)stubs + v * 16, 0, 0);
	*(uint64_t *)(void *)(tss + 4) = (uint64_t)stack_top - 32768;  /* RSP0 */
	*(uint64_t *)(void *)(tss + 36) = (uint64_t)stack_top - 49152; /* IST1 */
	set_tss_limit(sizeof(tss) - 1);
	traps_load();
}

void on_trap(struct frame *f); /* called by start.S */
void on_trap(struct frame *f)
{
	if (on_vector[f->vector]) {
		on_vector[f->vector](f);
		return;
	}
	if (!trap.resume) {
		say("FAIL trap vector %u error %x rip %x cr2 %x rflags %x\n", f->vector, f->error,
		    f->rip, read_cr2(), f->rflags);
		leave(EXIT_TRAP);
	}
	trap.count++;
	trap.vector = f->vector;
	trap.error = f->error;
	trap.cr2 = read_cr2();
	trap.dr6 = read_dr6();
	trap.rip = f->rip;
	trap.rflags = f->rflags;
	f->rip = trap.resume;
	f->rflags &= ~(BIT(8) | BIT(16)); /* TF, RF */
	trap.resume = 0;
	if (f->cs & 3) { /* back from ring 3 */
		f->cs = SEL_CODE64;
		f->ss = SEL_DATA;
		f->rsp = user_return[0];
		f->rip = user_return[1];
		f->rflags = 2;
	}
}

void raised(const char *name, unsigned vector, uint64_t error)
{
	if (!trap.count)
		check(false, name, "nothing was raised");
	else
		check(trap.vector == vector && trap.error == error, name,
		      "raised %u error %x, not %u error %x", trap.vector, trap.error,
		      (uint64_t)vector, error);
}

void run_user(void (*fn)(void), uint64_t rflags)
{
	static const uint16_t data = SEL_DATA; /* IRETQ empties DS and ES on the way to ring 3 */

	trap.count = 0;
	__asm__ volatile("movq $1f, trap(%%rip)\n\t"
			 "movq %%rsp, %2\n\t"
			 "movq $1f, %3\n\t"
			 "pushq %4\n\t"
			 "pushq %5\n\t"
			 "pushq %1\n\t"
			 "pushq %6\n\t"
			 "pushq %0\n\t"
			 "iretq\n"
			 "1: movq $0, trap(%%rip)"
			 :
			 : "r"(fn), "r"(rflags | 2), "m"(user_return[0]), "m"(user_return[1]),
			   "i"(SEL_USER_DATA), "r"(MAP_AT + 0x3ff0ull), "i"(SEL_USER_CODE)
			 : "memory", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" ::"m"(data));
}

/* ---- what is to be done ---- */

static const struct {
	const char *name;
	void (*run)(void);
} groups[] = {
	{ "exceptions", group_exceptions },
	{ "interrupts", group_interrupts },
	{ "cpuid", group_cpuid },
	{ "modes", group_modes },
	{ "time", group_time },
	{ "paging", group_paging },
	{ "xsave", group_xsave },
	{ "debug", group_debug },
	{ "mmio", group_mmio },
	{ "smp", group_smp },
	{ "turns", group_turns },
	{ "move", group_move },
	{ "tickets", group_tickets },
	{ "count", group_count },
	{ "hyperv", group_hyperv },
	{ "hyperv-move", group_hyperv_move },
	{ "debugged", group_debugged },
	{ "blackout", group_blackout },
	{ "strings", group_strings },
	{ "msrs", group_msrs },
	{ "x2apic", group_x2apic },
	{ "state", group_state },
	{ "state2", group_state2 },
};

/* Does the word at s, up to a blank, spell name? */
static bool is_word(const char *s, const char *name)
{
	while (*name && *s == *name)
		s++, name++;
	return !*name && (!*s || *s == ' ');
}

static void run_words(const char *s)
{
	while (*s) {
		while (*s == ' ')
			s++;
		for (unsigned i = 0; i < ARRAY_SIZE(groups); i++)
			if (*s && is_word(s, groups[i].name))
				groups[i].run();
		while (*s && *s != ' ')
			s++;
	}
}

_Noreturn void main(void); /* called by start.S */
void main(void)
{
	const uint32_t *info = (const void *)(uint64_t)boot_info;

	traps_init();
	if (boot_magic != LOADED_MAGIC || !(info[0] & 4)) {
		say("FAIL boot magic %x flags %x\n", (uint64_t)boot_magic, (uint64_t)info[0]);
		leave(EXIT_BOOT);
	}
	apic_init();
	run_words((const char *)(uint64_t)info[4]);
	say("done %u checks, %u failures\n", (uint64_t)checks, (uint64_t)failures);
	leave(failures);
}
