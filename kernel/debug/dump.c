/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vm dump`: the VM is taken, parked and drained, laid out as a core (core.h) and sent.
 * Pages go without a copy, so the VM stands until the other side's TCP has all of them.
 * One that stands already, paused, suspended or ended, is dumped as it lies.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/debug.h>
#include <tern/log.h>
#include <tern/page.h>
#include <tern/timer.h>
#include <tern/vdev.h>

#include "core.h"

#define STAND_NS NSEC_PER_SEC	     /* for vCPUs to leave the guest, for devices to finish */
#define STALL_NS (10 * NSEC_PER_SEC) /* the receiver takes nothing for so long: it is lost */
#define BATCH_PAGES 64u
#define RUN_PAGES 4096u

static char dumper; /* stands in vm->mig */

struct dump {
	struct vm *vm;
	struct stream *s;
	bool (*stop)(void *arg);
	void *arg;
	struct core core;
	struct virt_state *cpu; /* of each vCPU */
	struct debug_dump *out;
};

/* ---- what the guest is like ---- */

static int save_cpus(struct dump *d)
{
	d->cpu = calloc(d->vm->nr_vcpus, sizeof(*d->cpu));
	if (!d->cpu)
		return -ENOMEM;
	for (unsigned i = 0; i < d->vm->nr_vcpus; i++)
		virt->state_save(&d->vm->vcpu[i]->v, &d->cpu[i]);
	return 0;
}

static int list_backed(struct dump *d)
{
	uint64_t count;
	gfn_t at = 0, first;
	int err = 0;

	while (!err && gmem_next_backed(d->vm->mem, at, RUN_PAGES, &first, &count)) {
		err = core_backed(&d->core, first << PAGE_SHIFT, count << PAGE_SHIFT);
		d->out->pages += count;
		at = first + count;
	}
	return err;
}

/* The kernel's view: of the first vCPU that is in the kernel, whose tables have all of it. */
static unsigned viewer(const struct dump *d)
{
	for (unsigned i = 0; i < d->vm->nr_vcpus; i++)
		if ((d->cpu[i].seg[SEG_CS].selector & 3) == 0 && (d->cpu[i].cr0 & BIT(31)))
			return i;
	return 0;
}

/* Only RAM has contents; half the segments are kept for memory itself. */
static bool add_mapping(void *arg, const struct vm_mapping *m)
{
	struct dump *d = arg;

	if (!gmem_is_ram(d->vm->mem, m->at))
		return true;
	return d->core.nr < CORE_SEGMENTS_MAX / 2 &&
	       !core_map(&d->core, m->linear, m->at.v, m->bytes);
}

static int list_ram(struct dump *d)
{
	uint64_t ram = gmem_ram_bytes(d->vm->mem), low = MIN(ram, GMEM_LOW_MAX);
	int err = core_ram(&d->core, 0, low);

	if (!err && ram > low)
		err = core_ram(&d->core, 4ull << 30, ram - low);
	return err;
}

static int lay_out(struct dump *d)
{
	struct virt_mode mode = { 0 };
	int err = save_cpus(d);

	if (!err)
		err = list_backed(d);
	if (err || !d->out->pages)
		return err ? err : -ENODATA;
	virt->mode(&d->vm->vcpu[viewer(d)]->v, &mode);
	d->out->whole = vm_mappings(d->vm->mem, &mode, add_mapping, d);
	err = list_ram(d);
	d->out->segments = d->core.nr;
	d->out->threads = d->vm->nr_vcpus;
	d->out->bytes = core_head_bytes(&d->core) + d->core.data_bytes;
	return err;
}

/* ---- out ---- */

static int send_head(struct dump *d)
{
	uint64_t bytes = core_head_bytes(&d->core);
	uint8_t *head = calloc(1, bytes), *at;
	int err;

	if (!head)
		return -ENOMEM;
	at = core_head(&d->core, head);
	for (unsigned i = 0; i < d->vm->nr_vcpus; i++, at += CORE_THREAD_BYTES)
		core_thread(at, i + 1, &d->cpu[i]);
	err = stream_write(d->s, head, bytes, time_ns() + STALL_NS);
	free(head);
	return err;
}

/* The frames of this VM stay while it is ours: each was backed when it was listed. */
static int send_batch(struct dump *d, gfn_t first, unsigned count)
{
	hpa_t page[BATCH_PAGES];
	unsigned n = 0;
	int err = 0;

	while (n < count && gmem_frame(d->vm->mem, first + n, &page[n]))
		n++;
	if (n < count)
		err = -EIO;
	else
		err = stream_write_pages(d->s, page, n, time_ns() + STALL_NS);
	while (n)
		page_put(page[--n]);
	return err;
}

static int send_memory(struct dump *d)
{
	int err = 0;

	for (unsigned i = 0; i < d->core.nr_backed; i++) {
		gfn_t at = d->core.backed[i].paddr >> PAGE_SHIFT;
		uint64_t left = d->core.backed[i].bytes >> PAGE_SHIFT;

		for (; !err && left; at += MIN(left, BATCH_PAGES), left -= MIN(left, BATCH_PAGES)) {
			err = d->stop(d->arg) ? -ECANCELED
					      : send_batch(d, at, (unsigned)MIN(left, BATCH_PAGES));
			if (world_should_yield())
				world_yield();
		}
	}
	return err;
}

static int drain(struct dump *d)
{
	struct stream_info before, now;
	int err;

	do {
		stream_info(d->s, &before);
		err = stream_drain(d->s, time_ns() + STALL_NS);
		stream_info(d->s, &now);
	} while (err == -ETIMEDOUT && now.unacked < before.unacked && !d->stop(d->arg));
	return err;
}

static int dump(struct dump *d)
{
	int err = lay_out(d);

	if (!err)
		err = send_head(d);
	if (!err)
		err = send_memory(d);
	if (!err) {
		stream_flush(d->s);
		err = drain(d);
	}
	return err;
}

/* ---- standing ---- */

static int stand(struct vm *vm, char *why, size_t len)
{
	int err = vm_park(vm, time_ns() + STAND_NS);

	if (err) {
		snprintf(why, len, "%s",
			 err == -ESRCH ? "the VM ended by itself" : "its processors do not stop");
		return err;
	}
	vm_set_state(vm, VM_STUNNED);
	err = vdevs_quiesce(vm, time_ns() + STAND_NS);
	if (!err)
		return 0;
	snprintf(why, len, "a device did not finish its work in time");
	vm_set_state(vm, VM_RUNNING);
	vm_unpark(vm);
	return err;
}

static void go_on(struct vm *vm)
{
	vdevs_resume(vm);
	vm_set_state(vm, VM_RUNNING);
	vm_unpark(vm);
}

static void say(int err, char *why, size_t len)
{
	snprintf(why, len, "%s",
		 err == -ENOMEM	     ? "no memory for the core's own data"
		 : err == -ENODATA   ? "the VM has no contents: it has not been started"
		 : err == -E2BIG     ? "the memory is in too many pieces for a core"
		 : err == -ECANCELED ? "interrupted"
				     : "the receiver is gone or does not read");
}

int debug_dump_vm(struct vm *vm, struct stream *s, bool (*stop)(void *arg), void *arg,
		  struct debug_dump *out, char *why, size_t len)
{
	struct dump d = { .vm = vm, .s = s, .stop = stop, .arg = arg, .out = out };
	int err = vm_claim(vm, &dumper, "being dumped", why, len);
	bool running = vm->state == VM_RUNNING;

	if (err)
		return err;
	memset(out, 0, sizeof(*out));
	core_init(&d.core, vm->nr_vcpus);
	if (running)
		err = stand(vm, why, len);
	if (!err) {
		err = dump(&d);
		if (err) {
			say(err, why, len);
			stream_abort(s); /* references to the guest's pages end before it goes on */
		}
		if (running)
			go_on(vm);
	}
	core_fini(&d.core);
	free(d.cpu);
	vm_disown(vm);
	if (!err)
		log_info("debug", "%s: dumped, %u MiB in %u segments", vm->cfg.name,
			 (unsigned)(out->bytes >> 20), out->segments);
	return err;
}
