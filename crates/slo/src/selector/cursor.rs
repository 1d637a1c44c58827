//! A place in the text of a query, and what is wrong there. It knows white space and comments, but no words.

/// Takes text off the beginning of a query.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Why a text is no query, and where.
#[derive(Debug, PartialEq)]
pub(super) struct Fault(pub(super) String);

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Skips what means nothing, and says where that led.
    pub(super) fn next_place(&mut self) -> usize {
        loop {
            self.take_while(|letter| " \t\r\n".contains(letter));
            if !self.rest().starts_with('#') {
                return self.at;
            }
            self.take_while(|letter| letter != '\n' && letter != '\r');
        }
    }

    /// Where it is.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// Whether one of these letters is next.
    pub(super) fn followed_by<const N: usize>(&self, letters: [char; N]) -> bool {
        self.rest().starts_with(letters)
    }

    /// The next letter that means something.
    pub(super) fn next_letter(&mut self) -> Option<char> {
        self.next_place();
        self.rest().chars().next()
    }

    /// Takes a sign, and what means nothing before it.
    pub(super) fn eat(&mut self, sign: &str) -> bool {
        self.next_place();
        let is_there = self.rest().starts_with(sign);
        if is_there {
            self.at += sign.len();
        }
        is_there
    }

    /// Takes one letter, whatever it is.
    pub(super) fn take(&mut self) -> Option<char> {
        let letter = self.rest().chars().next()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    /// Takes all letters up to one that does not belong.
    pub(super) fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|letter| !belongs(letter)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// What is wrong where the cursor is.
    pub(super) fn fault(&self, reason: &str) -> Fault {
        Fault::at(self.text, self.at, reason)
    }

    /// What is wrong at a place before.
    pub(super) fn fault_at(&self, at: usize, reason: &str) -> Fault {
        Fault::at(self.text, at, reason)
    }
}

impl Fault {
    /// Names the place as an editor does: lines and letters are counted from 1.
    pub(super) fn at(text: &str, at: usize, reason: &str) -> Self {
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before[line_start..].chars().count() + 1;
        let line = match before.matches('\n').count() {
            0 => String::new(),
            lines => format!("line {}, ", lines + 1),
        };
        Self(format!("{line}column {column}: {reason}"))
    }
}
