/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which processor guests are shown, and what two hosts have in common. A model is
 * all of a processor that a guest can depend on: vendor, signature, address
 * widths, XSAVE components with their places, and the feature words of
 * cpuid_bits[]. A host has one, a guest's CPUID table gives one, and a baseline
 * is one that no single host needs to have:
 *
 *   cpu_model_host                  this host's
 *   cpu_model_common                what remains when another host joins
 *   cpu_model_next_missing          what one has and another lacks, by name
 *   cpu_model_text, cpu_model_parse the compact text of tern.conf's cpu.baseline
 *   cpu_baseline_set, _get          the baseline that "vm create --cpu baseline" uses
 */
#ifndef TERN_CPUMODEL_H
#define TERN_CPUMODEL_H

#include <tern/rec.h>
#include <tern/types.h>

#define CPU_WORDS 13u	    /* feature words, cpuid_words[] */
#define CPU_XCOMPS 8u	    /* XSAVE components 2 to 7 are used */
#define CPU_TEXT_MAX 512u   /* characters of a model's text, NUL included */
#define CPU_FEATURE_MAX 64u /* of a feature's name and place, NUL included */

struct cpu_model {
	char vendor[13]; /* "AuthenticAMD" */
	uint8_t phys_bits, virt_bits;
	uint8_t line;	    /* CLFLUSH unit, 8 bytes each */
	uint32_t signature; /* family, model, stepping, as leaf 1 EAX has them */
	uint32_t max_ext;   /* highest leaf from 0x80000000 on */
	uint64_t xcr0;	    /* XSAVE components; 0 without XSAVE */
	struct {
		uint32_t size, offset; /* bytes, standard format */
	} comp[CPU_XCOMPS];
	uint32_t word[CPU_WORDS];
};

void cpu_model_host(struct cpu_model *m);
unsigned cpu_model_family(const struct cpu_model *m);
unsigned cpu_model_number(const struct cpu_model *m);
/* m becomes what both have. -ENOTSUP with the reason in why when that runs no guest; m is kept. */
MUST_CHECK int cpu_model_common(struct cpu_model *m, const struct cpu_model *with, char *why,
				size_t why_len);
/* m gets the features of the other as well: for lists of what somebody has, not for guests. */
void cpu_model_add(struct cpu_model *m, const struct cpu_model *with);

/* A feature bit: CPUID leaf, sub-leaf, register (0 EAX ... 3 EDX) and number. */
struct cpu_bit {
	unsigned next; /* of the search below; 0 begins it */
	uint32_t leaf, sub;
	uint8_t reg, bit;
};
/* The next bit that want has and have lacks; false at the end. */
bool cpu_model_next_missing(const struct cpu_model *want, const struct cpu_model *have,
			    struct cpu_bit *at);
unsigned cpu_model_features(const struct cpu_model *m); /* how many bits are set */
/* "avx2 (leaf 7 EBX bit 5)", in CPU_FEATURE_MAX bytes. */
void cpu_bit_text(const struct cpu_bit *b, char *buf, size_t len);
const char *cpu_bit_name(const struct cpu_bit *b); /* "avx2" */
/*
 * May a guest that was shown want run where have is what guests can be given? 0, or
 * -ENOTSUP with all reasons in why, as many of the missing features by name as it holds, and the
 * remedy. who is the host in the text ("the destination"). A guest of a baseline was given its
 * family and address width by intention: there only what is missing counts.
 */
MUST_CHECK int cpu_model_check(const struct cpu_model *want, const struct cpu_model *have,
			       bool baseline, const char *who, char *why, size_t why_len);

/* The compact text: docs/console.md. */
void cpu_model_text(const struct cpu_model *m, char *buf, size_t len);
/* -EINVAL with what is wrong in why; m is whatever then. */
MUST_CHECK int cpu_model_parse(const char *text, struct cpu_model *m, char *why, size_t why_len);

/* REC_CPUID of a guest of one vCPU with that model, and back. */
void cpu_model_save(const struct cpu_model *m, struct rec_writer *w);
MUST_CHECK int cpu_model_load(struct rec_reader *r, struct cpu_model *m);

void cpu_baseline_init(void); /* from tern.conf; complains in the log */
/* -ENOTSUP with the reason when this host lacks something of it. */
MUST_CHECK int cpu_baseline_set(const struct cpu_model *m, char *why, size_t why_len);
bool cpu_baseline_get(struct cpu_model *m); /* false: there is none */

/* ---- each known feature on this host, for display ---- */

enum cpu_feature_state {
	CPU_GIVEN,    /* the CPU has it and guests may be shown it */
	CPU_PROVIDED, /* Tern makes it itself */
	CPU_WITHHELD, /* the CPU has it; why says the reason */
	CPU_ABSENT
};
struct cpu_feature {
	struct cpu_bit bit;
	const char *name, *why;
	enum cpu_feature_state state;
};
bool cpu_feature_at(unsigned index, struct cpu_feature *out); /* false past the end */

#endif
