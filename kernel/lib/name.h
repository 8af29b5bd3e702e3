/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VM or a network may be called, wherever the name comes from. */
#ifndef KERNEL_LIB_NAME_H
#define KERNEL_LIB_NAME_H

#include <tern/types.h>

/* Letters, digits, '-', '_', '.', a letter or digit first; with its NUL in room bytes. */
bool name_is_ok(const char *name, size_t room);

#endif
