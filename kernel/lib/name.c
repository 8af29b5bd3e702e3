/* SPDX-License-Identifier: BSD-2-Clause */
/* Names (name.h): nothing that a terminal, a path or an option would take for something else. */
#include <string.h>

#include "name.h"

bool name_is_ok(const char *name, size_t room)
{
	static const char set[] =
		"-_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t n = strnlen(name, room);

	return n && n < room && strspn(name, set) == n && !strchr("-_.", name[0]);
}
