// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What the call counter's two halves share.
#ifndef PROBELAB_CALLS_H
#define PROBELAB_CALLS_H

#include <linux/types.h>

// Every run of a program ends in exactly one of these.
enum calls_verdict {
	CALLS_RECORDED_CALL,
	CALLS_FILTERED_STIMULUS, // the daemon's own, to see that such a hook fires here
	CALLS_FILTERED_NOT_SELECTED, // by a process that is not to be watched
	CALLS_LOST_MAP_FULL,
	CALLS_VERDICTS,
};

// Whose calls a counter holds.
struct calls_key {
	__u64 cgroup;
	__u32 process; // its thread group, as the initial PID namespace numbers it; 0: not told apart
	__u32 pad;
};
_Static_assert(sizeof(struct calls_key) == 16, "calls_key");

struct calls_counters {
	__u64 verdicts[CALLS_VERDICTS];
};
_Static_assert(sizeof(struct calls_counters) == 8 * 4, "calls_counters");

#endif
