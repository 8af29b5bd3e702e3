/* SPDX-License-Identifier: BSD-2-Clause */
/* Bits of the guest's architecture that the exit handlers need. [SDM 3A "Control Registers"] [APM2
 * 3 "System Resources"] */
#ifndef KERNEL_VM_X86_H
#define KERNEL_VM_X86_H

#include <tern/types.h>

#define G_CR0_PE BIT(0)
#define G_CR0_MP BIT(1)
#define G_CR0_EM BIT(2)
#define G_CR0_TS BIT(3)
#define G_CR0_ET BIT(4)
#define G_CR0_NE BIT(5)
#define G_CR0_WP BIT(16)
#define G_CR0_AM BIT(18)
#define G_CR0_NW BIT(29)
#define G_CR0_CD BIT(30)
#define G_CR0_PG BIT(31)

#define G_CR4_VME BIT(0)
#define G_CR4_PVI BIT(1)
#define G_CR4_TSD BIT(2)
#define G_CR4_DE BIT(3)
#define G_CR4_PSE BIT(4)
#define G_CR4_PAE BIT(5)
#define G_CR4_MCE BIT(6)
#define G_CR4_PGE BIT(7)
#define G_CR4_PCE BIT(8)
#define G_CR4_OSFXSR BIT(9)
#define G_CR4_OSXMMEXCPT BIT(10)
#define G_CR4_UMIP BIT(11)
#define G_CR4_LA57 BIT(12)
#define G_CR4_FSGSBASE BIT(16)
#define G_CR4_PCIDE BIT(17)
#define G_CR4_OSXSAVE BIT(18)
#define G_CR4_SMEP BIT(20)
#define G_CR4_SMAP BIT(21)

#define CR3_PCID 0xfffull    /* with CR4.PCIDE */
#define CR3_NO_FLUSH BIT(63) /* of a move to it, likewise */

#define G_EFER_SCE BIT(0)
#define G_EFER_LME BIT(8)
#define G_EFER_LMA BIT(10)
#define G_EFER_NXE BIT(11)

#define RFLAGS_CF BIT(0)
#define RFLAGS_PF BIT(2)
#define RFLAGS_AF BIT(4)
#define RFLAGS_ZF BIT(6)
#define RFLAGS_SF BIT(7)
#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_DF BIT(10)
#define RFLAGS_OF BIT(11)
#define RFLAGS_RF BIT(16)
#define RFLAGS_VM BIT(17)
#define RFLAGS_AC BIT(18)

/* struct virt_seg.attr */
#define SEG_ATTR_L BIT(9)
#define SEG_ATTR_DB BIT(10)

#define EXC_DB 1u
#define EXC_UD 6u
#define EXC_DF 8u
#define EXC_GP 13u
#define EXC_PF 14u

#define DR6_BS BIT(14)

/* Error code of a page fault. */
#define PF_PRESENT 1u
#define PF_WRITE 2u
#define PF_USER 4u
#define PF_RESERVED 8u
#define PF_FETCH 16u

#endif
