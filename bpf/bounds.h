// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Variable lengths in a form that the oldest kernel verifiers can follow.
#ifndef PROBELAB_BOUNDS_H
#define PROBELAB_BOUNDS_H

#include <linux/types.h>

#include <bpf/bpf_helpers.h>

// `bytes`, not zero, as a number from 1 to `limit`, a power of two. The verifiers of 5.10 and 6.1 learn nothing
// from a comparison with zero, so both bounds come from arithmetic.
static __always_inline __u32 within(__u32 bytes, __u32 limit)
{
	__u32 last = bytes - 1;

	asm volatile("" : "+r"(last)); // or the compiler folds the bounds away again
	return (last & (limit - 1)) + 1;
}

#endif
