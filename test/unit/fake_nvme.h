/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An NVMe controller in memory, and the clock, timers and events that its driver
 * takes. It moves on in fake_nvme_step, which also runs whenever the driver sleeps. I/O
 * commands are kept until fake_nvme_answer, unless it answers by itself.
 */
#ifndef TEST_UNIT_FAKE_NVME_H
#define TEST_UNIT_FAKE_NVME_H

#include "drivers/nvme.h"

struct fake_cmd {
	uint16_t queue;
	struct nvme_sqe e;
};

extern struct nvme fake_ctrl;
extern struct nvme_ns fake_ns;
extern uint64_t fake_now_ns;
extern unsigned fake_cpu;		/* where a request is submitted */
extern struct fake_cmd fake_seen[4096]; /* I/O commands, since the last start */
extern unsigned fake_nr_seen, fake_nr_started, fake_nr_aborts;
extern bool fake_answers, fake_aborts; /* I/O commands at once; those that are aborted */
extern bool fake_deaf, fake_will_not_stop, fake_will_not_start, fake_master;
/* Called when it is told to stop, while it still may write completions. */
extern void (*fake_before_stop)(void);

/* A controller that runs, with so many queues of so many entries. */
void fake_nvme_setup(unsigned queues, uint16_t entries);
void fake_nvme_teardown(void);
void fake_nvme_step(void);
/* A completion of that command; the driver sees it at its next look. */
void fake_nvme_answer(uint16_t queue, uint16_t cid, uint16_t status);
uint32_t fake_nvme_bell(uint16_t queue, bool completion);
/* Time passes, in steps of a tick, with all that timers and events then do. */
void fake_nvme_pass(uint64_t ns);

#endif
