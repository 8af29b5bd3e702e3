/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMs' homes: "/ds/DATASTORE/VM/", with the description VM.vm and what else is the VM's
 * (docs/vm-file.md). A description is lines of KEY = VALUE; most keys are options of
 * `vm create` as well, and both are read here.
 */
#ifndef TERN_HOME_H
#define TERN_HOME_H

#include <tern/vm.h>

/* ---- descriptions ---- */

#define VM_DESC_BYTES_MAX 8192u
#define VM_AUTOSTART_MAX 9999u
#define VM_AUTOSTART_DELAY_MAX 3600u

/* cfg's name and home are the place of the file, and are set by whoever reads it. */
struct vm_desc {
	struct vm_config cfg;
	char host[32];		    /* where the VM is registered when that host starts */
	uint32_t autostart;	    /* its turn there; 0: it is not started */
	uint32_t autostart_delay_s; /* before the next one's turn */
	uint64_t seen;		    /* bit for each key that was set */
};

/* Defaults; name and home may be set after it, before the keys. */
void vm_desc_init(struct vm_desc *d);
/*
 * Sets KEY to a value, or adds one to those that may stand several times. -EINVAL: why begins
 * with the key. -ENOENT: there is no such key. -EPROTO: it does not go with another that is set.
 */
MUST_CHECK int vm_desc_set(struct vm_desc *d, const char *key, const char *value, char *why,
			   size_t why_len);
/* What one key alone does not show, once all are set. -EINVAL, -EPROTO as above. */
MUST_CHECK int vm_desc_check(struct vm_desc *d, char *why, size_t why_len);
/*
 * A whole file's text, of len bytes, into what vm_desc_init has made. -EINVAL: why names the
 * line.
 */
MUST_CHECK int vm_desc_parse(struct vm_desc *d, const char *text, size_t len, char *why,
			     size_t why_len);
/* The text, with its NUL, into room bytes; its length. -ENOSPC. */
MUST_CHECK int vm_desc_write(const struct vm_desc *d, char *text, size_t room);
/*
 * Keys by index, NULL past the last; *option: `vm create` has it, as --KEY VALUE, or as --KEY
 * alone when *flag.
 */
const char *vm_desc_key(unsigned index, bool *option, bool *flag);
const char *vm_disk_mode_name(unsigned mode);

#endif
