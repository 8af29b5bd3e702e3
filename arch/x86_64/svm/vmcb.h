/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual machine control block: one 4 KiB page that the CPU reads at
 * VMRUN and writes at #VMEXIT; and the bits of its fields.
 * [APM2 Appendix B "VMCB Layout"] [APM2 15.5 "VMRUN Instruction"]
 */
#ifndef ARCH_X86_64_SVM_VMCB_H
#define ARCH_X86_64_SVM_VMCB_H

#include <tern/types.h>

struct vmcb_seg {
	uint16_t selector; /* 0 */
	uint16_t attrib; /* 2: descriptor bytes 5 and 6 without the limit: type 0-3, S 4, DPL 5-6, P
			    7, AVL 8, L 9, D 10, G 11 */
	uint32_t limit;	 /* 4 */
	uint64_t base;	 /* 8 */
};

struct vmcb_control {
	uint32_t intercept[6]; /* 0x000 bit INTERCEPT(word, bit) */
	uint8_t reserved1[0x24];
	uint16_t pause_threshold; /* 0x03c */
	uint16_t pause_count;	  /* 0x03e */
	uint64_t iopm_pa;	  /* 0x040 */
	uint64_t msrpm_pa;	  /* 0x048 */
	uint64_t tsc_offset;	  /* 0x050 */
	uint32_t asid;		  /* 0x058 */
	uint8_t tlb_control;	  /* 0x05c */
	uint8_t reserved2[3];
	uint64_t v_intr;	/* 0x060 */
	uint64_t int_shadow;	/* 0x068 */
	uint64_t exit_code;	/* 0x070 */
	uint64_t exit_info1;	/* 0x078 */
	uint64_t exit_info2;	/* 0x080 */
	uint64_t exit_int_info; /* 0x088 */
	uint64_t np_enable;	/* 0x090 */
	uint8_t reserved3[0x10];
	uint64_t event_inj;  /* 0x0a8 */
	uint64_t n_cr3;	     /* 0x0b0 */
	uint64_t lbr_enable; /* 0x0b8 */
	uint32_t clean;	     /* 0x0c0 */
	uint32_t reserved4;
	uint64_t next_rip;  /* 0x0c8 */
	uint8_t insn_bytes; /* 0x0d0 how many follow */
	uint8_t insn[15];   /* 0x0d1 */
	uint8_t reserved5[0x320];
};

struct vmcb_save {
	struct vmcb_seg es, cs, ss, ds, fs, gs; /* 0x400 */
	struct vmcb_seg gdtr, ldtr, idtr, tr;	/* 0x460 */
	uint8_t reserved1[0x2b];
	uint8_t cpl; /* 0x4cb */
	uint32_t reserved2;
	uint64_t efer; /* 0x4d0 */
	uint8_t reserved3[0x70];
	uint64_t cr4, cr3, cr0; /* 0x548 */
	uint64_t dr7, dr6;	/* 0x560 */
	uint64_t rflags, rip;	/* 0x570 */
	uint8_t reserved4[0x58];
	uint64_t rsp; /* 0x5d8 */
	uint8_t reserved5[0x18];
	uint64_t rax;					  /* 0x5f8 */
	uint64_t star, lstar, cstar, sfmask;		  /* 0x600 */
	uint64_t kernel_gs_base;			  /* 0x620 */
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip; /* 0x628 */
	uint64_t cr2;					  /* 0x640 */
	uint8_t reserved6[0x20];
	uint64_t g_pat;	   /* 0x668 */
	uint64_t debugctl; /* 0x670 */
	uint8_t reserved7[0x988];
};

struct vmcb {
	struct vmcb_control c;
	struct vmcb_save s;
};

_Static_assert(sizeof(struct vmcb_seg) == 16, "VMCB segment");
_Static_assert(offsetof(struct vmcb, c.pause_threshold) == 0x3c, "VMCB");
_Static_assert(offsetof(struct vmcb, c.iopm_pa) == 0x40, "VMCB");
_Static_assert(offsetof(struct vmcb, c.asid) == 0x58, "VMCB");
_Static_assert(offsetof(struct vmcb, c.v_intr) == 0x60, "VMCB");
_Static_assert(offsetof(struct vmcb, c.exit_code) == 0x70, "VMCB");
_Static_assert(offsetof(struct vmcb, c.np_enable) == 0x90, "VMCB");
_Static_assert(offsetof(struct vmcb, c.event_inj) == 0xa8, "VMCB");
_Static_assert(offsetof(struct vmcb, c.n_cr3) == 0xb0, "VMCB");
_Static_assert(offsetof(struct vmcb, c.clean) == 0xc0, "VMCB");
_Static_assert(offsetof(struct vmcb, c.insn) == 0xd1, "VMCB");
_Static_assert(offsetof(struct vmcb, s) == 0x400, "VMCB");
_Static_assert(offsetof(struct vmcb, s.gdtr) == 0x460, "VMCB");
_Static_assert(offsetof(struct vmcb, s.cpl) == 0x4cb, "VMCB");
_Static_assert(offsetof(struct vmcb, s.efer) == 0x4d0, "VMCB");
_Static_assert(offsetof(struct vmcb, s.cr4) == 0x548, "VMCB");
_Static_assert(offsetof(struct vmcb, s.rflags) == 0x570, "VMCB");
_Static_assert(offsetof(struct vmcb, s.rsp) == 0x5d8, "VMCB");
_Static_assert(offsetof(struct vmcb, s.rax) == 0x5f8, "VMCB");
_Static_assert(offsetof(struct vmcb, s.cr2) == 0x640, "VMCB");
_Static_assert(offsetof(struct vmcb, s.g_pat) == 0x668, "VMCB");
_Static_assert(sizeof(struct vmcb) == PAGE_SIZE, "VMCB");

/* Intercepts: word << 5 | bit. [APM2 Appendix B Table "VMCB Layout, Control Area"] */
#define INTERCEPT_CR_WRITE(n) (16u + (n))
#define INTERCEPT_EXCEPTION(v) (2u << 5 | (v))
enum svm_intercept {
	INTERCEPT_INTR = 3 << 5,
	INTERCEPT_NMI,
	INTERCEPT_SMI,
	INTERCEPT_INIT,
	INTERCEPT_VINTR,
	INTERCEPT_RDPMC = (3 << 5) + 15,
	INTERCEPT_IRET = (3 << 5) + 20,
	INTERCEPT_CPUID = (3 << 5) + 18,
	INTERCEPT_SWINT = (3 << 5) + 21,
	INTERCEPT_INVD = (3 << 5) + 22,
	INTERCEPT_PAUSE,
	INTERCEPT_HLT,
	INTERCEPT_INVLPGA = (3 << 5) + 26,
	INTERCEPT_IOIO,
	INTERCEPT_MSR,
	INTERCEPT_FERR_FREEZE = (3 << 5) + 30,
	INTERCEPT_SHUTDOWN,
	INTERCEPT_VMRUN = 4 << 5,
	INTERCEPT_VMMCALL,
	INTERCEPT_VMLOAD,
	INTERCEPT_VMSAVE,
	INTERCEPT_STGI,
	INTERCEPT_CLGI,
	INTERCEPT_SKINIT,
	INTERCEPT_WBINVD = (4 << 5) + 9,
	INTERCEPT_MONITOR,
	INTERCEPT_MWAIT,
	INTERCEPT_MWAIT_ARMED,
	INTERCEPT_XSETBV,
};

/* Exit codes; the low 32 bits are compared: some CPUs store VMEXIT_INVALID as 0xffffffff. */
#define VMEXIT_CR_READ 0x00u  /* + CR number */
#define VMEXIT_CR_WRITE 0x10u /* + CR number */
#define VMEXIT_EXCEPTION 0x40u
#define VMEXIT_INTR 0x60u
#define VMEXIT_NMI 0x61u
#define VMEXIT_SMI 0x62u
#define VMEXIT_INIT 0x63u
#define VMEXIT_VINTR 0x64u
#define VMEXIT_RDPMC 0x6fu
#define VMEXIT_CPUID 0x72u
#define VMEXIT_IRET 0x74u
#define VMEXIT_SWINT 0x75u
#define VMEXIT_INVD 0x76u
#define VMEXIT_PAUSE 0x77u
#define VMEXIT_HLT 0x78u
#define VMEXIT_INVLPGA 0x7au
#define VMEXIT_IOIO 0x7bu
#define VMEXIT_MSR 0x7cu
#define VMEXIT_FERR_FREEZE 0x7eu
#define VMEXIT_SHUTDOWN 0x7fu
#define VMEXIT_VMRUN 0x80u
#define VMEXIT_VMMCALL 0x81u
#define VMEXIT_VMLOAD 0x82u
#define VMEXIT_VMSAVE 0x83u
#define VMEXIT_STGI 0x84u
#define VMEXIT_CLGI 0x85u
#define VMEXIT_SKINIT 0x86u
#define VMEXIT_WBINVD 0x89u
#define VMEXIT_MONITOR 0x8au
#define VMEXIT_MWAIT 0x8bu
#define VMEXIT_MWAIT_ARMED 0x8cu
#define VMEXIT_XSETBV 0x8du
#define VMEXIT_NPF 0x400u
#define VMEXIT_INVALID 0xffffffffu

#define TLB_FLUSH_NONE 0u
#define TLB_FLUSH_ALL 1u
#define TLB_FLUSH_ASID 3u

#define V_TPR_MASK 0xffull
#define V_IRQ BIT(8)
#define V_IGN_TPR BIT(20)
#define V_INTR_MASKING BIT(24)
#define V_INTR_VECTOR_SHIFT 32

#define INT_SHADOW BIT(0)

/* EVENTINJ and EXITINTINFO. [APM2 15.20 "Event Injection"] */
#define EVENT_VECTOR 0xffull
#define EVENT_TYPE_SHIFT 8
#define EVENT_TYPE_MASK 7u
#define EVENT_TYPE_INTR 0u
#define EVENT_TYPE_NMI 2u
#define EVENT_TYPE_EXCEPTION 3u
#define EVENT_TYPE_SOFT 4u
#define EVENT_HAS_ERROR BIT(11)
#define EVENT_VALID BIT(31)

/* EXITINFO1 of IOIO. [APM2 15.10.2 "IN and OUT Behavior"] */
#define IOIO_IN BIT(0)
#define IOIO_STRING BIT(2)
#define IOIO_REP BIT(3)
#define IOIO_SIZE_SHIFT 4 /* one bit each for 1, 2, 4 bytes */
#define IOIO_ADDR_SHIFT 7 /* one bit each for 2, 4, 8 bytes */
#define IOIO_SEG_SHIFT 10
#define IOIO_PORT_SHIFT 16

/* EXITINFO1 of NPF. [APM2 15.25.6 "Nested versus Guest Page Faults"] */
#define NPF_PRESENT BIT(0)
#define NPF_WRITE BIT(1)
#define NPF_RESERVED BIT(3)
#define NPF_FETCH BIT(4)
#define NPF_FINAL BIT(32)
#define NPF_WALK BIT(33)

#define EFER_SVME BIT(12)
#define EFER_LMSLE BIT(13)

#endif
