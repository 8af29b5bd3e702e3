/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest-facing devices. Each has one mutex, taken by the access dispatch around
 * its handlers, and a table with what a migration needs. Device models run in
 * worlds (a vCPU's or their own), never in interrupt handlers; timers of a
 * device only set interrupt lines or wake a world.
 */
#ifndef TERN_VDEV_H
#define TERN_VDEV_H

#include <tern/blkdev.h>
#include <tern/lock.h>
#include <tern/rec.h>
#include <tern/vm.h>

struct vdev;

struct vdev_ops {
	const char *name;
	void (*reset)(struct vdev *d);
	/* No new work; in flight is finished by the deadline, else -ETIMEDOUT and the device goes
	 * on. */
	int (*quiesce)(struct vdev *d, uint64_t deadline_ns);
	void (*resume)(struct vdev *d);
	void (*save)(struct vdev *d, struct rec_writer *w);
	/* Refuses what load could not take; changes nothing. The reader stands at one of this
	 * device's records. */
	int (*check)(struct vdev *d, struct rec_reader *r);
	int (*load)(struct vdev *d, struct rec_reader *r);
	void (*destroy)(struct vdev *d);
};

struct vdev {
	const struct vdev_ops *ops;   /* [const] */
	struct vm *vm;		      /* [const] */
	struct mutex lock;	      /* the device's state; LOCK_VDEV */
	uint16_t instance;	      /* [const] record instance: unique per record type */
	uint16_t rec_first, rec_last; /* [const] record types it takes */
	struct vdev *next;
};

/* All devices of a VM, for migration; vCPUs parked. */
MUST_CHECK int vdevs_quiesce(struct vm *vm, uint64_t deadline_ns);
void vdevs_resume(struct vm *vm);
void vdevs_save(struct vm *vm, struct rec_writer *w);
/* Is this record a device's? 0 checked / loaded, -ENOENT nobody's, -EBADMSG refused. */
MUST_CHECK int vdevs_check(struct vm *vm, struct rec_reader *r);
MUST_CHECK int vdevs_load(struct vm *vm, struct rec_reader *r);

extern const struct vm_platform q35_platform; /* kernel/vdev/q35.c */

/* Presses the power button. False: nothing in the guest has asked to hear of it (yet). */
bool power_button(struct vm *vm);

/*
 * The balloon: how much of its memory a guest is asked to give up, and what it says of
 * its memory (kernel/vdev/vballoon.c).
 */
enum balloon_stat { /* [virtio 1.2 5.5.6.4 "Memory Statistics Tags"] */
		    BALLOON_SWAP_IN,
		    BALLOON_SWAP_OUT,
		    BALLOON_MAJOR_FAULTS,
		    BALLOON_MINOR_FAULTS,
		    BALLOON_FREE,
		    BALLOON_TOTAL,
		    BALLOON_AVAILABLE,
		    BALLOON_CACHES,
		    BALLOON_HUGE_ALLOCATED,
		    BALLOON_HUGE_FAILED,
		    BALLOON_STATS
};
struct balloon_info {
	bool driver;		      /* the guest drives it */
	bool reports;		      /* it reports free pages */
	uint64_t target_bytes;	      /* that the guest is to keep */
	uint64_t actual_bytes;	      /* that it has kept, as it says */
	uint64_t ballooned, reported; /* pages given back either way, ever, on this host */
	uint32_t stats_known;	      /* bit per stat */
	uint64_t stat[BALLOON_STATS]; /* bytes, or events */
	uint64_t stats_ns;	      /* when they came; 0 = never */
};
void balloon_info(struct vm *vm, struct balloon_info *out);
/* Asks for newer statistics; true when the guest will answer. */
bool balloon_ask_stats(struct vm *vm);
/* The guest is to keep this much. -EINVAL, -ENOMEM: what it would get back is not there. */
MUST_CHECK int balloon_set(struct vm *vm, uint64_t bytes, char *why, size_t why_len);

/*
 * Free-page hints for a migration: between start and end the guest names pages whose contents it
 * does not need. False: its driver does not. end adds them to set (if any) and lets the guest have
 * its pages again; what comes later is not heard.
 */
MUST_CHECK bool balloon_hints_start(struct vm *vm);
/* How many pages were named so far; *complete: all that it has. */
uint64_t balloon_hints_seen(struct vm *vm, bool *complete);
MUST_CHECK int balloon_hints_end(struct vm *vm, struct pageset *set);

/* Disks, in the order of vm->cfg.disk. */
/*
 * How long requests took, from the guest's ring and back to it, without what they waited for
 * a limit. Step i counts those that took less than VDISK_STEP_NS << i; the last one all longer
 * ones.
 */
#define VDISK_STEPS 16u
#define VDISK_STEP_NS (16ull * 1000)
struct vdisk_latency {
	uint64_t count, total_ns, max_ns;
	uint64_t step[VDISK_STEPS];
};
struct vdisk_stats {
	uint64_t requests[BLK_OPS], bytes[BLK_OPS];
	uint64_t busy_ns;	    /* from the guest's ring to it, all requests' sum */
	uint64_t errors;	    /* requests that failed */
	uint64_t held, held_ns;	    /* requests that a limit held, how long any waited for it */
	struct vdisk_latency of[3]; /* BLK_READ, BLK_WRITE, BLK_FLUSH */
};
struct vdisk_info {
	const struct vm_disk *disk;
	struct vm_disk_limit limit;
	bool open;
	uint64_t bytes; /* 0: not known before the first start */
	unsigned queues, in_flight;
	struct vdisk_stats stats; /* on this host */
};
bool vdisk_at(struct vm *vm, unsigned index, struct vdisk_info *out); /* false past the last */
/* From now on, also while it runs; in vm->cfg too. -ENOENT no such disk, -EINVAL beyond the most.
 */
MUST_CHECK int vdisk_limit(struct vm *vm, unsigned index, const struct vm_disk_limit *limit);

/*
 * For whoever moves a VM's disks: one that is open, and what stands between it and the guest.
 */
struct vdisk;
struct ds_file;
/*
 * The disk that a VM of this name has open at this place, once more, open until vdisk_close
 * whatever becomes of the VM; else NULL.
 */
struct vdisk *vdisk_share(const char *vm, unsigned index, const struct vm_disk *d);
struct blkdev *vdisk_blk(struct vdisk *d);
struct ds_file *vdisk_file(struct vdisk *d); /* NULL: a whole disk */
/* An open file is from now on this VM's disk number index, for its next instance to share. */
MUST_CHECK int vdisk_adopt(const char *vm, unsigned index, const struct vm_disk *d,
			   struct ds_file *file, struct vdisk **out);
/* The last one closes it: nothing is in flight. */
void vdisk_close(struct vdisk *d);
/*
 * For the VM's owner (vm->mig): the guest's requests go to blk, NULL: to the open disk again. What
 * went before has ended when it returns. -ENODEV: the VM has the disk not open.
 */
MUST_CHECK int vdisk_filter(struct vm *vm, unsigned index, struct blkdev *blk);
/* For him too: the guest's requests stay in its rings, or are taken again; in_flight of vdisk_at
 * says how many are under way. */
void vdisk_pause(struct vm *vm, unsigned index, bool on);

/*
 * Disks that move with their VM (docs/ownership.md): the files stay where they are, on a datastore
 * that both hosts have mounted; the leases go. The first disk with a lease decides whose the VM
 * is: it is given last, taken back and accepted first. All in a world.
 */
enum vdisk_how {
	VDISK_SHARED = 1, /* the file is the same at both ends */
	VDISK_COPIED,	  /* the destination makes a new file, whose contents are sent */
};
/* The snapshots under a disk that is copied, the oldest first. */
#define VDISK_LINKS_MAX 31u
struct vdisk_link {
	char name[VM_DISK_PATH_MAX]; /* on the disk's datastore */
	uint64_t size;
};
struct vdisk_chain {
	unsigned nr;
	struct vdisk_link link[VDISK_LINKS_MAX];
};
struct vdisk_id {
	enum vdisk_how how;
	bool leased; /* written by who holds the lease; else read-only or multi-writer */
	bool thin;   /* COPIED: what it is to be there */
	/* COPIED, not thin: all of it, or of its first snapshot, will be written, zeros too. */
	bool bare;
	char to[VM_DISK_PATH_MAX]; /* COPIED: its path there */
	struct vdisk_chain *chain; /* COPIED: its snapshots there; NULL: none */
	uint64_t space;		   /* COPIED: what it takes there, with these; 0: not known */
	uint8_t ds[16];
	uint64_t file, size, generation; /* generation of the lease as the source has it */
};
/* This host, as others name it when they give it a lease. */
void vdisks_host(uint8_t id[16]);
/*
 * At the source; VM_DISKS_MAX of ids, in which COPIED ones are named already, with thin and to.
 * -ENOTSUP: one of them cannot move, and why.
 */
MUST_CHECK int vdisks_identify(struct vm *vm, struct vdisk_id *ids, char *why, size_t why_len);
/* Has it disks with leases? Then these decide. */
bool vdisks_leased(struct vm *vm);
/* Devices are quiet. After an error some may be given: vdisks_take_back. */
MUST_CHECK int vdisks_give(struct vm *vm, const uint8_t host[16], char *why, size_t why_len);
/*
 * 0 they are this host's again; -ESTALE the VM is not; else nobody knows yet: to be repeated.
 * decided: the VM is this host's already, by another file's lease.
 */
MUST_CHECK int vdisks_take_back(struct vm *vm, bool decided);
/* At the destination: are they here? The reason, and what to do. */
MUST_CHECK int vdisks_check(const struct vm_config *cfg, const struct vdisk_id *ids, char *why,
			    size_t why_len);
/* Of those that pass: what copied ones take, added. */
struct ds_room;
void vdisks_room(const struct vm_config *cfg, const struct vdisk_id *ids, struct ds_room *room);
/* Opens them as far as may be before they are given. */
MUST_CHECK int vdisks_await(struct vm *vm, const struct vdisk_id *ids, char *why, size_t why_len);
/*
 * 0 the VM is this host's; -EAGAIN not given yet; -ESTALE it will not be; else nobody knows yet: to
 * be repeated.
 */
MUST_CHECK int vdisks_accept(struct vm *vm, bool decided);
/*
 * Copied ones. At the source from vdisks_copied on they have no part in what leases decide. At the
 * destination each is removed when it is closed, until the VM is its own; vdisks_finish comes
 * before READY: all is written, and a crash leaves them as they are. vdisks_held, at either end
 * while the VM stands still: -ESTALE another host has taken one of them, so this VM is not to run
 * upon them; other errors: the datastore does not say. vdisks_settle: the VM is this
 * host's, and they are disks as any; or it is not, and each is removed when it is closed.
 */
void vdisks_copied(struct vm *vm, const struct vdisk_id *ids);
MUST_CHECK int vdisks_finish(struct vm *vm, char *why, size_t why_len);
MUST_CHECK int vdisks_held(struct vm *vm, char *why, size_t why_len);
void vdisks_settle(struct vm *vm, bool here);
bool vdisk_is_copied(const struct vdisk *d);
/* Of one that arrives: it shows anything until all of it, or of its first snapshot, is written. */
bool vdisk_is_bare(const struct vdisk *d);
/*
 * Of one that arrives with snapshots: all that has come is the next of them, and the disk has the
 * size of what comes then. -ENODATA: there are no more; and the store's errors.
 */
MUST_CHECK int vdisk_next_snapshot(struct vdisk *d);

/*
 * Guest serial ports 0 and 1: kept log and input. The functions take
 * SERIAL_VCONSOLE as well: the virtio console's log and input.
 */
#define SERIAL_PORTS 2
#define SERIAL_VCONSOLE 2
#define SERIAL_LOGS 3
/* Copies kept output from absolute offset *from (advanced past what was lost and given); returns
 * bytes. */
size_t serial_log_read(struct vm *vm, unsigned port, uint64_t *from, char *buf, size_t len);
uint64_t serial_log_end(struct vm *vm, unsigned port); /* absolute offset of the next byte */
/* Waits until output past from exists: 0 or -ETIMEDOUT. */
int serial_log_wait(struct vm *vm, unsigned port, uint64_t from, uint64_t deadline_ns);
/*
 * How many of the bytes it took: what the port has room for, none while the VM is
 * between two hosts. Those taken reach the guest, wherever it then runs.
 */
MUST_CHECK size_t serial_input(struct vm *vm, unsigned port, const char *bytes, size_t len);

#endif
