// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A program that kills whoever makes it run: the checking process.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

SEC("tracepoint/syscalls/sys_enter_getppid")
int kill(void *ctx)
{
	return bpf_send_signal(9);
}
