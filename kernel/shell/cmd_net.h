/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands of the host's network have in common. */
#ifndef KERNEL_SHELL_CMD_NET_H
#define KERNEL_SHELL_CMD_NET_H

#include <tern/shell.h>

/* cmd_net_probe.c. The error of a request to that host, or for that address, said; 1. */
int cmd_net_error(struct shell *sh, const char *host, int err);
int cmd_net_ping(struct shell *sh, int argc, char **argv);
int cmd_net_bench(struct shell *sh, int argc, char **argv);

#endif
