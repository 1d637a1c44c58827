//! The exchange log: one JSON line per finished request, in the order in which they ended.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::tally::Exchange;
use crate::types::METHOD_NAMES;

#[derive(Debug, Serialize)]
struct Line<'a> {
    client: String,
    n: u32,
    method: &'a str,
    status: u16,
    start_ns: u64,
    first_byte_ns: u64,
    end_ns: u64,
}

/// An open log.
#[derive(Debug)]
pub struct ExchangeLog(BufWriter<File>);

impl ExchangeLog {
    /// Starts a new log; an old file of that name is replaced.
    ///
    /// # Errors
    /// Those of creating a file.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(BufWriter::new(File::create(path)?)))
    }

    /// Adds exchanges and makes them visible to readers of the file.
    ///
    /// # Errors
    /// Those of writing.
    pub fn append(&mut self, exchanges: &[Exchange]) -> io::Result<()> {
        for exchange in exchanges {
            let line = Line {
                client: exchange.client.to_string(),
                n: exchange.number,
                method: METHOD_NAMES
                    .get(usize::from(exchange.method))
                    .copied()
                    .unwrap_or("_OTHER"),
                status: exchange.status,
                start_ns: exchange.start_ns,
                first_byte_ns: exchange.first_byte_ns,
                end_ns: exchange.end_ns,
            };
            serde_json::to_writer(&mut self.0, &line)?;
            self.0.write_all(b"\n")?;
        }
        self.0.flush()
    }
}
