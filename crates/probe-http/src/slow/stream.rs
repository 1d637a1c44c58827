//! One direction's bytes put back in order by sequence number. Bounded; knows no HTTP.

use std::collections::VecDeque;

/// Bytes held back while something before them is missing.
pub const MAX_HELD_BYTES: usize = 1 << 20;
/// Pieces held back, so that many tiny ones cannot take much memory either.
pub const MAX_HELD_PIECES: usize = 1024;

/// Payload at its place in the stream, with when and after which acknowledgement it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Sequence number of the first byte.
    pub sequence: u32,
    /// The other direction's next expected byte, according to this segment.
    pub acknowledged: u32,
    /// When it was seen, in nanoseconds.
    pub now_ns: u64,
    /// Whether the direction ends behind these bytes.
    pub fin: bool,
    /// The bytes; may be empty.
    pub data: Vec<u8>,
}

impl Piece {
    fn end(&self) -> u32 {
        self.sequence.wrapping_add(self.data.len() as u32)
    }
}

/// How far `to` is ahead of `from`; sequence numbers wrap.
fn ahead(to: u32, from: u32) -> i32 {
    to.wrapping_sub(from) as i32
}

/// Pieces that wait for their turn.
#[derive(Debug, Default)]
pub struct Stream {
    next: u32,
    held: VecDeque<Piece>,
    held_bytes: usize,
    ended: bool,
}

impl Stream {
    /// A stream whose next byte has this sequence number.
    pub fn starting_at(next: u32) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// Sequence number of the next byte to give out.
    pub fn next_sequence(&self) -> u32 {
        self.next
    }

    /// Takes a piece, in any order.
    pub fn insert(&mut self, piece: Piece) {
        if piece.data.is_empty() && !piece.fin {
            return;
        }
        self.held_bytes += piece.data.len();
        let at = self
            .held
            .partition_point(|held| ahead(held.sequence, piece.sequence) <= 0);
        self.held.insert(at, piece);
    }

    /// The next piece in order, without bytes given out before. `None` while it is missing.
    pub fn pop(&mut self) -> Option<Piece> {
        while let Some(first) = self.held.front() {
            if ahead(first.sequence, self.next) > 0 {
                return None;
            }
            let mut piece = self.held.pop_front()?;
            self.held_bytes -= piece.data.len();
            let old = self.next.wrapping_sub(piece.sequence) as usize;
            if old > piece.data.len() || (old == piece.data.len() && !piece.fin) {
                continue;
            }
            piece.data.drain(..old);
            piece.sequence = self.next;
            self.next = piece.end();
            self.ended |= piece.fin;
            return Some(piece);
        }
        None
    }

    /// Whether the missing bytes will not come: the peer has confirmed them, or too much waits for them.
    pub fn is_gap_final(&self, acknowledged_by_peer: Option<u32>) -> bool {
        let overflows = self.held_bytes > MAX_HELD_BYTES || self.held.len() > MAX_HELD_PIECES;
        // A FIN takes one sequence number of its own.
        let next = self.next.wrapping_add(u32::from(self.ended));
        overflows || acknowledged_by_peer.is_some_and(|acknowledged| ahead(acknowledged, next) > 0)
    }

    /// Gives up on what is missing and continues at the first piece held, or at `otherwise`.
    pub fn jump(&mut self, otherwise: u32) {
        self.next = self.held.front().map_or(otherwise, |piece| piece.sequence);
    }

    /// Forgets everything held and continues at `next`.
    pub fn reset(&mut self, next: u32) {
        *self = Self::starting_at(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(sequence: u32, data: &str) -> Piece {
        Piece {
            sequence,
            acknowledged: 0,
            now_ns: 0,
            fin: false,
            data: data.as_bytes().to_vec(),
        }
    }

    fn drain(stream: &mut Stream) -> String {
        let mut text = String::new();
        while let Some(piece) = stream.pop() {
            text.push_str(std::str::from_utf8(&piece.data).unwrap());
        }
        text
    }

    #[test]
    fn order_overlap_and_repetition_do_not_matter() {
        let mut stream = Stream::starting_at(u32::MAX - 1);
        stream.insert(piece(2, "efg"));
        assert_eq!(drain(&mut stream), "");
        stream.insert(piece(u32::MAX - 1, "abc"));
        stream.insert(piece(u32::MAX, "bcde"));
        stream.insert(piece(u32::MAX - 1, "abc"));
        assert_eq!(drain(&mut stream), "abcdefg");
        assert_eq!(stream.next_sequence(), 5);
    }

    #[test]
    fn a_gap_is_final_when_the_peer_has_what_we_miss() {
        let mut stream = Stream::starting_at(10);
        stream.insert(piece(12, "x"));
        assert!(!stream.is_gap_final(Some(10)));
        assert!(stream.is_gap_final(Some(13)));
        stream.jump(0);
        assert_eq!(drain(&mut stream), "x");
        assert!(!stream.is_gap_final(Some(13)));
    }

    #[test]
    fn holding_is_bounded() {
        let mut stream = Stream::starting_at(0);
        for index in 0..=MAX_HELD_PIECES as u32 {
            stream.insert(piece(2 + 2 * index, "x"));
        }
        assert!(stream.is_gap_final(None));
    }
}
