/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The datastore on disk: docs/datastore.md as structures. Little-endian, reserved
 * fields zero, every structure one block of 4096 bytes but superblock and slot,
 * which are one sector of 512.
 */
#ifndef STORE_DS_FORMAT_H
#define STORE_DS_FORMAT_H

#include <tern/types.h>

#define DS_VERSION 1u
#define DS_BLOCK 4096u
#define DS_SECTOR 512u /* what is checked of superblock and slots */
#define DS_EXTENT (1u << 20)
#define DS_BLOCKS_PER_EXTENT (DS_EXTENT / DS_BLOCK)
#define DS_SUPER_BLOCK 16u
#define DS_MAX_SLOTS 64u
#define DS_MIN_LOG_BLOCKS 3u
#define DS_MAX_LOG_BLOCKS 64u
#define DS_NAME 32u
#define DS_FILE_NAME 128u
#define DS_NONE 0xffffffffu
#define DS_ID_END (1ull << 63) /* identities of files are from 1 to below */

enum ds_magic {
	DS_MAGIC_SUPER = 0x53445254,
	DS_MAGIC_SLOT = 0x4c534454,
	DS_MAGIC_LOG = 0x474c4454,
	DS_MAGIC_ROOT = 0x54524454,
	DS_MAGIC_MAP = 0x504d4454,
	DS_MAGIC_FILE = 0x4c464454,
	DS_MAGIC_RUNS = 0x54434454,
	DS_MAGIC_FREE = 0x45464454,
};

struct ds_head {
	uint32_t magic;	   /* 0 enum ds_magic */
	uint32_t crc;	   /* 4 CRC32C with this field as zero */
	uint64_t block;	   /* 8 where it belongs */
	uint8_t ds[16];	   /* 16 the datastore's identity */
	uint64_t sequence; /* 32 of the transaction that wrote it */
};
_Static_assert(sizeof(struct ds_head) == 40, "head of a block");

struct ds_super {
	struct ds_head head;
	uint16_t version;	/* 40 */
	uint16_t min_version;	/* 42 */
	uint32_t sector_bytes;	/* 44 */
	char name[DS_NAME];	/* 48 */
	uint64_t nr_extents;	/* 80 */
	uint64_t slot_block;	/* 88 */
	uint64_t log_block;	/* 96 */
	uint64_t root_block;	/* 104 */
	uint64_t map_block;	/* 112 */
	uint64_t table_block;	/* 120 */
	uint32_t first_extent;	/* 128 */
	uint32_t nr_slots;	/* 132 */
	uint32_t log_blocks;	/* 136 */
	uint32_t map_blocks;	/* 140 */
	uint32_t table_blocks;	/* 144 */
	uint32_t beat_ms;	/* 148 */
	uint32_t lease_ms;	/* 152 */
	uint32_t io_timeout_ms; /* 156 */
	uint64_t created;	/* 160 seconds since 1970 */
	uint8_t zero[DS_SECTOR - 168];
};
_Static_assert(sizeof(struct ds_super) == DS_SECTOR, "superblock");
_Static_assert(offsetof(struct ds_super, nr_extents) == 80, "superblock");
_Static_assert(offsetof(struct ds_super, first_extent) == 128, "superblock");
_Static_assert(offsetof(struct ds_super, created) == 160, "superblock");

enum ds_slot_state { DS_SLOT_FREE, DS_SLOT_CLAIMED, DS_SLOT_MOUNTED };

struct ds_slot {
	struct ds_head head;
	uint8_t host[16];     /* 40 zeros: never used */
	char name[DS_NAME];   /* 56 */
	uint64_t incarnation; /* 88 another one at each mount */
	uint64_t beat;	      /* 96 */
	uint64_t number;      /* 104 ticket for the cluster lock, 0: none */
	uint32_t choosing;    /* 112 */
	uint32_t state;	      /* 116 enum ds_slot_state */
	uint64_t applied;     /* 120 log records up to here are in place */
	uint8_t zero[DS_SECTOR - 128];
};
_Static_assert(sizeof(struct ds_slot) == DS_SECTOR, "slot");
_Static_assert(offsetof(struct ds_slot, number) == 104, "slot");

struct ds_log_entry {
	uint64_t block; /* 0 */
	uint32_t crc;	/* 8 of the whole block as it follows */
	uint32_t zero;	/* 12 */
};

struct ds_log {
	struct ds_head head;
	uint32_t count; /* 40 */
	uint32_t zero;	/* 44 */
	struct ds_log_entry entry[(DS_BLOCK - 48) / sizeof(struct ds_log_entry)];
};
_Static_assert(sizeof(struct ds_log) == DS_BLOCK, "log descriptor");
_Static_assert(DS_MAX_LOG_BLOCKS - 1 <= (DS_BLOCK - 48) / sizeof(struct ds_log_entry), "fits");

struct ds_root {
	struct ds_head head;
	uint64_t free_extents; /* 40 */
	uint64_t next_id;      /* 48 */
	uint32_t table_high;   /* 56 table blocks from here on were never used */
	uint8_t zero[DS_BLOCK - 60];
};
_Static_assert(sizeof(struct ds_root) == DS_BLOCK, "root");

#define DS_MAP_BYTES (DS_BLOCK - 48u)
#define DS_MAP_EXTENTS (DS_MAP_BYTES * 8u)

struct ds_map {
	struct ds_head head;
	uint64_t first; /* 40 extent of the first bit */
	uint8_t bits[DS_MAP_BYTES];
};
_Static_assert(sizeof(struct ds_map) == DS_BLOCK, "map");

struct ds_run {
	uint32_t logical;  /* 0 extent of the file */
	uint32_t physical; /* 4 extent of the datastore, DS_ZEROS: none, it reads as zeros */
	uint32_t count;	   /* 8 extents */
	uint32_t flags;	   /* 12 zero */
};

#define DS_ZEROS 0u /* no file has extent 0 */

#define DS_FILE_RUNS 240u
#define DS_MORE_RUNS 252u

struct ds_inode {
	struct ds_head head;
	uint64_t id;		    /* 40 */
	uint32_t kind;		    /* 48 enum ds_kind */
	uint32_t flags;		    /* 52 DS_FILE_* */
	uint64_t size;		    /* 56 bytes */
	uint64_t created;	    /* 64 seconds since 1970 */
	uint64_t modified;	    /* 72 */
	uint32_t owner_slot;	    /* 80 DS_NONE: no lease */
	uint32_t nr_runs;	    /* 84 in this block */
	uint64_t owner_incarnation; /* 88 */
	uint64_t generation;	    /* 96 of the lease */
	uint32_t next;		    /* 104 table index of further runs, DS_NONE */
	uint32_t zero;		    /* 108 */
	char name[DS_FILE_NAME];    /* 112 */
	uint64_t parent;	    /* 240 id of the file that holes show, 0: zeros */
	uint64_t zero2;		    /* 248 */
	struct ds_run run[DS_FILE_RUNS];
};
_Static_assert(sizeof(struct ds_inode) == DS_BLOCK, "file");
_Static_assert(offsetof(struct ds_inode, name) == 112, "file");
_Static_assert(offsetof(struct ds_inode, run) == 256, "file");

struct ds_more {
	struct ds_head head;
	uint64_t id;	  /* 40 of the file */
	uint32_t next;	  /* 48 */
	uint32_t nr_runs; /* 52 */
	uint64_t zero;	  /* 56 */
	struct ds_run run[DS_MORE_RUNS];
};
_Static_assert(sizeof(struct ds_more) == DS_BLOCK, "further runs");

#endif
