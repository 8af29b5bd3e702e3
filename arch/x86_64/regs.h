/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers, bits and selectors of the CPU that C and assembly share. [SDM 3A, 4; APM2] */
#ifndef ARCH_REGS_H
#define ARCH_REGS_H

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS 0x18

#define CR0_PE (1 << 0)
#define CR0_MP (1 << 1)
#define CR0_EM (1 << 2)
#define CR0_TS (1 << 3)
#define CR0_NE (1 << 5)
#define CR0_WP (1 << 16)
#define CR0_NW (1 << 29)
#define CR0_CD (1 << 30)
#define CR0_PG 0x80000000

#define CR4_DE (1 << 3)
#define CR4_PAE (1 << 5)
#define CR4_MCE (1 << 6)
#define CR4_PGE (1 << 7)
#define CR4_OSFXSR (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)
#define CR4_OSXSAVE (1 << 18)

#define MSR_APIC_BASE 0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_PAT 0x277
#define MSR_X2APIC_FIRST 0x800
#define MSR_EFER 0xc0000080
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

#define EFER_LME (1 << 8)
#define EFER_NXE (1 << 11)

#define APIC_BASE_ENABLE (1 << 11)
#define APIC_BASE_X2APIC (1 << 10)

/* Reset value: WB, WT, UC-, UC, twice; mappings rely on index 3 being uncached. */
#define PAT_VALUE 0x0007040600070406

/* Vectors. Devices get FIRST to LAST. */
#define VEC_NMI 2
#define VEC_DOUBLE_FAULT 8
#define VEC_PAGE_FAULT 14
#define VEC_MACHINE_CHECK 18
#define VEC_EXCEPTIONS 32
#define VEC_DEVICE_FIRST 0x30
#define VEC_DEVICE_LAST 0xef
#define VEC_TIMER 0xf0
#define VEC_KICK 0xf1
#define VEC_CALL 0xf2
#define VEC_APIC_ERROR 0xfe
#define VEC_SPURIOUS 0xff

#define BOOT_STACK_SIZE 16384

#endif
