/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The question of preflight: may this VM come? What it is, how it starts, and the CPU
 * that it has seen, as records.
 */
#ifndef MIG_OFFER_H
#define MIG_OFFER_H

#include <tern/cpumodel.h>
#include <tern/home.h>
#include <tern/rec.h>
#include <tern/vdev.h>
#include <tern/vm.h>

/* REC_VM, REC_BOOT when needed, REC_CPU_KIND and REC_CPUID. Of each disk what is in disk. */
/* cfg: the VM's, as it is to be there; state: running, suspended or off. sent: NULL, its home is
 * not. */
void offer_save(struct vm *vm, enum vm_state state, const struct vm_config *cfg,
		const struct vdisk_id *disk, const struct home_id *home,
		const struct home_sent *sent, struct rec_writer *w);
struct offer {
	struct vm_config cfg;
	uint8_t uuid[16];
	uint32_t troubles[VM_TROUBLES];
	uint32_t tsc_khz;
	struct cpu_model cpu; /* that the guest was shown */
	struct vdisk_id disk[VM_DISKS_MAX];
	struct home_id home;   /* cfg.home is its store */
	struct home_sent sent; /* or its */
	enum vm_state state;   /* VM_RUNNING, VM_SUSPENDED, VM_OFF */
	struct vm_end end;     /* of one that is off */
};
/* 0, -EBADMSG, or -ENOMEM; after all of them offer_disks_fini, of o->disk. */
MUST_CHECK int offer_read(const void *buf, size_t len, struct offer *o);
/* May it come to this host? 0, or -ENOTSUP with what does not fit in why. */
MUST_CHECK int offer_check(const struct offer *o, char *why, size_t why_len);

/* offer_state.c: REC_AT_REST, nothing for VM_RUNNING. */
void offer_state_save(enum vm_state state, struct rec_writer *w);
MUST_CHECK int offer_state_check(struct rec_reader *r, enum vm_state *out);
/* REC_ENDED, nothing for one that is not off, or has not run. */
void offer_ended_save(enum vm_state state, const struct vm_end *end, struct rec_writer *w);
MUST_CHECK int offer_ended_check(struct rec_reader *r, struct vm_end *out);

/* offer_disks.c: REC_DISKS, nothing without disks. */
void offer_disks_save(const struct vm_config *cfg, const struct vdisk_id *disk,
		      struct rec_writer *w);
MUST_CHECK int offer_disks_check(struct rec_reader *r, struct vm_config *cfg,
				 struct vdisk_id *disk);
/* Frees the chains of VM_DISKS_MAX of them, which were zeros before. */
void offer_disks_fini(struct vdisk_id *disk);
/* Are the contents of any of them sent? */
bool offer_disks_copied(const struct vdisk_id *disk, unsigned nr);

/* offer_home.c: REC_HOME, nothing without a home; sets cfg's home too. */
void offer_home_save(const struct home_id *home, struct rec_writer *w);
MUST_CHECK int offer_home_check(struct rec_reader *r, struct vm_config *cfg, struct home_id *home);
/* REC_HOME_SENT, nothing for NULL; sets cfg's home too. */
void offer_sent_save(const struct home_sent *sent, struct rec_writer *w);
MUST_CHECK int offer_sent_check(struct rec_reader *r, struct vm_config *cfg,
				struct home_sent *sent);

#endif
