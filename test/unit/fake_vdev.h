/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM for tests of device models: flat memory of FAKE_RAM bytes, a list of
 * regions with dispatch, interrupt controllers that only count, a clock that
 * the test moves.
 */
#ifndef TEST_UNIT_FAKE_VDEV_H
#define TEST_UNIT_FAKE_VDEV_H

#include <tern/rec.h>
#include <tern/vdev.h>

#define FAKE_RAM (4u << 20)
#define FAKE_GSIS 24u

extern uint8_t fake_ram[FAKE_RAM];
extern uint64_t fake_now_ns;
extern unsigned fake_rises[FAKE_GSIS]; /* edges from low to high */
extern bool fake_level[FAKE_GSIS];
extern unsigned fake_msis;
extern uint64_t fake_msi_addr;
extern uint32_t fake_msi_data;
extern unsigned fake_offs, fake_resets;
extern unsigned fake_sleeps;	  /* waitq_sleep calls */
extern void (*fake_slept)(void);  /* called in each of them; NULL: nothing happens meanwhile */
extern void (*fake_others)(void); /* what other vCPUs do while a device works; may be NULL */

/* All counters and memory cleared; no devices. */
struct vm *fake_vm(void);
void fake_vm_done(struct vm *vm);

uint64_t fake_in(struct vm *vm, uint16_t port, unsigned size);
void fake_out(struct vm *vm, uint16_t port, unsigned size, uint64_t value);
uint64_t fake_read(struct vm *vm, uint64_t gpa, unsigned size);
void fake_write(struct vm *vm, uint64_t gpa, unsigned size, uint64_t value);

/* Configuration of bus 0, function 0, by the ports. */
uint32_t fake_cfg_read(struct vm *vm, unsigned slot, unsigned off, unsigned size);
void fake_cfg_write(struct vm *vm, unsigned slot, unsigned off, unsigned size, uint32_t value);

/* Runs the timer last armed, if any is due at fake_now_ns. */
bool fake_timer_run(void);

/* All devices of from saved, checked and loaded into to; the first error. */
int fake_move(struct vm *from, struct vm *to);
/* A record of one device with this body: what check says; load must not run. */
int fake_check(struct vm *vm, uint16_t type, uint16_t instance, uint16_t version, const void *body,
	       size_t len);
/* A stranger's record of version 1: what check takes is loaded, and aborts when it does not load.
 * The devices go on after it. */
void fake_record(struct vm *vm, uint16_t type, uint16_t instance, const uint8_t *body, size_t len);

#endif
