/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * String instructions that are moved half-done: "strings". Each has a count that lasts for
 * minutes, and is under way until a byte comes on COM1; a timer's interrupt in its middle then,
 * when LEAST elements are done, leaves it LAST more. Every element is to have been done once.
 *
 *	running NAME		so it is; NAME is outs, ins, to-device, from-device
 *	sent N			outs: so many bytes went to COM2, as text_at() has them
 *	got TEXT		ins: all that COM2 gave, a '/' for each end of a line
 *
 * What is read and written lies in 1 GiB of addresses that repeat a few pages, in 2 MiB
 * which repeat: a position says what is there.
 */
#include "rt.h"

#define COM2 0x2f8
#define DEVICE 0xff000000ull
#define DEVICE_BYTES 0x2000u /* of it, over and over */
#define TEXT_PAGES 3u
#define TEXT_AT 0x10000000000ull   /* the text, over and over */
#define DEVICE_AT 0x18000000000ull /* the device */
#define BUFFER 0x1000000ull	   /* memory, which ends */
#define BUFFER_BYTES 0x2800000ull
#define ENDLESS (1ull << 30)
#define LEAST 0x3000u
#define LAST 4096u
#define TICK_VECTOR 0x73
#define TICK_COUNT 2000000u
#define PERIODIC 0x20000u
#define MASKED 0x10000u
#define GOT_MAX 512u

extern uint64_t pml4[512];

struct repeated {
	uint64_t pdpt[512], pd[512], pt[512];
};
static struct repeated text __attribute__((aligned(4096)));
static struct repeated device __attribute__((aligned(4096)));
static volatile uint64_t string_at; /* address of the instruction under way */
static volatile uint64_t whole;	    /* its count */
static volatile unsigned middles, cuts;

struct done {
	uint64_t rsi, rdi, count;
};

/* RSI, RDI and RCX are the instruction's, string_at says where it stands. */
#define STRING(insn, d)                                                                            \
	__asm__ volatile("lea 991f(%%rip), %%rax; mov %%rax, %[at]\n\tcld\n991: " insn             \
			 : "+S"((d)->rsi), "+D"((d)->rdi), "+c"((d)->count), [at] "=m"(string_at)  \
			 : "d"(COM2)                                                               \
			 : "rax", "memory")

static void do_outs(struct done *d)
{
	STRING("rep outsb", d);
}

static void do_ins(struct done *d)
{
	STRING("rep insb", d);
}

static void do_movs(struct done *d)
{
	STRING("rep movsb", d);
}

static void on_tick(struct frame *f)
{
	apic_eoi();
	if (f->rip != string_at)
		return;
	middles++;
	if (cuts || whole - f->rcx < LEAST || !typed())
		return;
	cuts++;
	if (f->rcx > LAST)
		f->rcx = LAST;
}

static void repeat(struct repeated *t, uint64_t at, uint64_t physical, unsigned nr_pages)
{
	const uint64_t flags = PTE_P | PTE_W;

	for (unsigned i = 0; i < 512; i++) {
		t->pd[i] = (uint64_t)t->pt | flags;
		t->pt[i] = (physical + i % nr_pages * 4096ull) | flags;
	}
	t->pdpt[0] = (uint64_t)t->pd | flags;
	pml4[at >> 39] = (uint64_t)t->pdpt | flags;
}

static uint8_t text_at(uint64_t position)
{
	position %= 512 * 4096;
	return pages[position / 4096 % TEXT_PAGES][position % 4096];
}

/* Words of three digits and a blank: each is its place in the text. */
static void write_text(void)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < TEXT_PAGES * 4096; i++)
		pages[i / 4096][i % 4096] =
			i % 4 == 3 ? ' ' : (uint8_t)digits[i / 4 >> (8 - 4 * (i % 4)) & 15];
}

/* How many elements were done. */
static uint64_t run(const char *name, void (*fn)(struct done *d), uint64_t from, uint64_t to)
{
	const uint64_t count = to == BUFFER ? BUFFER_BYTES : ENDLESS;
	struct done d = { from, to, count };

	while (typed())
		;
	middles = cuts = 0;
	whole = count;
	say("running %s\n", name);
	irqs_on();
	fn(&d);
	irqs_off();
	check(middles && cuts == 1 && !d.count, name, "%u interrupts, %u cuts, %u left",
	      (uint64_t)middles, (uint64_t)cuts, d.count);
	return fn == do_outs ? d.rsi - from : d.rdi - to;
}

static void say_got(uint64_t n)
{
	const uint8_t *b = (const void *)BUFFER;
	static char got[GOT_MAX + 1];
	unsigned len = 0;

	for (uint64_t i = 0; i < n; i++)
		if (b[i] && len < GOT_MAX)
			got[len++] = b[i] < ' ' ? '/' : (char)b[i];
	say("got %s\n", got);
}

static void to_device(void)
{
	uint64_t n = run("to-device", do_movs, TEXT_AT, DEVICE_AT), wrong = 0;

	for (uint64_t i = n - DEVICE_BYTES; i < n; i++)
		wrong += ((volatile uint8_t *)DEVICE)[i % DEVICE_BYTES] != text_at(i);
	check(!wrong, "to-device-bytes", "%u of %u wrong", wrong, n);
}

static void from_device(void)
{
	uint64_t n = run("from-device", do_movs, DEVICE_AT, BUFFER), wrong = 0;
	const uint8_t *b = (const void *)BUFFER;

	for (uint64_t i = 0; i < DEVICE_BYTES; i++)
		wrong += b[i] != ((volatile uint8_t *)DEVICE)[i];
	for (uint64_t i = DEVICE_BYTES; i < n; i++)
		wrong += b[i] != b[i - DEVICE_BYTES];
	check(!wrong, "from-device-bytes", "%u of %u wrong", wrong, n);
}

void group_strings(void)
{
	write_text();
	repeat(&text, TEXT_AT, (uint64_t)pages, TEXT_PAGES);
	repeat(&device, DEVICE_AT, DEVICE, DEVICE_BYTES / 4096);
	on_vector[TICK_VECTOR] = on_tick;
	apic_write(APIC_TIMER_DIV, 0xb); /* by 1 */
	apic_write(APIC_LVT_TIMER, TICK_VECTOR | PERIODIC);
	apic_write(APIC_TIMER_INIT, TICK_COUNT);
	say("sent %u\n", run("outs", do_outs, TEXT_AT, 0));
	say_got(run("ins", do_ins, 0, BUFFER));
	to_device();
	from_device();
	apic_write(APIC_LVT_TIMER, MASKED);
}
