/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which host a word of a command means: an address, or a name that tern.conf maps to one; and
 * whether that is this host.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/net.h>

#include "shell_int.h"

int cmd_resolve_host(const char *text, struct net_addr *a)
{
	char key[64];
	const char *value;

	if (!net_addr_parse(text, a))
		return 0;
	snprintf(key, sizeof(key), "host.%s", text);
	value = config_get(key);
	return value ? net_addr_parse(value, a) : -EINVAL;
}

bool cmd_is_own_host(const char *text, const struct net_addr *a)
{
	const char *name = config_get("hostname");
	struct net_if_info i;

	if ((name && !strcmp(text, name)) || !strcmp(text, "localhost"))
		return true;
	if (!a)
		return false;
	if (net_addr_is_loopback(a))
		return true;
	for (unsigned k = 0; net_if_at(k, &i); k++)
		if (!memcmp(a, &i.addr, sizeof(*a)) || !memcmp(a, &i.addr6, sizeof(*a)))
			return true;
	return false;
}
