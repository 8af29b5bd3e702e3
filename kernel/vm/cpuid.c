/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building, reading and comparing CPUID tables. Feature words go through
 * cpuid_bits[]; all other leaves are listed here: passed (brand string, cache
 * sizes), made up (topology, hypervisor leaves) or absent, which reads as zero.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cpuid.h"

#define XSAVE_COMPACTS (BIT(1) | BIT(3)) /* leaf 0xd.1 EAX: XSAVEC, XSAVES */
#define LEAF_KVM 0x40000000u

static uint32_t *reg_of(struct cpuid_regs *r, unsigned reg)
{
	switch (reg) {
	case REG_EAX:
		return &r->eax;
	case REG_EBX:
		return &r->ebx;
	case REG_ECX:
		return &r->ecx;
	default:
		return &r->edx;
	}
}

static uint32_t reg_get(const struct cpuid_regs *r, unsigned reg)
{
	struct cpuid_regs copy = *r;

	return *reg_of(&copy, reg);
}

static uint32_t host_max(const struct cpuid_source *host, uint32_t leaf)
{
	uint32_t base = leaf & 0x80000000u, max = host->read(host->ctx, base, 0).eax;

	return max < base ? 0 : max;
}

/* Leaves above the host's highest read as zero, whatever the CPU does for them. */
static struct cpuid_regs host_leaf(const struct cpuid_source *host, uint32_t leaf, uint32_t sub)
{
	struct cpuid_regs none = { 0 };

	return leaf > host_max(host, leaf) ? none : host->read(host->ctx, leaf, sub);
}

uint64_t cpuid_xcr0_mask(const struct cpuid_source *host)
{
	struct cpuid_regs one = host_leaf(host, 1, 0), d;
	uint64_t mask;

	if (!(one.ecx & BIT(26)))
		return 0;
	d = host_leaf(host, 0xd, 0);
	mask = ((uint64_t)d.edx << 32 | d.eax) & XCR0_KNOWN;
	if (!(mask & XCR0_AVX) || (mask & XCR0_AVX512) != XCR0_AVX512)
		mask &= ~XCR0_AVX512;
	return (mask & (XCR0_X87 | XCR0_SSE)) == (XCR0_X87 | XCR0_SSE) ? mask : 0;
}

static bool action_shows(uint8_t action, uint64_t xcr0)
{
	switch (action) {
	case BIT_PASS:
		return true;
	case BIT_XSAVE:
		return xcr0 != 0;
	case BIT_AVX:
		return (xcr0 & XCR0_AVX) != 0;
	case BIT_AVX512:
		return (xcr0 & XCR0_AVX512) == XCR0_AVX512;
	default:
		return false;
	}
}

/* The word of features a guest may be shown here. */
static uint32_t feature_word(const struct cpuid_source *host, uint64_t xcr0, uint32_t leaf,
			     uint32_t sub, unsigned reg)
{
	struct cpuid_regs h = host_leaf(host, leaf, sub);
	uint32_t have = *reg_of(&h, reg), word = 0;

	for (unsigned i = 0; i < cpuid_bits_count; i++) {
		const struct cpuid_bit *b = &cpuid_bits[i];

		if (b->leaf != leaf || b->sub != sub || b->reg != reg)
			continue;
		if (b->action == BIT_FORCE ||
		    ((have >> b->bit & 1) && action_shows(b->action, xcr0)))
			word |= 1u << b->bit;
	}
	return word;
}

static struct cpuid_regs feature_leaf(const struct cpuid_source *host, uint64_t xcr0, uint32_t leaf,
				      uint32_t sub)
{
	return (struct cpuid_regs){ feature_word(host, xcr0, leaf, sub, REG_EAX),
				    feature_word(host, xcr0, leaf, sub, REG_EBX),
				    feature_word(host, xcr0, leaf, sub, REG_ECX),
				    feature_word(host, xcr0, leaf, sub, REG_EDX) };
}

static void add(struct cpuid_table *t, uint32_t leaf, uint32_t sub, struct cpuid_regs r)
{
	if (t->count < CPUID_ENTRIES_MAX)
		t->e[t->count++] = (struct cpuid_entry){ leaf, sub, r };
}

static unsigned log2_up(unsigned n)
{
	unsigned s = 0;

	while ((1u << s) < n)
		s++;
	return s;
}

static void build_basic(struct cpuid_table *t, const struct cpuid_source *host, uint64_t xcr0,
			unsigned n)
{
	struct cpuid_regs zero = host->read(host->ctx, 0, 0), one = host_leaf(host, 1, 0), r;

	zero.eax = xcr0 ? 0xd : 0xb;
	add(t, 0, CPUID_ANY_SUB, zero);
	r = feature_leaf(host, xcr0, 1, 0);
	r.eax = one.eax;
	r.ebx = (one.ebx & 0xff00) | MIN(n, 255u) << 16; /* CLFLUSH size; logical processors */
	if (n > 1)
		r.edx |= 1u << 28; /* HTT: more than one logical processor */
	add(t, 1, CPUID_ANY_SUB, r);
	add(t, 6, CPUID_ANY_SUB, feature_leaf(host, xcr0, 6, 0));
	r = feature_leaf(host, xcr0, 7, 0);
	r.eax = 1;
	add(t, 7, 0, r);
	add(t, 7, 1, feature_leaf(host, xcr0, 7, 1));
}

/* One package of n cores of one thread. [SDM 2A "CPUID", leaf 0BH] */
static void build_topology(struct cpuid_table *t, unsigned n)
{
	add(t, 0xb, 0, (struct cpuid_regs){ 0, 1, 1u << 8 | 0, 0 });
	add(t, 0xb, 1, (struct cpuid_regs){ log2_up(n), n, 2u << 8 | 1, 0 });
}

static void build_xsave(struct cpuid_table *t, const struct cpuid_source *host, uint64_t xcr0)
{
	struct cpuid_regs r = { (uint32_t)xcr0, 0, 0, (uint32_t)(xcr0 >> 32) };
	struct cpuid_entry *top;

	if (!xcr0)
		return;
	add(t, 0xd, 0, r);
	top = &t->e[t->count - 1];
	add(t, 0xd, 1, feature_leaf(host, xcr0, 0xd, 1));
	for (unsigned i = 2; i < 63; i++)
		if (xcr0 >> i & 1) {
			r = host_leaf(host, 0xd, i);
			r.ecx = r.edx = 0; /* user state, no alignment: standard format */
			add(t, 0xd, i, r);
		}
	top->r.ecx = cpuid_xsave_size(t, xcr0);
}

static void put_text(struct cpuid_regs *r, const char text[12])
{
	memcpy(&r->ebx, text, 4);
	memcpy(&r->ecx, text + 4, 4);
	memcpy(&r->edx, text + 8, 4);
}

/* The interface of paravirtual clocks that stock kernels know. */
static void build_hypervisor(struct cpuid_table *t, const struct cpuid_source *host, uint64_t xcr0)
{
	struct cpuid_regs r = { LEAF_KVM + 1, 0, 0, 0 };

	put_text(&r, "KVMKVMKVM\0\0");
	add(t, LEAF_KVM, CPUID_ANY_SUB, r);
	add(t, LEAF_KVM + 1, CPUID_ANY_SUB, feature_leaf(host, xcr0, LEAF_KVM + 1, 0));
}

static void build_extended(struct cpuid_table *t, const struct cpuid_source *host, uint64_t xcr0,
			   unsigned n)
{
	struct cpuid_regs r = host_leaf(host, 0x80000000u, 0);
	uint32_t max = MIN(host_max(host, 0x80000000u), 0x80000008u);

	r.eax = max;
	add(t, 0x80000000u, CPUID_ANY_SUB, r);
	r = feature_leaf(host, xcr0, 0x80000001u, 0);
	r.eax = host_leaf(host, 0x80000001u, 0).eax;
	if (n > 1)
		r.ecx |= 1u << 1; /* CmpLegacy: HTT means cores */
	add(t, 0x80000001u, CPUID_ANY_SUB, r);
	for (uint32_t leaf = 0x80000002u; leaf <= 0x80000006u && leaf <= max; leaf++)
		add(t, leaf, CPUID_ANY_SUB,
		    host_leaf(host, leaf, 0)); /* brand, caches and TLBs: for display */
	if (max < 0x80000008u)
		return;
	r = feature_leaf(host, xcr0, 0x80000008u, 0);
	r.eax = host_leaf(host, 0x80000008u, 0).eax & 0xffff; /* address widths */
	r.ecx = log2_up(n) << 12 | (n - 1);
	add(t, 0x80000008u, CPUID_ANY_SUB, r);
}

void cpuid_build(struct cpuid_table *t, const struct cpuid_source *host, unsigned nr_vcpus)
{
	uint64_t xcr0 = cpuid_xcr0_mask(host);

	memset(t, 0, sizeof(*t));
	build_basic(t, host, xcr0, nr_vcpus);
	build_topology(t, nr_vcpus);
	build_xsave(t, host, xcr0);
	build_hypervisor(t, host, xcr0);
	build_extended(t, host, xcr0, nr_vcpus);
}

const struct cpuid_entry *cpuid_find(const struct cpuid_table *t, uint32_t leaf, uint32_t sub)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (t->e[i].leaf == leaf && (t->e[i].sub == CPUID_ANY_SUB || t->e[i].sub == sub))
			return &t->e[i];
	return NULL;
}

const struct cpuid_entry *cpuid_find_shown(const struct cpuid_table *t, uint32_t leaf, uint32_t sub)
{
	const struct cpuid_entry *base = cpuid_find(t, LEAF_KVM, 0);

	if (leaf >> 28 == LEAF_KVM >> 28 && base && !memcmp(&base->r.ebx, "Micr", 4))
		leaf += CPUID_HYPERV_STEP;
	return cpuid_find(t, leaf, sub);
}

bool cpuid_shows(const struct cpuid_table *t, uint32_t leaf, uint32_t sub, enum cpuid_reg reg,
		 unsigned bit)
{
	const struct cpuid_entry *e = cpuid_find(t, leaf, sub);

	return e && (reg_get(&e->r, reg) >> bit & 1);
}

uint64_t cpuid_table_xcr0(const struct cpuid_table *t)
{
	const struct cpuid_entry *e = cpuid_find(t, 0xd, 0);

	return e ? (uint64_t)e->r.edx << 32 | e->r.eax : 0;
}

/* Legacy area and header, then each component at its own offset. [SDM 1 "XSAVE Area"] */
uint32_t cpuid_xsave_size(const struct cpuid_table *t, uint64_t xcr0)
{
	uint32_t size = 576;

	for (unsigned i = 2; i < 63; i++) {
		const struct cpuid_entry *e = xcr0 >> i & 1 ? cpuid_find(t, 0xd, i) : NULL;

		if (e && e->r.ebx + e->r.eax > size)
			size = e->r.ebx + e->r.eax;
	}
	return size;
}

/* The same one behind the other. Their sizes are multiples of 64: alignment adds nothing.
 * [SDM 1 13.4.3 "Extended Region of an XSAVE Area"] */
static uint32_t compacted_size(const struct cpuid_table *t, uint64_t xcr0)
{
	uint32_t size = 576;

	for (unsigned i = 2; i < 63; i++) {
		const struct cpuid_entry *e = xcr0 >> i & 1 ? cpuid_find(t, 0xd, i) : NULL;

		size += e ? e->r.eax : 0;
	}
	return size;
}

struct cpuid_regs cpuid_read(const struct cpuid_table *t, uint32_t leaf, uint32_t sub,
			     const struct cpuid_vcpu *v)
{
	const struct cpuid_entry *e = cpuid_find(t, leaf, sub);
	struct cpuid_regs r = { 0 };

	if (e)
		r = e->r;
	if (leaf == 1) {
		r.ebx = (r.ebx & 0x00ffffff) | v->apic_id << 24;
		if (v->apic_off)
			r.edx &= ~(1u << 9);
		if (v->cr4 & BIT(18))
			r.ecx |= 1u << 27; /* OSXSAVE */
	} else if (leaf == 0xb) {
		r.ecx |= e ? 0 : sub & 0xff; /* an invalid level gives its number back */
		r.edx = v->apic_id;
	} else if (leaf == 0xd && sub == 0 && e) {
		r.ebx = cpuid_xsave_size(t, v->xcr0);
	} else if (leaf == 0xd && sub == 1 && (r.eax & XSAVE_COMPACTS)) {
		r.ebx = compacted_size(t, v->xcr0);
	}
	return r;
}
