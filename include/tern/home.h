/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMs' homes: "/ds/DATASTORE/VM/", with the description VM.vm and what else is the VM's
 * (docs/vm-file.md). A description is lines of KEY = VALUE; most keys are options of
 * `vm create` as well, and both are read here.
 */
#ifndef TERN_HOME_H
#define TERN_HOME_H

#include <tern/store.h>
#include <tern/vm.h>

/* ---- descriptions ---- */

#define VM_DESC_BYTES_MAX 8192u
#define VM_AUTOSTART_MAX 9999u
#define VM_AUTOSTART_DELAY_MAX 3600u
#define VM_MOVING_MAX 48u /* an address as text */

/* Of a move between hosts that is not settled (docs/ownership.md "Disks that are copied"). */
struct home_mark {
	char host[VM_MOVING_MAX]; /* the other one; empty: there is no such move */
	uint8_t id[16];		  /* of the move, as its record has it; zeros: not said */
};

/* cfg's name and home are the place of the file, and are set by whoever reads it. */
struct vm_desc {
	struct vm_config cfg;
	char host[32];		    /* where the VM is registered when that host starts */
	uint32_t autostart;	    /* its turn there; 0: it is not started */
	uint32_t autostart_delay_s; /* before the next one's turn */
	/* Datastores of a home that changes its own, or has (docs/ownership.md "A home that
	 * moves").
	 */
	char moves_to[VM_NAME_MAX];   /* a description there takes this one's place, once it says so
				       */
	char moved_from[VM_NAME_MAX]; /* this one took the place of one there */
	/* Of these datastores; another host may have others of the same names. Zero: not said. */
	uint8_t moves_to_id[16], moved_from_id[16];
	struct home_mark moving; /* with its home: nobody starts it meanwhile */
	uint64_t seen;		 /* bit for each key that was set */
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

/* ---- VMs at home on a datastore; all is called in a world, errors have a text in why ---- */

/* "/ds/DATASTORE/VM/VM.vm" */
#define VM_HOME_PATH (2 * VM_NAME_MAX + VM_NAME_MAX + 16)

/*
 * The platform of which VMs at home are made: while one is on, this host has its description's
 * lease, so that it runs on one host at a time whatever disks it has. Once, at boot.
 */
const struct vm_platform *home_platform(const struct vm_platform *base);
/* At boot, when datastores are mounted: registers the VMs whose host this is, and starts those
 * that say so, in their order ("autostart = no" in tern.conf: not). */
void home_boot(void);
/* One was mounted later: the same, but for the start. */
void home_mounted(void);

/* vm_create, and its description is written; d's cfg.home says where. -EEXIST there is one. */
MUST_CHECK int home_create(struct vm_desc *d, char *why, size_t why_len);
/* The VM that this description describes is one of this host's, off; name is its. */
MUST_CHECK int home_register(const char *path, char name[VM_NAME_MAX], char *why, size_t why_len);
/* It is off, and none of this host's any more; what it has on the datastore stays. */
MUST_CHECK int home_unregister(const char *name, char *why, size_t why_len);
/* The same, and its description is removed, with all files of its home if files. */
MUST_CHECK int home_destroy(const char *name, bool files, char *why, size_t why_len);
/*
 * vm_start, of a VM at home as its description is now. -EBUSY: another host has it or a disk of
 * its, or it is not off.
 */
MUST_CHECK int home_start(const char *name, char *why, size_t why_len);
/*
 * Changes what a VM is: fn changes a copy, which is checked, written to the description, if there
 * is one, and with `anew` the VM, which is off, is made anew of it: it loses its serial logs.
 * fn returns 0, or an error with why filled.
 */
MUST_CHECK int home_edit(const char *name, bool anew,
			 int (*fn)(struct vm_desc *d, void *arg, char *why, size_t why_len),
			 void *arg, char *why, size_t why_len);

struct home_info {
	char path[VM_HOME_PATH];
	uint32_t autostart, autostart_delay_s;
};
/* False: the VM has no home. */
bool home_info(const char *name, struct home_info *out);

/*
 * A VM at home that moves to another host: the lease of its description goes along, before those
 * of its disks (docs/ownership.md), so it is given after them, taken back and accepted before them.
 * Results as those of the vdisks_ functions of the same name (vdev.h).
 */
struct home_id {
	char store[VM_NAME_MAX]; /* its datastore; empty: it has no home, or leaves it */
	uint8_t ds[16];
	struct ds_lease lease; /* as the source has it */
};
/* Does the lease of its description decide? */
bool home_leased(const struct vm *vm);
/* At the source; the VM is the caller's (vm->mig). */
MUST_CHECK int home_identify(struct vm *vm, bool goes, struct home_id *out, char *why,
			     size_t why_len);
MUST_CHECK int home_give(struct vm *vm, const uint8_t host[16], char *why, size_t why_len);
MUST_CHECK int home_take_back(struct vm *vm);
/* The move is over, and it stays at the source. */
void home_stay(const struct vm *vm);
/* It has moved: this host's copy is about to end; it has ended. */
void home_leave(const struct vm *vm);
void home_left(const struct vm *vm);
/* At the destination: is the description here? */
MUST_CHECK int home_check(const char *name, const struct home_id *id, char *why, size_t why_len);
/* One of the same name that is registered here: the same VM, off, so that the one that comes
 * may take its place? */
bool home_gives_way(const struct vm *vm, const struct home_id *id);
MUST_CHECK int home_await(const struct vm *vm, const struct home_id *id, char *why, size_t why_len);
MUST_CHECK int home_accept(const struct vm *vm);
/* It will not come. */
void home_not_come(const struct vm *vm);
/* It runs here: soon its description says so. */
void home_arrived(struct vm *vm);
/* The same at once, of one that is about to be off, and to give up its description's lease. */
void home_claim(struct vm *vm);

/*
 * A VM at home that moves with its home to a host that need not share a datastore (X-vMotion): its
 * files are sent with its disks, and the description is written there. At the source home_send; the
 * home is held until home_stay, or home_left, which removes it. home_keep before that: the
 * operator has decided, so it stays, as nobody's.
 */
#define HOME_FILES_MAX (2 + VM_MODULES_MAX)
struct home_file {
	char name[VM_PATH_MAX]; /* "VM/vmlinuz", on both datastores */
	uint64_t size;
};
struct home_sent {
	char store[VM_NAME_MAX]; /* at the destination; empty: it is not sent */
	unsigned files;
	struct home_file file[HOME_FILES_MAX];
	char text[VM_DESC_BYTES_MAX]; /* the description, as it is to be there */
};
/* In: out's store; cfg, in which the VM's disks have the paths that they will have there. Out: the
 * rest of both. */
MUST_CHECK int home_send(struct vm *vm, struct vm_config *cfg, struct home_sent *out, char *why,
			 size_t why_len);
void home_keep(const struct vm *vm);
/* As vdisks_held, of the description that is sent. */
MUST_CHECK int home_held(const struct vm *vm, char *why, size_t why_len);
/*
 * Before GO, and before the VM stands still: its description, *file from now on, says that it moves
 * to that host, so no host starts it but by the operator's word (home_resolve). home_stays: it does
 * not move after all, before the record of the move goes.
 */
MUST_CHECK int home_leaves(const struct vm *vm, const struct home_mark *to, uint64_t *file,
			   char *why, size_t why_len);
void home_stays(const struct vm *vm);
/*
 * Before this host takes the lease of its description, to move it: is no move of it open? -EAGAIN:
 * one is.
 */
MUST_CHECK int home_check_settled(const struct vm *vm, char *why, size_t why_len);
/*
 * A host that crashed has learnt that a VM of this name has moved, whose description, if it went
 * along, was this file: it is not registered here any more.
 */
void home_gone(const char *name, const char *path, uint64_t file);
/*
 * It is known how the move of this id has ended: a description of this path says no more that it
 * moves so. Before the record of the move goes. 0: there is no such mark; else there may be one.
 */
enum home_end {
	HOME_HERE,     /* the VM is this host's */
	HOME_NOBODYS,  /* it is the other's, and this description, which stayed, starts nothing */
	HOME_NOT_COME, /* it is the other's, and this one should be removed: a mark stays */
};
/* A mark without an id, as it was written formerly, is of any move with that host. */
MUST_CHECK int home_settled(const char *path, const struct home_mark *m, enum home_end end);
/*
 * Removes this file, which is open for its lease, so that nobody finds it by its name when the
 * lease goes. False: it is no description, and open as it was.
 */
bool home_remove_open(const char *path, struct ds_file *f, uint64_t id);
/*
 * The operator says that a VM which is registered here, and whose description says that it moves,
 * runs nowhere else. -ENOENT: it says no such thing; -EBUSY: another host has it.
 */
MUST_CHECK int home_resolve(const char *name, char *why, size_t why_len);

/* At the destination: is there a place, and is the description that of cfg's VM? */
MUST_CHECK int home_sent_check(const struct vm_config *cfg, const struct home_sent *s, char *why,
			       size_t why_len);
/* Of one that passes: what it takes, added. */
void home_sent_room(const struct home_sent *s, struct ds_room *room);
/*
 * Makes the files, unfinished; home_not_come removes them. The description says that the VM comes
 * from that host, until it is this host's: nobody starts it before.
 */
MUST_CHECK int home_come(struct vm *vm, const struct home_sent *s, const struct home_mark *from,
			 char *why, size_t why_len);
/*
 * The files, to be written, valid until home_coming_put, whatever becomes of the VM; how many.
 */
struct home_coming;
unsigned home_come_files(const struct vm *vm, struct home_coming **out,
			 struct blkdev *file[HOME_FILES_MAX]);
void home_coming_put(struct home_coming *c);
/* What is made there, the description last; false past it. */
bool home_come_at(const struct vm *vm, unsigned i, char path[VM_PATH_MAX], uint64_t *id);
/* Before READY: all is written, and becomes whole in one moment. */
MUST_CHECK int home_come_finish(const struct vm *vm, char *why, size_t why_len);
/* The VM is this host's, and so is its home: before it runs. */
void home_here(const struct vm *vm);

/*
 * A VM at home whose home goes to another datastore of this host, or some of whose disks do
 * (Storage vMotion), for its owner. Nothing of it counts before home_carry_switch has returned 0.
 */
struct home_carry;
/* store: empty, the home stays. *out NULL: it has no home. Else home_carry_end ends it, also after
 * an error. */
MUST_CHECK int home_carry_begin(struct vm *vm, const char *store, struct home_carry **out,
				char *why, size_t why_len);
/* What they take, added. */
void home_carry_room(const struct home_carry *c, struct ds_room *room);
/* Copies its files; asked is called now and then, and what it returns ends it. */
MUST_CHECK int home_carry_files(struct home_carry *c, int (*asked)(void *user), void *user,
				char *why, size_t why_len);
/* The new description, of these disks, is written. All before the VM stands still. */
MUST_CHECK int home_carry_prepare(struct home_carry *c, const struct vm *vm,
				  const struct vm_disk *disk, char *why, size_t why_len);
/* cfg, vm's, as it is after the switch, but for its disks. */
MUST_CHECK int home_carry_config(const struct home_carry *c, struct vm_config *cfg);
/*
 * The new one counts. also: files on the same datastore that become whole in the same moment, if
 * the home goes; or before it, where they are too many for one and there is a gone. gone: one there
 * that is unfinished from then on; or NULL. -EINPROGRESS: it may,
 * since the datastore does not say how that ended. Then the VM does not go on, with these files or
 * those, until home_carry_look has another result.
 */
MUST_CHECK int home_carry_switch(struct home_carry *c, const char *const *also, unsigned n,
				 const char *gone, char *why, size_t why_len);
MUST_CHECK int home_carry_look(struct home_carry *c, char *why, size_t why_len);
/*
 * Instead of that, by the operator's word that its new datastore is lost: the old description
 * counts, durably. -EBUSY: the home stays where it is, so there is only that datastore to ask.
 */
MUST_CHECK int home_carry_stay(struct home_carry *c, char *why, size_t why_len);
/* The old files are removed, or the new ones. After the disks' old files: its old description says
 * which these are. */
void home_carry_end(struct home_carry *c, bool moved);

/* ---- snapshots of VMs: of all disks but independent, nonpersistent, read-only and whole ones ----
 */

/* At one moment, also while it runs: each disk FILE is kept as FILE.SNAP; all of them, or none. */
MUST_CHECK int home_snapshot(const char *name, const char *snap, char *why, size_t why_len);
/* It is off. Disks that have the snapshot are what they were then. */
MUST_CHECK int home_revert(const char *name, const char *snap, char *why, size_t why_len);
/* The snapshot is deleted, also while the VM runs, if it is the last one taken. */
MUST_CHECK int home_merge(const char *name, const char *snap, char *why, size_t why_len);
/* Names of a disk's snapshots, the last taken first; -ENOENT past the first one. */
MUST_CHECK int home_snap_at(const char *disk, unsigned index, char *snap, size_t room);

#endif
