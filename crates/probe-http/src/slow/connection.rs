//! One connection in user space: the same rules as in the kernel half, for pieces in order and as many pending
//! requests as may be.

use std::collections::VecDeque;

use crate::parser::{Direction, Event, Parser};
use crate::slow::stream::{Piece, Stream};
use crate::tally::{Exchange, Tally, client};
use crate::types::{
    HTTP_FIFO_SLOTS, HTTP_METHOD_OTHER, HTTP_OUTCOME_ABORTED_CLIENT, HTTP_OUTCOME_ABORTED_SERVER,
    HTTP_OUTCOME_UNKNOWN_FIFO_FULL, HTTP_OUTCOME_UNKNOWN_GAP, HTTP_OUTCOME_UNKNOWN_UNPARSED_RESPONSE,
    HTTP_UNPARSED_INCOMPLETE_REQUEST, HTTP_UNPARSED_RESPONSE, HTTP_UNPARSED_UNSOLICITED_RESPONSE, http_half,
    http_key, http_pending,
};

/// Requests of one connection that may wait for their responses.
const MAX_PENDING: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Pending {
    number: u32,
    start_ns: u64,
    method: u8,
}

/// One direction, once its snapshot has come.
#[derive(Debug)]
struct Half {
    parser: Parser,
    stream: Stream,
    message_ns: u64,
    /// When the newest byte given to the parser was seen. Never goes back, also when pieces were reordered.
    data_ns: u64,
    synchronised: bool,
    waiting: bool,
    opaque: bool,
    closed: bool,
}

impl Half {
    fn new(direction: Direction, half: &http_half) -> Self {
        Self {
            parser: Parser::from_kernel(direction, half.parser),
            stream: Stream::starting_at(half.next_sequence),
            message_ns: half.message_ns,
            data_ns: half.data_ns,
            synchronised: half.synchronised != 0,
            waiting: half.waiting != 0,
            opaque: half.opaque != 0,
            closed: half.closed != 0,
        }
    }
}

/// What one connection adds to.
#[derive(Debug, Default)]
pub struct Sink {
    /// Counts.
    pub tally: Tally,
    /// Finished requests, for the log.
    pub exchanges: Vec<Exchange>,
}

/// A connection the kernel half has given up on.
#[derive(Debug)]
pub struct Connection {
    key: http_key,
    /// When the kernel half first saw it, in nanoseconds: with the key, which connection it is.
    pub opened_ns: u64,
    request: Option<Half>,
    response: Option<Half>,
    /// Pieces of a direction whose turn has not come: the other half's snapshot decides what they mean.
    early: Vec<Piece>,
    pending: VecDeque<Pending>,
    pushed: u32,
    settled: u32,
    join_sequence: u32,
    upgraded: bool,
    /// When anything was last seen, in nanoseconds.
    pub last_ns: u64,
}

impl Connection {
    /// A connection of which nothing is known yet.
    pub fn new(key: http_key, opened_ns: u64) -> Self {
        Self {
            key,
            opened_ns,
            request: None,
            response: None,
            early: Vec::new(),
            pending: VecDeque::new(),
            pushed: 0,
            settled: 0,
            join_sequence: 0,
            upgraded: false,
            last_ns: 0,
        }
    }

    /// Takes over one half as the kernel left it.
    pub fn snapshot(
        &mut self,
        direction: Direction,
        half: &http_half,
        fifo: &[http_pending; HTTP_FIFO_SLOTS as usize],
        sink: &mut Sink,
    ) {
        match direction {
            Direction::Request if self.request.is_none() => {
                self.request = Some(Half::new(direction, half));
                self.pushed = half.count;
                self.join_sequence = half.join_sequence;
                let oldest = half.count.saturating_sub(HTTP_FIFO_SLOTS).max(self.settled);
                for number in oldest..half.count {
                    let slot = fifo[(number % HTTP_FIFO_SLOTS) as usize];
                    self.pending.push_back(Pending {
                        number,
                        start_ns: slot.start_ns,
                        method: slot.method,
                    });
                }
                for piece in std::mem::take(&mut self.early) {
                    self.segment(Direction::Response, piece, false, sink);
                }
            }
            Direction::Response if self.response.is_none() => {
                self.response = Some(Half::new(direction, half));
                self.settled = half.count;
                self.upgraded = half.upgraded != 0;
                self.pending.retain(|pending| pending.number >= half.count);
            }
            _ => {}
        }
    }

    /// Takes one segment's bytes, with its flags. Returns whether the connection is over.
    pub fn segment(&mut self, direction: Direction, piece: Piece, reset: bool, sink: &mut Sink) -> bool {
        self.last_ns = self.last_ns.max(piece.now_ns);
        if direction == Direction::Response && self.request.is_none() && !reset {
            self.early.push(piece);
            return false;
        }
        let acknowledged = piece.acknowledged;
        if !reset {
            self.insert(direction, piece);
            self.drain(direction, sink);
        }
        self.check_gap(direction.opposite(), Some(acknowledged), sink);
        self.check_gap(direction, None, sink);
        if reset {
            self.end(self.abort_outcome(direction), sink);
            return true;
        }
        let is_closed = |half: &Option<Half>| half.as_ref().is_some_and(|half| half.closed);
        if is_closed(&self.request) && is_closed(&self.response) {
            self.end(HTTP_OUTCOME_ABORTED_SERVER, sink);
            return true;
        }
        false
    }

    fn insert(&mut self, direction: Direction, piece: Piece) {
        let join_sequence = self.join_sequence;
        let has_request = !self.pending.is_empty();
        let half = match direction {
            Direction::Request => self.request.as_mut(),
            Direction::Response => self.response.as_mut(),
        };
        let Some(half) = half else { return };
        if direction == Direction::Request {
            // Joining in the middle: every segment is a new chance for a request to begin.
            if half.waiting
                && (half.parser.is_at_start() || half.stream.next_sequence() != piece.sequence)
                && !piece.data.is_empty()
            {
                half.parser.restart();
                half.stream.reset(piece.sequence);
            }
        } else if !half.synchronised {
            if !has_request {
                half.closed |= piece.fin;
                return;
            }
            half.stream.reset(join_sequence);
            half.synchronised = true;
        }
        half.stream.insert(piece);
    }

    fn drain(&mut self, direction: Direction, sink: &mut Sink) {
        loop {
            let half = match direction {
                Direction::Request => self.request.as_mut(),
                Direction::Response => self.response.as_mut(),
            };
            let Some(piece) = half.and_then(|half| half.stream.pop()) else {
                return;
            };
            match direction {
                Direction::Request => self.request_bytes(&piece, sink),
                Direction::Response => self.response_bytes(&piece, sink),
            }
        }
    }

    fn request_bytes(&mut self, piece: &Piece, sink: &mut Sink) {
        let Some(half) = self.request.as_mut() else { return };
        half.data_ns = half.data_ns.max(piece.now_ns);
        half.closed |= piece.fin;
        let response_opaque = self.response.as_ref().is_some_and(|response| response.opaque);
        let mut rest = piece.data.as_slice();
        while !rest.is_empty() && !half.opaque && !self.upgraded && !response_opaque {
            let (taken, event) = half.parser.feed(rest);
            rest = &rest[taken..];
            match event {
                Some(Event::Begin) => {
                    half.message_ns = half.data_ns;
                    if half.waiting || self.pushed == 0 {
                        self.join_sequence = piece.acknowledged;
                    }
                }
                Some(Event::StartLine) => {
                    let method = half.parser.method();
                    if half.waiting && u32::from(method) == HTTP_METHOD_OTHER {
                        half.parser.restart();
                        return;
                    }
                    half.waiting = false;
                    let pending = Pending {
                        number: self.pushed,
                        start_ns: half.message_ns,
                        method,
                    };
                    self.pending.push_back(pending);
                    self.pushed += 1;
                    sink.tally.started += 1;
                    if self.pending.len() > MAX_PENDING {
                        half.opaque = true;
                        self.settle(HTTP_OUTCOME_UNKNOWN_FIFO_FULL, sink);
                        return;
                    }
                }
                Some(Event::Error) => {
                    half.parser.restart();
                    if half.waiting {
                        return;
                    }
                    half.opaque = true;
                    sink.tally.unparsed[half.parser.unparsed()] += 1;
                }
                _ => {}
            }
        }
    }

    fn response_bytes(&mut self, piece: &Piece, sink: &mut Sink) {
        let request_opaque = self.request.as_ref().is_some_and(|request| request.opaque);
        let mut rest = piece.data.as_slice();
        if let Some(half) = self.response.as_mut() {
            half.closed |= piece.fin;
            if !rest.is_empty() {
                half.data_ns = half.data_ns.max(piece.now_ns);
            }
        }
        while !rest.is_empty() && !self.upgraded {
            let Some(half) = self.response.as_mut().filter(|half| !half.opaque) else {
                break;
            };
            let (taken, event) = half.parser.feed(rest);
            rest = &rest[taken..];
            match event {
                Some(Event::Begin) if self.pending.is_empty() => {
                    half.opaque = true;
                    if !request_opaque {
                        sink.tally.unparsed[HTTP_UNPARSED_UNSOLICITED_RESPONSE as usize] += 1;
                    }
                }
                Some(Event::Begin) => half.message_ns = half.data_ns,
                Some(Event::StartLine) => {
                    if let Some(pending) = self.pending.front() {
                        half.parser.answers(pending.method);
                    }
                }
                Some(Event::End) => self.complete(sink),
                Some(Event::Upgrade) => {
                    self.complete(sink);
                    self.upgraded = true;
                }
                Some(Event::Error) => {
                    half.opaque = true;
                    sink.tally.unparsed[HTTP_UNPARSED_RESPONSE as usize] += 1;
                    self.settle(HTTP_OUTCOME_UNKNOWN_UNPARSED_RESPONSE, sink);
                }
                Some(Event::Interim) | None => {}
            }
        }
        if piece.fin {
            self.response_ends(sink);
        }
    }

    fn response_ends(&mut self, sink: &mut Sink) {
        if self
            .response
            .as_ref()
            .is_some_and(|half| half.parser.is_until_close())
            && !self.pending.is_empty()
        {
            self.complete(sink);
            if let Some(half) = self.response.as_mut() {
                half.parser.restart();
            }
        }
        self.settle(self.abort_outcome(Direction::Response), sink);
    }

    fn complete(&mut self, sink: &mut Sink) {
        let (Some(half), Some(pending)) = (self.response.as_ref(), self.pending.pop_front()) else {
            return;
        };
        // As in the kernel half: a wall clock that was set may put an end before its beginning.
        let first_byte_ns = half.message_ns.max(pending.start_ns);
        let exchange = Exchange {
            end_ns: half.data_ns.max(first_byte_ns),
            start_ns: pending.start_ns,
            first_byte_ns,
            client: client(&self.key),
            number: pending.number + 1,
            method: pending.method,
            status: half.parser.status(),
        };
        sink.tally.complete(&exchange);
        sink.exchanges.push(exchange);
    }

    fn abort_outcome(&self, by: Direction) -> u32 {
        let client_left = self.request.as_ref().is_some_and(|half| half.closed);
        if by == Direction::Request || client_left {
            HTTP_OUTCOME_ABORTED_CLIENT
        } else {
            HTTP_OUTCOME_ABORTED_SERVER
        }
    }

    /// Every pending request ends the same way.
    pub fn settle(&mut self, outcome: u32, sink: &mut Sink) {
        sink.tally.settle(outcome, self.pending.len());
        self.pending.clear();
    }

    /// The connection is over.
    pub fn end(&mut self, outcome: u32, sink: &mut Sink) {
        self.settle(outcome, sink);
        let incomplete = self
            .request
            .as_ref()
            .is_some_and(|half| !half.waiting && !half.opaque && half.parser.is_in_request_line());
        if incomplete {
            sink.tally.unparsed[HTTP_UNPARSED_INCOMPLETE_REQUEST as usize] += 1;
        }
    }

    /// When bytes of `direction` are missing for good, no pending request can be paired any more: each becomes
    /// unknown, and pairing starts over at the next segment that begins with a request.
    fn check_gap(&mut self, direction: Direction, acknowledged: Option<u32>, sink: &mut Sink) {
        let half = match direction {
            Direction::Request => self.request.as_mut(),
            Direction::Response => self.response.as_mut(),
        };
        let Some(half) = half.filter(|half| half.synchronised && !half.waiting) else {
            return;
        };
        // What the peer has confirmed when this connection was opened, or of an upgraded one, proves nothing.
        if self.upgraded
            || half.opaque
            || !half
                .stream
                .is_gap_final(acknowledged.filter(|number| *number != 0))
        {
            return;
        }
        self.settle(HTTP_OUTCOME_UNKNOWN_GAP, sink);
        if let Some(half) = self.response.as_mut() {
            half.parser.restart();
            half.synchronised = false;
            if direction == Direction::Response {
                half.stream.reset(acknowledged.unwrap_or_default());
            }
        }
        if let Some(half) = self.request.as_mut() {
            half.parser.restart();
            half.waiting = true;
            half.stream.jump(acknowledged.unwrap_or_default());
        }
        self.drain(Direction::Request, sink);
    }
}
