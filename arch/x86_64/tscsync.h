/* SPDX-License-Identifier: BSD-2-Clause */
/* Check that the TSCs of two CPUs agree: the boot CPU leads, a CPU that starts follows. */
#ifndef ARCH_TSCSYNC_H
#define ARCH_TSCSYNC_H

void tscsync_lead(unsigned cpu); /* logs a warning when they do not */
void tscsync_follow(void);

#endif
