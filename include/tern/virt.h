/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The face between the kernel and a CPU vendor's virtualization backend
 * (arch/x86_64/svm, arch/x86_64/vmx): one table of coarse operations, one
 * neutral exit record, one neutral CPU state. Backends translate; the kernel
 * decides. A backend knows struct virt_vm and struct virt_vcpu, which the
 * kernel embeds in its own; it never sees a VM.
 *
 * Legend: [const] after init, [own] by the vCPU's world, [atom] atomic.
 */
#ifndef TERN_VIRT_H
#define TERN_VIRT_H

#include <tern/slat.h>
#include <tern/types.h>

struct cpuid_regs;

enum exit_reason {
	EXIT_NONE, /* host interrupt, kick or flush request: nothing for the guest */
	EXIT_CPUID,
	EXIT_HLT,
	EXIT_PAUSE,
	EXIT_MSR_READ,
	EXIT_MSR_WRITE,
	EXIT_PIO,
	EXIT_SLAT_FAULT, /* nested page fault, EPT violation */
	EXIT_IRQ_WINDOW, /* asked for by irq_window, open now */
	EXIT_NMI_WINDOW,
	EXIT_CR_ACCESS, /* mov to/from CRn that the backend did not settle itself */
	EXIT_XSETBV,
	EXIT_HYPERCALL, /* VMCALL, VMMCALL */
	EXIT_EXCEPTION, /* an intercepted guest exception */
	EXIT_WBINVD,
	EXIT_DEBUG,	/* what virt_debug asks for */
	EXIT_UNDEFINED, /* an instruction the guest must not have: give #UD */
	EXIT_REFUSED,	/* one it has, but never with success: give #GP */
	EXIT_TRIPLE_FAULT,
	EXIT_EOI,    /* of a vector in apic.level: the CPU has ended it, the rest is ours */
	EXIT_FAILED, /* the CPU refused to enter: x->fail says why */
	EXIT_REASONS
};

/* Guest register numbers as the instruction encoding has them. */
enum gpr {
	GPR_RAX,
	GPR_RCX,
	GPR_RDX,
	GPR_RBX,
	GPR_RSP,
	GPR_RBP,
	GPR_RSI,
	GPR_RDI,
	GPR_R8,
	GPR_R15 = 15,
	GPR_COUNT
};

enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };

/* attr is the VMCB's packing: type 0-3, S 4, DPL 5-6, P 7, AVL 8, L 9, D/B 10, G 11; 0x10000 =
 * unusable. */
#define SEG_UNUSABLE 0x10000u
struct virt_seg {
	uint64_t base;
	uint32_t limit; /* bytes, expanded by granularity */
	uint16_t selector;
	uint16_t pad;
	uint32_t attr;
	uint32_t pad2;
};

/* What decoding and a guest page walk need; filled on PIO string, SLAT fault, CR access exits. */
struct virt_mode {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t xcr0;		/* by mode() only */
	struct virt_seg seg[6]; /* ES..GS */
	uint8_t cpl;
};

enum virt_event_type { EV_NONE, EV_IRQ, EV_NMI, EV_EXCEPTION, EV_SOFT_INT };
struct virt_event {
	uint8_t type; /* enum virt_event_type */
	uint8_t vector;
	bool has_error;
	uint8_t insn_len; /* of the INT instruction, for EV_SOFT_INT */
	uint32_t error;
	uint64_t cr2; /* loaded with #PF; with #DB: bits that it sets in DR6 */
};

struct vmexit {
	enum exit_reason reason;
	uint8_t insn_len;   /* 0 = not known: decode */
	uint8_t insn_bytes; /* how many of insn[] the CPU gave; 0 = fetch them */
	uint8_t insn[15];
	struct virt_mode mode; /* where said above */
	union {
		struct {
			uint16_t port;
			uint8_t size; /* 1, 2, 4 */
			bool in, string, rep;
			uint8_t addr_size; /* of string forms, bytes; 0 = not known: decode */
			uint8_t seg;	   /* enum seg of OUTS, 0xff = not known */
		} pio;
		struct {
			uint32_t index;
			uint64_t value; /* to be written */
		} msr;
		struct {
			gpa_t gpa;
			uint64_t gva;
			bool gva_valid;
			bool write, fetch;
			bool present; /* leaf was there: protection, not absence */
			bool walk;    /* during the guest's own table walk */
		} fault;
		struct {
			uint8_t cr, gpr;
			bool write;
			bool gpr_valid; /* false: decode */
		} cr;
		struct virt_event exception;
		struct {
			uint8_t vector;
		} eoi;
		struct {
			bool step; /* false: an INT3 or INT n is about to be executed */
		} debug;
		struct {
			uint64_t code, info1, info2;
			char text[64];
		} fail;
	};
};

#define VIRT_XCR0 16u /* set_cr's number for XCR0 */

#define XSAVE_AREA_MAX 4096u
#define VIRT_MSRS_MAX 64u
struct virt_msr {
	uint32_t index;
	uint32_t pad;
	uint64_t value;
};

/* All of a vCPU that the CPU holds, neutral; the wire's REC_VCPU and REC_XSAVE. */
struct virt_state {
	uint64_t gpr[16], rip, rflags;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer, xcr0;
	uint64_t dr[4], dr6, dr7;
	struct virt_seg seg[SEG_COUNT];
	struct virt_seg gdtr, idtr; /* base and limit */
	uint64_t pat, star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t tsc; /* guest TSC at the moment of state_save */
	uint64_t tsc_aux, debugctl, spec_ctrl, xss;
	struct virt_event event; /* delivery cut short by the last exit */
	bool irq_shadow;	 /* STI / MOV SS */
	bool nmi_blocked;
	uint32_t nr_msrs; /* others, by the backend's list */
	struct virt_msr msr[VIRT_MSRS_MAX];
	uint32_t xsave_size; /* bytes used, standard format */
	uint8_t xsave[XSAVE_AREA_MAX] __attribute__((aligned(64)));
};

/* One VM as the backend sees it. */
struct virt_vm {
	struct slat *slat;  /* [const] while vCPUs exist */
	uint64_t xcr0_mask; /* [const] XSAVE components the guest may use */
	uint32_t tsc_khz;   /* [const] the guest's TSC frequency, 0 = the host's; used with
			       caps.tsc_scaling */
	/*
	 * [atom] Where a backend with caps.pml notes at every exit which pages the vCPU has
	 * made dirty; NULL while nobody asks. All chunks present; changes take effect when
	 * a flush token taken afterwards has been consumed.
	 */
	struct pageset *log;
	void *priv; /* [const] backend's */
};

/*
 * Interrupts that the CPU delivers itself. The LAPIC model lends IRR, ISR and TPR
 * for each run() and takes them back after it; vectors are in 32-bit words, lowest
 * first, as in its registers. Others that come meanwhile are added with a kick.
 */
struct virt_apic {
	bool usable;	   /* [const] the backend can, in x2APIC mode */
	bool on;	   /* [own] in the next run(); else events are injected */
	uint32_t tpr;	   /* [own] in and out, all 8 bits; cr8 follows */
	uint32_t irr[8];   /* [own] in and out */
	uint32_t isr[8];   /* [own] in and out */
	uint32_t level[8]; /* [own] in: EOI of these is told by EXIT_EOI */
};

/* What a debugger outside of the guest wants told. */
struct virt_debug {
	bool on;   /* INT3 comes as EXIT_DEBUG, where the CPU cannot tell them apart INT n too */
	bool step; /* EXIT_DEBUG behind an instruction; its exceptions come as EXIT_EXCEPTION. With
		      an event to deliver: some exit as soon as that is done */
};

struct virt_vcpu {
	struct virt_vm *vm;   /* [const] */
	unsigned index;	      /* [const] */
	uint64_t gpr[16];     /* [own] valid outside run() */
	uint64_t rip, rflags; /* [own] likewise; changes are taken by the next run() */
	uint64_t cr8;	      /* [own] task priority, 0..15 */
	uint8_t tpr_wait;     /* [own] run() returns when cr8 falls below; 0 = nothing waits */
	struct virt_apic apic;
	bool irq_ready; /* [own] an IRQ injected now would be taken at the next entry */
	bool nmi_ready; /* [own] */
	struct virt_event
		event;	      /* [own] must be (re)injected at the next entry; inject() sets it */
	int cpu;	      /* [own] pCPU it is loaded on, -1 = none */
	uint32_t kicked;      /* [atom] run() returns EXIT_NONE at once and clears it, as it does
				 percpu's resched */
	uint32_t in_guest;    /* [atom] 1 + pCPU while inside run()'s critical part, else 0 */
	uint64_t flushed_gen; /* [atom] slat->gen this vCPU has flushed to */
	uint64_t flushes;     /* [own] TLB flushes done on entry */
	struct virt_debug debug; /* [own, parked] told by the debug operation */
	uint64_t tsc_offset;	 /* [own] guest TSC = host TSC (scaled) + offset */
	void *priv;		 /* [const] backend's */
};

struct virt_caps {
	const char *name; /* "AMD-V", "VT-x" */
	const struct slat_format *slat;
	bool next_rip, decode_assist, flush_by_asid, tsc_scaling, virtual_nmi, pause_filter, pml,
		apic;
	unsigned tsc_ratio_bits; /* of the scaling ratio, behind the point */
	unsigned tsc_ratio_end;	 /* guest TSC less than this many times the host's */
	unsigned asids;		 /* address space numbers for guests, 0 = none */
	char features[128];	 /* what the backend uses of what not every CPU has, for people */
};

struct virt_ops {
	const char *name; /* "svm", "vmx" */
	/* 0, or -ENOTSUP with the reason in why (for people). Runs once on the boot CPU. */
	int (*probe)(struct virt_caps *caps, char *why, size_t why_len);
	int (*cpu_on)(void); /* on each CPU */
	void (*cpu_off)(void);
	int (*vm_init)(struct virt_vm *vm);
	void (*vm_fini)(struct virt_vm *vm);
	int (*vcpu_init)(struct virt_vcpu *v);
	void (*vcpu_reset)(struct virt_vcpu *v); /* to the architectural reset state */
	void (*vcpu_fini)(struct virt_vcpu *v);
	/*
	 * Interrupts off. Load: on this pCPU from now on. Put: state in memory, FPU
	 * saved, VMCS cleared, v->cpu -1. Each does nothing when it is so already.
	 */
	void (*vcpu_load)(struct virt_vcpu *v);
	void (*vcpu_put)(struct virt_vcpu *v);
	/*
	 * Enters the guest until something happens that is not settled inside.
	 * Interrupts on at call and return. Flushes to slat->gen before entry when
	 * behind; injects v->event. Returns with x filled.
	 */
	void (*run)(struct virt_vcpu *v, struct vmexit *x);
	void (*irq_window)(struct virt_vcpu *v,
			   bool want); /* EXIT_IRQ_WINDOW as soon as it opens */
	void (*nmi_window)(struct virt_vcpu *v, bool want);
	/* Both wait until the vCPU's world has left its CPU when another world calls. */
	void (*state_save)(struct virt_vcpu *v, struct virt_state *s);
	/* -EINVAL when no CPU of a VM with these XSAVE components could be entered with it. */
	int (*state_check)(uint64_t xcr0_mask, const struct virt_state *s);
	/* Guest TSC goes on from s->tsc. -EINVAL when the CPU could not be entered with it; v is
	 * unchanged then. */
	int (*state_load)(struct virt_vcpu *v, const struct virt_state *s);
	/* v->debug has changed; as state_save. */
	void (*debug)(struct virt_vcpu *v);
	/* Current mode for a decode outside of an exit that carries it. */
	void (*mode)(struct virt_vcpu *v, struct virt_mode *m);
	/* A CR write (0, 3, 4, or VIRT_XCR0 for XSETBV) that passed the kernel's checks. */
	int (*set_cr)(struct virt_vcpu *v, unsigned cr, uint64_t value);
	/* A model-specific register the backend keeps (EFER, STAR, PAT, ...): -ENOENT when not its
	 * own. */
	int (*msr_get)(struct virt_vcpu *v, uint32_t index, uint64_t *value);
	int (*msr_set)(struct virt_vcpu *v, uint32_t index, uint64_t value); /* -EINVAL: #GP */
	/* Takes out of a CPUID leaf of this CPU's what guests could not execute. */
	void (*cpuid_limit)(uint32_t leaf, uint32_t sub, struct cpuid_regs *r);
	/* Flushes what hardware caches of dirty state into set; NULL where none. */
	int (*dirty_sync)(struct virt_vcpu *v, struct pageset *set);
};

extern const struct virt_ops svm_ops; /* arch/x86_64/svm/svm_ops.c */
extern const struct virt_ops vmx_ops; /* arch/x86_64/vmx/vmx_ops.c */

/* The backend chosen at boot, NULL before or without one; kernel/vm/virt.c. */
extern const struct virt_ops *virt;
extern struct virt_caps virt_caps;
/* Why there is none ("VM_CR.SVMDIS is set: enable SVM in the firmware"). */
const char *virt_absent_reason(void);
/* Capabilities one by one, for display: false past the end, or without a backend. */
struct virt_feature {
	const char *name, *what;
	bool used; /* false: the CPU has it not, or it is switched off */
};
bool virt_feature_at(unsigned index, struct virt_feature *out);
void virt_choose(const struct virt_ops *const *candidates, unsigned count);

#endif
