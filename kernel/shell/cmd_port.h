/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of a guest's port, in words: for `net port` and `vm create --net`. */
#ifndef KERNEL_SHELL_CMD_PORT_H
#define KERNEL_SHELL_CMD_PORT_H

#include <tern/vswitch.h>

struct shell;

/* key is "rate" or "spoof"; 0, or 1 with the error said. */
int cmd_port_rule(struct shell *sh, const char *key, const char *value, struct vport_rules *r);

#endif
