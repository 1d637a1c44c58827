// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Latency and outcome of every TCP connection attempt of this machine, from the one tracepoint that every
// change of a socket's state passes. An attempt begins when its socket goes from CLOSE to SYN_SENT, which
// connect(2) does in the caller's context, and ends when it leaves SYN_SENT (or SYN_RECV, when both sides'
// SYNs crossed). The end mostly runs in a softirq on top of an unrelated process: nothing about the current
// process is read there.
//
// The kernel sets sk_err before it closes a socket for an error (tcp_reset, tcp_write_err, tcp_v4_err,
// tcp_v6_err; tcp_done_with_error since 6.10) and leaves it at zero when this side gives up.
//
// Since Linux 6.1 (commit 05b24ff9b2cf) the kernel leaves a tracing program out that is under way on the same
// processor already, and answers come by interrupt. So there are two programs on the tracepoint, one after the
// other, and at least one of them gets every hit of a task and of an interrupt on top of it. The second one, the
// twin, finds out from the attempt whether the first one had the hit: whoever handles a beginning enters the
// attempt, whoever handles an end takes it out, and both run before the socket can change again. Since Linux
// 7.0 a program can be preempted, so that another task's hit may come in between as well and be missed by both:
// at most as often as the kernel counts for the twin.
//
// Needs nothing newer than Linux 5.10.
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "connect.h"
#include "drift.h"
#include "kernel.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// As in the kernel's include/linux/socket.h.
#define AF_INET6 10

const volatile __u64 connect_bounds_ns[CONNECT_BOUNDS];
// An attempt that takes longer is slow; the largest number when none is.
const volatile __u64 connect_slow_ns = ~0ULL;
// Attempts at least this long are reported one by one.
const volatile __u64 connect_event_ns;
const volatile __u8 connect_events;
const volatile __u8 connect_per_cgroup = 1;

// By address of the socket, which is its own until it is freed; its end is seen before that.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct connect_attempt);
} attempts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 512);
	__type(key, struct connect_series);
	__type(value, struct connect_histogram);
} histograms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct connect_counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

#ifdef MUTANT_ONE_PROGRAM
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} under_way SEC(".maps");
#endif

// What all new series start from.
static const struct connect_histogram zero_histogram;

// A run can be interrupted by the twin's, on the same processor and for the same number.
static __always_inline void add(__u64 *number, __u64 count)
{
	__sync_fetch_and_add(number, count);
}

static __always_inline int bucket(__u64 value_ns)
{
	int i;

#pragma unroll
	for (i = 0; i < CONNECT_BOUNDS; i++)
		if (value_ns <= connect_bounds_ns[i])
			break;
#ifdef MUTANT_BUCKET_OFF_BY_ONE
	if (i > 0)
		i--;
#endif
	return i;
}

// An IPv4 address in IPv6 form, ::ffff:a.b.c.d, stands for an IPv4 connection.
static __always_inline int family(struct sock *sk)
{
	struct in6_addr___kernel *remote = &sk->__sk_common.skc_v6_daddr;

	if (sk->__sk_common.skc_family != AF_INET6)
		return 4;
	if (remote->in6_u.u6_addr32[0] == 0 && remote->in6_u.u6_addr32[1] == 0 &&
	    remote->in6_u.u6_addr32[2] == bpf_htonl(0xffff))
		return 4;
	return 6;
}

static __always_inline int failure(int error, __u32 segments_sent)
{
	switch (error) {
	case 0:
		return segments_sent ? CONNECT_ABORTED : CONNECT_UNSENT;
	case ECONNABORTED:
		return CONNECT_ABORTED;
	case ECONNREFUSED:
#ifdef MUTANT_RST_IS_SUCCESS
		return CONNECT_SUCCESS;
#endif
		return CONNECT_REFUSED;
	case ETIMEDOUT:
		return CONNECT_TIMEOUT;
	// The last is ICMPv6's "administratively prohibited"; ICMPv4's becomes EHOSTUNREACH.
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EACCES:
		return CONNECT_UNREACHABLE;
	case ECONNRESET:
		return CONNECT_RESET;
	default:
		return CONNECT_OTHER;
	}
}

static __always_inline void put_addresses(struct connect_event *event, struct sock *sk)
{
	struct sock_common *common = &sk->__sk_common;
	__u32 *local = (__u32 *)event->local;
	__u32 *remote = (__u32 *)event->remote;
	int i;

	__builtin_memset(event->local, 0, sizeof(event->local));
	__builtin_memset(event->remote, 0, sizeof(event->remote));
	if (event->family == 4) {
		local[0] = common->skc_rcv_saddr;
		remote[0] = common->skc_daddr;
		return;
	}
#pragma unroll
	for (i = 0; i < 4; i++) {
		local[i] = common->skc_v6_rcv_saddr.in6_u.u6_addr32[i];
		remote[i] = common->skc_v6_daddr.in6_u.u6_addr32[i];
	}
}

static __always_inline void report(struct sock *sk, struct tcp_sock *tp, struct connect_attempt *attempt,
				   struct connect_series *series, __u64 duration_ns,
				   struct connect_counters *count)
{
	// Waking user space from here would let it run in the middle of this program, and what it does there
	// could interrupt the twin as well. User space looks every second, and is woken only before events overflow.
	__u64 used = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
	__u64 size = bpf_ringbuf_query(&events, BPF_RB_RING_SIZE);
	struct connect_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		add(&count->events_lost, 1);
		return;
	}
	event->start_ns = attempt->start_ns;
	event->duration_ns = duration_ns;
	event->cgroup = attempt->cgroup;
	event->pid = attempt->pid;
	event->network_namespace = sk->__sk_common.skc_net.net->ns.inum;
	event->interface = sk->__sk_common.skc_bound_dev_if;
	event->retransmits = tp->total_retrans;
	event->local_port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	event->remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	event->family = series->family;
	event->outcome = series->outcome;
	event->pad[0] = 0;
	event->pad[1] = 0;
	__builtin_memcpy(event->comm, attempt->comm, sizeof(event->comm));
	put_addresses(event, sk);
	bpf_ringbuf_submit(event, used > size / 2 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

static __always_inline void name_caller(struct connect_attempt *attempt)
{
	attempt->cgroup = connect_per_cgroup ? bpf_get_current_cgroup_id() : 0;
	attempt->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(attempt->comm, sizeof(attempt->comm));
}

static __always_inline int begin(struct sock *sk, struct connect_counters *count, int is_twin)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct connect_attempt attempt = {.start_ns = bpf_ktime_get_ns()};
	__u64 key = (__u64)sk;
	int error;

	if (tp)
		attempt.fastopen = BPF_CORE_READ_BITFIELD(tp, fastopen_connect);
	// A place that has become free since is none for an attempt that was counted as lost.
	if (is_twin && count->refused == key)
		return CONNECT_FILTERED_SEEN;
	name_caller(&attempt);
	error = map_update(&attempts, &key, &attempt, BPF_NOEXIST);
	if (error == -EEXIST && is_twin)
		return CONNECT_FILTERED_SEEN;
	if (error == -EEXIST) {
		add(&count->stale, 1);
		error = map_update(&attempts, &key, &attempt, BPF_ANY);
	}
	if (!is_twin)
		count->refused = error ? key : 0;
	return error ? CONNECT_LOST_MAP_FULL : CONNECT_RECORDED_START;
}

// With TCP_FASTOPEN_CONNECT and a cookie at hand, connect(2) only pretends: the SYN goes out with the first
// data. The kernel's own measure of the one round trip is then the time from SYN to answer.
static __always_inline __u64 duration(struct connect_attempt *attempt, struct tcp_sock *tp, __u64 now_ns)
{
	if (attempt->fastopen && BPF_CORE_READ_BITFIELD(tp, syn_data) && tp->srtt_us)
		return (__u64)(tp->srtt_us >> 3) * 1000;
	return now_ns > attempt->start_ns ? now_ns - attempt->start_ns : 0;
}

static __always_inline int record(struct connect_series *series, __u64 duration_ns, __u32 retransmits)
{
	struct connect_histogram *histogram = bpf_map_lookup_elem(&histograms, series);

	if (!histogram) {
		// Another CPU may be first; what matters is that it is there then.
		bpf_map_update_elem(&histograms, series, &zero_histogram, BPF_NOEXIST);
		histogram = bpf_map_lookup_elem(&histograms, series);
	}
	if (!histogram)
		return CONNECT_LOST_SERIES_FULL;
	add(&histogram->duration_sum_ns, duration_ns);
	if (retransmits)
		add(&histogram->retransmits, retransmits);
	if (duration_ns > connect_slow_ns)
		add(&histogram->slow, 1);
	add(&histogram->buckets[bucket(duration_ns)], 1);
	return CONNECT_RECORDED_END;
}

static __always_inline int end(struct sock *sk, int old_state, int new_state, struct connect_counters *count,
			       int is_twin)
{
	__u64 now_ns = bpf_ktime_get_ns();
	__u64 key = (__u64)sk;
	struct connect_attempt *stored = bpf_map_lookup_elem(&attempts, &key);
	struct connect_attempt attempt;
	struct connect_series series = {};
	struct tcp_sock *tp;
	__u32 retransmits;
	__u64 duration_ns;
	int verdict;

	if (!stored && is_twin)
		return CONNECT_FILTERED_SEEN;
	if (!stored)
		return old_state == BPF_TCP_SYN_RECV ? CONNECT_FILTERED_PASSIVE
						     : CONNECT_FILTERED_UNKNOWN_START;
	if (new_state == BPF_TCP_SYN_RECV && stored->crossed)
		return CONNECT_FILTERED_SEEN;
	if (new_state == BPF_TCP_SYN_RECV) {
		stored->crossed = 1;
		return CONNECT_RECORDED_CROSSED;
	}
	__builtin_memcpy(&attempt, stored, sizeof(attempt));
	// One of the two came in between.
	if (bpf_map_delete_elem(&attempts, &key))
		return CONNECT_FILTERED_SEEN;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return CONNECT_FILTERED_NOT_TCP;
	if (new_state == BPF_TCP_ESTABLISHED && !tp->segs_out)
		return CONNECT_FILTERED_RESTORED;
#ifdef MUTANT_CURRENT_AT_COMPLETION
	name_caller(&attempt);
#endif
	retransmits = tp->total_retrans;
	series.cgroup = attempt.cgroup;
	series.family = family(sk);
	series.outcome = new_state == BPF_TCP_ESTABLISHED ? CONNECT_SUCCESS
							  : failure(sk->sk_err, tp->segs_out);
	series.retransmits = retransmits < CONNECT_RETRANSMIT_CLASSES ? retransmits
								      : CONNECT_RETRANSMIT_CLASSES - 1;
	duration_ns = duration(&attempt, tp, now_ns);
	verdict = record(&series, duration_ns, retransmits);
	if (connect_events && duration_ns >= connect_event_ns)
		report(sk, tp, &attempt, &series, duration_ns, count);
	return verdict;
}

static __always_inline int handle(struct sock *sk, int old_state, int new_state,
				  struct connect_counters *count, int is_twin)
{
	// MPTCP, SCTP and DCCP report their states here, too. A subflow of MPTCP is a TCP socket.
	if (sk->sk_protocol != IPPROTO_TCP)
		return CONNECT_FILTERED_NOT_TCP;
	if (old_state == BPF_TCP_CLOSE && new_state == BPF_TCP_SYN_SENT)
		return begin(sk, count, is_twin);
	if (old_state == BPF_TCP_SYN_SENT || old_state == BPF_TCP_SYN_RECV)
		return end(sk, old_state, new_state, count, is_twin);
	return CONNECT_FILTERED_OTHER_CHANGE;
}

static __always_inline int count_and_handle(struct sock *sk, int old_state, int new_state, int is_twin)
{
	__u32 zero = 0;
	struct connect_counters *count = bpf_map_lookup_elem(&counters, &zero);
	__u32 verdict;
#ifdef MUTANT_ONE_PROGRAM
	__u64 *runs = bpf_map_lookup_elem(&under_way, &zero);

	// As the kernel does it from 6.1 on, for those before.
	if (is_twin || !runs || *runs)
		return 0;
	*runs = 1;
#endif
	// An array always has its first entry.
	if (!count)
		return 0;
	verdict = handle(sk, old_state, new_state, count, is_twin);
	if (verdict < CONNECT_VERDICTS)
		add(&count->verdicts[verdict], 1);
#ifdef MUTANT_ONE_PROGRAM
	*runs = 0;
#endif
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(connect_state, struct sock *sk, int old_state, int new_state)
{
	return count_and_handle(sk, old_state, new_state, 0);
}

// Attached after the other one, so that it runs after it.
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(connect_state_twin, struct sock *sk, int old_state, int new_state)
{
	return count_and_handle(sk, old_state, new_state, 1);
}
