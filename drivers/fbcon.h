/* SPDX-License-Identifier: BSD-2-Clause */
/* The framebuffer as second console: shows what the serial line shows, takes no input. */
#ifndef DRIVERS_FBCON_H
#define DRIVERS_FBCON_H

#include <tern/bootinfo.h>

/*
 * After arch_init: shows the log so far and registers the sink; drawn by panics, and
 * once fbcon_start has made its world. Nothing where there is no 32-bit framebuffer.
 */
void fbcon_early(const struct boot_fb *fb);
void fbcon_start(void);

#endif
