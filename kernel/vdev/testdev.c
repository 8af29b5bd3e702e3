/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The test device (testdev.h). Its exit port is where QEMU's isa-debug-exit is
 * put for such payloads, the rest is as QEMU's pc-testdev has it; the code shown is
 * the value written. Port 0xe4, "flush a page", has nothing to do here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "irqchip.h"
#include "testdev.h"

#define TESTDEV_REC_VERSION 1

struct testdev {
	struct vdev d;
	struct io_region exit, latch, lines, mmio;
	uint32_t latched;
	uint32_t raised; /* bit per GSI */
	uint8_t reg[TESTDEV_MMIO_SIZE];
};

static struct testdev *of(void *arg)
{
	return container_of((struct vdev *)arg, struct testdev, d);
}

static void read_nothing(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	(void)arg;
	(void)c;
	(void)off;
	(void)size;
	*value = 0;
}

static void exit_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	(void)c;
	(void)size;
	if (off == 0)
		vm_request_exit(of(arg)->d.vm, (uint32_t)value);
}

static void latch_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	(void)c;
	(void)off;
	*value = of(arg)->latched & (BIT(8 * size) - 1);
}

static void latch_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	(void)c;
	(void)off;
	(void)size;
	of(arg)->latched = (uint32_t)value;
}

static void lines_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct testdev *t = of(arg);
	uint32_t bit = (uint32_t)BIT(off);

	(void)c;
	(void)size;
	t->raised = value ? t->raised | bit : t->raised & ~bit;
	vm_set_gsi(t->d.vm, (unsigned)off, value != 0);
}

static void mmio_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	(void)c;
	if (size > TESTDEV_MMIO_SIZE - off)
		return;
	*value = 0;
	memcpy(value, of(arg)->reg + off, size);
}

static void mmio_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	(void)c;
	if (size <= TESTDEV_MMIO_SIZE - off)
		memcpy(of(arg)->reg + off, &value, size);
}

static const struct io_ops exit_io = { .read = read_nothing, .write = exit_write };
static const struct io_ops latch_io = { .read = latch_read, .write = latch_write };
static const struct io_ops lines_io = { .read = read_nothing, .write = lines_write };
static const struct io_ops mmio_io = { .read = mmio_read, .write = mmio_write };

static void testdev_reset(struct vdev *d)
{
	struct testdev *t = of(d);

	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		if (t->raised & BIT(i))
			vm_set_gsi(d->vm, i, false);
	t->raised = t->latched = 0;
	memset(t->reg, 0, sizeof(t->reg));
}

/*
 * REC_TESTDEV version 1, instance 0: u32 latch, u32 raised lines, 64 KiB registers.
 * The lines' levels themselves are the interrupt controllers' state.
 */
static void testdev_save(struct vdev *d, struct rec_writer *w)
{
	struct testdev *t = of(d);

	rec_begin(w, REC_TESTDEV, TESTDEV_REC_VERSION, 0, d->instance);
	rec_u32(w, t->latched);
	rec_u32(w, t->raised);
	rec_bytes(w, t->reg, sizeof(t->reg));
	rec_end(w);
}

static int testdev_check(struct vdev *d, struct rec_reader *r)
{
	(void)d;
	if (r->head.version != TESTDEV_REC_VERSION || r->head.length != 8 + TESTDEV_MMIO_SIZE)
		return -EBADMSG;
	(void)rec_get_u32(r);
	return rec_get_u32(r) >> IOAPIC_PINS ? -EBADMSG : 0;
}

static int testdev_load(struct vdev *d, struct rec_reader *r)
{
	struct testdev *t = of(d);

	if (r->head.version != TESTDEV_REC_VERSION)
		return -EBADMSG;
	t->latched = rec_get_u32(r);
	t->raised = rec_get_u32(r);
	rec_get_bytes(r, t->reg, sizeof(t->reg));
	return rec_done(r);
}

static void testdev_destroy(struct vdev *d)
{
	free(of(d));
}

static const struct vdev_ops testdev_ops = {
	.name = "testdev",
	.reset = testdev_reset,
	.save = testdev_save,
	.check = testdev_check,
	.load = testdev_load,
	.destroy = testdev_destroy,
};

int testdev_create(struct vm *vm)
{
	struct testdev *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	vdev_init(&t->d, vm, &testdev_ops, REC_TESTDEV, REC_TESTDEV, 0);
	vdev_region(&t->d, &t->exit, IO_PIO, TESTDEV_EXIT_PORT, 4, &exit_io, &t->d.lock);
	vdev_region(&t->d, &t->latch, IO_PIO, TESTDEV_LATCH_PORT, 4, &latch_io, &t->d.lock);
	vdev_region(&t->d, &t->lines, IO_PIO, TESTDEV_LINES_PORT, IOAPIC_PINS, &lines_io,
		    &t->d.lock);
	vdev_region(&t->d, &t->mmio, IO_MMIO, TESTDEV_MMIO_BASE, TESTDEV_MMIO_SIZE, &mmio_io,
		    &t->d.lock);
	return 0;
}
