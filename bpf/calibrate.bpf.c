// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Programs that do nothing, one for each way in which the kernel calls a program and counts its runs. What they cost is
// what counting costs, and is taken off what a program under check costs. Each is loaded by itself: a kernel without one
// of the hooks leaves its kind uncalibrated. The hooks are rare ones, so that hardly a run is interrupted.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define EMPTY(name, section)                                                                                                               \
	SEC(section)                                                                                                                       \
	int name(void *ctx)                                                                                                                \
	{                                                                                                                                  \
		return 0;                                                                                                                  \
	}

// Where the kernel asks whether to let something through, this lets it.
#define EMPTY_YES(name, section)                                                                                                           \
	SEC(section)                                                                                                                       \
	int name(void *ctx)                                                                                                                \
	{                                                                                                                                  \
		return 1;                                                                                                                  \
	}

EMPTY(empty_tracepoint, "tracepoint/syscalls/sys_enter_getppid")
EMPTY(empty_raw_tp, "raw_tp/sched_process_fork")
EMPTY(empty_tp_btf, "tp_btf/sched_process_fork")
EMPTY(empty_kprobe, "kprobe/__x64_sys_getppid")
EMPTY(empty_kretprobe, "kretprobe/__x64_sys_getppid")
EMPTY(empty_fentry, "fentry/tcp_connect")
EMPTY(empty_fexit, "fexit/tcp_connect")
EMPTY(empty_fentry_s, "fentry.s/__x64_sys_openat")
EMPTY(empty_fexit_s, "fexit.s/__x64_sys_openat")
EMPTY(empty_lsm, "lsm/file_open")
EMPTY(empty_socket, "socket")
EMPTY(empty_tc, "tc")
EMPTY(empty_perf_event, "perf_event")
EMPTY(empty_iter, "iter/task")
EMPTY(empty_syscall, "syscall")
EMPTY_YES(empty_cgroup_skb, "cgroup_skb/egress")
EMPTY_YES(empty_cgroup_connect, "cgroup/connect4")

SEC("xdp")
int empty_xdp(struct xdp_md *ctx)
{
	return XDP_PASS;
}
