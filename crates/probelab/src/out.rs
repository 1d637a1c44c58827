//! Saying things: results on standard output, everything else on standard error.
//!
//! `println!` panics when the reader is gone, as in `probelab cache list | head`. The signal that would end the
//! program in that case stays ignored, because a QEMU that goes away must be an error and not our end. So each
//! write gives an error instead, which ends the command without a word.

use std::{
    fmt::Arguments,
    io::{ErrorKind, Write, stderr, stdout},
};

use miette::{IntoDiagnostic, Result};
use serde::Serialize;
use vm::IoContext;

/// Nobody reads standard output any more.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("standard output was closed")]
pub struct Closed;

/// Writes a line to standard output, or returns from the function when that fails.
macro_rules! out {
    ($($argument:tt)*) => {
        $crate::out::line(format_args!($($argument)*))?
    };
}

/// Writes a line to standard error.
macro_rules! err {
    ($($argument:tt)*) => {
        $crate::out::error_line(format_args!($($argument)*))
    };
}

pub(crate) use {err, out};

/// Writes a line to standard output.
pub fn line(arguments: Arguments<'_>) -> Result<()> {
    text(&format!("{arguments}\n"))
}

/// Writes a value to standard output as indented JSON.
pub fn json(value: &impl Serialize) -> Result<()> {
    text(&(serde_json::to_string_pretty(value).into_diagnostic()? + "\n"))
}

/// Writes a text to standard output as it is.
pub fn text(text: &str) -> Result<()> {
    let mut stdout = stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        other => Ok(other.during(|| "writing to standard output".into())?),
    }
}

/// Writes a line to standard error. When nobody reads it, there is nobody to tell.
pub fn error_line(arguments: Arguments<'_>) {
    let _ = stderr().lock().write_fmt(format_args!("{arguments}\n"));
}
