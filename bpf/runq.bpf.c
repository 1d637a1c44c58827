// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Run-queue latency: how long a task that could run waits for a CPU, per control group, and who took the CPU
// from whom. A wait starts when a task is woken or created, or loses the CPU while it could go on; it ends
// when the task gets the CPU. Its length is charged to the control group the task is in at that moment.
//
// The scheduler's locks order everything that happens to one task, so its entry needs no lock of its own.
// Entries stay for a task's life: writing into one is several times cheaper than adding and removing it with
// every wait. Where it can, a task has a place in an array, which is found several times faster than an entry of
// a hash map; so have the counts of a series.
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
// There are 1 << (32 - this) places.
const volatile __u32 runq_places_shift;
// Waits of at least this length are reported one by one; 0: none are.
const volatile __u64 runq_event_min_ns;

// Set when a task found no room. Until then a task without an entry was never seen since the probe is
// attached.
__u32 runq_tasks_were_full;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct runq_cpu);
} cpus SEC(".maps");

// When all programs were attached; 0 until then. What one of them alone saw would be half a wait.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} attached_ns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct runq_place);
} places SEC(".maps");

// Tasks whose place another has.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct runq_task);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct runq_waits);
} waits SEC(".maps");

// The slot of each series in `waits`.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct runq_series);
	__type(value, __u32);
} slots SEC(".maps");

// Slots that no series has. User space fills it.
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1024);
	__type(value, __u32);
} free_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

static __always_inline struct runq_cpu *this_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cpus, &zero);
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

// The place that a task may have: the upper bits of the lower half of its address times 2^32 over the golden ratio.
// Half a pointer is a number to the verifier, with which may be reckoned; a whole one stays a pointer.
static __always_inline struct runq_place *place_of(__u64 key)
{
	__u32 half, index;

	asm("%0 = %1" : "=w"(half) : "w"((__u32)key));
	index = half * 0x9e3779b1 >> runq_places_shift;
	return bpf_map_lookup_elem(&places, &index);
}

static __always_inline struct runq_task *known_task(__u64 key)
{
	struct runq_place *place = place_of(key);

	if (place && place->owner == key)
		return &place->task;
	return bpf_map_lookup_elem(&tasks, &key);
}

// Compare-and-exchange came with Linux 5.12 (5ffa25502b5a); before it an atomic addition does not even tell the
// sum. Who reads 1 after adding 1 is alone: all others who have the place, or reach for it, have added theirs.
// Two that reach for it at once may both go without.
static __always_inline int claim(struct runq_place *place, __u64 key)
{
	__sync_fetch_and_add(&place->claims, 1);
	if (*(volatile __u64 *)&place->claims != 1) {
		__sync_fetch_and_add(&place->claims, -1);
		return 0;
	}
	// Added, not stored: that the last owner took its own away may be seen later than that it gave up its claim.
	__sync_fetch_and_add(&place->owner, key);
	return 1;
}

// Remembers a task that has no entry.
static __always_inline int add_task(struct runq_counters *count, __u64 key, struct runq_task *task)
{
	struct runq_place *place = place_of(key);

	if (place && claim(place, key)) {
		place->task = *task;
	} else if (bpf_map_update_elem(&tasks, &key, task, BPF_NOEXIST)) {
		runq_tasks_were_full = 1;
		return -1;
	}
	count->tasks_added++;
	return 0;
}

static __always_inline void remove_task(struct runq_counters *count, __u64 key)
{
	struct runq_place *place = place_of(key);
	__u64 owner = place ? place->owner : 0;

	if (place && owner == key) {
		// The number is taken away: the compiler may not take the pointer for it, which is the same and may
		// not be negated.
		barrier_var(owner);
		__sync_fetch_and_add(&place->owner, -owner);
		__sync_fetch_and_add(&place->claims, -1);
	} else if (bpf_map_delete_elem(&tasks, &key)) {
		return;
	}
	count->tasks_removed++;
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
	known = known_task(key);
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
	victim = known_task(key);
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
	known = known_task(key);
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

	if (preempted || state == TASK_RUNNING) {
		count->involuntary++;
		requeue(count, displaced, prev, next, state, now_ns);
		return;
	}
	count->voluntary++;
	// Its last switch; after it the address may become another task's.
	if (state & TASK_DEAD)
		remove_task(count, (__u64)prev);
}

// The slot of a series, a new one if it has none. None is left if this gives nothing.
static __always_inline __u32 *slot_of(struct runq_series *series)
{
	__u32 *known = bpf_map_lookup_elem(&slots, series), fresh;

	if (known)
		return known;
	if (bpf_map_pop_elem(&free_slots, &fresh))
		return 0;
	// Where another CPU was faster, its slot is taken. The queue has room for all slots.
	if (bpf_map_update_elem(&slots, series, &fresh, BPF_NOEXIST))
		bpf_map_push_elem(&free_slots, &fresh, 0);
	return bpf_map_lookup_elem(&slots, series);
}

static __always_inline int is_of(struct runq_waits *of_slot, struct runq_series *series)
{
	return of_slot->series.victim == series->victim && of_slot->series.culprit == series->culprit &&
	       of_slot->series.class == series->class;
}

// The counts of a series on this CPU. They are probably where the guess says, which is set right if not.
static __always_inline struct runq_waits *waits_of(struct runq_series *series, __u32 *guess)
{
	struct runq_waits *of_slot = bpf_map_lookup_elem(&waits, guess);
	__u32 *slot;

	if (of_slot && is_of(of_slot, series))
		return of_slot;
	slot = slot_of(series);
	if (!slot)
		return 0;
	*guess = *slot;
	of_slot = bpf_map_lookup_elem(&waits, guess);
	if (of_slot)
		of_slot->series = *series;
	return of_slot;
}

// A wait that finds no room beside its culprit is still one of its control group.
static __always_inline struct runq_waits *
waits_without_culprit(struct runq_counters *count, struct runq_series *series, __u32 *guess)
{
	if (series->class == RUNQ_NOT_PREEMPTED)
		return 0;
	count->culprits_lost++;
	series->culprit = 0;
	series->class = RUNQ_NOT_PREEMPTED;
	return waits_of(series, guess);
}

// A wait ended of which only that is known.
static __always_inline int unmeasured(__u64 cgroup, int reason)
{
	struct runq_series series = {.victim = cgroup};
	__u32 guess = 0;
	struct runq_waits *known = waits_of(&series, &guess);

	if (known)
		known->unmeasured++;
	return reason;
}

// Until the first task found no room, a task without an entry must have been queued since before the probe
// was attached; it gets an entry now, so that this can be said of it once only.
static __always_inline int without_start(struct runq_counters *count, struct task_struct *task,
					 struct runq_task *known, __u64 cgroup)
{
	struct runq_task fresh = {.selected = 1};

	if (!known && !runq_tasks_were_full && add_task(count, (__u64)task, &fresh) == 0)
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
	__u64 cgroup = cgroup_of(next)->kn->id, queued_ns, wait_ns;
	struct runq_task *known = known_task((__u64)next);
	struct runq_series series = {.victim = cgroup};
	struct runq_waits *of_series;

	if (select_by && !is_watched(next, known, cgroup)) {
		if (known)
			known->queued_ns = 0;
		return RUNQ_FILTERED_NOT_SELECTED;
	}
	if (!known || !known->queued_ns)
		return without_start(count, next, known, cgroup);
	queued_ns = known->queued_ns;
	known->queued_ns = 0;
	if (queued_ns < begin_ns)
		return RUNQ_FILTERED_QUEUED_BEFORE_ATTACH;
	wait_ns = now_ns - queued_ns;
	if ((__s64)wait_ns < 0)
		return unmeasured(cgroup, RUNQ_LOST_CLOCK_BACKWARDS);
	series.culprit = known->culprit;
	series.class = known->class;
	of_series = waits_of(&series, &known->slot);
	if (!of_series)
		of_series = waits_without_culprit(count, &series, &known->slot);
	if (!of_series)
		return RUNQ_LOST_SERIES_FULL;
	record(of_series, wait_ns);
	if (runq_event_min_ns && wait_ns >= runq_event_min_ns)
		report(count, next, cgroup, wait_ns, now_ns);
	return RUNQ_RECORDED_WAIT;
}

static __always_inline int exchange(struct runq_cpu *cpu, _Bool preempted, struct task_struct *prev,
				    struct task_struct *next)
{
	__u32 zero = 0;
	__u64 *begin_ns = bpf_map_lookup_elem(&attached_ns, &zero), now_ns;

	if (!begin_ns || !*begin_ns)
		return RUNQ_FILTERED_ATTACHING;
	now_ns = bpf_ktime_get_ns();
	if (cpu->displaced.task)
		blame_successor(&cpu->displaced, next);
	if (is_somebody(prev))
		leave(&cpu->count, &cpu->displaced, preempted, prev, next, now_ns);
	return is_somebody(next) ? arrive(&cpu->count, next, *begin_ns, now_ns) : RUNQ_FILTERED_IDLE;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(runq_wakeup, struct task_struct *task)
{
	struct runq_cpu *cpu = this_cpu();

	if (cpu)
		cpu->count.verdicts[RUNQ_WAKEUP][start(&cpu->count, task, ctx)]++;
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(runq_wakeup_new, struct task_struct *task)
{
	struct runq_cpu *cpu = this_cpu();

	if (cpu)
		cpu->count.verdicts[RUNQ_WAKEUP_NEW][start(&cpu->count, task, ctx)]++;
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(runq_switch, _Bool preempted, struct task_struct *prev, struct task_struct *next)
{
	struct runq_cpu *cpu = this_cpu();

	if (cpu)
		cpu->count.verdicts[RUNQ_SWITCH][exchange(cpu, preempted, prev, next)]++;
	return 0;
}
