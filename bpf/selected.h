// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Whether a task is among those that a probe was told to watch: by its control group, by the file of its program, or both.
// User space keeps the two maps up to date. `select_by` is a constant, so that the verifier takes all of it out of a probe
// that watches everybody; to be asked for before is_selected, whose arguments may cost something.
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "kernel.h"
#include "select.h"

const volatile __u32 select_by;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u8);
} selected_cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct select_program);
	__type(value, __u8);
} selected_programs SEC(".maps");

// Read by copies, which needs no word on what may be NULL: a kernel thread has no memory, and its "file" is 0 of 0.
static __always_inline int program_is_selected(struct task_struct *task)
{
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);
	struct select_program program = {};

	if (!inode)
		return 0;
	program.device = BPF_CORE_READ(inode, i_sb, s_dev);
	program.inode = BPF_CORE_READ(inode, i_ino);
	return bpf_map_lookup_elem(&selected_programs, &program) != 0;
}

static __always_inline int is_selected(struct task_struct *task, __u64 cgroup)
{
	if ((select_by & SELECT_BY_CGROUP) && !bpf_map_lookup_elem(&selected_cgroups, &cgroup))
		return 0;
	return !(select_by & SELECT_BY_PROGRAM) || program_is_selected(task);
}
