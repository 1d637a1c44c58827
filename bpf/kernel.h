// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The few kernel types that are read, with only the fields that are; the loader finds their places (CO-RE).
#pragma once

#include <linux/types.h>

// When a packet was received, CLOCK_REALTIME in nanoseconds, if any socket asked for receive stamps (struct sk_buff,
// include/linux/skbuff.h; the field is in an anonymous union since 4.20).
struct sk_buff {
	__s64 tstamp;
} __attribute__((preserve_access_index));
