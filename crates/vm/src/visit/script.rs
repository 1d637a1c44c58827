//! The way in: a script for any POSIX shell that takes the guest program, starts it and deletes it.
//!
//! Shells read ahead. So nothing is sent before the script has asked for it: the script is one function, called at once
//! and left by `exit`, and the program follows only when the script says so.

use std::io::{BufRead, Read, Write};

use super::{
    Trouble,
    line::{Line, Started},
    ssh,
};
use crate::Result;

/// What the script's own lines begin with; whatever else a login prints is passed over.
const MARK: &str = "probelab:";
/// A line of a login is not longer.
const LINE_BYTES: u64 = 64 << 10;

/// The script for a program of so many bytes.
fn script(program_bytes: usize) -> String {
    include_str!("enter.sh")
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| line.replace("PROGRAM_BYTES", &program_bytes.to_string()) + "\n")
        .collect()
}

/// Sends the script and what it asks for. Blocks until the program is about to start.
pub fn enter(mut started: Started, program: &[u8]) -> Result<Line> {
    match converse(&mut started, program) {
        Ok(()) => Ok(started.into_line()),
        Err(trouble) => {
            let (_, words) = started.ended();
            let trouble = trouble.unwrap_or_else(|| ssh::trouble(&words));
            Err(started.trouble(trouble))
        }
    }
}

/// The trouble when the far side told one; nothing when it is gone and only `ssh` can say why.
fn converse(started: &mut Started, program: &[u8]) -> Result<(), Option<Trouble>> {
    send(started, script(program.len()).as_bytes());
    expect("send", &mut started.output)?;
    send(started, program);
    expect("start", &mut started.output).map_err(|trouble| trouble.or(Some(Trouble::Lost)))
}

/// What the far side said before it hung up matters more than that it did, so that only reading tells.
fn send(started: &mut Started, bytes: &[u8]) {
    let _ = started.input.write_all(bytes);
}

/// Reads on to a line of the script.
fn expect(word: &str, output: &mut impl BufRead) -> Result<(), Option<Trouble>> {
    loop {
        let mut line = Vec::new();
        match output.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return Err(None),
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line);
        let Some(said) = line.trim().strip_prefix(MARK) else {
            continue;
        };
        let (code, detail) = said.trim().split_once(' ').unwrap_or((said.trim(), ""));
        return match code {
            _ if code == word => Ok(()),
            "machine" => Err(Some(Trouble::OtherMachine { found: detail.into() })),
            "root" => Err(Some(Trouble::NotRoot)),
            "folder" => Err(Some(Trouble::NoFolder)),
            _ => Err(Some(Trouble::Far {
                reason: said.trim().into(),
            })),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Result<(), Option<Trouble>> {
        expect("send", &mut text.as_bytes())
    }

    #[test]
    fn what_a_login_prints_is_passed_over() {
        assert_eq!(
            answer("Welcome!\r\nLast login: today\n\nprobelab: send\n"),
            Ok(())
        );
        assert_eq!(answer("Welcome!\n"), Err(None));
    }

    #[test]
    fn refusals_are_told_apart() {
        let machine = Trouble::OtherMachine {
            found: "Linux aarch64".into(),
        };
        assert_eq!(answer("probelab: machine Linux aarch64\n"), Err(Some(machine)));
        assert_eq!(answer("probelab: root alice\n"), Err(Some(Trouble::NotRoot)));
        assert_eq!(answer("probelab: folder\n"), Err(Some(Trouble::NoFolder)));
    }

    #[test]
    fn the_script_is_sent_at_once_and_ends_by_itself() {
        let script = script(1234);
        // Shells read blocks of at least this size; nothing may be left of it when it begins.
        assert!(script.len() < 4096, "{}", script.len());
        assert!(script.contains("head -c 1234"));
        assert!(script.ends_with("enter; exit $?\n"));
    }
}
