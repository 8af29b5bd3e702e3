/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that a guest can see of its machine, filled with values of its own and said
 * aloud: each processor's part (state_cpu.c, state_look.c), the devices' (state_devs.c), and the
 * course of it (state.c).
 *
 * A line is "v NAME VALUE", the value hexadecimal; one whose value goes on by itself is
 * "c NAME VALUE", decimal. Between two dumps nothing else may differ.
 */
#ifndef TEST_GUEST_CPU_STATE_H
#define TEST_GUEST_CPU_STATE_H

#include <stdint.h>

/* Values differ by this, by processor, and by what they are of. */
extern uint64_t salt;
uint64_t pattern(unsigned cpu, unsigned what);

/* On the processor itself. Fill: values, interrupts in service and waiting. */
void state_cpu_fill(unsigned cpu);
/* Registers are held until word is not 0; by the first processor until a line is typed. */
void state_cpu_hold(unsigned cpu, const volatile uint32_t *word);
/* Reads all that the processor has, for state_cpu_say. No trap on the way. */
void state_cpu_look(unsigned cpu);
/* Lets come what waited. */
void state_cpu_end(unsigned cpu);

/* On the first one. Release: those in HLT do not look at the word. */
void state_cpu_release(unsigned cpu);
void state_cpu_say(unsigned cpu);
/* Did what waited come, each once? */
void state_cpu_check(unsigned cpu);
/* Does the watchpoint that was set at first fire now? */
void state_watch_end(void);

void state_devs_fill(void);
void state_devs_say(void);
/* Bytes that waited in COM2 come, in order; those behind are counted: "behind N". */
void state_devs_end(void);

#endif
