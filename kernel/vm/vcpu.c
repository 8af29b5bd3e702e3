/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vCPU's world: one loop of look (requests, interrupts), enter the guest,
 * handle the exit. An exit that needs the host's work goes back in without a
 * trip through the scheduler unless something else is due.
 *
 * Kicks and sleep lose nothing: whoever gives the vCPU something to see makes
 * it visible first, then sets v.kicked, then (after a full barrier) looks at
 * v.in_guest and sleeping. The vCPU takes v.kicked before it looks; run()
 * looks at v.kicked with interrupts off before it enters; vcpu_sleep sets
 * sleeping, then (after a full barrier) looks at v.kicked.
 */
#include <errno.h>

#include "vm_int.h"

void vcpu_kick(struct vcpu *c)
{
	uint32_t where;

	__atomic_store_n(&c->v.kicked, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* kicked, then in_guest and sleeping: see above */
	where = __atomic_load_n(&c->v.in_guest, __ATOMIC_SEQ_CST);
	if (where && where - 1 != cpu_self())
		cpu_kick(where - 1);
	if (__atomic_load_n(&c->sleeping, __ATOMIC_SEQ_CST))
		event_signal(&c->wake);
}

void vcpu_send_nmi(struct vcpu *c)
{
	__atomic_store_n(&c->nmi_pending, 1, __ATOMIC_SEQ_CST);
	vcpu_kick(c);
}

void vcpu_send_init(struct vcpu *c)
{
	__atomic_store_n(&c->sipi_asked, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&c->init_asked, 1, __ATOMIC_SEQ_CST);
	vcpu_kick(c);
}

void vcpu_send_sipi(struct vcpu *c, uint8_t vector)
{
	__atomic_store_n(&c->sipi_asked, 1u + vector, __ATOMIC_SEQ_CST);
	vcpu_kick(c);
}

static void vcpu_sleep(struct vcpu *c)
{
	__atomic_store_n(&c->sleeping, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* sleeping, then kicked: pairs with vcpu_kick */
	c->times.off_as = VCPU_HALTED;
	if (!__atomic_load_n(&c->v.kicked, __ATOMIC_SEQ_CST))
		(void)event_wait(&c->wake, NEVER_NS);
	c->times.off_as = VCPU_READY;
	__atomic_store_n(&c->sleeping, 0, __ATOMIC_SEQ_CST);
}

static void deliver_nmi(struct vcpu *c)
{
	if (!__atomic_load_n(&c->nmi_pending, __ATOMIC_SEQ_CST))
		return;
	if (c->v.event.type != EV_NONE || !c->v.nmi_ready) {
		virt->nmi_window(&c->v, true);
		return;
	}
	__atomic_store_n(&c->nmi_pending, 0, __ATOMIC_SEQ_CST);
	c->v.event = (struct virt_event){ .type = EV_NMI, .vector = 2 };
	c->halted = false;
}

static void want_window(struct vcpu *c, bool want)
{
	if (want != c->window) {
		virt->irq_window(&c->v, want);
		c->window = want;
	}
}

/* Gives the guest what its interrupt controllers have for it, or waits for the moment it can take
 * it. */
static void deliver(struct vcpu *c)
{
	const struct irqchip_ops *chip = c->vm->irqchip;
	int vector;

	deliver_nmi(c);
	vector = chip->pending(c);
	if (vector >= 0 && chip->by_cpu(c)) {
		c->halted = c->halted && !(c->v.rflags & RFLAGS_IF);
		want_window(c, false);
		return;
	}
	if (vector >= 0 && c->v.event.type == EV_NONE && c->v.irq_ready) {
		c->v.event = (struct virt_event){ .type = EV_IRQ, .vector = (uint8_t)vector };
		chip->accept(c, vector);
		c->v.irq_ready = false;
		c->halted = false;
		c->stats.injected++;
		vector = chip->pending(c);
	}
	if (vector >= 0 && (c->v.rflags & RFLAGS_IF))
		c->halted = false; /* it can be taken as soon as what is under way has been */
	want_window(c, vector >= 0);
}

/* Requests that keep the vCPU out of the guest; true when one was served and the turn begins anew.
 */
static bool serve_requests(struct vcpu *c)
{
	if (!c->index && vm_reset_due(c->vm)) {
		vm_reset_by(c);
		return true;
	}
	if (__atomic_load_n(&c->park_asked, __ATOMIC_SEQ_CST)) {
		vcpu_park_here(c);
		return true;
	}
	return false;
}

static void run_once(struct vcpu *c)
{
	struct vmexit x;
	uint64_t rip;
	enum exit_next next;

	if (c->stepping)
		debug_step_begin(c);
	rip = c->v.rip;
	x.insn_len = x.insn_bytes = 0;
	c->vm->irqchip->enter(c);
	vcpu_doing(c, VCPU_GUEST);
	trail_enter(c);
	virt->run(&c->v, &x);
	vcpu_doing(c, VCPU_HOST);
	c->vm->irqchip->leave(c);
	if ((unsigned)x.reason >= EXIT_REASONS)
		x.reason = EXIT_FAILED;
	trail_leave(c, &x);
	c->stats.exits[x.reason]++;
	next = exit_table[x.reason](c, &x);
	if (c->stepping)
		debug_step_end(c, &x, rip);
	(void)next; /* a failed vCPU finds run->stop at its next turn; a retried one its instruction
		     */
}

static void give_way(struct vcpu *c)
{
	__atomic_store_n(&c->preempted, 1, __ATOMIC_RELAXED);
	c->stats.turns_lost++;
	world_yield();
	__atomic_store_n(&c->preempted, 0, __ATOMIC_RELAXED);
}

/*
 * Whether to yield is asked after each switch to this world and not only when a guest
 * leaves: the answer sets the timer that ends this world's slice, and a guest may never
 * leave by itself. Kicks are forgotten before requests are looked at: one that comes
 * later makes run() return at once.
 */
static bool goes_on(struct vcpu *c)
{
	while (world_should_yield())
		give_way(c);
	(void)__atomic_exchange_n(&c->v.kicked, 0, __ATOMIC_SEQ_CST);
	return !__atomic_load_n(&c->vm->run->stop, __ATOMIC_SEQ_CST);
}

static void turn(struct vcpu *c)
{
	if (serve_requests(c))
		return;
	if (vcpu_take_init(c)) {
		vcpu_sleep(c);
		return;
	}
	if (!c->stepping || c->halted) /* a step shows the program, not its interrupts */
		deliver(c);
	if (c->halted && c->v.event.type == EV_NONE)
		vcpu_sleep(c);
	else
		run_once(c);
}

void vcpu_world(void *arg)
{
	struct vcpu *c = arg;

	vcpu_board(c);
	while (goes_on(c))
		turn(c);
	vcpu_leave(c);
}
