//! Splits an exposition into tokens. Which bytes form a token depends on what came before, as in
//! the format's reference lexer: `1` is a value after a name and a timestamp after a value.

/// Kinds of tokens; the names are those of upstream's error texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Nothing that may stand here.
    Invalid,
    /// End of the input.
    Eof,
    /// End of a line.
    Linebreak,
    /// `# HELP`.
    Help,
    /// `# TYPE`.
    Type,
    /// `# UNIT`, OpenMetrics only.
    Unit,
    /// `# EOF`, OpenMetrics only.
    EofWord,
    /// A comment, without its line break; in OpenMetrics the start of an exemplar.
    Comment,
    /// A metric name.
    MetricName,
    /// A quoted name inside braces.
    QuotedString,
    /// `{`.
    BraceOpen,
    /// `}`.
    BraceClose,
    /// A label name.
    LabelName,
    /// A quoted label value.
    LabelValue,
    /// `,`.
    Comma,
    /// `=`.
    Equal,
    /// Digits after a value.
    Timestamp,
    /// What stands after name and labels.
    Value,
}

impl Token {
    /// The name in error texts. Source: upstream `model/textparse`, `token.String`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::Eof => "EOF",
            Self::Linebreak => "LINEBREAK",
            Self::Help => "HELP",
            Self::Type => "TYPE",
            Self::Unit => "UNIT",
            Self::EofWord => "EOFWORD",
            Self::Comment => "COMMENT",
            Self::MetricName => "MNAME",
            Self::QuotedString => "QSTRING",
            Self::BraceOpen => "BOPEN",
            Self::BraceClose => "BCLOSE",
            Self::LabelName => "LNAME",
            Self::LabelValue => "LVALUE",
            Self::Comma => "COMMA",
            Self::Equal => "EQUAL",
            Self::Timestamp => "TIMESTAMP",
            Self::Value => "VALUE",
        }
    }
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    LineStart,
    MetaName,
    MetaText,
    Labels,
    LabelValue,
    Value,
    Timestamp,
}

/// Which rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Blanks are free, any comment is allowed, a line break is assumed after the last byte.
    Text,
    /// One space separates, nothing is free.
    OpenMetrics,
}

/// Walks over the input.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) input: &'a [u8],
    /// Position behind the current token.
    pub(crate) at: usize,
    /// Position of the current token.
    pub(crate) start: usize,
    state: State,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a [u8], dialect: Dialect) -> Self {
        Self {
            dialect,
            input,
            at: 0,
            start: 0,
            state: State::LineStart,
        }
    }

    /// The bytes of the current token.
    pub(crate) fn token(&self) -> &'a [u8] {
        let end = self.at.min(self.input.len());
        &self.input[self.start.min(end)..end]
    }

    /// The input from `from` to `to`, with the assumed line break where `to` lies behind it.
    pub(crate) fn excerpt(&self, from: usize, to: usize) -> Vec<u8> {
        let length = self.input.len();
        let mut bytes = self.input[from.min(length)..to.min(length)].to_vec();
        if to > length && self.dialect == Dialect::Text {
            bytes.push(b'\n');
        }
        bytes
    }

    /// Moves behind `raw`, which the caller found at the current place: name and labels of a line.
    pub(crate) fn skip_series(&mut self, raw: &[u8]) {
        self.start = self.at;
        self.at += raw.len();
        self.state = State::Value;
    }

    /// Moves to the next token; free blanks are skipped.
    pub(crate) fn next_token(&mut self) -> Token {
        if self.dialect == Dialect::Text && self.state != State::MetaText {
            self.skip_blanks();
        }
        self.start = self.at;
        let Some(byte) = self.byte_at(self.at) else {
            return Token::Eof;
        };
        if self.dialect == Dialect::OpenMetrics {
            match self.state {
                State::LineStart if byte == b'#' => return self.keyword(),
                State::LineStart if byte == b'\n' => return Token::Invalid,
                State::Value if byte != b'{' => return self.spaced(State::Timestamp, Token::Value),
                State::Timestamp if byte != b'\n' => return self.after_value(),
                _ => {}
            }
        }
        match self.state {
            State::LineStart => self.line_start(byte),
            State::MetaName => self.meta_name(byte),
            State::Labels => self.in_labels(byte),
            State::LabelValue => self.label_value(byte),
            State::Value => self.value(byte),
            State::Timestamp => self.timestamp(byte),
            State::MetaText => Token::Invalid,
        }
    }

    /// The rest of a metadata line after its name, without the separating byte; a text of blanks
    /// only is empty.
    pub(crate) fn take_text(&mut self) -> &'a [u8] {
        let rest = &self.input[self.at.min(self.input.len())..];
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.start = self.at;
        self.at += length;
        self.state = State::LineStart;
        let text = rest[..length].get(1..).unwrap_or_default();
        if rest[..length].iter().all(|byte| is_blank(*byte)) {
            &[]
        } else {
            text
        }
    }

    /// As [`Lexer::take_text`] where a space must precede the text and a line break end it, which
    /// is taken too.
    pub(crate) fn take_spaced_text(&mut self) -> Option<&'a [u8]> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest)?;
        let text = rest[..length].strip_prefix(b" ")?;
        self.at += length + 1;
        self.state = State::LineStart;
        Some(text)
    }

    fn byte_at(&self, at: usize) -> Option<u8> {
        match self.input.get(at) {
            Some(byte) => Some(*byte),
            None if at == self.input.len() && self.dialect == Dialect::Text => Some(b'\n'),
            None => None,
        }
    }

    pub(crate) fn skip_blanks(&mut self) {
        while self.input.get(self.at).is_some_and(|byte| is_blank(*byte)) {
            self.at += 1;
        }
    }

    fn accept(&mut self, length: usize, state: State, token: Token) -> Token {
        self.at = self.start + length;
        self.state = state;
        token
    }

    fn line_start(&mut self, byte: u8) -> Token {
        match byte {
            b'\n' => self.accept(1, State::LineStart, Token::Linebreak),
            b'#' => self.hash_line(),
            b'{' => self.accept(1, State::Labels, Token::BraceOpen),
            byte if is_name_start(byte) => {
                let length = self.name_length(is_name_byte);
                self.accept(length, State::Value, Token::MetricName)
            }
            _ => Token::Invalid,
        }
    }

    fn hash_line(&mut self) -> Token {
        let line = &self.input[self.at..];
        let line = &line[..memchr::memchr(b'\n', line).unwrap_or(line.len())];
        let blanks = line[1..].iter().take_while(|byte| is_blank(**byte)).count();
        let words = &line[1 + blanks..];
        let keyword = match words {
            [b'H', b'E', b'L', b'P', blank, ..] if is_blank(*blank) => Some(Token::Help),
            [b'T', b'Y', b'P', b'E', blank, ..] if is_blank(*blank) => Some(Token::Type),
            _ => None,
        };
        match keyword.filter(|_| blanks > 0) {
            Some(token) => self.accept(1 + blanks + 4, State::MetaName, token),
            None => self.accept(line.len(), State::LineStart, Token::Comment),
        }
    }

    /// The lines that OpenMetrics allows to start with `#`.
    fn keyword(&mut self) -> Token {
        let rest = &self.input[self.at..];
        for (word, token) in [
            ("# HELP ", Token::Help),
            ("# TYPE ", Token::Type),
            ("# UNIT ", Token::Unit),
        ] {
            if rest.starts_with(word.as_bytes()) {
                return self.accept(word.len(), State::MetaName, token);
            }
        }
        match rest.strip_prefix(b"# EOF") {
            Some(behind) => {
                let line_break = usize::from(behind.first() == Some(&b'\n'));
                self.accept(5 + line_break, State::LineStart, Token::EofWord)
            }
            None => Token::Invalid,
        }
    }

    /// A space and what follows it up to the next one.
    fn spaced(&mut self, state: State, token: Token) -> Token {
        let text = self.input[self.at..].strip_prefix(b" ").unwrap_or_default();
        let length = text
            .iter()
            .take_while(|byte| !matches!(byte, b' ' | b'\n'))
            .count();
        if length == 0 {
            return Token::Invalid;
        }
        self.start = self.at + 1;
        self.accept(length, state, token)
    }

    /// A timestamp or an exemplar.
    fn after_value(&mut self) -> Token {
        if self.input[self.at..].starts_with(b" # {") {
            return self.accept(4, State::Labels, Token::Comment);
        }
        self.spaced(State::Timestamp, Token::Timestamp)
    }

    fn meta_name(&mut self, byte: u8) -> Token {
        if byte == b'"' {
            self.quoted(State::MetaText, Token::MetricName)
        } else if is_name_start(byte) {
            let length = self.name_length(is_name_byte);
            self.accept(length, State::MetaText, Token::MetricName)
        } else {
            Token::Invalid
        }
    }

    fn in_labels(&mut self, byte: u8) -> Token {
        match byte {
            b'"' => self.quoted(State::Labels, Token::QuotedString),
            b'}' => self.accept(1, State::Value, Token::BraceClose),
            b'=' => self.accept(1, State::LabelValue, Token::Equal),
            b',' => self.accept(1, State::Labels, Token::Comma),
            byte if is_name_start(byte) && byte != b':' => {
                let length = self.name_length(|byte| byte != b':' && is_name_byte(byte));
                self.accept(length, State::Labels, Token::LabelName)
            }
            _ => Token::Invalid,
        }
    }

    fn label_value(&mut self, byte: u8) -> Token {
        if byte == b'"' {
            self.quoted(State::Labels, Token::LabelValue)
        } else {
            Token::Invalid
        }
    }

    fn value(&mut self, byte: u8) -> Token {
        match byte {
            b'\n' => Token::Invalid,
            b'{' => self.accept(1, State::Labels, Token::BraceOpen),
            _ => {
                let length = self.name_length(|byte| !matches!(byte, b'{' | b' ' | b'\t' | b'\n'));
                self.accept(length, State::Timestamp, Token::Value)
            }
        }
    }

    fn timestamp(&mut self, byte: u8) -> Token {
        match byte {
            b'\n' => self.accept(1, State::LineStart, Token::Linebreak),
            b'0'..=b'9' => {
                let length = self.name_length(|byte| byte.is_ascii_digit());
                self.accept(length, State::Timestamp, Token::Timestamp)
            }
            _ => Token::Invalid,
        }
    }

    fn name_length(&self, belongs: impl Fn(u8) -> bool) -> usize {
        self.input[self.start..]
            .iter()
            .take_while(|byte| belongs(**byte))
            .count()
    }

    /// A text from quote to quote, where a backslash protects the next byte. The byte at the
    /// current place is a quote.
    fn quoted(&mut self, state: State, token: Token) -> Token {
        let mut at = self.at + 1;
        while let Some(found) = self
            .input
            .get(at..)
            .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
        {
            at += found;
            if self.input[at] == b'"' {
                return self.accept(at + 1 - self.start, state, token);
            }
            at += 2;
        }
        // The search went over everything, so the error shows everything, as upstream's does.
        self.at = self.input.len() + usize::from(self.dialect == Dialect::Text);
        Token::Invalid
    }
}

pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':')
}

fn is_name_byte(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit()
}
