/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reset and a park at the same time: whatever is asked for before all vCPUs stand
 * still is done before they do, by whichever of them it was asked and wherever vCPU 0
 * is then; what is asked for later waits for the park's end. Who moves or suspends a VM
 * takes only what is parked with it: a request that is left over would be lost.
 */
// ALONE: the fake CPUs are threads, and time is the real one
#include "fake_machine.h"

struct cpuid_regs { /* of tern/cpu.h, which the fake CPUs replace */
	uint32_t eax, ebx, ecx, edx;
};

#include "kernel/vm/park.c"
#include "kernel/vm/vcpu.c"

#define CPUS 2u
#define ROUNDS 300u

/* ---- a VM of two vCPUs whose guest is a function ---- */

static struct {
	struct vm vm;
	struct vcpu vcpu[CPUS];
	struct pvclock clock[CPUS];
	struct vm_run run;
	void (*guest)(struct vcpu *c); /* once each time that one is in the guest */
	uint32_t resets, in_reset;
} m;

static void nothing_v(struct virt_vcpu *v)
{
	(void)v;
}

static void run(struct virt_vcpu *v, struct vmexit *x)
{
	struct vcpu *c = (struct vcpu *)v;

	_Static_assert(offsetof(struct vcpu, v) == 0, "the vCPU begins with its backend's part");
	check(!m.in_reset, "one was in the guest in a reset");
	check(!m.run.settled, "one was in the guest in a park");
	if (m.guest)
		m.guest(c);
	while (!__atomic_load_n(&v->kicked, __ATOMIC_SEQ_CST))
		world_yield();
	x->reason = EXIT_HLT;
}

static const struct virt_ops ops = {
	.vcpu_load = nothing_v,
	.vcpu_put = nothing_v,
	.run = run,
};
const struct virt_ops *virt = &ops;

static int no_interrupt(struct vcpu *c)
{
	(void)c;
	return -1;
}

static void nothing_c(struct vcpu *c)
{
	(void)c;
}

static const struct irqchip_ops chip = {
	.pending = no_interrupt,
	.enter = nothing_c,
	.leave = nothing_c,
};

static enum exit_next goes_in_again(struct vcpu *c, struct vmexit *x)
{
	(void)c;
	(void)x;
	return NEXT_RESUME;
}

exit_handler *const exit_table[EXIT_REASONS] = { [EXIT_HLT] = goes_in_again };

static int reset(struct vm *vm)
{
	m.in_reset = 1;
	check(vm->vcpu[1]->parked, "a vCPU was not parked in a reset");
	world_yield();
	return 0;
}

static int boot(struct vm *vm, char *why, size_t why_len)
{
	(void)vm;
	(void)why;
	(void)why_len;
	m.in_reset = 0;
	__atomic_fetch_add(&m.resets, 1, __ATOMIC_SEQ_CST);
	return 0;
}

const struct vm_platform *vm_platform(void)
{
	static const struct vm_platform p = { .reset = reset, .boot = boot };

	return &p;
}

void trail_enter(struct vcpu *c)
{
	(void)c;
}

void trail_leave(struct vcpu *c, const struct vmexit *x)
{
	(void)c;
	(void)x;
}

bool vcpu_take_init(struct vcpu *c)
{
	(void)c;
	return false;
}

void vcpu_leave(struct vcpu *c)
{
	unsigned long flags = spin_lock(&m.run.lock);

	c->parked = 1;
	m.run.live--;
	waitq_wake_all(&m.run.changed);
	spin_unlock(&m.run.lock, flags);
}

void vm_request_off(struct vm *vm, const char *reason, bool error)
{
	(void)vm;
	(void)error;
	check(false, reason);
}

void vcpu_reset(struct vcpu *c)
{
	check(!c->loaded, "a vCPU on its CPU was reset");
}

void vcpu_doing(struct vcpu *c, enum vcpu_doing what)
{
	(void)c;
	(void)what;
}

void hyperv_reset(struct vm *vm)
{
	(void)vm;
}

void vm_time_start(struct vm *vm)
{
	(void)vm;
}

void pvclock_update(struct vcpu *c)
{
	(void)c;
}

void debug_step_begin(struct vcpu *c)
{
	(void)c;
}

void debug_step_end(struct vcpu *c, const struct vmexit *x, uint64_t rip_before)
{
	(void)c;
	(void)x;
	(void)rip_before;
}

int io_init(struct vm *vm)
{
	(void)vm;
	return 0;
}

void io_fini(struct vm *vm)
{
	(void)vm;
}

static void begin(void (*guest)(struct vcpu *c))
{
	strcpy(m.vm.cfg.name, "g");
	m.vm.run = &m.run;
	m.vm.irqchip = &chip;
	m.vm.nr_vcpus = CPUS;
	m.guest = guest;
	spin_init(&m.run.lock, LOCK_VM, "vm run");
	waitq_init(&m.run.changed, "vm park");
	m.run.live = CPUS;
	for (unsigned i = 0; i < CPUS; i++) {
		struct vcpu *c = m.vm.vcpu[i] = &m.vcpu[i];

		c->vm = &m.vm;
		c->index = i;
		c->clock = &m.clock[i];
		event_init(&c->wake, "vcpu");
	}
	for (unsigned i = 0; i < CPUS; i++)
		m.vcpu[i].world = spawn("vcpu", WORLD_NORMAL, -1, vcpu_world, &m.vcpu[i]);
}

static void end(void)
{
	__atomic_store_n(&m.run.stop, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < CPUS; i++) {
		vcpu_kick(&m.vcpu[i]);
		event_signal(&m.vcpu[i].wake);
		world_join(m.vcpu[i].world);
	}
}

static bool was_reset(uint32_t times)
{
	uint64_t give_up = time_ns() + PATIENCE_NS;

	while (__atomic_load_n(&m.resets, __ATOMIC_SEQ_CST) != times && time_ns() < give_up)
		world_yield();
	return m.resets == times;
}

static void park(void)
{
	check(!vm_park(&m.vm, time_ns() + PATIENCE_NS), "it does not park");
	check(m.vcpu[0].parked && m.vcpu[1].parked, "it is not parked");
	check(!vm_reset_asked(&m.vm), "a reset was left over");
}

static void await(const uint32_t *what)
{
	while (!__atomic_load_n(what, __ATOMIC_SEQ_CST))
		world_yield();
}

/* ---- asked for by vCPU 0, which leaves the guest for the park ---- */

static uint32_t asked;

static void asks_late(struct vcpu *c)
{
	if (c->index || __atomic_exchange_n(&asked, 1, __ATOMIC_SEQ_CST))
		return;
	await(&c->park_asked);
	vm_request_reset(c->vm);
}

static void do_before_the_park(void)
{
	begin(asks_late);
	await(&asked);
	park();
	check(m.resets == 1, "it was not reset before it was parked");
	vm_unpark(&m.vm);
	end();
}

/* ---- by vCPU 1, while vCPU 0 is parked already ---- */

static void asks_last(struct vcpu *c)
{
	if (!c->index || __atomic_exchange_n(&asked, 1, __ATOMIC_SEQ_CST))
		return;
	await(&c->vm->vcpu[0]->parked);
	vm_request_reset(c->vm);
}

static void do_into_the_park(void)
{
	begin(asks_last);
	await(&asked);
	park();
	check(m.resets == 1, "it was not reset before it was parked");
	vm_unpark(&m.vm);
	end();
}

/* ---- by a device, when all are parked ---- */

static void do_in_the_park(void)
{
	begin(NULL);
	park();
	vm_request_reset(&m.vm);
	world_sleep_ns(20 * NSEC_PER_MSEC);
	check(!m.resets && vm_reset_asked(&m.vm), "it was reset in the park");
	check(!vm_park(&m.vm, time_ns() + PATIENCE_NS), "a park inside does not come");
	vm_unpark(&m.vm);
	vm_unpark(&m.vm);
	check(was_reset(1), "it was not reset behind the park");
	park();
	vm_unpark(&m.vm);
	end();
}

/* ---- at any time ---- */

static uint32_t entered[CPUS];

static void asks_often(struct vcpu *c)
{
	if (__atomic_fetch_add(&entered[c->index], 1, __ATOMIC_SEQ_CST) % 3 == c->index)
		vm_request_reset(c->vm);
}

static void do_often(void)
{
	begin(asks_often);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t *in = &entered[i % CPUS], before;

		park();
		before = *in;
		vm_unpark(&m.vm);
		while (__atomic_load_n(in, __ATOMIC_SEQ_CST) == before)
			world_yield();
	}
	check(m.resets > ROUNDS / 6, "it was hardly reset");
	end();
}

ON(test_before_the_park, 2, do_before_the_park)
ON(test_into_the_park, 2, do_into_the_park)
ON(test_in_the_park, 2, do_in_the_park)
ON(test_often, 3, do_often)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_the_park),
		cmocka_unit_test(test_into_the_park),
		cmocka_unit_test(test_in_the_park),
		cmocka_unit_test(test_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
