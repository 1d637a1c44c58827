// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What the kernel half and the Rust half of the connect probe share: layouts, limits and names of counters.
// Rust reads this file through bindgen, so nothing here is declared a second time. No logic lives here.
#ifndef PROBELAB_CONNECT_H
#define PROBELAB_CONNECT_H

#include <linux/types.h>

// Upper bounds of the duration buckets; one more bucket holds everything above.
#define CONNECT_BOUNDS 16
#define CONNECT_BUCKETS (CONNECT_BOUNDS + 1)
// Numbers of repeated SYNs told apart: 0, 1, 2 and 3 or more.
#define CONNECT_RETRANSMIT_CLASSES 4
#define CONNECT_COMM_BYTES 16

// How an attempt ends. Exactly one of these per attempt.
enum connect_outcome {
	CONNECT_SUCCESS,     // established
	CONNECT_REFUSED,     // answered by a reset, or by "port unreachable"
	CONNECT_TIMEOUT,     // the kernel gave up waiting
	CONNECT_UNREACHABLE, // a router or host said so
	CONNECT_RESET,       // reset after both sides' SYNs crossed
	CONNECT_ABORTED,     // given up by this side: close(2), shutdown(2), `ss -K`
	CONNECT_UNSENT,      // failed in connect(2) before any SYN went out: no local port
	CONNECT_OTHER,
	CONNECT_OUTCOMES,
};

// Every run of either program ends in exactly one of these.
enum connect_verdict {
	// filtered: looked at and of no interest
	CONNECT_FILTERED_NOT_TCP,
	CONNECT_FILTERED_OTHER_CHANGE,  // listening, closing, ...
	CONNECT_FILTERED_PASSIVE,       // the accepting side
	CONNECT_FILTERED_UNKNOWN_START, // began before the probe was attached, or its beginning was lost
	CONNECT_FILTERED_RESTORED,      // put in place by TCP_REPAIR: nothing was sent
	CONNECT_FILTERED_SEEN,          // by the other program
	// recorded
	CONNECT_RECORDED_START,
	CONNECT_RECORDED_CROSSED, // both sides' SYNs crossed; the end is still to come
	CONNECT_RECORDED_END,
	// lost
	CONNECT_LOST_MAP_FULL,    // a beginning without room
	CONNECT_LOST_SERIES_FULL, // an end without room
	CONNECT_VERDICTS,
};

// An attempt that has not ended. Who began it is known only here: the end runs in whatever process was
// interrupted.
struct connect_attempt {
	__u64 start_ns;
	__u64 cgroup; // 0 when not asked for
	__u32 pid;    // of the process, not the thread
	__u8 comm[CONNECT_COMM_BYTES];
	__u8 fastopen; // the SYN may go out later, with the first data
	__u8 crossed;  // both sides' SYNs have crossed
	__u8 pad[2];
};
_Static_assert(sizeof(struct connect_attempt) == 40, "connect_attempt");

struct connect_series {
	__u64 cgroup;
	__u8 outcome;     // enum connect_outcome
	__u8 family;      // 4 or 6; an IPv4 address in IPv6 form is 4
	__u8 retransmits; // below CONNECT_RETRANSMIT_CLASSES
	__u8 pad[5];
};
_Static_assert(sizeof(struct connect_series) == 16, "connect_series");

struct connect_histogram {
	__u64 duration_sum_ns;
	__u64 retransmits;
	__u64 slow;
	__u64 buckets[CONNECT_BUCKETS];
};
_Static_assert(sizeof(struct connect_histogram) == 160, "connect_histogram");

struct connect_counters {
	__u64 verdicts[CONNECT_VERDICTS];
	__u64 stale;       // attempts whose end was not seen before their socket began another
	__u64 events_lost; // events that the ring buffer had no room for
	__u64 refused;     // no count: the socket that the first program last had no room for
};
_Static_assert(sizeof(struct connect_counters) == 8 * (11 + 3), "connect_counters");

// One ended attempt.
struct connect_event {
	__u64 start_ns;
	__u64 duration_ns;
	__u64 cgroup;
	__u8 local[16]; // IPv4: the first four bytes, the rest zero
	__u8 remote[16];
	__u32 pid;
	__u32 network_namespace; // inode number
	__u32 interface;         // index the socket is bound to, or 0
	__u32 retransmits;
	__u16 local_port; // host byte order
	__u16 remote_port;
	__u8 family;
	__u8 outcome;
	__u8 pad[2];
	__u8 comm[CONNECT_COMM_BYTES];
};
_Static_assert(sizeof(struct connect_event) == 96, "connect_event");

#endif
