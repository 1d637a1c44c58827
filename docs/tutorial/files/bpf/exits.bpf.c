// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Counts processes that ended, by control group and by how they ended: with a status, or by a signal.
//
// The tracepoint is hit by each thread. A thread takes itself off its process's count of living threads before it gets
// there, so the last one sees none. Two that end at the same moment on two processors both see none: the first to put
// the process into `counted` is the one that counts.
//
// Needs nothing newer than Linux 5.10.
#include <linux/bpf.h>
#include <linux/errno.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "exits.h"
#include "kernel.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// The kernel's SIGNAL_GROUP_EXIT (include/linux/sched/signal.h): the process ended as a whole.
#define GROUP_EXIT 4

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exits_counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct exits_end);
	__type(value, __u64);
} ends SEC(".maps");

// The processes that were counted last; the oldest make room by themselves.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct exits_process);
	__type(value, __u8);
} counted SEC(".maps");

static __always_inline int verdict(enum exits_verdict verdict)
{
	__u32 zero = 0;
	struct exits_counters *mine = bpf_map_lookup_elem(&counters, &zero);

	if (mine)
		__sync_fetch_and_add(&mine->verdicts[verdict], 1);
	return 0;
}

// What wait(2) tells the parent: a status in the second byte, a signal in the seven low bits of the first.
static __always_inline __u32 wait_status(struct task_struct *task)
{
	if (task->signal->flags & GROUP_EXIT)
		return task->signal->group_exit_code;
	return task->group_leader->exit_code;
}

static __always_inline int record(struct task_struct *task)
{
	__u32 status = wait_status(task), signal = status & 0x7f;
	struct exits_end end = {
		.cgroup = bpf_get_current_cgroup_id(),
		.by = signal ? EXITS_BY_SIGNAL : EXITS_BY_STATUS,
		.code = signal ? signal : (status >> 8) & 0xff,
	};
	__u64 *count, zero = 0;

	count = bpf_map_lookup_elem(&ends, &end);
	if (!count) {
		// It fails when the map is full, or when another CPU was first: the second look tells which.
		bpf_map_update_elem(&ends, &end, &zero, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&ends, &end);
		if (!count)
			return verdict(EXITS_LOST_ENDS_FULL);
	}
	__sync_fetch_and_add(count, 1);
	return verdict(EXITS_RECORDED_PROCESS);
}

static __always_inline int ended(struct task_struct *task)
{
#ifndef MUTANT_EVERY_THREAD
	struct exits_process process = {
		.started_ns = task->group_leader->start_time,
		.number = task->tgid,
	};
	__u8 one = 1;
	long error;

	if (task->signal->live.counter > 0)
		return verdict(EXITS_FILTERED_THREAD);
	error = bpf_map_update_elem(&counted, &process, &one, BPF_NOEXIST);
	if (error)
		return verdict(error == -EEXIST ? EXITS_FILTERED_COUNTED : EXITS_LOST_COUNTED_FULL);
#endif
	// The known mistake: without the above, each thread is taken for a process.
	return record(task);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(exits_sched_process_exit, struct task_struct *task)
{
	return ended(task);
}
