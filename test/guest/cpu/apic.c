/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC in either mode, and the other processors (rt.h). */
#include "rt.h"

#define MSR_BASE 0x1b
#define BASE_X2 BIT(10)
#define MSR_X2 0x800
#define MMIO 0xfee00000ull
#define FWCFG 0x510
#define FWCFG_CPUS 5
#define ICR_LOW 0x30
#define ICR_HIGH 0x31
#define ICR_INIT 0x4500u
#define ICR_SIPI 0x4600u
#define SPURIOUS 0xff
#define PATIENCE 20000000000ull /* TSC ticks */

extern const char ap_code[], ap_code_end[];

static volatile uint32_t online, busy;
static bool want_x2;
static void (*volatile job)(unsigned cpu);
static volatile uint32_t job_number;

void traps_load(void);

static bool x2apic(void)
{
	return (rdmsr(MSR_BASE) & BASE_X2) != 0;
}

uint32_t apic_read(unsigned reg)
{
	if (x2apic())
		return (uint32_t)rdmsr(MSR_X2 + reg);
	return *(volatile uint32_t *)(MMIO + reg * 16);
}

/* Reserved registers, and those of one mode only. */
static bool absent(unsigned reg)
{
	if (reg == 0x09 || reg == 0x0c || reg == 0x0e || reg == ICR_HIGH)
		return x2apic();
	return reg < 2 || (reg > 3 && reg < 8) || (reg > 0x28 && reg < ICR_LOW) ||
	       (reg > APIC_TIMER_NOW && reg != APIC_TIMER_DIV);
}

uint32_t apic_try_read(unsigned reg)
{
	return absent(reg) ? 0 : apic_read(reg);
}

void group_x2apic(void)
{
	want_x2 = true;
	wrmsr(MSR_BASE, rdmsr(MSR_BASE) | BASE_X2);
}

void apic_write(unsigned reg, uint32_t v)
{
	if (x2apic())
		wrmsr(MSR_X2 + reg, v);
	else
		*(volatile uint32_t *)(MMIO + reg * 16) = v;
}

void apic_ipi(uint32_t to, uint32_t low)
{
	if (x2apic()) {
		wrmsr(MSR_X2 + ICR_LOW, (uint64_t)to << 32 | low);
		return;
	}
	apic_write(ICR_HIGH, to << 24);
	apic_write(ICR_LOW, low);
}

uint32_t apic_id(void)
{
	uint32_t id = apic_read(APIC_ID);

	return x2apic() ? id : id >> 24;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_init(void)
{
	apic_write(APIC_SVR, 0x100 | SPURIOUS);
	apic_write(APIC_TPR, 0);
	outb(0x21, 0xff); /* both PICs masked */
	outb(0xa1, 0xff);
}

unsigned cpus(void)
{
	__asm__ volatile("outw %0, %1" ::"a"((uint16_t)FWCFG_CPUS), "Nd"((uint16_t)FWCFG));
	return inb(FWCFG + 1);
}

static bool patient(volatile uint32_t *what, uint32_t value)
{
	uint64_t start = rdtsc();

	while (*what != value) {
		if (rdtsc() - start > PATIENCE)
			return false;
		__asm__ volatile("pause");
	}
	return true;
}

_Noreturn void ap_main(void); /* called by start.S */
void ap_main(void)
{
	unsigned self;
	uint32_t done = 0;

	traps_load();
	if (want_x2)
		group_x2apic();
	apic_init();
	self = __atomic_add_fetch(&online, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		while (job_number == done)
			__asm__ volatile("pause");
		done = job_number;
		job(self);
		__atomic_fetch_sub(&busy, 1, __ATOMIC_SEQ_CST);
	}
}

bool cpus_start(void)
{
	uint8_t *to = (void *)(uint64_t)AP_START;

	if (online == cpus() - 1)
		return true;
	for (long i = 0; i < ap_code_end - ap_code; i++)
		to[i] = (uint8_t)ap_code[i];
	apic_ipi(0, ICR_OTHERS | ICR_INIT);
	apic_ipi(0, ICR_OTHERS | ICR_SIPI | AP_START >> 12);
	return patient(&online, cpus() - 1);
}

void on_others(void (*fn)(unsigned cpu))
{
	busy = online;
	job = fn;
	__atomic_fetch_add(&job_number, 1, __ATOMIC_SEQ_CST);
}

uint32_t others_busy(void)
{
	return busy;
}

void wait_others(void)
{
	check(patient(&busy, 0), "others-end", "%u processors still work", (uint64_t)busy);
}
