/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of descriptions, in the order in which they are written; each has its reader and
 * its writer. Those of devices are in desc_devs.c, those of moves in desc_moves.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/lib/name.h"
#include "kernel/lib/text.h"

#include "desc.h"

#define SET(fn)                                                                                    \
	static int fn(struct vm_desc *d, const struct desc_key *k, const char *value,              \
		      const struct desc_why *why)
#define GET(fn)                                                                                    \
	static bool fn(const struct vm_desc *d, const struct desc_key *k, unsigned index,          \
		       char *text, size_t room)

static bool put(char *text, size_t room, const char *value)
{
	snprintf(text, room, "%s", value);
	return *value;
}

static bool put_u64(char *text, size_t room, uint64_t n)
{
	snprintf(text, room, "%llu", (unsigned long long)n);
	return true;
}

static int number(const struct desc_key *k, const char *value, uint64_t least, uint64_t most,
		  uint64_t *n, const struct desc_why *why)
{
	if (!parse_u64(value, n) && *n >= least && *n <= most)
		return 0;
	return desc_refuse(why, k->name, value, "it is a number from %llu to %llu",
			   (unsigned long long)least, (unsigned long long)most);
}

int desc_copy(const struct desc_key *k, const char *value, char *to, size_t room,
	      const struct desc_why *why)
{
	size_t n = strlen(value);

	if (n >= room)
		return desc_refuse(why, k->name, value, "it is longer than %u characters",
				   (unsigned)room - 1);
	memcpy(to, value, n + 1);
	return 0;
}

/* ---- paths ---- */

static int home_prefix(const struct vm_desc *d, char *text, size_t room)
{
	return snprintf(text, room, "/ds/%s/%s/", d->cfg.home, d->cfg.name);
}

int desc_path_in(const struct vm_desc *d, const char *key, const char *value, char *to, size_t room,
		 const struct desc_why *why)
{
	char dir[2 * VM_NAME_MAX + 8] = "";
	bool here = !strncmp(value, "./", 2);

	if (here && !d->cfg.home[0])
		return desc_refuse(why, key, value, "./ is a VM's home, and this one has none");
	if (here)
		home_prefix(d, dir, sizeof(dir));
	if (!*value || snprintf(to, room, "%s%s", dir, value + (here ? 2 : 0)) >= (int)room)
		return desc_refuse(why, key, value, "a path has 1 to %u characters",
				   (unsigned)room - 1);
	return 0;
}

void desc_path_out(const struct vm_desc *d, const char *path, char *text, size_t room)
{
	char dir[2 * VM_NAME_MAX + 8];
	size_t n = (size_t)home_prefix(d, dir, sizeof(dir));
	bool here = d->cfg.home[0] && !strncmp(path, dir, n);

	snprintf(text, room, "%s%s", here ? "./" : "", path + (here ? n : 0));
}

char *desc_word(char *text, char **rest)
{
	char *comma = strchr(text, ',');

	if (comma)
		*comma++ = '\0';
	*rest = comma;
	return text;
}

/* ---- the machine ---- */

SET(version_set)
{
	uint64_t n;

	(void)d;
	if (!parse_u64(value, &n) && n == 1)
		return 0;
	return desc_refuse(why, k->name, value, "this host reads descriptions of version 1");
}

GET(version_get)
{
	(void)d, (void)k, (void)index;
	return put(text, room, "1");
}

SET(mem_set)
{
	if (!parse_size(value, &d->cfg.mem_bytes) && d->cfg.mem_bytes &&
	    !(d->cfg.mem_bytes % SIZE_2M))
		return 0;
	return desc_refuse(why, k->name, value, "it is a size in steps of 2M, as 256M or 1G");
}

GET(mem_get)
{
	(void)k, (void)index;
	snprintf(text, room, "%lluM", (unsigned long long)(d->cfg.mem_bytes >> 20));
	return true;
}

SET(vcpus_set)
{
	uint64_t n = 0;
	int err = number(k, value, 1, VM_VCPUS_MAX, &n, why);

	d->cfg.vcpus = (unsigned)n;
	return err;
}

GET(vcpus_get)
{
	(void)k, (void)index;
	return put_u64(text, room, d->cfg.vcpus);
}

SET(cpu_set)
{
	d->cfg.baseline = !strcmp(value, "baseline");
	if (d->cfg.baseline || !strcmp(value, "host"))
		return 0;
	return desc_refuse(why, k->name, value, "it is host (the one that starts it) or baseline");
}

GET(cpu_get)
{
	(void)k, (void)index;
	return put(text, room, d->cfg.baseline ? "baseline" : "");
}

SET(hyperv_set)
{
	d->cfg.hyperv = !strcmp(value, "yes");
	if (d->cfg.hyperv || !strcmp(value, "no"))
		return 0;
	return desc_refuse(why, k->name, value, "it is yes or no");
}

GET(hyperv_get)
{
	(void)k, (void)index;
	return put(text, room, d->cfg.hyperv ? "yes" : "");
}

SET(shares_set)
{
	uint64_t n = 0;
	int err = number(k, value, WORLD_SHARES_MIN, WORLD_SHARES_MAX, &n, why);

	d->cfg.sched.shares = (uint32_t)n;
	return err;
}

GET(shares_get)
{
	(void)k, (void)index;
	return d->cfg.sched.shares && put_u64(text, room, d->cfg.sched.shares);
}

/* ---- what is started ---- */

SET(kernel_set)
{
	if (d->cfg.kernel[0]) {
		desc_refuse(why, k->name, value,
			    "it is kernel, firmware or multiboot, one of them");
		return -EPROTO;
	}
	d->cfg.boot = (enum vm_boot)k->arg;
	return desc_path_in(d, k->name, value, d->cfg.kernel, sizeof(d->cfg.kernel), why);
}

GET(kernel_get)
{
	(void)index;
	desc_path_out(d, d->cfg.kernel, text, room);
	return d->cfg.kernel[0] && d->cfg.boot == (enum vm_boot)k->arg;
}

SET(initrd_set)
{
	return desc_path_in(d, k->name, value, d->cfg.initrd, sizeof(d->cfg.initrd), why);
}

GET(initrd_get)
{
	(void)k, (void)index;
	desc_path_out(d, d->cfg.initrd, text, room);
	return d->cfg.initrd[0];
}

SET(module_set)
{
	int err;

	if (d->cfg.modules == VM_MODULES_MAX)
		return desc_refuse(why, k->name, value, "more than %u of them", VM_MODULES_MAX);
	err = desc_path_in(d, k->name, value, d->cfg.module[d->cfg.modules], VM_PATH_MAX, why);
	if (!err)
		d->cfg.modules++;
	return err;
}

GET(module_get)
{
	(void)k;
	if (index >= d->cfg.modules)
		return false;
	desc_path_out(d, d->cfg.module[index], text, room);
	return true;
}

SET(cmdline_set)
{
	return desc_copy(k, value, d->cfg.cmdline, sizeof(d->cfg.cmdline), why);
}

GET(cmdline_get)
{
	(void)k, (void)index;
	return put(text, room, d->cfg.cmdline);
}

/* ---- troubles ---- */

SET(policy_set)
{
	unsigned p = 0;

	while (p < VM_POLICIES && strcmp(value, vm_policy_name(p)))
		p++;
	if (p == VM_POLICIES)
		return desc_refuse(why, k->name, value, "it is keep, reset or stop");
	d->cfg.on[k->arg] = (uint8_t)p;
	return 0;
}

GET(policy_get)
{
	(void)index;
	return put(text, room, vm_policy_name(d->cfg.on[k->arg]));
}

/* ---- where it is at home ---- */

SET(host_set)
{
	if (!name_is_ok(value, sizeof(d->host)))
		return desc_refuse(why, k->name, value, "it is no host's name");
	return desc_copy(k, value, d->host, sizeof(d->host), why);
}

GET(host_get)
{
	(void)k, (void)index;
	return put(text, room, d->host);
}

SET(autostart_set)
{
	uint64_t n = 0;
	int err = number(k, value, 0, VM_AUTOSTART_MAX, &n, why);

	d->autostart = (uint32_t)n;
	return err;
}

GET(autostart_get)
{
	(void)k, (void)index;
	return d->autostart && put_u64(text, room, d->autostart);
}

SET(delay_set)
{
	uint64_t n = 0;
	int err = number(k, value, 0, VM_AUTOSTART_DELAY_MAX, &n, why);

	d->autostart_delay_s = (uint32_t)n;
	return err;
}

GET(delay_get)
{
	(void)k, (void)index;
	return d->autostart_delay_s && put_u64(text, room, d->autostart_delay_s);
}

/* ---- the table ---- */

const struct desc_key desc_keys[] = {
	{ "version", 0, version_set, version_get, 0 },
	{ "mem", DESC_OPTION, mem_set, mem_get, 0 },
	{ "vcpus", DESC_OPTION, vcpus_set, vcpus_get, 0 },
	{ "cpu", DESC_OPTION, cpu_set, cpu_get, 0 },
	{ "hyperv", DESC_OPTION | DESC_FLAG, hyperv_set, hyperv_get, 0 },
	{ "shares", 0, shares_set, shares_get, 0 },
	{ "kernel", DESC_OPTION, kernel_set, kernel_get, VM_BOOT_LINUX },
	{ "initrd", DESC_OPTION, initrd_set, initrd_get, 0 },
	{ "firmware", DESC_OPTION, kernel_set, kernel_get, VM_BOOT_FIRMWARE },
	{ "multiboot", DESC_OPTION, kernel_set, kernel_get, VM_BOOT_MULTIBOOT },
	{ "module", DESC_OPTION | DESC_SEVERAL, module_set, module_get, 0 },
	{ "cmdline", DESC_OPTION, cmdline_set, cmdline_get, 0 },
	{ "disk", DESC_OPTION | DESC_SEVERAL, desc_disk_set, desc_disk_get, 0 },
	{ "net", DESC_OPTION | DESC_SEVERAL, desc_net_set, desc_net_get, 0 },
	{ "on-panic", DESC_OPTION, policy_set, policy_get, VM_PANIC },
	{ "on-crash", DESC_OPTION, policy_set, policy_get, VM_CRASH },
	{ "on-watchdog", DESC_OPTION, policy_set, policy_get, VM_WATCHDOG },
	{ "host", 0, host_set, host_get, 0 },
	{ "autostart", 0, autostart_set, autostart_get, 0 },
	{ "autostart-delay", 0, delay_set, delay_get, 0 },
	{ "moves-to", 0, desc_store_set, desc_store_get, 0 },
	{ "moved-from", 0, desc_store_set, desc_store_get, 1 },
	{ "moving", 0, desc_moving_set, desc_moving_get, 0 },
};
const unsigned desc_nr_keys = ARRAY_SIZE(desc_keys);
_Static_assert(ARRAY_SIZE(desc_keys) <= 64, "vm_desc.seen has a bit for each key");

/* ---- all together ---- */

/* As many as vCPUs, unless said otherwise: more of them no driver would use. */
static int check_queues(struct vm_desc *d, const struct desc_why *why)
{
	unsigned max = MIN(d->cfg.vcpus, (unsigned)VM_NIC_QUEUES_MAX);

	for (unsigned i = 0; i < d->cfg.nics; i++) {
		struct vm_nic *n = &d->cfg.nic[i];

		if (!n->queues)
			n->queues = (uint8_t)max;
		if (n->queues > max)
			return desc_refuse(why, "net", n->network,
					   "queues=%u is more than vCPUs (%u), or than %u",
					   n->queues, d->cfg.vcpus, VM_NIC_QUEUES_MAX);
	}
	return 0;
}

int vm_desc_check(struct vm_desc *d, char *why, size_t why_len)
{
	const struct desc_why w = { .text = why, .room = why_len };

	if (!d->cfg.kernel[0] || (d->cfg.boot != VM_BOOT_MULTIBOOT && d->cfg.modules) ||
	    (d->cfg.boot != VM_BOOT_LINUX && d->cfg.initrd[0])) {
		snprintf(why, why_len,
			 "either a kernel (a bzImage or a PVH kernel), perhaps with an initrd, or "
			 "firmware, or a multiboot payload, perhaps with modules, is needed");
		return -EPROTO;
	}
	return check_queues(d, &w);
}
