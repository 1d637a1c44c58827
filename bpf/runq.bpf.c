// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Run-queue latency: how long a task that could run waits for a CPU, per control group, and who took the CPU
// from whom. A wait starts when a task is woken or created, or loses the CPU while it could go on; it ends
// when the task gets the CPU. Its length is charged to the control group the task is in at that moment.
//
// The scheduler's locks order everything that happens to one task, so its entry needs no lock of its own.
// Entries stay for a task's life: writing into one is several times cheaper than adding and removing it with
// every wait.
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "drift.h"
#include "kernel.h"
#include "runq.h"
#include "selected.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// include/linux/sched.h
#define TASK_RUNNING 0
#define TASK_DEAD 0x80
#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000

const volatile __u64 runq_bounds_ns[RUNQ_BOUNDS];
// Waits of at least this length are reported one by one; 0: none are.
const volatile __u64 runq_event_min_ns;

// Set when a task found no room. Until then a task without an entry was never seen since the probe is
// attached.
__u32 runq_tasks_were_full;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct runq_counters);
} counters SEC(".maps");

// When all programs were attached; 0 until then. What one of them alone saw would be half a wait.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} attached_ns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct runq_displaced);
} displaced_tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct runq_task);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct runq_series);
	__type(value, struct runq_waits);
} waits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

static __always_inline struct runq_counters *this_counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

// The idle task, whose pid is 0, is nobody: it neither waits nor takes the CPU from anyone.
static __always_inline int is_somebody(struct task_struct *task)
{
#ifdef MUTANT_COUNT_IDLE
	return 1;
#endif
	return task->pid != 0;
}

static __always_inline struct cgroup *cgroup_of(struct task_struct *task)
{
	return task->cgroups->dfl_cgrp;
}

static __always_inline int bucket(__u64 wait_ns)
{
	int i = 0;

	// Most waits are short, most long ones very long: one look at the middle saves half of the others.
	if (wait_ns <= runq_bounds_ns[RUNQ_BOUNDS / 2]) {
#pragma unroll
		for (i = 0; i < RUNQ_BOUNDS / 2; i++)
			if (wait_ns <= runq_bounds_ns[i])
				break;
	} else {
#pragma unroll
		for (i = RUNQ_BOUNDS / 2 + 1; i < RUNQ_BOUNDS; i++)
			if (wait_ns <= runq_bounds_ns[i])
				break;
	}
#ifdef MUTANT_BUCKET
	// The bucket's lower bound taken for its upper one.
	if (i > 0)
		return i - 1;
#endif
	return i;
}

// Remembers a task that has no entry.
static __always_inline int add_task(struct runq_counters *count, __u64 key, struct runq_task *task)
{
	if (bpf_map_update_elem(&tasks, &key, task, BPF_NOEXIST)) {
		runq_tasks_were_full = 1;
		return -1;
	}
	count->tasks_added++;
	return 0;
}

// A task is queued because it was woken or created. A stamp that is there already is overwritten, with one
// exception: a task that lost the CPU on its way to sleep is still queued. (A task may also be woken while it
// has the CPU; the stamp is then overwritten when it leaves the CPU while it could go on, or else by its next
// wakeup.)
static __always_inline int start(struct runq_counters *count, struct task_struct *task, void *context)
{
	__u64 key = (__u64)task;
	struct runq_task *known;

#ifdef MUTANT_RAW_CAST
	// The hook's arguments taken for the task itself: what is read lies somewhere on the stack.
	key = BPF_CORE_READ((struct task_struct *)context, pid);
#endif
	known = bpf_map_lookup_elem(&tasks, &key);
	if (!known) {
		struct runq_task fresh = {.queued_ns = bpf_ktime_get_ns()};

		return add_task(count, key, &fresh) ? RUNQ_LOST_TASKS_FULL : RUNQ_RECORDED_START;
	}
	if (known->queued_ns && known->going_to_sleep)
		return RUNQ_FILTERED_STILL_QUEUED;
	known->queued_ns = bpf_ktime_get_ns();
	known->culprit = 0;
	known->class = RUNQ_NOT_PREEMPTED;
	known->going_to_sleep = 0;
	return RUNQ_RECORDED_START;
}

static __always_inline void classify(struct runq_task *victim, __u64 cgroup, struct task_struct *next)
{
	struct cgroup *of_next = cgroup_of(next);
	__u64 culprit = of_next->kn->id;

	if ((next->flags & PF_KTHREAD) || (culprit != cgroup && of_next->level == 0)) {
		victim->culprit = 0;
		victim->class = RUNQ_SYSTEM;
		return;
	}
	victim->culprit = culprit;
	victim->class = culprit == cgroup ? RUNQ_SAME : RUNQ_OTHER;
}

// Kernel threads often have the CPU for some microseconds only, and then it goes to another task than before.
// That task is the one to blame. The victim may have found another CPU meanwhile; its stamp says whether it
// is still this wait.
static __always_inline void blame_successor(struct runq_displaced *displaced, struct task_struct *next)
{
	__u64 key = displaced->task;
	struct runq_task *victim;

	if (is_somebody(next) && (next->flags & PF_KTHREAD))
		return;
	displaced->task = 0;
	if (!is_somebody(next) || key == (__u64)next)
		return;
	victim = bpf_map_lookup_elem(&tasks, &key);
	if (victim && victim->queued_ns == displaced->queued_ns)
		classify(victim, displaced->cgroup, next);
}

static __always_inline void lost_to(struct runq_task *victim, struct task_struct *prev,
				    struct task_struct *next)
{
	victim->culprit = 0;
	if (task_throttled(prev))
		victim->class = RUNQ_THROTTLED;
	else if (!is_somebody(next))
		// Nobody took the CPU: the scheduler is about to move the task.
		victim->class = RUNQ_NOT_PREEMPTED;
	else
		classify(victim, cgroup_of(prev)->kn->id, next);
}

// A task loses the CPU and is queued again at once.
static __always_inline void requeue(struct runq_counters *count, struct runq_displaced *displaced,
				    struct task_struct *prev, struct task_struct *next, __u32 state,
				    __u64 now_ns)
{
	struct runq_task fresh = {.queued_ns = now_ns, .going_to_sleep = state != TASK_RUNNING};
	__u64 key = (__u64)prev;
	struct runq_task *known;

#ifdef MUTANT_WAKEUP_ONLY
	// Who is not woken never waits.
	return;
#endif
	known = bpf_map_lookup_elem(&tasks, &key);
	if (!known) {
		lost_to(&fresh, prev, next);
		if (add_task(count, key, &fresh))
			count->requeues_lost++;
		return;
	}
	known->queued_ns = now_ns;
	known->going_to_sleep = fresh.going_to_sleep;
	lost_to(known, prev, next);
	if (known->class == RUNQ_SYSTEM && !displaced->task) {
		displaced->task = key;
		displaced->queued_ns = now_ns;
		displaced->cgroup = cgroup_of(prev)->kn->id;
	}
}

// Who had the CPU leaves it. Read here, under the lock of the queue, `__state` says what really happens: the
// tracepoint's own copy of it (since 5.18, fa2c3254d7cf) kept, until 6.16 (8feb053d5319), the state from before
// a pending signal undid the sleep. A wakeup that races with the switch shows as TASK_WAKING, which is not
// TASK_RUNNING.
static __always_inline void leave(struct runq_counters *count, struct runq_displaced *displaced,
				  _Bool preempted, struct task_struct *prev, struct task_struct *next,
				  __u64 now_ns)
{
	__u32 state = task_state(prev);
	__u64 key = (__u64)prev;

	if (preempted || state == TASK_RUNNING) {
		count->involuntary++;
		requeue(count, displaced, prev, next, state, now_ns);
		return;
	}
	count->voluntary++;
	// Its last switch; after it the address may become another task's.
	if ((state & TASK_DEAD) && bpf_map_delete_elem(&tasks, &key) == 0)
		count->tasks_removed++;
}

static __always_inline struct runq_waits *waits_of(struct runq_series *series)
{
	struct runq_waits *known = bpf_map_lookup_elem(&waits, series);

	if (!known) {
		struct runq_waits fresh = {};

		bpf_map_update_elem(&waits, series, &fresh, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&waits, series);
	}
	return known;
}

// A wait that finds no room beside its culprit is still one of its control group.
static __always_inline struct runq_waits *waits_without_culprit(struct runq_counters *count,
								struct runq_series *series)
{
	if (series->class == RUNQ_NOT_PREEMPTED)
		return 0;
	count->culprits_lost++;
	series->culprit = 0;
	series->class = RUNQ_NOT_PREEMPTED;
	return waits_of(series);
}

// A wait ended of which only that is known.
static __always_inline int unmeasured(__u64 cgroup, int reason)
{
	struct runq_series series = {.victim = cgroup};
	struct runq_waits *known = waits_of(&series);

	if (known)
		known->unmeasured++;
	return reason;
}

// Until the first task found no room, a task without an entry must have been queued since before the probe
// was attached; it gets an entry now, so that this can be said of it once only.
static __always_inline int without_start(struct runq_counters *count, __u64 key, struct runq_task *known,
					 __u64 cgroup)
{
	struct runq_task fresh = {.selected = 1};

	if (!known && !runq_tasks_were_full && add_task(count, key, &fresh) == 0)
		return RUNQ_FILTERED_QUEUED_BEFORE_ATTACH;
	return unmeasured(cgroup, RUNQ_LOST_NO_START);
}

static __always_inline void report(struct runq_counters *count, struct task_struct *task, __u64 cgroup,
				   __u64 wait_ns, __u64 now_ns)
{
	// User space takes events when it is asked for metrics, and has to be woken only before they
	// overflow.
	__u64 used = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
	__u64 size = bpf_ringbuf_query(&events, BPF_RB_RING_SIZE);
	struct runq_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count->events_lost++;
		return;
	}
	event->ended_ns = now_ns;
	event->wait_ns = wait_ns;
	event->cgroup = cgroup;
	event->thread = task->pid;
	event->zero = 0;
	bpf_probe_read_kernel(event->command, sizeof(event->command), task->comm);
	bpf_ringbuf_submit(event, used > size / 2 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

static __always_inline void record(struct runq_waits *of_series, __u64 wait_ns)
{
	of_series->buckets[bucket(wait_ns)]++;
	of_series->sum_ns += wait_ns;
	if (wait_ns > of_series->longest_ns)
		of_series->longest_ns = wait_ns;
	if (~wait_ns > of_series->shortest_flipped_ns)
		of_series->shortest_flipped_ns = ~wait_ns;
}

// A task that ends gives its memory back, and with it what tells its program, but may still be queued: what was
// known of it holds to its last wait.
static __always_inline int is_watched(struct task_struct *task, struct runq_task *known, __u64 cgroup)
{
	int selected;

	if (known && (task->flags & PF_EXITING))
		return known->selected;
	selected = is_selected(task, cgroup);
	if (known)
		known->selected = selected;
	return selected;
}

// A task gets the CPU: its wait ends.
static __always_inline int arrive(struct runq_counters *count, struct task_struct *next, __u64 begin_ns,
				  __u64 now_ns)
{
	__u64 key = (__u64)next, cgroup = cgroup_of(next)->kn->id, queued_ns, wait_ns;
	struct runq_task *known = bpf_map_lookup_elem(&tasks, &key);
	struct runq_series series = {.victim = cgroup};
	struct runq_waits *of_series;

	if (select_by && !is_watched(next, known, cgroup)) {
		if (known)
			known->queued_ns = 0;
		return RUNQ_FILTERED_NOT_SELECTED;
	}
	if (!known || !known->queued_ns)
		return without_start(count, key, known, cgroup);
	queued_ns = known->queued_ns;
	known->queued_ns = 0;
	if (queued_ns < begin_ns)
		return RUNQ_FILTERED_QUEUED_BEFORE_ATTACH;
	wait_ns = now_ns - queued_ns;
	if ((__s64)wait_ns < 0)
		return unmeasured(cgroup, RUNQ_LOST_CLOCK_BACKWARDS);
	series.culprit = known->culprit;
	series.class = known->class;
	of_series = waits_of(&series);
	if (!of_series)
		of_series = waits_without_culprit(count, &series);
	if (!of_series)
		return RUNQ_LOST_SERIES_FULL;
	record(of_series, wait_ns);
	if (runq_event_min_ns && wait_ns >= runq_event_min_ns)
		report(count, next, cgroup, wait_ns, now_ns);
	return RUNQ_RECORDED_WAIT;
}

static __always_inline int exchange(struct runq_counters *count, _Bool preempted, struct task_struct *prev,
				    struct task_struct *next)
{
	__u32 zero = 0;
	__u64 *begin_ns = bpf_map_lookup_elem(&attached_ns, &zero), now_ns;
	struct runq_displaced *displaced = bpf_map_lookup_elem(&displaced_tasks, &zero);

	if (!begin_ns || !*begin_ns || !displaced)
		return RUNQ_FILTERED_ATTACHING;
	now_ns = bpf_ktime_get_ns();
	if (displaced->task)
		blame_successor(displaced, next);
	if (is_somebody(prev))
		leave(count, displaced, preempted, prev, next, now_ns);
	return is_somebody(next) ? arrive(count, next, *begin_ns, now_ns) : RUNQ_FILTERED_IDLE;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(runq_wakeup, struct task_struct *task)
{
	struct runq_counters *count = this_counters();

	if (count)
		count->verdicts[RUNQ_WAKEUP][start(count, task, ctx)]++;
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(runq_wakeup_new, struct task_struct *task)
{
	struct runq_counters *count = this_counters();

	if (count)
		count->verdicts[RUNQ_WAKEUP_NEW][start(count, task, ctx)]++;
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(runq_switch, _Bool preempted, struct task_struct *prev, struct task_struct *next)
{
	struct runq_counters *count = this_counters();

	if (count)
		count->verdicts[RUNQ_SWITCH][exchange(count, preempted, prev, next)]++;
	return 0;
}
