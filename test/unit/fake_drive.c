/* SPDX-License-Identifier: BSD-2-Clause */
/* The clock, events, pages and layer of fake_drive.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_drive.h"

uint64_t fake_now_ns;
unsigned fake_broken, fake_nr_done;
struct spinlock *fake_lock;
struct blk_req *fake_done[256];
static struct timer *armed;
static uint64_t armed_ns;

void fake_drive_reset(struct spinlock *lock)
{
	fake_now_ns = NSEC_PER_SEC;
	fake_broken = fake_nr_done = 0;
	fake_lock = lock;
	armed = NULL;
}

void fake_drive_pass(uint64_t ns, void (*recover)(void *arg), void *arg)
{
	fake_now_ns += ns;
	if (armed && fake_now_ns >= armed_ns) {
		struct timer *t = armed;

		armed = NULL;
		t->fn(t);
	}
	if (fake_broken) {
		fake_broken = 0;
		recover(arg);
	}
}

/* ---- what the driver calls ---- */

uint64_t time_ns(void)
{
	return fake_now_ns;
}

void world_sleep_ns(uint64_t ns)
{
	fake_now_ns += ns;
}

unsigned cpu_self(void)
{
	return 0;
}

void timer_setup(struct timer *t, void (*fn)(struct timer *))
{
	t->fn = fn;
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	armed = t;
	armed_ns = deadline_ns;
}

void event_signal(struct event *e)
{
	fake_broken++;
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	return 0;
}

int world_create(struct world **out, const struct world_opts *o, void (*fn)(void *), void *arg)
{
	return 0;
}

/* support.c's have another DIRECT_MAP. */
int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	void *p = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);

	assert_non_null(p);
	memset(p, 0, PAGE_SIZE << order);
	*out = ptr_hpa(p);
	return 0;
}

void page_put(hpa_t block)
{
	free(hpa_ptr(block));
}

void blk_complete(struct blk_req *r, int status)
{
	assert_int_equal(spin_held(fake_lock), 0);
	r->status = status;
	assert_true(fake_nr_done < ARRAY_SIZE(fake_done));
	fake_done[fake_nr_done++] = r;
}
