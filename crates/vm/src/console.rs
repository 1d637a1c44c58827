//! Reading the guest's console while it grows, and telling trouble from talk.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use wire::GuestEnd;

/// A console file that is being written.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    file: Option<File>,
    line: Vec<u8>,
}

impl Watch {
    /// Watches a file that may not exist yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            line: Vec::new(),
        }
    }

    /// Reads on; the first trouble in the new lines, if any.
    pub fn trouble(&mut self) -> Option<GuestEnd> {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let mut bytes = Vec::new();
        self.file.as_mut()?.read_to_end(&mut bytes).ok()?;
        for byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if let Some(end) = classify(&String::from_utf8_lossy(&line)) {
                return Some(end);
            }
        }
        None
    }
}

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
    fn a_line_in_two_pieces_is_one_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut watch = Watch::new(file.path());
        std::io::Write::write_all(&mut file, b"x\nKernel panic - not ").unwrap();
        assert_eq!(watch.trouble(), None);
        std::io::Write::write_all(&mut file, b"syncing: test\n").unwrap();
        assert!(matches!(watch.trouble(), Some(GuestEnd::Panic { .. })));
    }
}
