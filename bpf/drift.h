// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What differs between kernels, one accessor each: the caller does not know which kernel it runs on.
#pragma once

#include <linux/types.h>

#include <bpf/bpf_core_read.h>

#include "kernel.h"

// Linux 5.14 renamed task_struct's `state` to `__state` and made it an unsigned int (2f064a59a11f).
struct task_struct___before_5_14 {
	long state;
} __attribute__((preserve_access_index));

static __always_inline __u32 task_state(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state;
	return ((struct task_struct___before_5_14 *)task)->state;
}

// Since Linux 6.18 each task takes itself off the queue when its control group is throttled, and says so
// (e1fad12dcb66); before, the whole queue of its control group is taken off, whichever group above has the
// limit.
struct task_struct___since_6_18 {
	_Bool throttled;
} __attribute__((preserve_access_index));

static __always_inline int task_throttled(struct task_struct *task)
{
	struct task_struct___since_6_18 *new_task = (void *)task;

	if (bpf_core_field_exists(new_task->throttled))
		return new_task->throttled;
	if (bpf_core_field_exists(task->se.cfs_rq->throttle_count))
		return task->se.cfs_rq->throttle_count > 0;
	return 0;
}
