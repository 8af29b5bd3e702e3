/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUID shows a guest. A table is built once per VM from the host's leaves
 * by cpuid_bits[] (which bit is passed, forced or hidden, and why), or taken
 * from a migration's stream; what depends on the vCPU or its registers (APIC ID,
 * OSXSAVE, size of the enabled XSAVE area) is filled in at the read.
 */
#ifndef KERNEL_VM_CPUID_H
#define KERNEL_VM_CPUID_H

#include <tern/cpu.h>
#include <tern/cpumodel.h>
#include <tern/types.h>

#define CPUID_ENTRIES_MAX 64u
#define CPUID_ANY_SUB 0xffffffffu

struct cpuid_entry {
	uint32_t leaf, sub; /* sub CPUID_ANY_SUB: the leaf has no sub-leaves */
	struct cpuid_regs r;
};

struct cpuid_table {
	uint32_t count;
	struct cpuid_entry e[CPUID_ENTRIES_MAX];
};

enum cpuid_reg { REG_EAX, REG_EBX, REG_ECX, REG_EDX };

enum cpuid_action {
	BIT_PASS,   /* shown when the host has it */
	BIT_XSAVE,  /* as PASS, when the guest may use XSAVE */
	BIT_AVX,    /* as PASS, when the guest's XCR0 may have AVX */
	BIT_AVX512, /* as PASS, when the guest's XCR0 may have AVX-512 */
	BIT_FORCE,  /* Tern provides it itself */
	BIT_FILL,   /* depends on the VM or the vCPU: filled in, whatever the host has */
	BIT_HIDE    /* why says the reason; bits not listed are hidden as unknown */
};

struct cpuid_bit {
	uint32_t leaf;
	uint8_t sub;
	uint8_t reg; /* enum cpuid_reg */
	uint8_t bit;
	uint8_t action; /* enum cpuid_action */
	const char *name;
	const char *why;
};
extern const struct cpuid_bit cpuid_bits[];
extern const unsigned cpuid_bits_count;

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))
/* State components Tern saves and moves; below CPU_XCOMPS. */
#define XCR0_KNOWN (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)

/* Where leaves come from: this host, a model (cpu_model.c), a test. */
struct cpuid_source {
	struct cpuid_regs (*read)(const void *ctx, uint32_t leaf, uint32_t sub);
	const void *ctx;
};

/* XCR0 bits a guest may have on a host with these leaves; 0 without XSAVE. */
uint64_t cpuid_xcr0_mask(const struct cpuid_source *host);
void cpuid_build(struct cpuid_table *t, const struct cpuid_source *host, unsigned nr_vcpus);
const struct cpuid_entry *cpuid_find(const struct cpuid_table *t, uint32_t leaf, uint32_t sub);
/* By the number that a leaf has in a VM without Microsoft's interface (cpuid_hyperv.c), which
 * moves others so far up. */
#define CPUID_HYPERV_STEP 0x100u
const struct cpuid_entry *cpuid_find_shown(const struct cpuid_table *t, uint32_t leaf,
					   uint32_t sub);
/* Is the feature bit set in what the guest sees? */
bool cpuid_shows(const struct cpuid_table *t, uint32_t leaf, uint32_t sub, enum cpuid_reg reg,
		 unsigned bit);
uint64_t cpuid_table_xcr0(const struct cpuid_table *t);
/* Bytes of the standard-format XSAVE area for these components. */
uint32_t cpuid_xsave_size(const struct cpuid_table *t, uint64_t xcr0);
/* What a vCPU reads: dynamic parts filled in. */
struct cpuid_vcpu {
	uint32_t apic_id;
	uint64_t cr4, xcr0;
	bool apic_off; /* by IA32_APIC_BASE: the feature bit goes too */
};
struct cpuid_regs cpuid_read(const struct cpuid_table *t, uint32_t leaf, uint32_t sub,
			     const struct cpuid_vcpu *v);

/* cpu_model.c */
extern const struct cpuid_word {
	uint32_t leaf;
	uint8_t sub, reg;
} cpuid_words[CPU_WORDS];
/* Bits of word i that some action of the set (1 << enum cpuid_action) stands for. */
uint32_t cpuid_word_bits(unsigned i, unsigned actions);
void cpu_model_of(const struct cpuid_table *t, struct cpu_model *m);
/* What a guest of n vCPUs is shown by a model; display tells what is only for people. */
void cpuid_build_model(struct cpuid_table *t, const struct cpu_model *m,
		       const struct cpuid_source *display, unsigned nr_vcpus);
/* Takes out what does not go together (AVX without its state). */
void cpu_model_normalize(struct cpu_model *m);

/* cpuid_rec.c: REC_CPUID. */
void cpuid_table_save(const struct cpuid_table *t, struct rec_writer *w);
MUST_CHECK int cpuid_table_parse(struct rec_reader *r, struct cpuid_table *t);

/* cpu_host.c */
const struct cpuid_source *vm_host_cpuid(void);

#endif
