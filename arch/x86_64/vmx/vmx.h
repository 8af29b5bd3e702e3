/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: what the files of this room share. Translation only: facts go up as
 * neutral exits and states, decisions come down.
 *
 *   vmx_cap.c    what this CPU has          vmx_inject.c  events, windows, NMI
 *   vmx_cpu.c    per pCPU: VMXON, VMCS      vmx_state.c   neutral state, modes
 *   vmx_vcpu.c   life, load/put             vmx_msr.c     MSR bitmap, MSRs
 *   vmx_entry.S  VMLAUNCH, VMRESUME         vmx_fail.c    failures in words
 *   vmx_exit.c   VM exit -> vmexit          vmx_ops.c     the table
 *   vmx_slat.c   leaf format                vmx_setup.c   constant fields of a VMCS
 *   vmx_run.c    run()                      vmx_features.c  control words, by table
 *   vmx_apic.c   task priority, interrupts delivered by the CPU
 *
 * Legend: [const] after init, [own] by the vCPU's world, [cpu] by that pCPU.
 */
#ifndef ARCH_X86_64_VMX_VMX_H
#define ARCH_X86_64_VMX_VMX_H

#include <tern/log.h>
#include <tern/virt.h>

#include "arch/x86_64/guest.h"
#include "vmcs.h"

/* Control words come in five groups. */
enum vmx_group { GROUP_PIN, GROUP_PROC, GROUP_PROC2, GROUP_EXIT, GROUP_ENTRY, GROUPS };

/* What the CPU offers; written once by vmx_probe. */
struct vmx_features {
	uint32_t revision;
	uint32_t chosen[GROUPS];  /* all that is used at some time */
	uint32_t control[GROUPS]; /* what every VMCS starts with */
	bool ept_ad, ept_1g, vpid, pml, tsc_scaling, ple;
	bool timer;	      /* preemption timer */
	uint32_t timer_ticks; /* of it in a millisecond */
	bool invept_single, invvpid_single;
	bool string_info;   /* INS and OUTS tell address size and segment */
	uint64_t cr0_fixed; /* bits of CR0 that must be 1 in the guest: NE */
	uint64_t cr4_owned; /* bits of CR4 that a guest sets only through an exit */
	bool posted;	    /* interrupts can be posted: not used, but tells of a complete APICv */
	bool tpr_shadow, apicv;
	hpa_t msr_bitmap, msr_bitmap_x2apic; /* shared by all VMs */
	struct slat_format ept;
};
extern struct vmx_features vmx_feat;

struct vmx_cpu {
	hpa_t vmxon;	  /* [const] the CPU's own */
	uint64_t current; /* [cpu] VMCS that VMREAD reaches, 0 = none */
};

enum vmx_live_msr { LIVE_STAR, LIVE_LSTAR, LIVE_CSTAR, LIVE_SFMASK, LIVE_KERNEL_GS, LIVE_MSRS };

struct vmx_vcpu {
	hpa_t vmcs;		  /* [const] */
	uint64_t *pml;		  /* [const] log of dirty pages, NULL without the feature */
	uint32_t *apic;		  /* [const] virtual-APIC page, NULL without the feature */
	uint8_t *fpu;		  /* [const] XSAVE area, valid while not loaded */
	uint64_t xcr0;		  /* [own] guest's; on the CPU only inside run() */
	uint64_t dr[4], dr6;	  /* [own] valid while not loaded */
	uint64_t live[LIVE_MSRS]; /* [own] likewise */
	uint64_t cr2;		  /* [own] on the CPU only inside run() */
	struct guest_msrs msrs;	  /* [own] */
	uint16_t vpid;		  /* [const] 0 = none */
	int last_cpu;	   /* [own] pCPU of the last entry: others may hold stale translations */
	bool launched;	   /* [own] VMRESUME next */
	bool flush;	   /* [own] the guest's own translations must go at the next entry */
	bool pdptes_stale; /* [own] PAE: to be read from guest memory before entry */
	bool pml_on;	   /* [own] */
	bool debug_step;   /* [own] RFLAGS.TF of ours is in, for a debugger outside */
	bool debug_tf;	   /* [own] ... and the guest's own was set already */
	bool timer_on;	   /* [own] */
	bool apic_on;	   /* [own] */
	uint32_t blocking; /* [own] interruptibility */
	uint64_t exit_rip; /* [own] RIP at the last exit: a changed one ends the shadow */
	uint64_t host_cr3; /* [own] as in the VMCS */
	struct virt_event injected; /* [own] what the last entry delivered */
};

static inline struct vmx_vcpu *vmx_of(const struct virt_vcpu *v)
{
	return v->priv;
}

void vmcs_access_failed(const char *what, uint32_t field) __attribute__((noreturn));

/* Of the current VMCS. */
static inline uint64_t vmcs_read(uint32_t field)
{
	uint64_t v;
	bool bad;

	__asm__ volatile("vmread %2, %0"
			 : "=r"(v), "=@ccbe"(bad)
			 : "r"((uint64_t)field)
			 : "memory");
	if (bad)
		vmcs_access_failed("VMREAD", field);
	return v;
}

static inline void vmcs_write(uint32_t field, uint64_t v)
{
	bool bad;

	__asm__ volatile("vmwrite %1, %2"
			 : "=@ccbe"(bad)
			 : "r"(v), "r"((uint64_t)field)
			 : "memory");
	if (bad)
		vmcs_access_failed("VMWRITE", field);
}

static inline void vmcs_set_bit(uint32_t field, unsigned bit, bool on)
{
	uint64_t old = vmcs_read(field), now = on ? old | BIT(bit) : old & ~BIT(bit);

	if (now != old)
		vmcs_write(field, now);
}

/* A vCPU's VMCS made current for a while, wherever the vCPU is; nests. */
struct vmx_hold {
	unsigned long flags;
	uint64_t before;
	bool opened;
};

/* vmx_cap.c */
int vmx_probe(struct virt_caps *caps, char *why, size_t why_len);
/* vmx_features.c: each fills why and gives -ENOTSUP when the CPU does not fit. */
int vmx_find_controls(bool true_controls, char *why, size_t len);
int vmx_find_fixed(char *why, size_t len);
int vmx_refuse(char *why, size_t len, const char *format, const char *what);
bool vmx_controls_fit(void);
void vmx_describe(struct virt_caps *caps);
/* vmx_cpu.c */
int vmx_cpu_alloc(unsigned cpu);
int vmx_cpu_on(void);
void vmx_cpu_off(void);
void vmcs_load(struct vmx_vcpu *s);
void vmcs_clear(struct vmx_vcpu *s);
struct vmx_hold vmcs_open(struct virt_vcpu *v);
void vmcs_close(struct virt_vcpu *v, struct vmx_hold h);
void vmx_invept(uint64_t eptp);
void vmx_invvpid(uint16_t vpid);
uint16_t vmx_vpid_take(void);
void vmx_vpid_give(uint16_t vpid);
/* vmx_setup.c */
void vmx_setup_vmcs(struct virt_vcpu *v);
void vmx_setup_host(void);
/* vmx_vcpu.c */
int vmx_vcpu_init(struct virt_vcpu *v);
void vmx_vcpu_fini(struct virt_vcpu *v);
void vmx_vcpu_reset(struct virt_vcpu *v);
void vmx_vcpu_load(struct virt_vcpu *v);
void vmx_vcpu_put(struct virt_vcpu *v);
/* vmx_run.c */
void vmx_run(struct virt_vcpu *v, struct vmexit *x);
/* vmx_entry.S: interrupts off; gpr without RSP, which is in the VMCS. 0, or 1: the instruction
 * failed. */
int vmx_enter(uint64_t *gpr, bool launched);
extern const char vmx_exit_point[];
/* vmx_exit.c */
void vmx_exit(struct virt_vcpu *v, struct vmexit *x);
/* vmx_fail.c */
void vmx_fail_entry(struct virt_vcpu *v, struct vmexit *x);
void vmx_fail_instruction(struct virt_vcpu *v, struct vmexit *x);
void vmx_fail_exit(struct vmexit *x, const char *text);
const char *vmx_entry_text(uint64_t reason, uint64_t qualification);
const char *vmx_instruction_text(uint64_t error);
/* vmx_apic.c */
void vmx_apic_enter(struct virt_vcpu *v);
void vmx_apic_leave(struct virt_vcpu *v);
void vmx_on_eoi(struct virt_vcpu *v, struct vmexit *x);
/*
 * Intercepted always: a guest can make the CPU raise #DB and #AC for ever while it delivers one;
 * machine checks are the host's.
 */
#define VMX_EXCEPTIONS (BIT(1) | BIT(17) | BIT(18))
/* vmx_debug.c */
void vmx_debug(struct virt_vcpu *v);
void vmx_step_enter(struct virt_vcpu *v);
void vmx_step_leave(struct virt_vcpu *v);
/* True: this exception was for a debugger outside, and x says how. info is the exit's event. */
bool vmx_debug_exception(struct virt_vcpu *v, struct vmexit *x, uint64_t info);
/* vmx_inject.c */
void vmx_event_enter(struct virt_vcpu *v);
void vmx_event_leave(struct virt_vcpu *v);
void vmx_irq_window(struct virt_vcpu *v, bool want);
void vmx_nmi_window(struct virt_vcpu *v, bool want);
void vmx_on_exception(struct virt_vcpu *v, struct vmexit *x);
/* vmx_state.c */
void vmx_mode(struct virt_vcpu *v, struct virt_mode *m);
void vmx_state_save(struct virt_vcpu *v, struct virt_state *out);
int vmx_state_check(uint64_t xcr0_mask, const struct virt_state *in);
int vmx_state_load(struct virt_vcpu *v, const struct virt_state *in);
int vmx_set_cr(struct virt_vcpu *v, unsigned cr, uint64_t value);
void vmx_put_state(struct virt_vcpu *v, const struct virt_state *in);
/* vmx_msr.c */
int vmx_msr_init(void);
int vmx_msr_get(struct virt_vcpu *v, uint32_t index, uint64_t *value);
int vmx_msr_set(struct virt_vcpu *v, uint32_t index, uint64_t value);
void vmx_live_load(struct vmx_vcpu *s);
void vmx_live_save(struct vmx_vcpu *s);
uint64_t vmx_guest_tsc(const struct virt_vcpu *v);
#define TSC_RATIO_BITS 48u /* 16.48 fixed point */
#define TSC_RATIO_END 65536u
uint64_t vmx_tsc_ratio(const struct virt_vm *vm);
/* vmx_slat.c */
void ept_format_init(struct slat_format *f, bool has_ad, bool has_1g);
uint64_t ept_pointer(const struct slat *s);

#define MSR_FEATURE_CONTROL 0x3au
#define FEATURE_CONTROL_LOCK BIT(0)
#define FEATURE_CONTROL_VMX BIT(2) /* outside of SMX */
static inline bool vmx_locked_off(uint64_t feature_control)
{
	return (feature_control & FEATURE_CONTROL_LOCK) && !(feature_control & FEATURE_CONTROL_VMX);
}

#define MSR_VMX_BASIC 0x480u
#define BASIC_STRING_INFO BIT(54)
#define BASIC_TRUE_CONTROLS BIT(55)
#define CR4_VMXE BIT(13)

#endif
