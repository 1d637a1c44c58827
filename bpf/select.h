// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What both halves of every probe that can be told whom to watch share.
#pragma once

#include <linux/types.h>

// What is asked of a task; bits of `select_by`. None: every task will do, and asking costs nothing.
enum select_by { SELECT_BY_CGROUP = 1, SELECT_BY_PROGRAM = 2 };

// A program's file: device number as the kernel has it, and inode number.
struct select_program {
	__u64 device;
	__u64 inode;
};
_Static_assert(sizeof(struct select_program) == 16, "select_program");
