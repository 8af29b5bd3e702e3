/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The leaf format of nested page tables: ordinary long-mode entries. Guest
 * accesses count as user accesses, so U/S is set at every level; no-execute
 * needs the host's EFER.NXE, which is on. Entry type 0 of the host's PAT is
 * write-back. [APM2 15.25.5 "Nested Table Walk"]
 */
#include "svm.h"

#define PTE_P BIT(0)
#define PTE_RW BIT(1)
#define PTE_US BIT(2)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)

#define NPT_FORMAT(one_gib)                                                                        \
	{                                                                                          \
		.name = "npt", .table_bits = PTE_P | PTE_RW | PTE_US | PTE_A, .present = PTE_P,    \
		.read = PTE_P | PTE_US, .write = PTE_RW, .exec = 0, .no_exec = PTE_NX,             \
		.large = PTE_PS, .accessed = PTE_A, .dirty = PTE_D, .memtype_wb = 0,               \
		.has_1g = (one_gib)                                                                \
	}

const struct slat_format npt_format = NPT_FORMAT(false);
const struct slat_format npt_format_1g = NPT_FORMAT(true);
