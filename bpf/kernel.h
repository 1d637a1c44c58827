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

// A thread (struct task_struct, include/linux/sched.h).
struct task_struct {
	unsigned int __state;
	unsigned int flags;
	struct sched_entity se;
	int pid;
	struct css_set *cgroups;
	char comm[16];
} __attribute__((preserve_access_index));
