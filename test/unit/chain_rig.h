/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two hosts' own code, with a connection between them and a datastore each, in files of this
 * machine: disk d of "here", with two snapshots, is sent as n to "there" while its guest writes.
 *
 * chain_begin, chain_end around each test; chain_make; then, as often as one likes, chain_depart,
 * chain_send, chain_over.
 */
#ifndef TEST_CHAIN_RIG_H
#define TEST_CHAIN_RIG_H

#include <tern/timer.h>

#include "kernel/vdev/vdisk.h"
#include "mig/blk_recv.h"
#include "mig/blk_send.h"
#include "mig/chain.h"
#include "tools/terndisk/filedisk.h"

#define MIB (1u << 20)

struct store {
	char path[32];
	struct filedisk disk;
	struct datastore *ds;
};
extern struct store here, there;

int chain_begin(void **state);
int chain_end(void **state);
unsigned chain_files(struct datastore *ds);
/* d over d.two over d.one: 4, 5 and 2 MiB; two hides something of one by zeros. */
void chain_make(enum ds_kind kind);
extern uint64_t first_has;     /* how much of the lowest was written; 2 MiB unless a test says so */
extern uint64_t written_bytes; /* what the devices of both were given to write */

/* The destination. */
extern struct chain_net {
	struct stream *near, *far;
	struct peer from, to;
	struct blk_receiver *receiver;
	struct blk_recv_disk disk;
	struct vdisk *arrives;
	struct world *reader;
} net;
extern const struct vm_disk place;

/* The source. */
extern struct chain_move {
	struct ds_file *file;
	struct chain *chain;
	struct blk_sender *sender;
	struct disk_copy copy;
	void (*between)(unsigned link); /* copied, and not compared yet */
} move;

void chain_depart(bool thin);
int chain_send(void); /* all of it, and compares it */
int chain_flush(void);
/* Both ends; the VM is the other host's, or is not. */
void chain_over(bool moved);

#endif
