/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns: one world at a time does something that waits for the disk in its
 * middle. A mutex is not held across such waits, so this is a flag with a queue.
 */
#include "kernel/store/ds_int.h"

void ds_turn_init(struct ds_turn *t, const char *name)
{
	spin_init(&t->guard, LOCK_STORE, name);
	waitq_init(&t->free, name);
	t->taken = false;
}

void ds_turn_take(struct ds_turn *t)
{
	unsigned long flags = spin_lock(&t->guard);

	while (t->taken)
		(void)waitq_sleep(&t->free, &t->guard, &flags, NEVER_NS);
	t->taken = true;
	spin_unlock(&t->guard, flags);
}

void ds_turn_end(struct ds_turn *t)
{
	unsigned long flags = spin_lock(&t->guard);

	t->taken = false;
	waitq_wake_one(&t->free);
	spin_unlock(&t->guard, flags);
}
