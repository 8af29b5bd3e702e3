/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watchdog (wdt.h). Its status survives a reset: that is how the guest learns why
 * it was reset. A paused VM's watchdog begins anew when it would have fired.
 *
 * The timer's handler runs in interrupt context and takes running away first, so it and
 * a stop agree on who came first; all else is under the device's mutex.
 * [Hardware Watchdog Timers Design Specification "Watchdog Action Table"]
 */
#include <errno.h>
#include <stdlib.h>

#include "wdt.h"

#define WDT_REC_VERSION 1
#define PERIOD_NS (WDT_PERIOD_MS * NSEC_PER_MSEC)

struct wdt {
	struct vdev d;
	struct io_region io;
	struct timer timer;
	uint32_t running; /* [atom] */
	uint32_t fired;	  /* [atom] */
	uint32_t count;
	uint64_t due_ns;  /* host's clock */
	uint64_t left_ns; /* while the VM moves */
};

static struct wdt *of(struct vdev *d)
{
	return container_of(d, struct wdt, d);
}

static bool runs(const struct wdt *w)
{
	return __atomic_load_n(&w->running, __ATOMIC_ACQUIRE);
}

static void begin(struct wdt *w, uint64_t left_ns)
{
	__atomic_store_n(&w->due_ns, time_ns() + left_ns, __ATOMIC_RELAXED);
	timer_arm(&w->timer, w->due_ns);
}

static uint64_t left(const struct wdt *w)
{
	uint64_t now = time_ns(), due = __atomic_load_n(&w->due_ns, __ATOMIC_RELAXED);

	return runs(w) && due > now ? due - now : 0;
}

static void stop(struct wdt *w)
{
	__atomic_store_n(&w->running, 0, __ATOMIC_RELEASE);
	timer_cancel(&w->timer);
}

/* Interrupt context. */
static void bite(struct timer *t)
{
	struct wdt *w = container_of(t, struct wdt, timer);

	if (w->d.vm->state == VM_PAUSED) {
		begin(w, w->count * PERIOD_NS);
		return;
	}
	if (!__atomic_exchange_n(&w->running, 0, __ATOMIC_ACQ_REL) || w->d.vm->state == VM_OFF ||
	    w->d.vm->state == VM_STOPPED_ERROR)
		return; /* a VM that is off feeds nobody */
	__atomic_store_n(&w->fired, WDT_BIT, __ATOMIC_RELEASE);
	vm_trouble(w->d.vm, VM_WATCHDOG);
}

static void io_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	struct wdt *w = of(arg);

	(void)c;
	if (size != 4)
		return;
	switch (off) {
	case WDT_CONTROL:
		*value = runs(w);
		break;
	case WDT_COUNT:
		*value = w->count;
		break;
	case WDT_FEED:
		*value = left(w) / PERIOD_NS;
		break;
	case WDT_STATUS:
		*value = __atomic_load_n(&w->fired, __ATOMIC_ACQUIRE);
		break;
	default:
		break;
	}
}

static void write_control(struct wdt *w, uint64_t value)
{
	if (!(value & WDT_BIT)) {
		stop(w);
	} else if (!runs(w)) {
		__atomic_store_n(&w->running, 1, __ATOMIC_RELEASE);
		begin(w, w->count * PERIOD_NS);
	}
}

static void io_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct wdt *w = of(arg);

	(void)c;
	if (size != 4)
		return;
	switch (off) {
	case WDT_CONTROL:
		write_control(w, value);
		break;
	case WDT_COUNT:
		w->count = (uint32_t)MIN(MAX(value, WDT_COUNT_MIN), WDT_COUNT_MAX);
		break;
	case WDT_FEED:
		if (runs(w))
			begin(w, w->count * PERIOD_NS);
		break;
	case WDT_STATUS:
		if (value & WDT_BIT)
			__atomic_store_n(&w->fired, 0, __ATOMIC_RELEASE);
		break;
	default:
		break;
	}
}

static const struct io_ops wdt_io = { .read = io_read, .write = io_write };

static void wdt_reset(struct vdev *d)
{
	struct wdt *w = of(d);

	stop(w);
	w->count = WDT_COUNT_MAX;
}

static int wdt_quiesce(struct vdev *d, uint64_t deadline_ns)
{
	struct wdt *w = of(d);

	(void)deadline_ns;
	timer_cancel(&w->timer);
	w->left_ns = left(w);
	return 0;
}

static void wdt_resume(struct vdev *d)
{
	struct wdt *w = of(d);

	if (runs(w))
		begin(w, w->left_ns);
}

/*
 * REC_WDT version 1, instance 0:
 *   0  u32  bit 0: it runs
 *   4  u32  periods from a feeding to the end
 *   8  u32  bit 0: it has fired
 *  12  u32  zero
 *  16  u64  nanoseconds left, no more than the longest time
 */
static void wdt_save(struct vdev *d, struct rec_writer *w)
{
	struct wdt *t = of(d);

	rec_begin(w, REC_WDT, WDT_REC_VERSION, 0, d->instance);
	rec_u32(w, t->running);
	rec_u32(w, t->count);
	rec_u32(w, t->fired);
	rec_u32(w, 0);
	rec_u64(w, t->running ? t->left_ns : 0);
	rec_end(w);
}

static int wdt_parse(struct rec_reader *r, struct wdt *w)
{
	if (r->head.version != WDT_REC_VERSION)
		return -EBADMSG;
	w->running = rec_get_u32(r);
	w->count = rec_get_u32(r);
	w->fired = rec_get_u32(r);
	if (rec_get_u32(r))
		return -EBADMSG;
	w->left_ns = rec_get_u64(r);
	if (w->running > 1 || w->fired > 1 || w->count < WDT_COUNT_MIN ||
	    w->count > WDT_COUNT_MAX || w->left_ns > WDT_COUNT_MAX * PERIOD_NS)
		return -EBADMSG;
	return rec_done(r);
}

static int wdt_check(struct vdev *d, struct rec_reader *r)
{
	struct wdt scratch;

	(void)d;
	return wdt_parse(r, &scratch);
}

/* resume lets it go on. */
static int wdt_load(struct vdev *d, struct rec_reader *r)
{
	return wdt_parse(r, of(d));
}

static void wdt_destroy(struct vdev *d)
{
	stop(of(d));
	free(of(d));
}

static const struct vdev_ops wdt_ops = {
	.name = "watchdog",
	.reset = wdt_reset,
	.quiesce = wdt_quiesce,
	.resume = wdt_resume,
	.save = wdt_save,
	.check = wdt_check,
	.load = wdt_load,
	.destroy = wdt_destroy,
};

int wdt_create(struct vm *vm)
{
	struct wdt *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->count = WDT_COUNT_MAX;
	timer_setup(&w->timer, bite);
	vdev_init(&w->d, vm, &wdt_ops, REC_WDT, REC_WDT, 0);
	vdev_region(&w->d, &w->io, IO_PIO, WDT_PORT, WDT_PORTS, &wdt_io, &w->d.lock);
	return 0;
}
