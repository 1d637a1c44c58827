// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What the kernel half and the Rust half of the XDP blocklist share. Rust reads this file through bindgen, so
// nothing here is declared a second time.
#ifndef PROBELAB_BLOCKLIST_H
#define PROBELAB_BLOCKLIST_H

#include <linux/types.h>

// VLAN tags that are passed over.
#define BLOCKLIST_MAX_TAGS 2
// Expired entries that are passed over on the way from the longest prefix to a shorter one that is in force.
#define BLOCKLIST_MAX_EXPIRED 8
// Counters more than entries: those of a removed entry rest before they are used for another one, so that a
// packet on its way through the program is not counted for the wrong one.
#define BLOCKLIST_SPARE_SLOTS 256

// What is done with the packets of an entry.
enum blocklist_action {
	BLOCKLIST_ACTION_DROP,
	BLOCKLIST_ACTION_TX, // back out of the interface it came in by, with the link-layer addresses swapped
	BLOCKLIST_ACTION_PASS,
};

// Every run of the program ends in exactly one of these. Recorded ones found an entry in force.
enum blocklist_verdict {
	BLOCKLIST_RECORDED_DROP,
	BLOCKLIST_RECORDED_TX,
	// a frame to a group must not be sent back: its sender would be a group
	BLOCKLIST_RECORDED_TX_GROUP,
	BLOCKLIST_RECORDED_PASS,
	BLOCKLIST_RECORDED_SHADOW,
	// filtered: no entry in force says anything about it
	BLOCKLIST_FILTERED_NO_MATCH,
	BLOCKLIST_FILTERED_EXPIRED,
	BLOCKLIST_FILTERED_ARP,
	BLOCKLIST_FILTERED_NEIGHBOUR_DISCOVERY,
	BLOCKLIST_FILTERED_NOT_IP,
	// filtered: the address cannot be read; the manifest says what is done with these
	BLOCKLIST_FILTERED_TRUNCATED,
	BLOCKLIST_FILTERED_MALFORMED,
	BLOCKLIST_FILTERED_TAGS,
	// lost: more expired entries on top of each other than are passed over
	BLOCKLIST_LOST_EXPIRED,
	BLOCKLIST_LOST_INTERNAL,
	BLOCKLIST_VERDICTS,
};

struct blocklist_entry {
	__u64 expires_ns; // CLOCK_MONOTONIC; 0: never
	__u32 slot;       // of its counters
	__u8 action;      // enum blocklist_action
	__u8 shadow;      // count, and let pass
	__u8 prefix_bits; // its own length
	__u8 pad;
};
_Static_assert(sizeof(struct blocklist_entry) == 16, "blocklist_entry");

struct blocklist_count {
	__u64 packets;
	__u64 bytes; // of the frame, without its checksum
};
_Static_assert(sizeof(struct blocklist_count) == 16, "blocklist_count");

struct blocklist_counters {
	struct blocklist_count verdicts[BLOCKLIST_VERDICTS];
};
_Static_assert(sizeof(struct blocklist_counters) == 16 * 15, "blocklist_counters");

#endif
