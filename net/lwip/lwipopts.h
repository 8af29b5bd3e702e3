/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's options. One world owns the stack and calls it through the raw
 * interface, so there are no threads, no locks and no mailboxes. Every pool is
 * static; together with the heap they stay near 3 MiB.
 *
 * TCP_MSS is the size of the segments that the stack makes for a NIC that
 * segments by itself; what goes onto the wire is the path's own MSS, which the
 * SYN options agree on by the interface's MTU. Large segments keep lwIP's walks of
 * its unacked list short (net/stream_tcp.c).
 */
#ifndef TERN_LWIPOPTS_H
#define TERN_LWIPOPTS_H

/* One owner world, raw interface. */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_RAW 1
#define LWIP_TIMERS 1

/* Protocols. */
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_ARP 1
#define LWIP_ICMP 1
#define LWIP_ICMP6 1
#define LWIP_UDP 1
#define LWIP_TCP 1
#define LWIP_DHCP 1
#define LWIP_AUTOIP 0
#define LWIP_IGMP 0
#define LWIP_DNS 0
#define LWIP_IPV6_MLD 0
#define LWIP_IPV6_DHCP6 0
#define LWIP_IPV6_AUTOCONFIG 0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0
/* Addresses are given by the administrator and usable at once, as IPv4's are. */
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0
#define LWIP_ND6_TCP_REACHABILITY_HINTS 1
#define IP_FORWARD 0
#define IP_REASSEMBLY 1
/* Off, as it would cut the large segments: what exceeds the MTU is the NIC's to segment, or
 * refused. */
#define IP_FRAG 0
#define LWIP_IPV6_FRAG 0

/*
 * TCP. Slow timer 100 ms: the least retransmission time-out is three ticks of it,
 * 200 to 300 ms, so that a lost tail costs less than half a second and a peer that
 * is off its CPU for 100 ms is not sent everything twice. Delayed ACK 50 ms.
 */
#define TCP_MSS 61440
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 7
#define TCP_WND (3 * 1024 * 1024)
#define TCP_SND_BUF (3 * 1024 * 1024)
#define TCP_SND_QUEUELEN 4096
#define TCP_SNDLOWAT 32768
#define TCP_SNDQUEUELOWAT 1024
#define TCP_WND_UPDATE_THRESHOLD (256 * 1024)
#define TCP_OVERSIZE 0 /* all payload is given by reference */
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_BYTES TCP_WND
#define TCP_OOSEQ_MAX_PBUFS 1024
/* Received frames are custom pbufs in the NIC's buffers, which the check does not count. */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_TIMESTAMPS 0
#define TCP_TMR_INTERVAL 50
#define LWIP_TCP_RTO_TIME 1000
#define TCP_MSL 1000
#define TCP_LISTEN_BACKLOG 1
#define SO_REUSE 1 /* a listener does not wait for old connections' TIME_WAIT */
#define LWIP_TCP_KEEPALIVE 1
/*
 * Ports of connections that begin here, END itself is none of them. lwIP adds one to the last port
 * that it gave and begins again at END; its own form lets the first, random one be END, and what
 * follows is then 0, "no port is free".
 */
#define TCP_LOCAL_PORT_RANGE_START 0xc000
#define TCP_LOCAL_PORT_RANGE_END 0xffff
#define TCP_ENSURE_LOCAL_PORT_RANGE(random)                                                        \
	((u16_t)(TCP_LOCAL_PORT_RANGE_START +                                                      \
		 (random) % (TCP_LOCAL_PORT_RANGE_END - TCP_LOCAL_PORT_RANGE_START)))
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, hdr, optlen, opt1len, opt2, p) lwip_port_hear(pcb)
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) lwip_port_rand()

/* Memory: pools of lwIP's own. The heap holds headers and small frames; it lies in the direct map.
 */
#define MEM_LIBC_MALLOC 0
#define MEMP_MEM_MALLOC 0
#define MEM_ALIGNMENT 16
#define MEM_SIZE (1024 * 1024 - 1024)
#define LWIP_RAM_HEAP_POINTER lwip_port_heap
#define MEMP_NUM_PBUF 8192
#define MEMP_NUM_RAW_PCB 8
#define MEMP_NUM_UDP_PCB 8
#define MEMP_NUM_TCP_PCB 64
#define MEMP_NUM_TCP_PCB_LISTEN 16
#define MEMP_NUM_TCP_SEG 8192
#define MEMP_NUM_REASSDATA 8
/* Announcements of guests; DHCP, one an interface. */
#define MEMP_NUM_SYS_TIMEOUT (LWIP_NUM_SYS_TIMEOUT_INTERNAL + 68)
#define IP_REASS_MAX_PBUFS 64
#define PBUF_POOL_SIZE 16
#define PBUF_POOL_BUFSIZE 2048
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define LWIP_NETIF_TX_SINGLE_PBUF 0
/*
 * A packet that waits for an address to be resolved is copied when its payload is
 * by reference: the pages' owner may take them back before it goes out.
 */
#define PBUF_NEEDS_COPY(p)                                                                         \
	(((p)->type_internal & (0x40 | 0x0f)) != 0 && !((p)->type_internal & 0x80))

/* Interfaces; what a NIC checks or fills in, lwIP does not. Hints lead from a packet to its pcb. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_NETIF_HWADDRHINT 1
#define LWIP_NETIF_HOSTNAME 1 /* DHCP servers are told it */
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_LINK_CALLBACK 0
#define LWIP_HAVE_LOOPIF 1
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_LOOPBACK_MAX_PBUFS 512
#define ETH_PAD_SIZE 0
#define ARP_TABLE_SIZE 64
#define ARP_QUEUEING 1
#define ARP_QUEUE_LEN 3

#define LWIP_STATS 1
#define LWIP_STATS_LARGE 1
#define LWIP_STATS_DISPLAY 0
#define LWIP_NOASSERT 0

#endif
