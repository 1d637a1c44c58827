//! The log of long waits, one line each, in the columns of the classic tools: `TIME COMM TID LAT(us)`.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use crate::types::runq_event;

/// An open log.
#[derive(Debug)]
pub(crate) struct EventLog {
    file: File,
}

impl EventLog {
    /// Starts an empty log with its heading.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut file = File::create(path)?;
        writeln!(file, "{:<18} {:<16} {:<8} LAT(us)", "TIME", "COMM", "TID")?;
        Ok(Self { file })
    }

    /// Adds waits. They are written as one piece, so that a reader never sees half a line.
    pub(crate) fn append(&mut self, events: &[runq_event]) -> io::Result<()> {
        let lines: String = events.iter().map(line).collect();
        self.file.write_all(lines.as_bytes())
    }
}

/// TIME is when the wait ended, in seconds of the monotonic clock: a log of a machine whose wall clock is set meanwhile
/// stays in order.
fn line(event: &runq_event) -> String {
    let end = event
        .command
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(event.command.len());
    let command: String = String::from_utf8_lossy(&event.command[..end])
        .chars()
        .map(|letter| {
            if letter.is_whitespace() || letter.is_control() {
                '?'
            } else {
                letter
            }
        })
        .collect();
    let (seconds, rest_ns) = (event.ended_ns / 1_000_000_000, event.ended_ns % 1_000_000_000);
    let time = format!("{seconds}.{rest_ns:09}");
    format!(
        "{time:<18} {command:<16} {:<8} {}\n",
        event.thread,
        event.wait_ns / 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_four_columns_whatever_the_command_is_called() {
        let mut event = runq_event {
            ended_ns: 12_000_000_345,
            wait_ns: 4_567_890,
            thread: 321,
            ..Default::default()
        };
        event.command[..7].copy_from_slice(b"my work");
        assert_eq!(
            line(&event),
            "12.000000345       my?work          321      4567\n"
        );
        event.command = [b'x'; 16];
        assert_eq!(line(&event).split_whitespace().count(), 4);
    }
}
