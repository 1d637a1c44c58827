//! The user-space path: connections the kernel half could not decide, followed with the same parser over reordered
//! bytes. Reads events of a ring buffer; touches no map.

mod connection;
mod stream;

use std::collections::BTreeMap;
use std::mem::size_of;

use connection::{Connection, Sink};
use stream::Piece;

use crate::bounds::Bounds;
use crate::parser::Direction;
use crate::tally::{Exchange, Tally};
use crate::types::{
    HTTP_EVENT_SEGMENT, HTTP_EVENT_SNAPSHOT, HTTP_FLAG_FIN, HTTP_FLAG_RST, HTTP_FLAG_SYN,
    HTTP_OUTCOME_UNKNOWN_EXPIRED, HTTP_OUTCOME_UNKNOWN_PORT_REUSE, http_event, http_key, http_snapshot_event,
};

/// Bytes in the ring buffer that are no event. Both halves come from one build, so this is a defect, not bad input.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an event of {bytes} bytes from the kernel half makes no sense")]
pub struct BadEvent {
    /// Its length.
    pub bytes: usize,
}

/// All connections of the user-space path, with what they have counted.
#[derive(Debug, Default)]
pub struct SlowPath {
    connections: BTreeMap<http_key, Connection>,
    sink: Sink,
}

impl SlowPath {
    /// One whose latencies have these bounds. The default has the advised ones.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            connections: BTreeMap::new(),
            sink: Sink {
                tally: Tally::new(bounds),
                ..Sink::default()
            },
        }
    }

    /// Takes one event of the ring buffer.
    ///
    /// # Errors
    /// When the bytes are too short for what they claim to be. The event is then ignored.
    pub fn event(&mut self, bytes: &[u8]) -> Result<(), BadEvent> {
        let bad = || BadEvent { bytes: bytes.len() };
        let (head, data) = bytes.split_at_checked(size_of::<http_event>()).ok_or_else(bad)?;
        let event: http_event = bytemuck::try_pod_read_unaligned(head).map_err(|_| bad())?;
        let direction = Direction::from_number(event.direction).ok_or_else(bad)?;
        match u32::from(event.kind) {
            HTTP_EVENT_SNAPSHOT => {
                let whole = bytes.get(..size_of::<http_snapshot_event>()).ok_or_else(bad)?;
                let snapshot: http_snapshot_event =
                    bytemuck::try_pod_read_unaligned(whole).map_err(|_| bad())?;
                if self.is_current(&event) {
                    self.connections
                        .entry(event.key)
                        .or_insert_with(|| Connection::new(event.key, event.opened_ns))
                        .snapshot(direction, &snapshot.half, &snapshot.fifo, &mut self.sink);
                }
                Ok(())
            }
            HTTP_EVENT_SEGMENT => {
                let data = data.get(..event.data_bytes as usize).ok_or_else(bad)?;
                self.segment(&event, direction, data);
                Ok(())
            }
            _ => Err(bad()),
        }
    }

    /// Whether an event is not of a connection that a later one with the same addresses and ports has replaced.
    /// Of a connection that was replaced unseen, because the events of its end found the ring full, nothing is paired
    /// any more.
    fn is_current(&mut self, event: &http_event) -> bool {
        let Some(known) = self.connections.get_mut(&event.key) else {
            return true;
        };
        if known.opened_ns < event.opened_ns {
            known.end(HTTP_OUTCOME_UNKNOWN_PORT_REUSE, &mut self.sink);
            self.connections.remove(&event.key);
            return true;
        }
        known.opened_ns == event.opened_ns
    }

    fn segment(&mut self, event: &http_event, direction: Direction, data: &[u8]) {
        if !self.is_current(event) {
            return;
        }
        let flags = u32::from(event.flags);
        let Some(connection) = self.connections.get_mut(&event.key) else {
            return;
        };
        if flags & HTTP_FLAG_SYN != 0 && direction == Direction::Request {
            connection.end(HTTP_OUTCOME_UNKNOWN_PORT_REUSE, &mut self.sink);
            self.connections.remove(&event.key);
            return;
        }
        let piece = Piece {
            sequence: event.sequence,
            acknowledged: event.acknowledged,
            now_ns: event.now_ns,
            fin: flags & HTTP_FLAG_FIN != 0,
            data: data.to_vec(),
        };
        if connection.segment(direction, piece, flags & HTTP_FLAG_RST != 0, &mut self.sink) {
            self.connections.remove(&event.key);
        }
    }

    /// Gives up on connections nothing was seen of since `before_ns`.
    pub fn expire(&mut self, before_ns: u64) {
        let sink = &mut self.sink;
        self.connections.retain(|_, connection| {
            let live = connection.last_ns >= before_ns;
            if !live {
                connection.end(HTTP_OUTCOME_UNKNOWN_EXPIRED, sink);
            }
            live
        });
    }

    /// What was counted here since the start.
    pub fn tally(&self) -> &Tally {
        &self.sink.tally
    }

    /// Connections followed now.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Hands over the requests that finished since the last call.
    pub fn take_exchanges(&mut self) -> Vec<Exchange> {
        std::mem::take(&mut self.sink.exchanges)
    }
}
