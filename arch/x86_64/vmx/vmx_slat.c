/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The leaf format of extended page tables. An entry with any of R, W, X is
 * valid. Memory is write-back whatever the guest's PAT and MTRRs say: guests
 * own no device that would see another type. Without A and D flags the kernel
 * traces writes by protection.
 * [SDM 3C 29.3.2 "EPT Translation Mechanism"] [SDM 3C 29.3.5 "Accessed and Dirty Flags for EPT"]
 */
#include "vmx.h"

#define EPT_R BIT(0)
#define EPT_W BIT(1)
#define EPT_X BIT(2)
#define EPT_WB (6ull << 3)
#define EPT_IGNORE_PAT BIT(6)
#define EPT_LARGE BIT(7)
#define EPT_A BIT(8)
#define EPT_D BIT(9)

void ept_format_init(struct slat_format *f, bool has_ad, bool has_1g)
{
	*f = (struct slat_format){
		.name = "ept",
		.table_bits = EPT_R | EPT_W | EPT_X,
		.present = EPT_R | EPT_W | EPT_X,
		.read = EPT_R,
		.write = EPT_W,
		.exec = EPT_X,
		.no_exec = 0,
		.large = EPT_LARGE,
		.accessed = has_ad ? EPT_A : 0,
		.dirty = has_ad ? EPT_D : 0,
		.memtype_wb = EPT_WB | EPT_IGNORE_PAT,
		.has_1g = has_1g,
	};
}

uint64_t ept_pointer(const struct slat *s)
{
	return s->root.v | EPTP_WB | EPTP_WALK_4 | (s->fmt->dirty ? EPTP_AD : 0);
}
