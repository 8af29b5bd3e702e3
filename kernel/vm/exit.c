/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exit table, the small handlers, and what all handlers use: to end an
 * instruction, to raise a fault, to stop a VM that cannot go on.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include <tern/log.h>

#include "vm_int.h"

#define KVM_ENOSYS 1000

/* The trap behind an instruction that the guest steps over. */
static void raise_step(struct vcpu *c)
{
	struct virt_event e = { .type = EV_EXCEPTION, .vector = EXC_DB, .cr2 = DR6_BS };

	vcpu_raise_event(c, &e);
}

void vcpu_skip(struct vcpu *c, struct vmexit *x, uint8_t known)
{
	uint8_t len = x->insn_len ? x->insn_len : known;
	uint64_t old = c->v.rip;
	struct virt_mode m = { 0 };

	if (!len || old >> 32 != (old + 15) >> 32)
		virt->mode(&c->v, &m);
	if (!len) {
		struct virt_event fault;
		struct insn i;

		if (linear_decode(c, x, &m, &i, &fault)) {
			(void)vcpu_fail(c, "an instruction that exited but does not decode");
			return;
		}
		len = i.length;
	}
	c->v.rip += len;
	if (old >> 32 != c->v.rip >> 32 && !mode_code64(&m))
		c->v.rip &= 0xffffffffull;
	c->v.rflags &= ~RFLAGS_RF;
	if (c->v.rflags & RFLAGS_TF)
		raise_step(c);
	/* The instruction is over, and with it the shadow of an STI or MOV SS before it. */
	c->v.irq_ready = c->v.event.type == EV_NONE && (c->v.rflags & RFLAGS_IF);
}

/* #DE #BR #UD #NM #TS #NP #SS #GP #PF #MF #AC #XM #VE #CP: the instruction is executed again. */
#define FAULTS 0x3b7ce1u

static bool contributory(unsigned vector)
{
	return vector == 0 || (vector >= 10 && vector <= 13);
}

/* [SDM 3A 6.15 "Interrupt 8-Double Fault Exception"] */
static bool makes_double(unsigned first, unsigned second)
{
	if (contributory(first))
		return contributory(second);
	return first == EXC_PF && (contributory(second) || second == EXC_PF);
}

/* A triple fault: there is no way on for this vCPU. */
static enum exit_next crash(struct vcpu *c)
{
	if (vm_trouble(c->vm, VM_CRASH)) {
		c->waiting_sipi = true; /* until the reset comes */
		return NEXT_RESUME;
	}
	return c->vm->cfg.on[VM_CRASH] == VM_POWER_OFF ? NEXT_FAIL : vcpu_fail(c, "triple fault");
}

void vcpu_raise_event(struct vcpu *c, const struct virt_event *e)
{
	struct virt_event *now = &c->v.event;

	if (now->type == EV_EXCEPTION && now->vector == EXC_DF) {
		(void)crash(c);
		return;
	}
	if (now->type == EV_NMI)
		__atomic_store_n(&c->nmi_pending, 1,
				 __ATOMIC_SEQ_CST); /* comes again after the fault */
	if (now->type == EV_EXCEPTION && makes_double(now->vector, e->vector))
		*now = (struct virt_event){ .type = EV_EXCEPTION,
					    .vector = EXC_DF,
					    .has_error = true };
	else
		*now = *e;
	if (now->type == EV_EXCEPTION && (FAULTS >> now->vector & 1))
		c->v.rflags |= RFLAGS_RF; /* in the pushed image [SDM 3B 18.3.1.1
					     "Instruction-Breakpoint Exception Condition"] */
	c->v.irq_ready = false;
}

void vcpu_raise(struct vcpu *c, uint8_t vector, bool has_error, uint32_t error)
{
	struct virt_event e = {
		.type = EV_EXCEPTION, .vector = vector, .has_error = has_error, .error = error
	};

	vcpu_raise_event(c, &e);
}

enum exit_next vcpu_fail(struct vcpu *c, const char *fmt, ...)
{
	char text[96];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!__atomic_load_n(&c->vm->run->stop, __ATOMIC_SEQ_CST)) {
		struct virt_mode m = { 0 };

		virt->mode(&c->v, &m);
		log_error("vm",
			  "%s: vCPU %u: %s; stopped at %04x:%llx rsp %llx rflags %llx cr0 %llx cr3 "
			  "%llx cr4 %llx "
			  "efer %llx",
			  c->vm->cfg.name, c->index, text, m.seg[SEG_CS].selector,
			  (unsigned long long)c->v.rip, (unsigned long long)c->v.gpr[GPR_RSP],
			  (unsigned long long)c->v.rflags, (unsigned long long)m.cr0,
			  (unsigned long long)m.cr3, (unsigned long long)m.cr4,
			  (unsigned long long)m.efer);
		vcpu_postmortem(c);
	}
	vm_request_off(c->vm, text, true);
	return NEXT_FAIL;
}

static enum exit_next exit_none(struct vcpu *c, struct vmexit *x)
{
	(void)c;
	(void)x;
	return NEXT_RESUME;
}

enum exit_next exit_hlt(struct vcpu *c, struct vmexit *x)
{
	vcpu_skip(c, x, 1);
	c->halted = true;
	c->stats.halts++;
	return NEXT_RESUME;
}

static enum exit_next exit_irq_window(struct vcpu *c, struct vmexit *x)
{
	(void)x;
	virt->irq_window(&c->v, false);
	c->window = false;
	return NEXT_RESUME;
}

static enum exit_next exit_nmi_window(struct vcpu *c, struct vmexit *x)
{
	(void)x;
	virt->nmi_window(&c->v, false);
	return NEXT_RESUME;
}

/* No call is offered; the answer is the one that kernels with KVM's leaves expect. */
enum exit_next exit_hypercall(struct vcpu *c, struct vmexit *x)
{
	c->v.gpr[GPR_RAX] = (uint64_t)-KVM_ENOSYS;
	vcpu_skip(c, x, 3);
	return NEXT_RESUME;
}

static enum exit_next exit_exception(struct vcpu *c, struct vmexit *x)
{
	vcpu_raise_event(c, &x->exception);
	return NEXT_RESUME;
}

static enum exit_next exit_wbinvd(struct vcpu *c, struct vmexit *x)
{
	vcpu_skip(c, x, 2); /* caches are coherent: no device here needs it */
	return NEXT_RESUME;
}

static enum exit_next exit_eoi(struct vcpu *c, struct vmexit *x)
{
	c->vm->irqchip->eoi(c, x->eoi.vector);
	return NEXT_RESUME;
}

static enum exit_next exit_undefined(struct vcpu *c, struct vmexit *x)
{
	(void)x;
	vcpu_raise(c, EXC_UD, false, 0);
	return NEXT_RESUME;
}

static enum exit_next exit_refused(struct vcpu *c, struct vmexit *x)
{
	(void)x;
	vcpu_raise_gp(c);
	return NEXT_RESUME;
}

static enum exit_next exit_triple_fault(struct vcpu *c, struct vmexit *x)
{
	(void)x;
	return crash(c);
}

static enum exit_next exit_failed(struct vcpu *c, struct vmexit *x)
{
	x->fail.text[sizeof(x->fail.text) - 1] = '\0';
	return vcpu_fail(c, "the CPU refused the guest's state: %s (0x%llx, 0x%llx, 0x%llx)",
			 x->fail.text, (unsigned long long)x->fail.code,
			 (unsigned long long)x->fail.info1, (unsigned long long)x->fail.info2);
}

exit_handler *const exit_table[EXIT_REASONS] = {
	[EXIT_NONE] = exit_none,
	[EXIT_CPUID] = exit_cpuid,
	[EXIT_HLT] = exit_hlt,
	[EXIT_PAUSE] = exit_pause,
	[EXIT_MSR_READ] = exit_msr_read,
	[EXIT_MSR_WRITE] = exit_msr_write,
	[EXIT_PIO] = exit_pio,
	[EXIT_SLAT_FAULT] = exit_slat_fault,
	[EXIT_IRQ_WINDOW] = exit_irq_window,
	[EXIT_NMI_WINDOW] = exit_nmi_window,
	[EXIT_CR_ACCESS] = exit_cr,
	[EXIT_XSETBV] = exit_xsetbv,
	[EXIT_HYPERCALL] = exit_hypercall,
	[EXIT_EXCEPTION] = exit_exception,
	[EXIT_WBINVD] = exit_wbinvd,
	[EXIT_DEBUG] = exit_debug,
	[EXIT_UNDEFINED] = exit_undefined,
	[EXIT_REFUSED] = exit_refused,
	[EXIT_EOI] = exit_eoi,
	[EXIT_TRIPLE_FAULT] = exit_triple_fault,
	[EXIT_FAILED] = exit_failed,
};
