//! The user-space path, fed with the events the kernel half would send.

use probe_http::slow::SlowPath;
use probe_http::types::{
    HTTP_EVENT_SEGMENT, HTTP_EVENT_SNAPSHOT, HTTP_FIFO_SLOTS, HTTP_FLAG_ACK, HTTP_FLAG_FIN, HTTP_FLAG_RST,
    HTTP_FLAG_SYN, HTTP_OUTCOME_ABORTED_CLIENT, HTTP_OUTCOME_ABORTED_SERVER, HTTP_OUTCOME_UNKNOWN_EXPIRED,
    HTTP_OUTCOME_UNKNOWN_GAP, HTTP_OUTCOME_UNKNOWN_PORT_REUSE, HTTP_REQUEST, HTTP_RESPONSE, http_event,
    http_half, http_pending, http_snapshot_event,
};

const GET: &str = "GET / HTTP/1.1\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A connection handed over when it was opened: client bytes from 1000, server bytes from 5000.
struct Wire {
    slow: SlowPath,
    now_ns: u64,
    opened_ns: u64,
    next: [u32; 2],
}

impl Wire {
    fn new() -> Self {
        let mut wire = Self {
            slow: SlowPath::default(),
            now_ns: 0,
            opened_ns: 1,
            next: [1000, 5000],
        };
        wire.hand_over();
        wire
    }

    /// Both halves as they are right after the connection was opened.
    fn hand_over(&mut self) {
        for direction in [HTTP_REQUEST, HTTP_RESPONSE] {
            let mut half = http_half {
                synchronised: 1,
                from_start: 1,
                ..http_half::default()
            };
            half.next_sequence = self.next[direction as usize];
            self.snapshot(
                direction,
                half,
                [http_pending::default(); HTTP_FIFO_SLOTS as usize],
            );
        }
    }

    fn event(&self, kind: u32, direction: u32) -> http_event {
        http_event {
            kind: kind as u8,
            direction: direction as u8,
            now_ns: self.now_ns,
            opened_ns: self.opened_ns,
            ..http_event::default()
        }
    }

    fn snapshot(&mut self, direction: u32, half: http_half, fifo: [http_pending; HTTP_FIFO_SLOTS as usize]) {
        let snapshot = http_snapshot_event {
            event: self.event(HTTP_EVENT_SNAPSHOT, direction),
            half,
            fifo,
        };
        self.slow.event(bytemuck_bytes(&snapshot)).expect("a whole event");
    }

    fn at(&mut self, direction: u32, sequence: u32, data: &str, flags: u32) {
        self.now_ns += 1_000_000;
        let mut event = self.event(HTTP_EVENT_SEGMENT, direction);
        event.sequence = sequence;
        event.acknowledged = self.next[1 - direction as usize];
        event.flags = (flags | HTTP_FLAG_ACK) as u8;
        event.data_bytes = data.len() as u32;
        let mut bytes = bytemuck_bytes(&event).to_vec();
        bytes.extend(data.as_bytes());
        self.slow.event(&bytes).expect("a whole event");
    }

    fn send(&mut self, direction: u32, data: &str) {
        self.at(direction, self.next[direction as usize], data, 0);
        self.next[direction as usize] += data.len() as u32;
    }

    fn flag(&mut self, direction: u32, flags: u32) {
        self.at(direction, self.next[direction as usize], "", flags);
    }

    fn requests(&self) -> u64 {
        self.slow
            .tally()
            .latencies
            .values()
            .map(|latency| latency.duration.count())
            .sum()
    }

    fn outcome(&self, outcome: u32) -> u64 {
        self.slow.tally().outcomes[outcome as usize]
    }
}

fn bytemuck_bytes<T: bytemuck::Pod>(value: &T) -> &[u8] {
    bytemuck::bytes_of(value)
}

#[test]
fn every_order_of_three_pieces_gives_one_exchange() {
    let pieces = [(0_u32, 10_usize), (10, 25), (25, OK.len())];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut wire = Wire::new();
        wire.send(HTTP_REQUEST, GET);
        for index in order {
            let (from, to) = pieces[index];
            // Each piece also repeats the byte before it.
            let from = from.saturating_sub(1);
            wire.at(HTTP_RESPONSE, 5000 + from, &OK[from as usize..to], 0);
        }
        wire.next[1] += OK.len() as u32;
        let exchanges = wire.slow.take_exchanges();
        assert_eq!(exchanges.len(), 1, "{order:?}");
        assert_eq!(
            (exchanges[0].start_ns, exchanges[0].end_ns, exchanges[0].number),
            (1_000_000, 4_000_000, 1)
        );
        assert!(exchanges[0].first_byte_ns >= 2_000_000);
    }
}

#[test]
fn forty_pipelined_requests_keep_their_order() {
    let mut wire = Wire::new();
    wire.send(HTTP_REQUEST, &GET.repeat(40));
    wire.send(HTTP_RESPONSE, &OK.repeat(40));
    let numbers: Vec<u32> = wire
        .slow
        .take_exchanges()
        .iter()
        .map(|exchange| exchange.number)
        .collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    assert_eq!(wire.slow.tally().in_flight(), 0);
}

#[test]
fn a_confirmed_gap_makes_pending_requests_unknown_and_only_those() {
    let mut wire = Wire::new();
    wire.send(HTTP_REQUEST, GET);
    wire.send(HTTP_RESPONSE, &OK[..10]);
    wire.next[1] += 5;
    wire.send(HTTP_RESPONSE, &OK[15..]);
    assert_eq!(
        wire.outcome(HTTP_OUTCOME_UNKNOWN_GAP),
        0,
        "the missing piece may still come"
    );
    wire.flag(HTTP_REQUEST, 0);
    assert_eq!(wire.outcome(HTTP_OUTCOME_UNKNOWN_GAP), 1);
    wire.send(HTTP_REQUEST, GET);
    wire.send(HTTP_RESPONSE, OK);
    assert_eq!((wire.requests(), wire.slow.tally().in_flight()), (1, 0));
}

#[test]
fn until_close_ends_with_the_last_byte() {
    let mut wire = Wire::new();
    wire.send(HTTP_REQUEST, GET);
    wire.send(
        HTTP_RESPONSE,
        "HTTP/1.0 200 OK\r\n\r\nsome HTTP/1.1 500 Oops\r\n\r\n",
    );
    wire.flag(HTTP_RESPONSE, HTTP_FLAG_FIN);
    assert_eq!(wire.slow.take_exchanges()[0].end_ns, 2_000_000);
    wire.flag(HTTP_REQUEST, HTTP_FLAG_FIN);
    assert_eq!(wire.slow.connections(), 0);
}

#[test]
fn head_interim_chunks_and_trailers() {
    let mut wire = Wire::new();
    wire.send(HTTP_REQUEST, "HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    wire.send(
        HTTP_RESPONSE,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
    );
    wire.send(
        HTTP_RESPONSE,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: 1\r\n",
    );
    assert_eq!(wire.requests(), 1);
    wire.send(HTTP_RESPONSE, "\r\n");
    let exchanges = wire.slow.take_exchanges();
    assert_eq!(
        (exchanges[1].first_byte_ns, exchanges[1].end_ns),
        (3_000_000, 4_000_000)
    );
}

#[test]
fn ends_without_an_answer_have_an_owner() {
    for (direction, flags, outcome) in [
        (HTTP_REQUEST, HTTP_FLAG_RST, HTTP_OUTCOME_ABORTED_CLIENT),
        (HTTP_RESPONSE, HTTP_FLAG_RST, HTTP_OUTCOME_ABORTED_SERVER),
        (HTTP_RESPONSE, HTTP_FLAG_FIN, HTTP_OUTCOME_ABORTED_SERVER),
        (HTTP_REQUEST, HTTP_FLAG_SYN, HTTP_OUTCOME_UNKNOWN_PORT_REUSE),
    ] {
        let mut wire = Wire::new();
        wire.send(HTTP_REQUEST, GET);
        wire.send(HTTP_RESPONSE, &OK[..30]);
        wire.flag(direction, flags);
        assert_eq!(wire.outcome(outcome), 1, "{direction} {flags}");
        assert_eq!(wire.slow.tally().in_flight(), 0);
    }
    let mut wire = Wire::new();
    wire.send(HTTP_REQUEST, GET);
    wire.slow.expire(u64::MAX);
    assert_eq!(
        (
            wire.outcome(HTTP_OUTCOME_UNKNOWN_EXPIRED),
            wire.slow.connections()
        ),
        (1, 0)
    );
}

#[test]
fn a_connection_whose_end_was_lost_is_not_mixed_with_the_next_one() {
    let mut wire = Wire::new();
    wire.send(HTTP_REQUEST, &GET.repeat(3));
    wire.send(HTTP_RESPONSE, &OK[..30]);
    // Its end is never told; the client takes the same port again.
    wire.opened_ns = 2;
    wire.next = [7000, 9000];
    wire.hand_over();
    wire.send(HTTP_REQUEST, "HEAD / HTTP/1.1\r\n\r\n");
    wire.send(HTTP_RESPONSE, "HTTP/1.1 204 No\r\n\r\n");
    let exchanges = wire.slow.take_exchanges();
    let found: Vec<_> = exchanges
        .iter()
        .map(|exchange| (exchange.number, exchange.status))
        .collect();
    assert_eq!(found, [(1, 204)]);
    assert_eq!(wire.outcome(HTTP_OUTCOME_UNKNOWN_PORT_REUSE), 3);
    // What the first one's other processor still had to say changes nothing.
    wire.opened_ns = 1;
    wire.at(HTTP_RESPONSE, 9000, OK, 0);
    wire.flag(HTTP_REQUEST, HTTP_FLAG_RST);
    assert_eq!((wire.slow.connections(), wire.slow.tally().in_flight()), (1, 0));
}

#[test]
fn a_half_handed_over_later_brings_its_queue() {
    let mut wire = Wire::new();
    wire.slow = SlowPath::default();
    let half = http_half {
        synchronised: 1,
        next_sequence: 5000,
        count: 9,
        ..http_half::default()
    };
    let mut fifo = [http_pending::default(); HTTP_FIFO_SLOTS as usize];
    // Requests 9 and 10, counted from 0, wait; the kernel half has answered the nine before.
    fifo[1] = http_pending {
        start_ns: 7,
        method: 3,
        ..http_pending::default()
    };
    fifo[2] = http_pending {
        start_ns: 8,
        method: 7,
        ..http_pending::default()
    };
    wire.snapshot(HTTP_RESPONSE, half, fifo);
    wire.send(HTTP_RESPONSE, OK);
    assert_eq!(wire.requests(), 0, "what it answers is not known yet");
    let half = http_half {
        synchronised: 1,
        next_sequence: 1000,
        count: 11,
        ..http_half::default()
    };
    wire.snapshot(HTTP_REQUEST, half, fifo);
    wire.send(HTTP_RESPONSE, OK);
    let exchanges = wire.slow.take_exchanges();
    let found: Vec<_> = exchanges
        .iter()
        .map(|exchange| (exchange.number, exchange.start_ns, exchange.method))
        .collect();
    assert_eq!(found, [(10, 7, 3), (11, 8, 7)]);
}

#[test]
fn bytes_that_are_no_event_are_refused() {
    let mut slow = SlowPath::default();
    for bytes in [0, 1, 63, 64, 100] {
        assert!(slow.event(&vec![0xff; bytes]).is_err());
    }
    let event = http_event {
        kind: HTTP_EVENT_SEGMENT as u8,
        data_bytes: 1,
        ..http_event::default()
    };
    assert!(slow.event(bytemuck_bytes(&event)).is_err());
}
