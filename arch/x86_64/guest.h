/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the two backends share: what this CPU can give to guests (guest_cap.c),
 * whether a state may be entered (guest_check.c), vector state (guest_fpu.c), MSRs
 * kept beside (guest_msr.c), registers at entry (guest_entry.h).
 */
#ifndef ARCH_X86_64_GUEST_H
#define ARCH_X86_64_GUEST_H

#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/percpu.h>
#include <tern/virt.h>

/* Written once by guest_probe. */
struct guest_features {
	bool xsave, rdtscp, invpcid, xsavec, xsaves;
	uint64_t xcr0;	     /* components the host switches for guests */
	uint32_t xsave_size; /* bytes of an area with all of them, standard format */
	uint32_t mxcsr_mask;
	uint64_t cr4_mask; /* bits a guest's CR4 may have */
	uint64_t efer_mask;
	uint64_t cr3_mask;
};
extern struct guest_features guest_feat;

/* [own] in each backend's vCPU. */
struct guest_msrs {
	uint64_t tsc_aux, debugctl;
};

static inline bool guest_canonical(uint64_t a)
{
	int64_t top = (int64_t)a >> 47;

	return top == 0 || top == -1;
}

/* guest_cap.c */
void guest_probe(void);
/* On each CPU: what must be so before a guest runs there. */
void guest_cpu_on(void);
/* Does "virt.without" in tern.conf name this feature? */
bool guest_left_out(const char *name);
/* Does "virt.with"? For tests of a feature that is not trusted here. */
bool guest_taken_anyway(const char *name);
/* virt_ops.cpuid_limit of both backends, by guest_feat. */
void guest_cpuid_limit(uint32_t leaf, uint32_t sub, struct cpuid_regs *r);
/* A word more in a list of features. */
void guest_add_word(char *text, size_t len, const char *word);
uint32_t guest_xsave_size(uint64_t xcr0);
/* guest_check.c */
/* xcr0_mask: the XSAVE components that the VM may use. */
int guest_state_check(uint64_t xcr0_mask, const struct virt_state *in);
bool guest_cr_ok(uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer);
bool guest_xcr0_ok(uint64_t xcr0_mask, uint64_t xcr0);
bool guest_pat_ok(uint64_t pat);
bool guest_exception_has_error(unsigned vector);
/* guest_fpu.c: an area is one page */
void guest_fpu_reset(uint8_t *fpu);
void guest_fpu_load(uint8_t *fpu);
void guest_fpu_save(uint8_t *fpu);
void guest_fpu_export(const struct virt_vcpu *v, const uint8_t *fpu, struct virt_state *out);
void guest_fpu_import(uint8_t *fpu, const struct virt_state *in);
bool guest_fpu_ok(uint64_t xcr0_mask, const struct virt_state *in);
/* Before any guest is loaded, with AVX in XCR0: the upper half of ymm0, and XSAVEC of it and SSE.
 */
#define GUEST_FPU_PROBE 0x5a17c0de600df00dull /* each half of that half */
void guest_fpu_xsavec(uint8_t *area);
/* Does that function put it where the compacted format has it? */
bool guest_fpu_compacts(void (*xsavec)(uint8_t *area));
/* guest_msr.c: -ENOENT when the register is none of them, -EINVAL: #GP */
void guest_msrs_load(const struct guest_msrs *m);
int guest_msr_get(const struct guest_msrs *m, uint32_t index, uint64_t *value);
int guest_msr_set(const struct virt_vcpu *v, struct guest_msrs *m, uint32_t index, uint64_t value);
uint64_t guest_xgetbv(void);
void guest_xsetbv(uint64_t v);

#define MSR_TSC 0x10u
#define MSR_SYSENTER_CS 0x174u
#define MSR_SYSENTER_ESP 0x175u
#define MSR_SYSENTER_EIP 0x176u
#define MSR_DEBUGCTL 0x1d9u
#define MSR_PAT 0x277u
#define MSR_XSS 0xda0u
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_SFMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u

#define DEBUGCTL_KEPT 0x3full

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define EFER_FFXSR BIT(14)
#define EFER_TCE BIT(15)

#define CR0_PE BIT(0)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)
#define CR4_PAE BIT(5)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)

#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_RF BIT(16)
#define RFLAGS_VM BIT(17)

/* EFER.LMA follows CR0.PG, as a MOV to CR0 makes it. */
static inline uint64_t guest_efer(uint64_t efer, uint64_t cr0)
{
	if ((cr0 & CR0_PG) && (efer & EFER_LME))
		return efer | EFER_LMA;
	return efer & ~EFER_LMA;
}

/* With interrupts off, before entry: a kick or another world's turn came after the loop looked. */
static inline bool guest_turned_back(struct virt_vcpu *v)
{
	bool resched = __atomic_exchange_n(&this_cpu()->resched, 0, __ATOMIC_SEQ_CST) != 0;

	return __atomic_exchange_n(&v->kicked, 0, __ATOMIC_SEQ_CST) || resched;
}

/*
 * A backend's run: others see that the vCPU is in the guest here, and that it is not any more.
 * In between, with interrupts off, go enters it, unless it is turned back.
 */
static inline void guest_run(struct virt_vcpu *v, struct vmexit *x,
			     void (*go)(struct virt_vcpu *v, struct vmexit *x))
{
	unsigned long flags = irq_save();
	uint32_t self = this_cpu()->index;

	tern_assert(v->cpu == (int)self);
	__atomic_store_n(&v->in_guest, self + 1, __ATOMIC_SEQ_CST);
	this_cpu()->in_guest = 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (guest_turned_back(v)) {
		x->reason = EXIT_NONE;
		x->insn_len = x->insn_bytes = 0;
	} else {
		go(v, x);
	}
	this_cpu()->in_guest = 0;
	__atomic_store_n(&v->in_guest, 0, __ATOMIC_RELEASE);
	irq_restore(flags);
}

#endif
