//! The message parser both halves of the probe run, as a Rust value. One direction of one connection each.

use crate::types::{self, http_parser};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Client to server.
    Request,
    /// Server to client.
    Response,
}

impl Direction {
    /// The other one.
    pub fn opposite(self) -> Self {
        match self {
            Self::Request => Self::Response,
            Self::Response => Self::Request,
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::Request => types::HTTP_REQUEST,
            Self::Response => types::HTTP_RESPONSE,
        }
    }

    /// From the number the kernel half uses.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        match u32::from(number) {
            types::HTTP_REQUEST => Some(Self::Request),
            types::HTTP_RESPONSE => Some(Self::Response),
            _ => None,
        }
    }
}

/// What a byte meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The first byte of a message.
    Begin,
    /// The start line is known; for a response, [`Parser::answers`] has to be called now.
    StartLine,
    /// A 1xx response is over and another will follow.
    Interim,
    /// The message is over.
    End,
    /// The message is over and what follows is not HTTP.
    Upgrade,
    /// Not HTTP/1.x: [`Parser::unparsed`] says what instead.
    Error,
}

unsafe extern "C" {
    fn probelab_http_feed(
        parser: *mut http_parser,
        direction: u32,
        data: *const u8,
        bytes: u32,
        event: *mut i32,
    ) -> u32;
}

/// Parser state between two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parser {
    direction: Direction,
    state: http_parser,
}

impl Parser {
    /// At the start of a message.
    pub fn new(direction: Direction) -> Self {
        Self {
            direction,
            state: http_parser::default(),
        }
    }

    pub(crate) fn from_kernel(direction: Direction, state: http_parser) -> Self {
        Self { direction, state }
    }

    /// Takes bytes up to and including the first that means something. Returns how many, and what it was.
    pub fn feed(&mut self, data: &[u8]) -> (usize, Option<Event>) {
        let bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let mut event = 0;
        // SAFETY: the state is live and exclusive, `data` holds at least `bytes` bytes, and the function reads no
        // further and keeps no pointer.
        let taken = unsafe {
            probelab_http_feed(
                &raw mut self.state,
                self.direction.number(),
                data.as_ptr(),
                bytes,
                &raw mut event,
            )
        };
        let event = match u32::try_from(event).unwrap_or_default() {
            types::HTTP_PARSE_BEGIN => Some(Event::Begin),
            types::HTTP_PARSE_START_LINE => Some(Event::StartLine),
            types::HTTP_PARSE_INTERIM => Some(Event::Interim),
            types::HTTP_PARSE_END => Some(Event::End),
            types::HTTP_PARSE_UPGRADE => Some(Event::Upgrade),
            types::HTTP_PARSE_ERROR => Some(Event::Error),
            _ => None,
        };
        (taken as usize, event)
    }

    /// Forgets the message in progress.
    pub fn restart(&mut self) {
        self.state.state = types::HTTP_STATE_START as u8;
    }

    /// Says which method the response in progress answers: it decides whether there is a body.
    pub fn answers(&mut self, method: u8) {
        self.state.method = method;
    }

    /// The request's method (`HTTP_METHOD_*`), known from its start line on.
    pub fn method(&self) -> u8 {
        self.state.method
    }

    /// The response's status, known from its start line on.
    pub fn status(&self) -> u16 {
        self.state.status
    }

    /// What was found instead of HTTP/1.x (`HTTP_UNPARSED_*`).
    pub fn unparsed(&self) -> usize {
        usize::from(self.state.error)
    }

    /// Whether only the end of the connection ends the message.
    pub fn is_until_close(&self) -> bool {
        u32::from(self.state.state) == types::HTTP_STATE_UNTIL_CLOSE
    }

    /// Whether no message is in progress.
    pub fn is_at_start(&self) -> bool {
        u32::from(self.state.state) == types::HTTP_STATE_START
    }

    /// Whether a request has begun whose start line is not over.
    pub fn is_in_request_line(&self) -> bool {
        (types::HTTP_STATE_METHOD..=types::HTTP_STATE_REQUEST_VERSION).contains(&u32::from(self.state.state))
    }
}
