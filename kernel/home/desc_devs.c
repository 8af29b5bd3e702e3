/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks and network devices in descriptions: "PATH,WORD,..." and "NETWORK,WORD,...".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/lib/text.h"

#include "desc.h"

#define TEXT_MAX 224u
#define SERIAL_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

/* Appends; what does not fit is cut, and then too long for its reader as well. */
#define APPEND(text, room, ...) snprintf((text) + strlen(text), (room)-strlen(text), __VA_ARGS__)

/* What follows "NAME=" in a word; NULL when it is another word. */
static const char *value_of(const char *word, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(word, name, n) && word[n] == '=' ? word + n + 1 : NULL;
}

/* ---- disks ---- */

const char *vm_disk_mode_name(unsigned mode)
{
	static const char *const names[VM_DISK_MODES] = { "normal", "independent",
							  "nonpersistent" };

	return mode < VM_DISK_MODES ? names[mode] : "?";
}

static bool serial_ok(const char *text)
{
	size_t n = strspn(text, SERIAL_CHARS);

	return n && !text[n] && n < VM_SERIAL_MAX;
}

static bool mode_set(const char *text, struct vm_disk *d)
{
	d->mode = 0;
	while (d->mode < VM_DISK_MODES && strcmp(text, vm_disk_mode_name(d->mode)))
		d->mode++;
	return d->mode < VM_DISK_MODES;
}

static int disk_word(const char *key, const char *word, struct vm_disk *d,
		     const struct desc_why *why)
{
	const char *serial = value_of(word, "serial"), *mode = value_of(word, "mode");
	const char *iops = value_of(word, "iops"), *mbps = value_of(word, "mbps");

	if (!strcmp(word, "ro")) {
		d->read_only = true;
		return 0;
	}
	if (serial && serial_ok(serial)) {
		strcpy(d->serial, serial);
		return 0;
	}
	if ((mode && mode_set(mode, d)) ||
	    (iops && parse_limit(iops, VM_DISK_IOPS_MAX, &d->limit.iops)) ||
	    (mbps && parse_limit(mbps, VM_DISK_MBPS_MAX, &d->limit.mbps)))
		return 0;
	return desc_refuse(why, key, word,
			   "it is ro, serial=TEXT (up to %u letters, digits, - _ .), iops=1 to "
			   "%u, mbps=1 to %u or mode=independent|nonpersistent",
			   VM_SERIAL_MAX - 1, VM_DISK_IOPS_MAX, VM_DISK_MBPS_MAX);
}

int desc_disk_set(struct vm_desc *d, const struct desc_key *k, const char *value,
		  const struct desc_why *why)
{
	struct vm_disk disk = { .read_only = false };
	char words[TEXT_MAX], *rest, *path;
	int err;

	if (d->cfg.disks == VM_DISKS_MAX)
		return desc_refuse(why, k->name, value, "more than %u of them", VM_DISKS_MAX);
	if (strlen(value) >= sizeof(words))
		return desc_refuse(why, k->name, value,
				   "it is /ds/DATASTORE/FILE or diskN, up to %u characters",
				   VM_DISK_PATH_MAX - 1);
	strcpy(words, value);
	path = desc_word(words, &rest);
	err = desc_path_in(d, k->name, path, disk.path, sizeof(disk.path), why);
	while (!err && rest)
		err = disk_word(k->name, desc_word(rest, &rest), &disk, why);
	if (!err && disk.mode == VM_DISK_NONPERSISTENT && (disk.read_only || path[0] == 'd'))
		err = desc_refuse(why, k->name, value,
				  "nonpersistent is a file that is written, not ro, no whole disk");
	if (!err)
		d->cfg.disk[d->cfg.disks++] = disk;
	return err;
}

bool desc_disk_get(const struct vm_desc *d, const struct desc_key *k, unsigned index, char *text,
		   size_t room)
{
	const struct vm_disk *disk = &d->cfg.disk[index];

	(void)k;
	if (index >= d->cfg.disks)
		return false;
	desc_path_out(d, disk->path, text, room);
	if (disk->read_only)
		APPEND(text, room, ",ro");
	if (disk->mode)
		APPEND(text, room, ",mode=%s", vm_disk_mode_name(disk->mode));
	if (disk->limit.iops)
		APPEND(text, room, ",iops=%u", (unsigned)disk->limit.iops);
	if (disk->limit.mbps)
		APPEND(text, room, ",mbps=%u", (unsigned)disk->limit.mbps);
	if (disk->serial[0])
		APPEND(text, room, ",serial=%s", disk->serial);
	return true;
}

/* ---- network devices ---- */

static bool queues_set(const char *text, struct vm_nic *n)
{
	uint64_t v = 0;

	if (parse_u64(text, &v) || !v || v > VM_NIC_QUEUES_MAX)
		return false;
	n->queues = (uint8_t)v;
	return true;
}

static int net_word(const char *key, const char *word, struct vm_nic *n, const struct desc_why *why)
{
	const char *queues = value_of(word, "queues"), *rate = value_of(word, "rate");
	const char *spoof = value_of(word, "spoof");

	if ((queues && queues_set(queues, n)) || (rate && parse_rate(rate, &n->rate_mbit)) ||
	    (spoof && parse_spoof(spoof, &n->any_source)) || parse_mac(word, n->mac))
		return 0;
	return desc_refuse(why, key, word,
			   "it is aa:bb:cc:dd:ee:ff, a unicast address, queues=1 to %u, rate=1 to "
			   "%u or none, or spoof=allow|deny",
			   VM_NIC_QUEUES_MAX, VPORT_RATE_MAX);
}

int desc_net_set(struct vm_desc *d, const struct desc_key *k, const char *value,
		 const struct desc_why *why)
{
	struct vm_nic nic = { .queues = 0 };
	char words[TEXT_MAX], *rest, *network;
	size_t n;
	int err = 0;

	if (d->cfg.nics == VM_NICS_MAX)
		return desc_refuse(why, k->name, value, "more than %u of them", VM_NICS_MAX);
	if (strlen(value) >= sizeof(words))
		return desc_refuse(why, k->name, value, "it is too long");
	strcpy(words, value);
	network = desc_word(words, &rest);
	n = strlen(network);
	if (!n || n >= sizeof(nic.network))
		return desc_refuse(why, k->name, value, "a network's name has 1 to %u characters",
				   (unsigned)sizeof(nic.network) - 1);
	memcpy(nic.network, network, n);
	while (!err && rest)
		err = net_word(k->name, desc_word(rest, &rest), &nic, why);
	if (!err)
		d->cfg.nic[d->cfg.nics++] = nic;
	return err;
}

bool desc_net_get(const struct vm_desc *d, const struct desc_key *k, unsigned index, char *text,
		  size_t room)
{
	static const uint8_t none[6];
	const struct vm_nic *n = &d->cfg.nic[index];
	char mac[MAC_TEXT];

	(void)k;
	if (index >= d->cfg.nics)
		return false;
	snprintf(text, room, "%s", n->network);
	mac_format(n->mac, mac);
	if (memcmp(n->mac, none, sizeof(none)))
		APPEND(text, room, ",%s", mac);
	if (n->queues)
		APPEND(text, room, ",queues=%u", n->queues);
	if (n->rate_mbit)
		APPEND(text, room, ",rate=%u", (unsigned)n->rate_mbit);
	if (n->any_source)
		APPEND(text, room, ",spoof=allow");
	return true;
}
