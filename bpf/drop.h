// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What the kernel half and the Rust half of the drop probe share. Rust reads this file through bindgen, so
// nothing here is declared a second time.
#ifndef PROBELAB_DROP_H
#define PROBELAB_DROP_H

#include <linux/types.h>

// Every run of the program ends in exactly one of these.
enum drop_verdict {
	// recorded: counted by protocol and reason
	DROP_RECORDED_PASSED,
	DROP_RECORDED_DISCARDED,
	// filtered: this machine's own packet on its way out
	DROP_FILTERED_OUTGOING,
	DROP_VERDICTS,
};

// What a packet carries.
enum drop_protocol {
	DROP_PROTOCOL_TCP,
	DROP_PROTOCOL_UDP,
	DROP_PROTOCOL_ICMP,
	DROP_PROTOCOL_ICMPV6,
	DROP_PROTOCOL_IGMP,
	DROP_PROTOCOL_SCTP,
	DROP_PROTOCOL_GRE,
	DROP_PROTOCOL_ESP,
	DROP_PROTOCOL_OTHER_IP,
	DROP_PROTOCOL_ARP,
	DROP_PROTOCOL_NOT_IP,
	// cut off before it says what it carries
	DROP_PROTOCOL_UNREADABLE,
	DROP_PROTOCOLS,
};

// Why a packet is discarded.
enum drop_reason {
	DROP_REASON_NONE, // it is not: a whole TCP segment
	DROP_REASON_PROTOCOL,
	DROP_REASON_EXTENSIONS, // more IPv6 extension headers than are followed
	DROP_REASON_FRAGMENT,
	DROP_REASON_TRUNCATED, // or with a header that contradicts itself
	DROP_REASONS,
};

// Powers of two, so that a place in the table is bounded by a mask.
#define DROP_PROTOCOL_SLOTS 16
#define DROP_REASON_SLOTS 8
#define DROP_SLOTS (DROP_PROTOCOL_SLOTS * DROP_REASON_SLOTS)
_Static_assert(DROP_PROTOCOLS <= DROP_PROTOCOL_SLOTS, "protocols");
_Static_assert(DROP_REASONS <= DROP_REASON_SLOTS, "reasons");

struct drop_count {
	__u64 packets;
	__u64 bytes; // from the network header to the end of the frame
};
_Static_assert(sizeof(struct drop_count) == 16, "drop_count");

struct drop_counters {
	struct drop_count table[DROP_SLOTS]; // at protocol * DROP_REASON_SLOTS + reason
	__u64 verdicts[DROP_VERDICTS];
};
_Static_assert(sizeof(struct drop_counters) == 16 * 128 + 8 * 3, "drop_counters");

#endif
