// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// One program for each place that a check knows. All load and run on every kernel of the quick set, but for what the
// test names.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

const volatile __u32 step = 1;
__u64 total;

static __always_inline int count(__u32 key)
{
	__u64 *value = bpf_map_lookup_elem(&counts, &key), one = 1;

	if (value)
		__sync_fetch_and_add(value, step);
	else
		bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
	total += step;
	return 0;
}

#define PROGRAM(name, section, key, answer)                                                                                                \
	SEC(section)                                                                                                                       \
	int name(void *ctx)                                                                                                                \
	{                                                                                                                                  \
		count(key);                                                                                                                \
		return answer;                                                                                                             \
	}

PROGRAM(on_tracepoint, "tracepoint/syscalls/sys_enter_getppid", 1, 0)
PROGRAM(on_raw_tp, "raw_tp/sched_switch", 2, 0)
PROGRAM(on_tp_btf, "tp_btf/sched_switch", 3, 0)
PROGRAM(on_kprobe, "kprobe/__x64_sys_getppid", 4, 0)
PROGRAM(on_kretprobe, "kretprobe/__x64_sys_getppid", 5, 0)
PROGRAM(on_fentry, "fentry/tcp_connect", 6, 0)
PROGRAM(on_fexit, "fexit/tcp_connect", 7, 0)
PROGRAM(on_socket, "socket", 8, 0)
PROGRAM(on_tc, "classifier", 9, -1)
PROGRAM(on_cgroup_skb, "cgroup_skb/egress", 10, 1)
PROGRAM(on_cgroup_connect, "cgroup/connect4", 11, 1)
PROGRAM(on_sockops, "sockops", 12, 1)
PROGRAM(on_perf_event, "perf_event", 13, 0)
PROGRAM(on_iter, "iter/task", 14, 0)
PROGRAM(on_xdp, "xdp", 15, XDP_PASS)
PROGRAM(on_second_xdp, "xdp", 16, XDP_PASS)
PROGRAM(on_sk_lookup, "sk_lookup", 17, SK_PASS)
PROGRAM(on_lsm, "lsm/file_open", 18, 0)
PROGRAM(on_uprobe_without_target, "uprobe", 19, 0)
