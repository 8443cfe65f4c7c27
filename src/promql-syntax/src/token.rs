//! Tokens of PromQL, and how messages speak of them.

use model::quote::quoted;

use crate::ast::{AggregateOp, BinaryOp, PosRange};

/// A piece of the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    /// What it is.
    pub(crate) kind: TokenKind,
    /// Its characters.
    pub(crate) text: &'a str,
    /// Offset of its first byte.
    pub(crate) start: usize,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// The end of the query.
    Eof,
    /// Something that is no token; the lexer's error has been recorded.
    Error,
    Identifier,
    /// An identifier with a colon in it.
    MetricIdentifier,
    Number,
    Duration,
    String,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    /// `=`
    Assign,
    /// `=~`
    EqualRegex,
    /// `!~`
    NotEqualRegex,
    At,
    /// `_` in a series description.
    Blank,
    /// `x` in a series description.
    Times,
    /// A run of spaces in a series description.
    Space,
    /// `{{` in a series description.
    OpenHistogram,
    /// `}}` in a series description.
    CloseHistogram,
    /// A part of a histogram in a series description; a `:` follows.
    HistogramKey,
    /// What a histogram in a series description says of counter resets.
    ResetHint,
    Binary(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
}

/// A word with a meaning of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Anchored,
    Bool,
    By,
    End,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    MaxOf,
    MinOf,
    Offset,
    On,
    Range,
    Smoothed,
    Start,
    Step,
    Without,
}

impl Keyword {
    const ALL: [(&'static str, Self); 19] = [
        ("anchored", Self::Anchored),
        ("bool", Self::Bool),
        ("by", Self::By),
        ("end", Self::End),
        ("fill", Self::Fill),
        ("fill_left", Self::FillLeft),
        ("fill_right", Self::FillRight),
        ("group_left", Self::GroupLeft),
        ("group_right", Self::GroupRight),
        ("ignoring", Self::Ignoring),
        ("max_of", Self::MaxOf),
        ("min_of", Self::MinOf),
        ("offset", Self::Offset),
        ("on", Self::On),
        ("range", Self::Range),
        ("smoothed", Self::Smoothed),
        ("start", Self::Start),
        ("step", Self::Step),
        ("without", Self::Without),
    ];

    /// Whether the word is `fill`, `fill_left` or `fill_right`.
    pub(crate) const fn is_fill(self) -> bool {
        matches!(self, Self::Fill | Self::FillLeft | Self::FillRight)
    }

    /// Whether the word may be called like a function.
    pub(crate) const fn is_function(self) -> bool {
        matches!(
            self,
            Self::End | Self::MaxOf | Self::MinOf | Self::Range | Self::Start | Self::Step
        )
    }

    /// Whether the word may be a metric's name.
    const fn is_metric_name(self) -> bool {
        !matches!(
            self,
            Self::Bool | Self::GroupLeft | Self::GroupRight | Self::Ignoring | Self::On
        )
    }
}

/// The token kind of a word: keywords in any case, otherwise an identifier.
pub(crate) fn word_kind(word: &str) -> TokenKind {
    const LONGEST_KEYWORD: usize = "count_values".len();
    if word.len() > LONGEST_KEYWORD {
        return identifier_kind(word);
    }
    let lower = word.to_ascii_lowercase();
    let operator = match lower.as_str() {
        "and" => Some(BinaryOp::And),
        "or" => Some(BinaryOp::Or),
        "unless" => Some(BinaryOp::Unless),
        "atan2" => Some(BinaryOp::Atan2),
        "inf" | "nan" => return TokenKind::Number,
        _ => None,
    };
    if let Some(operator) = operator {
        return TokenKind::Binary(operator);
    }
    if let Some(op) = AggregateOp::ALL.into_iter().find(|op| op.as_str() == lower) {
        return TokenKind::Aggregate(op);
    }
    match Keyword::ALL.iter().find(|(name, _)| *name == lower) {
        Some((_, keyword)) => TokenKind::Keyword(*keyword),
        None => identifier_kind(word),
    }
}

fn identifier_kind(word: &str) -> TokenKind {
    if word.contains(':') {
        TokenKind::MetricIdentifier
    } else {
        TokenKind::Identifier
    }
}

impl TokenKind {
    /// Whether the token can be a metric's name.
    pub(crate) fn is_metric_name(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) => true,
            Self::Binary(op) => op.is_set(),
            Self::Keyword(keyword) => keyword.is_metric_name(),
            _ => false,
        }
    }

    /// Whether the token can be a label's name in a grouping list. As upstream: any word but
    /// `without`.
    pub(crate) fn is_grouping_label(self) -> bool {
        match self {
            Self::Keyword(keyword) => keyword != Keyword::Without,
            Self::Binary(BinaryOp::Atan2) => true,
            other => other.is_metric_name(),
        }
    }

    /// Whether an expression can begin with the token.
    pub(crate) fn can_start_expr(self) -> bool {
        self.is_metric_name()
            || matches!(
                self,
                Self::Number
                    | Self::Duration
                    | Self::String
                    | Self::LeftParen
                    | Self::LeftBrace
                    | Self::Binary(BinaryOp::Add | BinaryOp::Sub)
            )
    }
}

impl Token<'_> {
    /// Where the token stands.
    pub(crate) fn pos(&self) -> PosRange {
        PosRange::new(self.start, self.start + self.text.len())
    }

    /// The token as messages name it. Source: upstream `Item.desc` and `Item.String`.
    pub(crate) fn describe(&self) -> String {
        let text = self.text;
        match self.kind {
            TokenKind::Eof => "end of input".to_owned(),
            TokenKind::Error => "error".to_owned(),
            TokenKind::Identifier => format!("identifier {}", quoted(text)),
            TokenKind::MetricIdentifier => format!("metric identifier {}", quoted(text)),
            TokenKind::Number => format!("number {}", shortened(text)),
            TokenKind::Duration => format!("duration {}", shortened(text)),
            TokenKind::String => format!("string {}", shortened(text)),
            TokenKind::Binary(_)
            | TokenKind::EqualRegex
            | TokenKind::NotEqualRegex
            | TokenKind::At => format!("<op:{text}>"),
            TokenKind::Aggregate(_) => format!("<aggr:{text}>"),
            TokenKind::Keyword(keyword) if !keyword.is_function() => format!("<{text}>"),
            _ => shortened(text),
        }
    }
}

/// The first ten characters in quotes.
fn shortened(text: &str) -> String {
    if text.len() <= 10 {
        return quoted(text).to_string();
    }
    let end = text
        .char_indices()
        .nth(10)
        .map_or(text.len(), |(index, _)| index);
    format!("{}...", quoted(&text[..end]))
}

/// Displays a character as Go's `%q` does: single quotes, Go escapes. `None`, the end of the text,
/// shows as the replacement character, which is what upstream prints there.
pub(crate) fn quoted_char(c: Option<char>) -> String {
    match c.unwrap_or(char::REPLACEMENT_CHARACTER) {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        other => {
            let text = quoted(other.encode_utf8(&mut [0; 4])).to_string();
            format!("'{}'", &text[1..text.len() - 1])
        }
    }
}
