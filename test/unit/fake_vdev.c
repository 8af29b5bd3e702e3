/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM that tests of device models use (fake_vdev.h), and the functions of
 * the kernel that the models call.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/page.h>
#include <tern/random.h>
#include <tern/world.h>

#include "fake_vdev.h"
#include "kernel/vdev/device.h"

uint8_t fake_ram[FAKE_RAM];
uint64_t fake_now_ns;
unsigned fake_rises[FAKE_GSIS];
bool fake_level[FAKE_GSIS];
unsigned fake_msis;
uint64_t fake_msi_addr;
uint32_t fake_msi_data;
unsigned fake_offs, fake_resets, fake_sleeps;
void (*fake_slept)(void);
void (*fake_others)(void);
static struct timer *armed;

/* ---- interrupt controllers ---- */

static void set_gsi(struct vm *vm, unsigned gsi, bool level)
{
	if (level && !fake_level[gsi])
		fake_rises[gsi]++;
	fake_level[gsi] = level;
}

static void msi(struct vm *vm, uint64_t addr, uint32_t data)
{
	fake_msis++;
	fake_msi_addr = addr;
	fake_msi_data = data;
}

static const struct irqchip_ops irqchip = { .set_gsi = set_gsi, .msi = msi };

/* ---- guest memory ---- */

static bool inside(gpa_t a, size_t len)
{
	return a.v <= FAKE_RAM && len <= FAKE_RAM - a.v;
}

int gmem_read(struct gmem *g, gpa_t a, void *buf, size_t len)
{
	if (!inside(a, len))
		return -EFAULT;
	memcpy(buf, fake_ram + a.v, len);
	return 0;
}

int gmem_write(struct gmem *g, gpa_t a, const void *buf, size_t len)
{
	if (!inside(a, len))
		return -EFAULT;
	memcpy(fake_ram + a.v, buf, len);
	return 0;
}

/* ---- time ---- */

uint64_t time_ns(void)
{
	return fake_now_ns;
}

uint64_t vm_guest_ns(const struct vm *vm)
{
	return fake_now_ns + (uint64_t)vm->clock_offset_ns;
}

uint64_t wall_clock_s(void)
{
	return 1700000000;
}

uint64_t mul_div64(uint64_t a, uint64_t b, uint64_t div)
{
	return (uint64_t)((unsigned __int128)a * b / div);
}

void timer_setup(struct timer *t, void (*fn)(struct timer *))
{
	t->fn = fn;
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	t->deadline_ns = deadline_ns;
	armed = t;
}

bool timer_cancel(struct timer *t)
{
	bool was = armed == t;

	if (was)
		armed = NULL;
	return was;
}

bool fake_timer_run(void)
{
	struct timer *t = armed;

	if (!t || t->deadline_ns > fake_now_ns)
		return false;
	armed = NULL;
	t->fn(t);
	return true;
}

/* ---- worlds and the rest ---- */

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	fake_sleeps++;
	if (fake_slept) {
		spin_unlock(l, *flags);
		fake_slept();
		*flags = spin_lock(l);
	}
	return -ETIMEDOUT;
}

bool world_should_yield(void)
{
	if (fake_others)
		fake_others();
	return false;
}

void world_yield(void)
{
}

void random_bytes(void *buf, size_t len)
{
	static uint8_t next = 1;

	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = next++ | 1;
}

void vm_request_off(struct vm *vm, const char *reason, bool error)
{
	fake_offs++;
}

void vm_request_reset(struct vm *vm)
{
	fake_resets++;
}

/* ---- dispatch ---- */

void vm_io_add(struct vm *vm, struct io_region *r)
{
	r->next = vm->io;
	vm->io = r;
}

void vm_io_move(struct vm *vm, struct io_region *r, uint64_t base, bool enabled)
{
	r->base = base;
	r->enabled = enabled;
}

static struct io_region *find(struct vm *vm, enum io_space space, uint64_t at)
{
	for (struct io_region *r = vm->io; r; r = r->next)
		if (r->space == space && r->enabled && at >= r->base && at - r->base < r->size)
			return r;
	return NULL;
}

static uint64_t access_read(struct vm *vm, enum io_space space, uint64_t at, unsigned size)
{
	struct io_region *r = find(vm, space, at);
	uint64_t v = UINT64_MAX;

	if (r && r->lock)
		mutex_lock(r->lock);
	if (r)
		r->ops->read(r->arg, NULL, at - r->base, size, &v);
	if (r && r->lock)
		mutex_unlock(r->lock);
	return size < 8 ? v & (BIT(8 * size) - 1) : v;
}

static void access_write(struct vm *vm, enum io_space space, uint64_t at, unsigned size, uint64_t v)
{
	struct io_region *r = find(vm, space, at);

	if (size < 8)
		v &= BIT(8 * size) - 1;
	if (r && r->ops->post && r->ops->post(r->arg, at - r->base))
		return;
	if (r && r->lock)
		mutex_lock(r->lock);
	if (r)
		r->ops->write(r->arg, NULL, at - r->base, size, v);
	if (r && r->lock)
		mutex_unlock(r->lock);
}

uint64_t fake_in(struct vm *vm, uint16_t port, unsigned size)
{
	return access_read(vm, IO_PIO, port, size);
}

void fake_out(struct vm *vm, uint16_t port, unsigned size, uint64_t value)
{
	access_write(vm, IO_PIO, port, size, value);
}

uint64_t fake_read(struct vm *vm, uint64_t gpa, unsigned size)
{
	return access_read(vm, IO_MMIO, gpa, size);
}

void fake_write(struct vm *vm, uint64_t gpa, unsigned size, uint64_t value)
{
	access_write(vm, IO_MMIO, gpa, size, value);
}

static void select_cfg(struct vm *vm, unsigned slot, unsigned off)
{
	fake_out(vm, 0xcf8, 4, 0x80000000u | slot << 11 | (off & 0xfc));
}

uint32_t fake_cfg_read(struct vm *vm, unsigned slot, unsigned off, unsigned size)
{
	select_cfg(vm, slot, off);
	return (uint32_t)fake_in(vm, (uint16_t)(0xcfc + (off & 3)), size);
}

void fake_cfg_write(struct vm *vm, unsigned slot, unsigned off, unsigned size, uint32_t value)
{
	select_cfg(vm, slot, off);
	fake_out(vm, (uint16_t)(0xcfc + (off & 3)), size, value);
}

/* ---- the VM, and records ---- */

struct vm *fake_vm(void)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	strcpy(vm->cfg.name, "fake");
	vm->cfg.mem_bytes = 256u << 20;
	vm->nr_vcpus = vm->cfg.vcpus = 1;
	vm->irqchip = &irqchip;
	memset(fake_ram, 0, sizeof(fake_ram));
	memset(fake_rises, 0, sizeof(fake_rises));
	memset(fake_level, 0, sizeof(fake_level));
	fake_others = NULL;
	fake_msis = fake_offs = fake_resets = fake_sleeps = 0;
	fake_now_ns = NSEC_PER_SEC;
	armed = NULL;
	return vm;
}

void fake_vm_done(struct vm *vm)
{
	vdevs_destroy(vm);
	free(vm->platform);
	free(vm);
}

static int each(struct vm *to, const struct rec_writer *w,
		int (*fn)(struct vm *, struct rec_reader *))
{
	struct rec_reader r;
	int rc;

	rec_reader_init(&r, w->buf, w->len);
	while ((rc = rec_next(&r)) == 1) {
		rc = fn(to, &r);
		if (rc)
			return rc;
	}
	return rc;
}

int fake_move(struct vm *from, struct vm *to)
{
	struct rec_writer w;
	int rc;

	rec_writer_init(&w);
	vdevs_save(from, &w);
	rc = rec_finish(&w);
	if (!rc)
		rc = each(to, &w, vdevs_check);
	if (!rc)
		rc = each(to, &w, vdevs_load);
	rec_writer_fini(&w);
	return rc;
}

int fake_check(struct vm *vm, uint16_t type, uint16_t instance, uint16_t version, const void *body,
	       size_t len)
{
	struct rec_writer w;
	int rc;

	rec_writer_init(&w);
	rec_begin(&w, type, version, 0, instance);
	rec_bytes(&w, body, len);
	rec_end(&w);
	rc = rec_finish(&w);
	if (!rc)
		rc = each(vm, &w, vdevs_check);
	rec_writer_fini(&w);
	return rc;
}

void fake_record(struct vm *vm, uint16_t type, uint16_t instance, const uint8_t *body, size_t len)
{
	struct rec_writer w;
	struct rec_reader r;

	rec_writer_init(&w);
	rec_begin(&w, type, 1, 0, instance);
	rec_bytes(&w, body, len);
	rec_end(&w);
	if (!rec_finish(&w)) {
		rec_reader_init(&r, w.buf, w.len);
		if (rec_next(&r) == 1 && !vdevs_check(vm, &r)) {
			rec_reader_init(&r, w.buf, w.len);
			if (rec_next(&r) != 1 || vdevs_load(vm, &r))
				abort();
			vdevs_resume(vm);
		}
	}
	rec_writer_fini(&w);
}
