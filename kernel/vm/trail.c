/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's trail: its last stays in the guest, each with what went in, why it ended and
 * on which CPU. Kept always, because a guest that dies does so once; a stay costs a few
 * stores. The log has it when a vCPU ends its VM (postmortem.c).
 */
#include <stdio.h>

#include <tern/log.h>

#include "vm_int.h"

static const char *const exit_names[EXIT_REASONS] = {
	[EXIT_NONE] = "host",
	[EXIT_CPUID] = "cpuid",
	[EXIT_HLT] = "hlt",
	[EXIT_PAUSE] = "pause",
	[EXIT_MSR_READ] = "msr_read",
	[EXIT_MSR_WRITE] = "msr_write",
	[EXIT_PIO] = "pio",
	[EXIT_SLAT_FAULT] = "slat_fault",
	[EXIT_IRQ_WINDOW] = "irq_window",
	[EXIT_NMI_WINDOW] = "nmi_window",
	[EXIT_CR_ACCESS] = "cr_access",
	[EXIT_XSETBV] = "xsetbv",
	[EXIT_HYPERCALL] = "hypercall",
	[EXIT_EXCEPTION] = "exception",
	[EXIT_WBINVD] = "wbinvd",
	[EXIT_EOI] = "eoi",
	[EXIT_DEBUG] = "debug",
	[EXIT_UNDEFINED] = "undefined",
	[EXIT_REFUSED] = "refused",
	[EXIT_TRIPLE_FAULT] = "triple_fault",
	[EXIT_FAILED] = "failed",
};

const char *exit_name(unsigned reason)
{
	return reason < EXIT_REASONS ? exit_names[reason] : "unknown";
}

static struct trail_stay *stay_at(struct vcpu *c, uint64_t n)
{
	return &c->trail.stay[n % TRAIL_STAYS];
}

void trail_enter(struct vcpu *c)
{
	struct trail_stay *s = stay_at(c, c->trail.count);

	s->entered = c->v.event;
	s->cpu = (uint16_t)c->v.cpu;
}

static uint64_t what_of(const struct vmexit *x)
{
	switch (x->reason) {
	case EXIT_MSR_READ:
	case EXIT_MSR_WRITE:
		return x->msr.index;
	case EXIT_PIO:
		return x->pio.port;
	case EXIT_SLAT_FAULT:
		return x->fault.gpa.v;
	case EXIT_CR_ACCESS:
		return x->cr.cr;
	case EXIT_EXCEPTION:
		return x->exception.vector;
	case EXIT_EOI:
		return x->eoi.vector;
	default:
		return 0;
	}
}

void trail_leave(struct vcpu *c, const struct vmexit *x)
{
	struct trail_stay *s = stay_at(c, c->trail.count);

	s->rip = c->v.rip;
	s->reason = (uint8_t)x->reason;
	s->what = what_of(x);
	s->cut = c->v.event;
	c->trail.count++;
}

void event_text(const struct virt_event *e, char *out, size_t len)
{
	static const char *const kind[] = {
		[EV_NONE] = "none",	      [EV_IRQ] = "irq",	     [EV_NMI] = "nmi",
		[EV_EXCEPTION] = "exception", [EV_SOFT_INT] = "int",
	};

	if (e->type == EV_NONE || e->type >= ARRAY_SIZE(kind))
		(void)snprintf(out, len, "-");
	else if (e->has_error)
		(void)snprintf(out, len, "%s %u(%x)", kind[e->type], e->vector, e->error);
	else
		(void)snprintf(out, len, "%s %u", kind[e->type], e->vector);
}

void trail_log(struct vcpu *c, unsigned last)
{
	uint64_t end = c->trail.count, n = MIN(end, (uint64_t)MIN(last, TRAIL_STAYS));

	for (uint64_t i = end - n; i < end; i++) {
		const struct trail_stay *s = stay_at(c, i);
		char in[32], cut[32];

		event_text(&s->entered, in, sizeof(in));
		event_text(&s->cut, cut, sizeof(cut));
		log_error("vm",
			  "vCPU %u exit %llu on CPU %u: %s %llx at %llx; event in: %s, cut: %s",
			  c->index, (unsigned long long)i, s->cpu, exit_name(s->reason),
			  (unsigned long long)s->what, (unsigned long long)s->rip, in, cut);
	}
}
