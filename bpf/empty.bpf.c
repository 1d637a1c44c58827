// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A socket filter that does nothing. Attached beside a real probe it shows what a hook costs before any probe logic.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

SEC("socket")
int empty(struct __sk_buff *skb)
{
	return 0;
}
