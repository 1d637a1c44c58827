// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The few kernel types that are read, with only the fields that are; the loader finds their places (CO-RE).
#pragma once

#include <linux/types.h>

// When a packet was received, CLOCK_REALTIME in nanoseconds, if any socket asked for receive stamps (struct sk_buff,
// include/linux/skbuff.h; the field is in an anonymous union since 4.20).
struct sk_buff {
	__s64 tstamp;
} __attribute__((preserve_access_index));

// An IPv6 address (include/uapi/linux/in6.h). The suffix keeps it apart from the type of the same name in
// <linux/in6.h>.
struct in6_addr___kernel {
	union {
		__be32 u6_addr32[4];
	} in6_u;
} __attribute__((preserve_access_index));

// A network namespace (include/net/net_namespace.h) and the inode number that /proc/PID/ns/net shows.
struct ns_common {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct net {
	struct ns_common ns;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} __attribute__((preserve_access_index)) possible_net_t;

// What every kind of socket has (include/net/sock.h). Addresses and the remote port in network byte order;
// the local ones are "rcv_saddr".
struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	unsigned short skc_family;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr___kernel skc_v6_daddr;
	struct in6_addr___kernel skc_v6_rcv_saddr;
} __attribute__((preserve_access_index));

// A full socket (include/net/sock.h). The protocol is a field of its own since 5.6 (bf9765145b85), before a
// bit-field.
struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	int sk_err;
} __attribute__((preserve_access_index));

// include/net/inet_sock.h. The local port in network byte order; it stays when a closing socket gives the
// port back.
struct inet_sock {
	__be16 inet_sport;
} __attribute__((preserve_access_index));

// include/net/inet_connection_sock.h
struct inet_connection_sock {
	struct inet_sock icsk_inet;
} __attribute__((preserve_access_index));

// A TCP socket (include/linux/tcp.h). Both counters start at zero with each connect(2) since 5.6
// (784f8344de75, c13c48c00a6b).
struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 segs_out;      // segments sent
	__u32 total_retrans; // segments sent again
	__u32 srtt_us;       // smoothed round-trip time in microseconds, times eight
	// whether TCP_FASTOPEN_CONNECT is set, and whether the SYN carried data
	__u8 fastopen_connect : 1, syn_data : 1;
} __attribute__((preserve_access_index));
