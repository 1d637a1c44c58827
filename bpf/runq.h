// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What kernel half and user half of the run-queue probe share. All times are nanoseconds of CLOCK_MONOTONIC.
#pragma once

#include <linux/types.h>

// Upper bounds of the histogram's buckets; one bucket more has none.
#define RUNQ_BOUNDS 19

// The programs, in the order of runq_counters.verdicts.
enum runq_program { RUNQ_WAKEUP, RUNQ_WAKEUP_NEW, RUNQ_SWITCH, RUNQ_PROGRAMS };

// What one run of a program did. That of a switch is about the task that gets the CPU.
enum runq_verdict {
	RUNQ_RECORDED_START,		    // a task is queued from now on
	RUNQ_RECORDED_WAIT,		    // a task's wait ended and was charged to its control group
	RUNQ_FILTERED_ATTACHING,	    // a switch while not all programs are attached
	RUNQ_FILTERED_IDLE,		    // nobody gets the CPU
	RUNQ_FILTERED_STILL_QUEUED,	    // woken while it was queued since it lost the CPU
	RUNQ_FILTERED_QUEUED_BEFORE_ATTACH, // gets the CPU, queued before all were attached
	RUNQ_FILTERED_NOT_SELECTED,	    // gets the CPU, and is not one of those to be watched
	RUNQ_LOST_TASKS_FULL,		    // queued, and there is no room to remember since when
	RUNQ_LOST_NO_START,		    // gets the CPU, not known since when it was queued
	RUNQ_LOST_CLOCK_BACKWARDS,	    // gets the CPU before it was queued
	RUNQ_LOST_SERIES_FULL,		    // gets the CPU, and there is no room for its control group
	RUNQ_VERDICTS
};

// Why a task lost the CPU although it could have gone on.
enum runq_class {
	RUNQ_NOT_PREEMPTED,
	RUNQ_SAME,	// to a task of its own control group
	RUNQ_OTHER,	// to another control group
	RUNQ_SYSTEM,	// to kernel threads alone, or to a task of the root control group
	RUNQ_THROTTLED, // to the limit of its own control group, or of one above
	RUNQ_CLASSES
};

// A task that was seen, by the address of its task_struct: no other has it until the task's last switch.
struct runq_task {
	__u64 queued_ns; // 0: not queued
	__u64 culprit;	 // control group that took the CPU, with the classes SAME and OTHER
	__u32 slot;	 // where its last wait was counted; its next is probably of the same series
	__u16 class;
	__u8 going_to_sleep; // lost the CPU on its way to sleep: a wakeup does not queue it anew
	__u8 selected;	     // was to be watched when it was last given the CPU
};
_Static_assert(sizeof(struct runq_task) == 24, "runq_task");

// Where the one task is that has this place.
struct runq_place {
	__u64 owner;  // address of the task; 0: nobody's
	__u64 claims; // tasks that have it or reach for it
	struct runq_task task;
};
_Static_assert(sizeof(struct runq_place) == 40, "runq_place");

// Whose waits, and who took the CPU when they began; without a culprit, and class NOT_PREEMPTED, for waits
// that began with a wakeup.
struct runq_series {
	__u64 victim;
	__u64 culprit;
	__u64 class;
};
_Static_assert(sizeof(struct runq_series) == 24, "runq_series");

struct runq_waits {
	struct runq_series series; // whose; zero until this CPU has counted one
	__u64 buckets[RUNQ_BOUNDS + 1];
	__u64 sum_ns;
	__u64 longest_ns;
	__u64 shortest_flipped_ns; // all bits inverted, so that 0 says there was none
	__u64 unmeasured;	   // waits that ended and whose length is not known
};
_Static_assert(sizeof(struct runq_waits) == (RUNQ_BOUNDS + 8) * 8, "runq_waits");

// Who lost this CPU to a kernel thread, until it is known who has it next.
struct runq_displaced {
	__u64 task; // address of the task; 0: nobody
	__u64 queued_ns;
	__u64 cgroup;
};
_Static_assert(sizeof(struct runq_displaced) == 24, "runq_displaced");

struct runq_counters {
	__u64 verdicts[RUNQ_PROGRAMS][RUNQ_VERDICTS];
	__u64 voluntary;
	__u64 involuntary;
	__u64 tasks_added;
	__u64 tasks_removed;
	__u64 requeues_lost; // lost the CPU, and there is no room to remember when
	__u64 culprits_lost; // waits that were counted without their culprit, for which there is no room
	__u64 events_lost;   // waits that were to be reported one by one
};
_Static_assert(sizeof(struct runq_counters) == (RUNQ_PROGRAMS * RUNQ_VERDICTS + 7) * 8, "runq_counters");

// What each CPU has for itself.
struct runq_cpu {
	struct runq_counters count;
	struct runq_displaced displaced;
};
_Static_assert(sizeof(struct runq_cpu) == sizeof(struct runq_counters) + 24, "runq_cpu");

// One long wait.
struct runq_event {
	__u64 ended_ns;
	__u64 wait_ns;
	__u64 cgroup;
	__u32 thread;
	__u8 command[16];
	__u32 zero;
};
_Static_assert(sizeof(struct runq_event) == 48, "runq_event");
