/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: what the files of this room share. Translation only: facts go up as
 * neutral exits and states, decisions come down.
 *
 *   svm_cap.c    what this CPU has          svm_inject.c  events, windows, NMI
 *   svm_cpu.c    per pCPU: enable, ASIDs    svm_state.c   neutral state, modes
 *   svm_vcpu.c   life, load/put             svm_msr.c     MSR permission map, MSRs
 *   svm_entry.S  VMRUN                      svm_fail.c    failures in words
 *   svm_exit.c   #VMEXIT -> vmexit          svm_ops.c     the table
 *   svm_slat.c   leaf format                svm_setup.c   constant fields of a VMCB
 *   svm_run.c    run()                      svm_features.c  what is used, by table
 *   svm_apic.c   task priority             svm_debug.c   for debuggers outside
 *
 * Legend: [const] after init, [own] by the vCPU's world, [cpu] by that pCPU.
 */
#ifndef ARCH_X86_64_SVM_SVM_H
#define ARCH_X86_64_SVM_SVM_H

#include <tern/virt.h>

#include "arch/x86_64/guest.h"
#include "vmcb.h"

/* What the CPU offers; written once by svm_probe. */
struct svm_features {
	bool next_rip, decode_assist, flush_by_asid, tsc_rate, pause_filter, pause_threshold;
	uint32_t asids;	   /* ASIDs are 1..asids-1 */
	hpa_t iopm, msrpm; /* shared by all VMs */
};
extern struct svm_features svm_feat;

struct svm_cpu {
	hpa_t hsave;	    /* [const] the CPU's own, VM_HSAVE_PA */
	hpa_t host;	    /* [const] VMCB that holds the host's VMLOAD state */
	uint64_t asid_gen;  /* [cpu] ASIDs given in an older generation are void */
	uint32_t asid_next; /* [cpu] */
};

struct svm_vcpu {
	struct vmcb *vmcb;	/* [const] */
	uint8_t *fpu;		/* [const] XSAVE area, valid while not loaded */
	uint64_t xcr0;		/* [own] guest's; on the CPU only inside run() */
	uint64_t dr[4];		/* [own] valid while not loaded */
	struct guest_msrs msrs; /* [own] */
	uint64_t asid_gen;	/* [own] generation on asid_cpu that the ASID is of; 0 = none */
	int asid_cpu;		/* [own] */
	bool flush;		/* [own] the guest's own translations must go at the next entry */
	uint64_t exit_rip; /* [own] RIP at the last exit: a changed one ends the interrupt shadow */
	struct virt_event injected; /* [own] what the last entry delivered */
	bool nmi_blocked;	    /* [own] in an NMI handler, IRET not seen yet */
	bool nmi_want;		    /* [own] EXIT_NMI_WINDOW asked for */
	bool iret_seen;		    /* [own] the handler's IRET at iret_rip is about to run */
	bool stepping;		    /* [own] RFLAGS.TF of ours is in, because an NMI waits */
	bool guest_tf;		    /* [own] ... and the guest's own was set already */
	bool debug_step;	    /* [own] RFLAGS.TF of ours is in, for a debugger outside */
	bool debug_tf;		    /* [own] ... and the guest's own was set already */
	uint64_t iret_rip;	    /* [own] */
};

static inline struct svm_vcpu *svm_of(const struct virt_vcpu *v)
{
	return v->priv;
}

static inline void svm_intercept(struct vmcb *b, unsigned what, bool on)
{
	uint32_t bit = 1u << (what & 31);

	if (on)
		b->c.intercept[what >> 5] |= bit;
	else
		b->c.intercept[what >> 5] &= ~bit;
}

/* svm_cap.c */
int svm_probe(struct virt_caps *caps, char *why, size_t why_len);
/* svm_features.c: -ENOTSUP with why when the CPU does not fit. */
int svm_find_features(uint32_t edx, char *why, size_t len);
int svm_refuse(char *why, size_t len, const char *format, const char *what);
void svm_describe(struct virt_caps *caps);
/* svm_setup.c */
void svm_setup_vmcb(struct virt_vcpu *v);
/* svm_fail.c */
void svm_fail_entry(struct virt_vcpu *v, struct vmexit *x);
void svm_fail_exit(struct virt_vcpu *v, struct vmexit *x, const char *text);
/* svm_cpu.c */
int svm_cpu_alloc(unsigned cpu);
int svm_cpu_on(void);
void svm_cpu_off(void);
/* Gives v an ASID of this pCPU; true when its translations must be flushed. */
bool svm_asid_take(struct svm_vcpu *s);
/* svm_vcpu.c */
int svm_vcpu_init(struct virt_vcpu *v);
void svm_vcpu_fini(struct virt_vcpu *v);
void svm_vcpu_reset(struct virt_vcpu *v);
void svm_vcpu_load(struct virt_vcpu *v);
void svm_vcpu_put(struct virt_vcpu *v);
/* svm_run.c */
void svm_run(struct virt_vcpu *v, struct vmexit *x);
/* svm_entry.S: interrupts off; gpr without RAX and RSP, which are in the VMCB. */
void svm_enter(uint64_t *gpr, uint64_t vmcb_pa, uint64_t host_pa);
/* svm_exit.c */
void svm_exit(struct virt_vcpu *v, struct vmexit *x);
/* svm_apic.c */
void svm_apic_enter(struct virt_vcpu *v);
void svm_apic_leave(struct virt_vcpu *v);
/* svm_inject.c */
void svm_event_enter(struct virt_vcpu *v);
void svm_event_leave(struct virt_vcpu *v);
void svm_irq_window(struct virt_vcpu *v, bool want);
void svm_nmi_window(struct virt_vcpu *v, bool want);
void svm_nmi_enter(struct virt_vcpu *v);
void svm_nmi_leave(struct virt_vcpu *v);
void svm_on_iret(struct virt_vcpu *v, struct vmexit *x);
void svm_on_debug(struct virt_vcpu *v, struct vmexit *x);
void svm_on_alignment(struct virt_vcpu *v, struct vmexit *x);
/* svm_debug.c */
void svm_debug(struct virt_vcpu *v);
void svm_step_enter(struct virt_vcpu *v);
void svm_step_leave(struct virt_vcpu *v);
/* True: this #DB was the debugger's alone. */
bool svm_step_done(struct virt_vcpu *v, struct vmexit *x);
void svm_on_break(struct virt_vcpu *v, struct vmexit *x);
void svm_on_exception(struct virt_vcpu *v, struct vmexit *x);
/* svm_state.c */
void svm_mode(struct virt_vcpu *v, struct virt_mode *m);
void svm_state_save(struct virt_vcpu *v, struct virt_state *out);
int svm_state_load(struct virt_vcpu *v, const struct virt_state *in);
int svm_set_cr(struct virt_vcpu *v, unsigned cr, uint64_t value);
/* svm_msr.c */
int svm_msr_init(void);
int svm_msr_get(struct virt_vcpu *v, uint32_t index, uint64_t *value);
int svm_msr_set(struct virt_vcpu *v, uint32_t index, uint64_t value);
uint64_t svm_guest_tsc(const struct virt_vcpu *v);
uint64_t svm_tsc_ratio(const struct virt_vm *vm);
/* svm_slat.c */
extern const struct slat_format npt_format;
extern const struct slat_format npt_format_1g;

#define TSC_RATIO_BITS 32u /* 8.32 fixed point */
#define TSC_RATIO_END 256u
#define MSR_TSC_RATIO 0xc0000104u
#define MSR_VM_CR 0xc0010114u
#define MSR_VM_HSAVE_PA 0xc0010117u

#endif
