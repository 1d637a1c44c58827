// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What the exit probe's two halves share.
#ifndef PROBELAB_EXITS_H
#define PROBELAB_EXITS_H

#include <linux/types.h>

// Every run of the program ends in exactly one of these.
enum exits_verdict {
	EXITS_RECORDED_PROCESS,
	EXITS_FILTERED_THREAD,	// a thread whose process lives on
	EXITS_FILTERED_COUNTED, // one of the last threads, whose process was counted with another of them
	EXITS_LOST_COUNTED_FULL,
	EXITS_LOST_ENDS_FULL,
	EXITS_VERDICTS,
};

enum exits_by { EXITS_BY_STATUS, EXITS_BY_SIGNAL };

// How a process of a control group ended.
struct exits_end {
	__u64 cgroup;
	__u32 by;   // enum exits_by
	__u32 code; // the status, or the signal's number
};
_Static_assert(sizeof(struct exits_end) == 16, "exits_end");

// A process. Numbers are used again, but not with the same time.
struct exits_process {
	__u64 started_ns;
	__u64 number;
};
_Static_assert(sizeof(struct exits_process) == 16, "exits_process");

struct exits_counters {
	__u64 verdicts[EXITS_VERDICTS];
};
_Static_assert(sizeof(struct exits_counters) == 8 * 5, "exits_counters");

#endif
