/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside VMs' homes: home.c knows which VMs of this host have one, home_file.c reads and
 * writes descriptions, home_life.c and home_edit.c do what commands ask for, with home_work.c,
 * home_boot.c what a boot asks for, home_move.c what moves between hosts ask for, home_carry.c
 * those between datastores; home_former.c says which of two descriptions counts meanwhile,
 * home_settle.c what a move between hosts that nobody has ended leaves.
 */
#ifndef KERNEL_HOME_HOME_INT_H
#define KERNEL_HOME_HOME_INT_H

#include <tern/home.h>
#include <tern/store.h>

/* What this host knows of a VM's home beside its vm_config. */
struct home {
	char name[VM_NAME_MAX]; /* [list_lock] the VM's; empty: the place is free */
	struct mutex lock;	/* LOCK_HOME */
	char store[VM_NAME_MAX];
	char host[32];
	uint32_t autostart, autostart_delay_s;
	uint64_t file;	      /* [lock] identity of the description that the VM was made of */
	struct ds_file *held; /* [lock] open for its lease while the VM is on, or NULL */
	/* [lock] The same of one that may have taken its place: nobody could say. */
	struct ds_file *maybe;
	/* Of a move between datastores, or of its disks alone (home_carry.c). */
	bool carried; /* [lock] */
	bool let_go;  /* [lock] and its lease goes when that is over: the VM is off */
	/* Of a move (home_move.c), between hosts. */
	bool moves;		/* [lock] its lease goes along, and is not accepted yet */
	bool comes;		/* [lock] known by the move alone: forgotten if that fails */
	struct ds_lease told;	/* [lock] as the source has it, or had it */
	struct ds_file *awaits; /* [lock] open for reading until its lease is accepted, or NULL */
	/* The home goes along, or comes (home_sent.c, home_come.c). */
	bool sent, keep;	       /* [lock] carried as well */
	uint64_t part[HOME_FILES_MAX]; /* [lock] identities, as home_part has them; 0: not there */
	struct home_coming *coming;    /* [lock] */
};

/* home.c. The VM's home, which stays where it is whatever happens; NULL: it has none. */
struct home *home_find(const char *name);
/* The same, made when there is none. NULL: too many. */
struct home *home_add(const char *name);
void home_forget(struct home *h);
/* What the VM is now, as a description. */
void home_describe(const struct vm *vm, struct vm_desc *d);
/* ... and notes what of d is not in the VM. */
void home_note(struct home *h, const struct vm_desc *d, uint64_t file);
/* The description's lease, -EBUSY; -ESTALE: it is not the one that the VM was made of. */
MUST_CHECK int home_hold_locked(struct home *h, char *why, size_t why_len);
void home_let_go(struct home *h);

/* home_file.c */
void home_file_path(const char *store, const char *name, char out[VM_HOME_PATH]);
/*
 * Into d, whose cfg.name and cfg.home say which; *file is its identity. -ESTALE: it is there, and
 * in d, but another one has taken its place. -EAGAIN: which one counts cannot be seen here, or a
 * move between hosts is not settled, of which d->moving tells.
 */
MUST_CHECK int home_load(struct vm_desc *d, uint64_t *file, char *why, size_t why_len);
/* The text alone, whether it counts or not. */
MUST_CHECK int home_load_text(struct vm_desc *d, uint64_t *file, char *why, size_t why_len);
/*
 * Writes a new file that takes the old one's place. h's lock is held, or nobody knows h yet. The
 * lease of a VM that is on goes over to the new one.
 */
MUST_CHECK int home_save_locked(struct home *h, const struct vm_desc *d, char *why, size_t why_len);
/* The same text as "VM/VM.vm.new" on d's datastore, unfinished. */
MUST_CHECK int home_write_new(const struct vm_desc *d, char *why, size_t why_len);
/* "VM/VM.vm.new" */
#define HOME_NEW_NAME (2 * VM_NAME_MAX + 8)
void home_new_name(const char *name, char out[HOME_NEW_NAME]);
/*
 * A transaction that broke off may have been done: has the name become this file's? 0; -ENOENT;
 * -EINPROGRESS the datastore does not say.
 */
MUST_CHECK int home_is_named(struct datastore *ds, const char *name, uint64_t file);
/* Which one of held and maybe it is; the other one is closed. -EIO: the datastore does not say. */
MUST_CHECK int home_find_out_locked(struct home *h, char *why, size_t why_len);
/* What an error of the store means for a description. Returns err. */
int home_say(int err, struct datastore *ds, const char *path, char *why, size_t why_len);
MUST_CHECK int home_store(const char *name, struct datastore **out, char *why, size_t why_len);

/* home_former.c. Does d count? As home_load; 0: its moves_to is empty. */
MUST_CHECK int home_counts(struct vm_desc *d, char *why, size_t why_len);
/* d has lost its place: it goes, with what it names and its successor does not. Edit lock held. */
void home_clear_former(const struct vm_desc *d);
/* Is this one that a host which crashed had put aside? Then it is removed. */
bool home_remove_left(struct datastore *ds, const struct ds_entry *e);
/*
 * Before d goes for good: the one whose place it took must not count again. 0: there is none, or
 * it is removed, and d's moved_from is empty.
 */
MUST_CHECK int home_former_gone(struct vm_desc *d, char *why, size_t why_len);

/* home_parts.c: what of cfg is started and may lie in its home; NULL past the last, empty: none. */
#define HOME_PARTS_MAX HOME_FILES_MAX
const char *home_part(const struct vm_config *cfg, unsigned i);
/* The file's name if it is below VM name's home on store; else NULL. */
const char *home_file_in(const char *path, const char *store, const char *name);
/* A description's path taken apart. False: it is none. */
bool home_take_path(const char *path, char to_store[VM_NAME_MAX], char to_name[VM_NAME_MAX]);
/* cfg with its home, and its parts in it, on store. -ENAMETOOLONG. */
MUST_CHECK int home_rebase(struct vm_config *cfg, const char *store);

/* home_settle.c: -EAGAIN, a move of it between hosts is not settled. */
MUST_CHECK int home_refuse_unsettled(const struct vm_desc *d, char *why, size_t why_len);
/* It stays where it is, and no host registers it by itself; the edit lock is held. */
void home_nobodys(struct home *h);

/* Of VM name's description on store, whose lease is let go when nobody finds it by its name. */
void home_remove_held(const char *store, const char *name, struct ds_file *held, uint64_t id);

/* home_sent.c: the VM stays, with its home, or has left. The edit lock is held for left. */
void home_sent_stay(struct home *h);
void home_sent_left(struct home *h, const struct vm_config *cfg);
/* home_come.c: it will not come. */
void home_come_end(struct home *h);

/* home_work.c */
extern struct mutex home_edit_lock;
struct home_work {
	struct vm_desc d, now;
	char text[2][VM_DESC_BYTES_MAX];
};
/* With the edit lock, until home_end; NULL: no memory. */
struct home_work *home_begin(char *why, size_t why_len);
void home_end(struct home_work *w);
struct vm *home_vm(const char *name, char *why, size_t why_len);
bool home_vm_is_off(const struct vm *vm);
/* -EBUSY, said, for what needs it off: it is not, or is being moved. */
MUST_CHECK int home_refuse_unless_off(const struct vm *vm, char *why, size_t len);
/* -EBUSY: its description, or the lease of that, may be on its way to another host, or from there.
 */
MUST_CHECK int home_refuse_moving(const struct home *h, const struct vm *vm, char *why,
				  size_t why_len);
/* This host as descriptions name it; empty: its name is none. */
const char *home_own_name(void);
/* home_save_locked and home_note; home_load of a VM that is known here. */
MUST_CHECK int home_save(struct home *h, struct vm_desc *d, char *why, size_t why_len);
MUST_CHECK int home_read(struct home *h, struct vm_desc *d, uint64_t *file, char *why,
			 size_t why_len);
/* home_load_text of that: its datastore alone is asked. */
MUST_CHECK int home_read_text(const struct home *h, struct vm_desc *d, uint64_t *file, char *why,
			      size_t why_len);
/* Whose the VM is at that host's next boot; d is for the description. What fails, because another
 * host runs it, is no harm. */
void home_claim_host(struct home *h, struct vm_desc *d, const char *host);
/* The same when no move of it is open any more; home_claim_host leaves such a one as it is. */
void home_claim_settled(struct home *h, struct vm_desc *d, const char *host);

/* home_life.c. Registers what home_load gave; the edit lock is held. */
MUST_CHECK int home_register_locked(struct vm_desc *d, uint64_t file, char *why, size_t why_len);

#endif
