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

// A directory of a pseudo file system; its id is the inode number (struct kernfs_node,
// include/linux/kernfs.h; a plain number since 5.6, 67c0496e87d1).
struct kernfs_node {
	__u64 id;
} __attribute__((preserve_access_index));

// A control group; the root's level is 0 (struct cgroup, include/linux/cgroup-defs.h).
struct cgroup {
	struct kernfs_node *kn;
	int level;
} __attribute__((preserve_access_index));

// The control groups of a task; `dfl_cgrp` is the one of version 2 (struct css_set,
// include/linux/cgroup-defs.h).
struct css_set {
	struct cgroup *dfl_cgrp;
} __attribute__((preserve_access_index));

// The fair tasks of one control group on one CPU; the count is of its limits in force, those of groups above
// included (struct cfs_rq, kernel/sched/sched.h; with CONFIG_CFS_BANDWIDTH).
struct cfs_rq {
	int throttle_count;
} __attribute__((preserve_access_index));

// (struct sched_entity, include/linux/sched.h; with CONFIG_FAIR_GROUP_SCHED)
struct sched_entity {
	struct cfs_rq *cfs_rq;
} __attribute__((preserve_access_index));

// A thread's flags (arch/*/include/asm/thread_info.h). It is the first member of task_struct where
// CONFIG_THREAD_INFO_IN_TASK is set, as on every architecture here.
struct thread_info {
	unsigned long flags;
#if defined(__TARGET_ARCH_x86)
	__u32 status;
#endif
} __attribute__((preserve_access_index));

// A mounted file system; its device number is the one of its files (struct super_block, include/linux/fs.h).
struct super_block {
	__u32 s_dev;
} __attribute__((preserve_access_index));

// (struct inode, include/linux/fs.h)
struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
} __attribute__((preserve_access_index));

// An open file (struct file, include/linux/fs.h).
struct file {
	struct inode *f_inode;
} __attribute__((preserve_access_index));

// A process's memory, with the file of the program that runs in it (struct mm_struct, include/linux/mm_types.h).
struct mm_struct {
	struct file *exe_file;
} __attribute__((preserve_access_index));

// A thread (struct task_struct, include/linux/sched.h).
struct task_struct {
	struct thread_info thread_info;
	unsigned int __state;
	unsigned int flags;
	struct sched_entity se;
	struct mm_struct *mm;
	int pid;
	struct css_set *cgroups;
	char comm[16];
} __attribute__((preserve_access_index));

// Registers at the entry to the kernel (arch/*/include/asm/ptrace.h).
struct pt_regs {
#if defined(__TARGET_ARCH_x86)
	unsigned long orig_ax;
#elif defined(__TARGET_ARCH_arm64)
	__s32 syscallno;
#endif
} __attribute__((preserve_access_index));
