/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM that stands still on its own host (stun.h). */
#include <errno.h>
#include <stdio.h>

#include <tern/vdev.h>

#include "checkpoint.h"
#include "phase.h"
#include "stun.h"

static void unpark(struct vm *vm)
{
	vm_set_state(vm, VM_RUNNING);
	vm_unpark(vm);
}

void stun_end(struct vm *vm)
{
	vdevs_resume(vm);
	unpark(vm);
}

int stun(struct vm *vm, char *why, size_t len)
{
	int err = vm_park(vm, time_ns() + QUIESCE_TIMEOUT_NS);

	if (err) {
		snprintf(why, len, "%s",
			 err == -ESRCH ? "the VM ended by itself"
				       : "its processors did not stop in time");
		return err;
	}
	vm_set_state(vm, VM_STUNNED);
	err = vdevs_quiesce(vm, time_ns() + QUIESCE_TIMEOUT_NS);
	if (err)
		snprintf(why, len, "a device did not finish its work in time");
	if (err)
		unpark(vm);
	else if (vm_reset_asked(vm)) { /* by its watchdog, behind the processors' stop */
		snprintf(why, len, "the VM is being reset just now: try again");
		stun_end(vm);
		err = -EBUSY;
	}
	return err;
}

int stun_hand_over(struct vm *vm, struct vm *heir, char *why, size_t len)
{
	struct rec_writer w;
	int err;

	rec_writer_init(&w);
	checkpoint_save(vm, &w);
	err = rec_finish(&w);
	if (!err)
		err = checkpoint_check(heir, w.buf, w.len, why, len);
	if (!err)
		err = checkpoint_load(heir, w.buf, w.len, 0);
	rec_writer_fini(&w);
	return err;
}
