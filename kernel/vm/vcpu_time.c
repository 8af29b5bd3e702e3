/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a vCPU's time goes: each moment is one of enum vcpu_doing's.
 *
 * The vCPU's world says when it enters and leaves the guest; the hooks around its
 * switches say when it is off its CPU, and off_as what for. Only when it comes
 * back is it known since when it was woken and waited for a CPU, so a halt that
 * is not over is counted as halted up to now.
 *
 * One writer, the world; seq lets others read a copy that is of one moment.
 */
#include "vm_int.h"

static void begin_change(struct vcpu_times *t)
{
	__atomic_store_n(&t->seq, t->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void end_change(struct vcpu_times *t)
{
	__atomic_store_n(&t->seq, t->seq + 1, __ATOMIC_RELEASE);
}

void vcpu_doing(struct vcpu *c, enum vcpu_doing what)
{
	struct vcpu_times *t = &c->times;
	uint64_t now = time_ns();

	begin_change(t);
	t->ns[t->doing] += now - t->since_ns;
	t->since_ns = now;
	t->doing = (uint8_t)what;
	end_change(t);
}

void vcpu_off_cpu(struct vcpu *c)
{
	vcpu_doing(c, (enum vcpu_doing)c->times.off_as);
}

void vcpu_on_cpu(struct vcpu *c)
{
	struct vcpu_times *t = &c->times;
	uint64_t now = time_ns();
	uint64_t woken = MIN(MAX(world_ready_since_ns(), t->since_ns), now);
	/* One that did not mean to sleep waited for the host: a device's lock, memory. */
	unsigned until_woken = t->doing == VCPU_READY ? VCPU_HELD : t->doing;

	begin_change(t);
	t->ns[until_woken] += woken - t->since_ns;
	t->ns[VCPU_READY] += now - woken;
	t->since_ns = now;
	t->doing = VCPU_HOST;
	end_change(t);
}

void vcpu_times_get(const struct vcpu *c, uint64_t ns[VCPU_DOINGS])
{
	const struct vcpu_times *t = &c->times;
	uint64_t since, now;
	uint32_t seq;
	unsigned doing;

	do {
		seq = __atomic_load_n(&t->seq, __ATOMIC_ACQUIRE) & ~1u;
		for (unsigned i = 0; i < VCPU_DOINGS; i++)
			ns[i] = __atomic_load_n(&t->ns[i], __ATOMIC_RELAXED);
		since = __atomic_load_n(&t->since_ns, __ATOMIC_RELAXED);
		doing = __atomic_load_n(&t->doing, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&t->seq, __ATOMIC_RELAXED) != seq);
	now = time_ns();
	if (now > since)
		ns[doing] += now - since;
}
