/* SPDX-License-Identifier: BSD-2-Clause */
/* What the backend makes use of on this CPU, for display: virt_caps as a list. */
#include <tern/virt.h>

bool virt_feature_at(unsigned index, struct virt_feature *out)
{
	const struct virt_caps *c = &virt_caps;
	const struct virt_feature all[] = {
		{ "nested-paging", "guest memory without shadow tables", virt != NULL },
		{ "1g-leaves", "large leaves of nested tables", c->slat && c->slat->has_1g },
		{ "ad-bits", "dirty bits in nested tables; else stores are seen by protection",
		  c->slat && c->slat->dirty },
		{ "pml", "a log of dirty pages by the CPU", c->pml },
		{ "next-rip", "instruction length at exits; else it is decoded", c->next_rip },
		{ "decode-assist", "instruction bytes at exits; else they are fetched",
		  c->decode_assist },
		{ "flush-by-asid", "one guest's TLB entries alone; else it takes a new ASID",
		  c->flush_by_asid },
		{ "tsc-scaling", "the guest's own TSC frequency; else within 250 ppm of the host's",
		  c->tsc_scaling },
		{ "virtual-nmi", "NMI blocking by the CPU; else followed in software",
		  c->virtual_nmi },
		{ "apic",
		  "interrupts delivered by the CPU in x2APIC mode (AMD's AVIC is not used); else "
		  "they are injected",
		  c->apic },
		{ "pause-filter", "exits of vCPUs that spin; else a spin ends with its turn",
		  c->pause_filter },
	};

	if (!virt || index >= ARRAY_SIZE(all))
		return false;
	*out = all[index];
	return true;
}
