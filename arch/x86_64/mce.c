/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine checks, the same for the host's vector 18 and for guests' exits.
 *
 * Each bank that holds an error is read and kept for the log, and cleared. The
 * host ends when the interrupted program cannot be continued (RIPV clear), or
 * a bank says that the CPU's own state is lost (PCC); the banks then stay as
 * they are, for firmware to find after the reset.
 *
 * A check may come while this CPU holds any lock, so nothing is logged in it:
 * the banks go to a ring of this CPU's, and an interrupt to itself empties it.
 * [SDM 3B 16.3 "Machine-Check MSRs"] [APM2 9.3 "Machine Check Architecture MSRs"]
 */
#include <stdio.h>

#include <tern/cpu.h>
#include <tern/log.h>

#include "lapic.h"
#include "mce.h"
#include "regs.h"

#define MSR_MCG_CAP 0x179u
#define MSR_MCG_STATUS 0x17au
#define MSR_BANK(n) (0x400u + 4 * (n)) /* then STATUS, ADDR, MISC */
#define BANKS_MAX 32u		       /* 0x480 and up is other MSRs */
#define MCG_CAP_COUNT 0xffull
#define MCG_RIPV BIT(0)
#define STATUS_VALID BIT(63)
#define STATUS_OVERFLOW BIT(62)
#define STATUS_UNCORRECTED BIT(61)
#define STATUS_MISC BIT(59)
#define STATUS_ADDR BIT(58)
#define STATUS_PCC BIT(57) /* processor context corrupt */
#define STATUS_CODE 0xffffull
#define RING 8u

/* [own] count up for ever; slot = count modulo RING. */
static struct mce_ring {
	uint32_t put, taken, lost;
	struct mce_bank bank[RING];
} rings[MAX_CPUS];

static uint64_t msr_or_0(uint32_t msr)
{
	uint64_t v;

	return rdmsr_safe(msr, &v) ? 0 : v;
}

static unsigned bank_count(void)
{
	return MIN((unsigned)(msr_or_0(MSR_MCG_CAP) & MCG_CAP_COUNT), BANKS_MAX);
}

/* False: this bank holds no error. */
static bool read_bank(unsigned n, const char *where, struct mce_bank *b)
{
	*b = (struct mce_bank){ .where = where, .bank = n };
	b->status = msr_or_0(MSR_BANK(n) + 1);
	if (b->status & STATUS_ADDR)
		b->addr = msr_or_0(MSR_BANK(n) + 2);
	if (b->status & STATUS_MISC)
		b->misc = msr_or_0(MSR_BANK(n) + 3);
	return (b->status & STATUS_VALID) != 0;
}

void mce_text(const struct mce_bank *b, char *text, size_t len)
{
	char addr[32] = "no address", misc[32] = "";

	if (b->status & STATUS_ADDR)
		(void)snprintf(addr, sizeof(addr), "address %llx", (unsigned long long)b->addr);
	if (b->status & STATUS_MISC)
		(void)snprintf(misc, sizeof(misc), ", misc %llx", (unsigned long long)b->misc);
	(void)snprintf(text, len, "%s: bank %u: %s, %s%s, %s%s, code %04x (status %llx)", b->where,
		       b->bank, b->status & STATUS_UNCORRECTED ? "uncorrected" : "corrected",
		       b->status & STATUS_PCC ? "processor context corrupt" : "context intact",
		       b->status & STATUS_OVERFLOW ? ", others overwritten" : "", addr, misc,
		       (unsigned)(b->status & STATUS_CODE), (unsigned long long)b->status);
}

/* Why the host cannot go on; NULL when it can. *worst: the bank that says so, if one does. */
static const char *fatal(unsigned banks, const char *where, struct mce_bank *worst)
{
	bool continues = (msr_or_0(MSR_MCG_STATUS) & MCG_RIPV) != 0;
	bool found = false;

	for (unsigned i = 0; i < banks; i++) {
		struct mce_bank b;

		if (!read_bank(i, where, &b))
			continue;
		if (!found || (b.status & STATUS_PCC))
			*worst = b;
		found = true;
		if (b.status & STATUS_PCC)
			return "the processor's context is corrupt";
	}
	if (!found)
		*worst = (struct mce_bank){ .where = where };
	return continues ? NULL : "the interrupted program cannot be continued";
}

static void die(const char *why, const struct mce_bank *worst)
{
	char text[176];

	if (!(worst->status & STATUS_VALID))
		panic("machine check %s: %s; no bank says more", worst->where, why);
	mce_text(worst, text, sizeof(text));
	panic("machine check: %s; %s", why, text);
}

static void keep(struct mce_ring *r, const struct mce_bank *b)
{
	if (r->put - r->taken == RING) {
		r->lost++;
		return;
	}
	r->bank[r->put % RING] = *b;
	__atomic_store_n(&r->put, r->put + 1, __ATOMIC_RELEASE);
}

void mce_check(const char *where)
{
	struct mce_ring *r = &rings[cpu_self()];
	unsigned banks = bank_count();
	struct mce_bank b;
	const char *why = fatal(banks, where, &b);

	if (why)
		die(why, &b);
	for (unsigned i = 0; i < banks; i++) {
		if (!read_bank(i, where, &b))
			continue;
		keep(r, &b);
		(void)!wrmsr_safe(MSR_BANK(i) + 1, 0);
	}
	(void)!wrmsr_safe(MSR_MCG_STATUS, 0); /* with it set, the next check would be a shutdown */
	apic_kick_self();
}

void mce_report(void)
{
	struct mce_ring *r = &rings[cpu_self()];
	char text[176];

	while (r->taken != __atomic_load_n(&r->put, __ATOMIC_ACQUIRE)) {
		mce_text(&r->bank[r->taken % RING], text, sizeof(text));
		log_error("mce", "CPU %u: machine check %s", cpu_self(), text);
		__atomic_store_n(&r->taken, r->taken + 1, __ATOMIC_RELEASE);
	}
	if (r->lost) {
		log_error("mce", "CPU %u: %u more machine checks", cpu_self(), r->lost);
		r->lost = 0;
	}
}
