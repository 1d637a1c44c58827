//! Complaints of the kernel that do not end a run: warnings, and what its own checkers find.
//!
//! What does end it (panic, oops, lockup, stall) is the end of the run and told by it. The words are the kernel's:
//! `kernel/panic.c`, `kernel/locking/lockdep.c`, `kernel/rcu/update.c`, `lib/ubsan.c`, `mm/kasan/report.c`,
//! `kernel/kcsan/report.c`, `kernel/rcu/tree_stall.h`.

/// How such a line begins, after its time. Only the kernel writes these words right after a time: what a program
/// prints has none before it.
const BEGINNINGS: [&str; 9] = [
    "WARNING: ",
    "BUG: ",
    "kernel BUG at ",
    "Oops: ",
    "UBSAN: ",
    "general protection fault",
    "INFO: possible ",
    "INFO: suspicious ",
    "INFO: trying to register non-static key",
];
/// Words of a stall, which follow a prefix of their own.
const STALLS: [&str; 3] = [
    "detected stalls on CPUs",
    "self-detected stall on CPU",
    "kthread starved for ",
];

/// The first complaint on a console.
pub(crate) fn splat(console: &str) -> Option<&str> {
    console.lines().map(str::trim_end).find(|line| {
        message(line).is_some_and(|message| {
            BEGINNINGS.iter().any(|words| message.starts_with(words))
                || STALLS.iter().any(|words| message.contains(words))
        })
    })
}

/// What follows `[    1.234567] ` and, where the kernel tells it, `[    T1] `.
fn message(line: &str) -> Option<&str> {
    let (time, message) = bracketed(line)?;
    let is_time = time.contains('.') && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_caller = |word: &str| word.starts_with(['T', 'C']) && is_number(&word[1..]);
    match bracketed(message) {
        Some((caller, message)) if is_time && is_caller(caller) => Some(message),
        _ => is_time.then_some(message),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The word in brackets that a text begins with, and what follows it.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.trim_start().strip_prefix('[')?.split_once(']')?;
    Some((word.trim(), rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> bool {
        splat(&format!("[    0.000000] Linux version\n{line}\n")).is_some()
    }

    #[test]
    fn complaints_of_the_kernel_are_seen() {
        for line in [
            "[    2.123456] WARNING: CPU: 0 PID: 1 at kernel/bpf/verifier.c:1 do_check+0x1/0x2",
            "[    2.123456][    T1] WARNING: possible circular locking dependency detected",
            "[    2.123456] [    T1] WARNING: suspicious RCU usage",
            "[    2.123456] BUG: KASAN: use-after-free in bpf_map_free+0x1/0x2",
            "[    2.123456] BUG: sleeping function called from invalid context at mm/slab.h:1",
            "[    2.123456] UBSAN: shift-out-of-bounds in lib/x.c:1:2",
            "[   21.123456] rcu: rcu_preempt kthread starved for 2100 jiffies!",
            "[   21.123456] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
            "[   21.123456] Oops: 0000 [#1] SMP",
        ] {
            assert!(found(line), "{line}");
        }
    }

    #[test]
    fn talk_is_no_complaint() {
        for line in [
            "WARNING: This is a development server.",
            "[server] WARNING: slow",
            "[    2.123456] ACPI: WARNING: is only quoted here",
            "[    2.123456] bpf: WARNINGS: 0",
            "[    2.123456] rcu: Hierarchical RCU implementation.",
            "[ T1] WARNING: no time",
            "",
        ] {
            assert!(!found(line), "{line}");
        }
    }
}
