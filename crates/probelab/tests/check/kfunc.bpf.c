// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A function that no kernel lends.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

extern int no_such_kernel_function(void) __ksym;

SEC("tc")
int lent(struct __sk_buff *skb)
{
	return no_such_kernel_function();
}
