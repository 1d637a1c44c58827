//! Reading the guest's console, and telling trouble from talk.

use std::path::Path;

use wire::GuestEnd;

/// The whole console as text, line ends normalised.
pub fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\r', "")
}

/// The last lines of a console, indented for a message.
pub fn last_lines(console: &str, count: usize) -> String {
    let lines: Vec<&str> = console.lines().collect();
    let shown = &lines[lines.len().saturating_sub(count)..];
    if shown.is_empty() {
        String::from("(the console is empty)")
    } else {
        shown.join("\n")
    }
}

/// The first trouble in a console.
pub fn first_trouble(console: &str) -> Option<GuestEnd> {
    console.lines().find_map(classify)
}

/// What ended a guest: the trouble that its console tells of before what else was seen, which mostly came of it.
///
/// What a guest got into is its own doing, but how far it came after that until the host's patience ended is the host's: such
/// a console is cut after the line of trouble.
pub fn settle(seen: Option<GuestEnd>, console: &mut String) -> Option<GuestEnd> {
    if matches!(seen, Some(GuestEnd::WallDeadline { .. })) {
        cut_after_trouble(console);
    }
    match (seen, first_trouble(console)) {
        // With `-no-reboot` a panic ends QEMU, too, which may be gone before it has told why.
        (Some(GuestEnd::QemuLost { .. }), panic @ Some(GuestEnd::Panic { .. })) => panic,
        (lost @ Some(GuestEnd::QemuLost { .. }), _) => lost,
        (seen, trouble) => trouble.or(seen),
    }
}

/// Only whole lines are looked at: the last one may have been cut when the guest was ended.
fn cut_after_trouble(console: &mut String) {
    let mut end = 0;
    for line in console.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        end += line.len();
        if classify(line).is_some() {
            break;
        }
    }
    console.truncate(end);
}

/// What a console line means, if it means trouble. The words are the kernel's: `kernel/panic.c`,
/// `arch/x86/mm/fault.c`, `kernel/watchdog.c`, `kernel/rcu/tree_stall.h`, `kernel/hung_task.c`, `mm/oom_kill.c`.
fn classify(line: &str) -> Option<GuestEnd> {
    let has = |words: &str| line.contains(words);
    let line = || line.trim_end_matches('\r').trim().to_owned();
    if has("BUG: soft lockup")
        || has("hard LOCKUP")
        || has("self-detected stall on CPU")
        || has("detected stalls on CPUs")
        || (has("INFO: task ") && has("blocked for more than"))
    {
        return Some(GuestEnd::Lockup { line: line() });
    }
    if has("Kernel panic - not syncing") {
        return Some(GuestEnd::Panic { line: line() });
    }
    if has("Oops: ") || has("BUG: ") || has("general protection fault") || has("kernel BUG at") {
        return Some(GuestEnd::Oops { line: line() });
    }
    if has("Out of memory: Killed process") || has("Out of memory and no killable processes") {
        return Some(GuestEnd::OutOfMemory { line: line() });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(line: &str) -> &'static str {
        match classify(line) {
            Some(GuestEnd::Panic { .. }) => "panic",
            Some(GuestEnd::Oops { .. }) => "oops",
            Some(GuestEnd::Lockup { .. }) => "lockup",
            Some(GuestEnd::OutOfMemory { .. }) => "oom",
            _ => "-",
        }
    }

    #[test]
    fn trouble_has_names() {
        assert_eq!(
            kind("[    2.1] Kernel panic - not syncing: sysrq triggered crash"),
            "panic"
        );
        assert_eq!(
            kind("[    2.1] BUG: kernel NULL pointer dereference, address: 0"),
            "oops"
        );
        assert_eq!(kind("[    2.1] Oops: 0002 [#1] SMP NOPTI"), "oops");
        assert_eq!(
            kind("[   40.1] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [sh:61]"),
            "lockup"
        );
        assert_eq!(
            kind("[   40.1] rcu: INFO: rcu_preempt self-detected stall on CPU"),
            "lockup"
        );
        assert_eq!(
            kind("[   40.1] INFO: task sh:61 blocked for more than 120 seconds."),
            "lockup"
        );
        assert_eq!(
            kind("[   40.1] Out of memory: Killed process 61 (python3) total-vm:1"),
            "oom"
        );
        assert_eq!(kind("[    1.1] clocksource: tsc: mask: 0xffffffffffffffff"), "-");
    }

    #[test]
    fn trouble_goes_before_what_came_of_it() {
        let text = "x\nOops: 0002\nRIP: 0\nOops: 0003\n";
        let settled = |seen, text: &str| {
            let mut console = text.to_owned();
            (settle(seen, &mut console), console)
        };
        let oops = || {
            Some(GuestEnd::Oops {
                line: "Oops: 0002".into(),
            })
        };
        let late = || Some(GuestEnd::WallDeadline { seconds: 300 });
        let lost = || Some(GuestEnd::QemuLost { reason: "9".into() });
        assert_eq!(settled(None, text), (oops(), text.into()));
        assert_eq!(settled(late(), text), (oops(), "x\nOops: 0002\n".into()));
        assert_eq!(settled(late(), "x\nBUG: so"), (late(), "x\n".into()));
        assert_eq!(settled(lost(), text), (lost(), text.into()));
        assert_eq!(settled(None, "x\n"), (None, "x\n".into()));
        let (end, _) = settled(lost(), "Kernel panic - not syncing: test\n");
        assert!(matches!(end, Some(GuestEnd::Panic { .. })), "{end:?}");
    }
}
