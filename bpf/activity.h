// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What the activity probe's two halves share.
#ifndef PROBELAB_ACTIVITY_H
#define PROBELAB_ACTIVITY_H

#include <linux/types.h>

// Numbers of system calls that may have a class of their own; those beyond are of class OTHER.
#define ACTIVITY_NUMBERS 512
// Results beyond: an error of the kernel's own, with which a call is interrupted (ERESTARTSYS, 512, to 516).
#define ACTIVITY_INTERRUPTED 512

// Every run of a program ends in exactly one of these.
enum activity_verdict {
	ACTIVITY_RECORDED_EXEC,
	ACTIVITY_RECORDED_OPEN,
	ACTIVITY_RECORDED_SYSCALL,
	ACTIVITY_FILTERED_OTHER_CALL,    // a call's end that is of no interest
	ACTIVITY_FILTERED_EXEC_RETURNED, // a successful exec's end: it is counted where the program was changed
	ACTIVITY_FILTERED_COMPAT,	 // a call by the numbers of another ABI (32-bit, x32)
	ACTIVITY_LOST_CGROUPS_FULL,
	ACTIVITY_LOST_RESULTS_FULL,
	ACTIVITY_VERDICTS,
};

enum activity_class {
	ACTIVITY_CLASS_OTHER,
	ACTIVITY_CLASS_FILE,
	ACTIVITY_CLASS_NETWORK,
	ACTIVITY_CLASS_PROCESS,
	ACTIVITY_CLASS_MEMORY,
	ACTIVITY_CLASS_TIME,
	ACTIVITY_CLASSES,
};

enum activity_action { ACTIVITY_EXEC, ACTIVITY_OPEN };

// What a control group did, and how it ended.
struct activity_result {
	__u64 cgroup;
	__u32 action; // enum activity_action
	__u32 error;  // 0, a number of errno, or ACTIVITY_INTERRUPTED
};
_Static_assert(sizeof(struct activity_result) == 16, "activity_result");

// System calls of a control group.
struct activity_classes {
	__u64 calls[ACTIVITY_CLASSES];
};
_Static_assert(sizeof(struct activity_classes) == 8 * 6, "activity_classes");

struct activity_counters {
	__u64 verdicts[ACTIVITY_VERDICTS];
};
_Static_assert(sizeof(struct activity_counters) == 8 * 8, "activity_counters");

#endif
