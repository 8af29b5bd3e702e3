/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Typed records: how state leaves and enters a room (docs/wire.md). Little
 * endian, 8-byte aligned: a 16-byte header (type, version, flags, instance,
 * length) and a body padded with zeros. A reader refuses what does not fit:
 * it never reads past its buffer, and nothing it reads can reach an assert.
 *
 * The writer grows a buffer of its own; a failed allocation is remembered and
 * reported once by rec_finish. save(), check() and load() of a device stand
 * side by side in its file and use these calls in the same order.
 */
#ifndef TERN_REC_H
#define TERN_REC_H

#include <tern/types.h>

#define REC_OPTIONAL 1u /* a reader that does not know the type skips it */

struct rec_header {
	uint16_t type;	   /* 0 enum rec_type */
	uint16_t version;  /* 2 of this record's body */
	uint16_t flags;	   /* 4 REC_* */
	uint16_t instance; /* 6 vCPU index or device slot */
	uint32_t length;   /* 8 body bytes without padding, <= REC_MAX_BODY */
	uint32_t reserved; /* 12 zero */
};
_Static_assert(sizeof(struct rec_header) == 16, "record header");

#define REC_MAX_BODY (1u << 20)

/* Registry of record types; docs/wire.md lists their bodies. */
enum rec_type {
	REC_END = 0,
	REC_VM = 1,	    /* name, memory size, vCPU count, devices */
	REC_CPUID = 2,	    /* the CPUID table as the guest sees it */
	REC_VCPU = 3,	    /* struct virt_state without XSAVE */
	REC_XSAVE = 4,	    /* standard format */
	REC_TIME = 5,	    /* TSC frequency, guest TSC, kvmclock */
	REC_CPU_KIND = 6,   /* host's own or a baseline */
	REC_HOST = 7,	    /* who answers a query */
	REC_HYPERV = 8,	    /* MSRs of Microsoft's interface, of VMs that have it */
	REC_SHARES = 9,	    /* of its vCPUs, when they are not the usual ones */
	REC_DISKS = 10,	    /* its disks, when it has any, and how each comes along */
	REC_HOME = 11,	    /* where its description is, when it moves with it */
	REC_HOME_SENT = 12, /* its description and files, when they are sent with its disks */
	REC_AT_REST = 13,   /* it does not run: it is off, or suspended */
	REC_ENDED = 14,	    /* how the last run of one that is off has ended */
	REC_LAPIC = 16,
	REC_IOAPIC = 17,
	REC_PIC = 18,
	REC_PIT = 19,
	REC_RTC = 20,
	REC_UART = 21,
	REC_PM = 22,
	REC_PCI = 23, /* host bridge, LPC, config space and BARs */
	REC_FWCFG = 24,
	REC_VIRTIO = 25, /* transport and queues */
	REC_VRNG = 26,
	REC_VCONSOLE = 27,
	REC_SERIAL_LOG = 28, /* kept output of a UART */
	REC_BOOT = 29,	     /* how the VM is started, when not as Linux */
	REC_VNET = 32,	     /* addresses that a guest was seen to use */
	REC_NICS = 31,	     /* networks and addresses of its devices, when it has any */
	REC_VBLK = 33,	     /* what the driver was told of a disk */
	REC_TESTDEV = 30,
	REC_VBALLOON = 40,
	REC_POLICY = 41, /* what is done in which trouble */
	REC_WDT = 42,	 /* watchdog */
};

struct rec_writer {
	uint8_t *buf;
	size_t len, cap;
	size_t open; /* offset of the open header + 1, 0 = none */
	int error;
};

void rec_writer_init(struct rec_writer *w);
void rec_writer_fini(struct rec_writer *w);
void rec_begin(struct rec_writer *w, enum rec_type type, uint16_t version, uint16_t flags,
	       uint16_t instance);
void rec_u8(struct rec_writer *w, uint8_t v);
void rec_u16(struct rec_writer *w, uint16_t v);
void rec_u32(struct rec_writer *w, uint32_t v);
void rec_u64(struct rec_writer *w, uint64_t v);
void rec_bytes(struct rec_writer *w, const void *p, size_t n); /* no length of its own */
void rec_str(struct rec_writer *w, const char *s);	       /* u16 length, bytes */
void rec_end(struct rec_writer *w);			       /* closes, pads */
MUST_CHECK int rec_finish(struct rec_writer *w);	       /* appends REC_END; 0 or -ENOMEM */

struct rec_reader {
	const uint8_t *buf;
	size_t len;		/* of the whole stream of records */
	size_t pos;		/* next record */
	struct rec_header head; /* of the current record */
	size_t at, end;		/* cursor and end of the current body */
	bool bad;		/* a read went past the body */
};

void rec_reader_init(struct rec_reader *r, const void *buf, size_t len);
/* Next record: 1 with r->head set, 0 at REC_END, -EBADMSG when malformed. */
MUST_CHECK int rec_next(struct rec_reader *r);
/* Reads past the body give 0 and set bad. */
uint8_t rec_get_u8(struct rec_reader *r);
uint16_t rec_get_u16(struct rec_reader *r);
uint32_t rec_get_u32(struct rec_reader *r);
uint64_t rec_get_u64(struct rec_reader *r);
void rec_get_bytes(struct rec_reader *r, void *p, size_t n);
void rec_get_str(struct rec_reader *r, char *buf, size_t cap); /* bad when it does not fit */
/* Body consumed exactly and never overrun? 0 or -EBADMSG. */
MUST_CHECK int rec_done(const struct rec_reader *r);

#endif
