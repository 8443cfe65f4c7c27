//! Name and labels of a series line: delimited on every scrape, read only for series not yet known.

use std::borrow::Cow;

use model::{Labels, METRIC_NAME};

use crate::entry::{MetricKind, unescape_label};
use crate::error::{Excerpt, ParseError};
use crate::lexer::{Dialect, Lexer, Token, is_blank};
use crate::value::normalized_float;

/// Reads the bytes of [`crate::SeriesLine::raw`] as labels, the metric's name among them.
///
/// Under `# TYPE … histogram` the values of `le`, and under `summary` those of `quantile`, take
/// OpenMetrics' float form (`1` becomes `1.0`), so that one series keeps one name whichever format
/// a target serves. Source: upstream `model/textparse`, `normalizeFloatsInLabelValues`.
///
/// # Errors
/// The bytes are not the name and labels of a series line, or the labels form no set.
pub fn parse_series(raw: &[u8], kind: MetricKind) -> Result<Labels, ParseError> {
    let mut lexer = Lexer::new(raw, Dialect::Text);
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::with_capacity(8);
    let first = lexer.next_token();
    let series = delimit(&mut lexer, 0, first, &mut |name, text| {
        let text = unescape_label(text);
        match name.map(unescape_label) {
            None => pairs.push((Cow::Borrowed(METRIC_NAME), text)),
            Some(name) => {
                let value = match normalized_float(kind, &name, &text) {
                    Some(normalized) => Cow::Owned(normalized),
                    None => text,
                };
                pairs.push((name, value));
            }
        }
    })?;
    if series.end < raw.len() {
        return Err(unexpected(&lexer, 0, "expected end of series", series.next));
    }
    Ok(Labels::from_pairs(
        pairs
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref())),
    )?)
}

/// Reads the bytes of [`crate::entry::ExemplarLine::raw`] as labels.
///
/// # Errors
/// The bytes are not labels in braces, or the labels form no set.
pub fn parse_exemplar_labels(raw: &[u8]) -> Result<Labels, ParseError> {
    let mut lexer = Lexer::new(raw, Dialect::Text);
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::with_capacity(2);
    let first = lexer.next_token();
    if first != Token::BraceOpen {
        return Err(unexpected(&lexer, 0, "expected labels", first));
    }
    delimit_labels(&mut lexer, 0, true, &mut |name, text| {
        if let Some(name) = name {
            pairs.push((unescape_label(name), unescape_label(text)));
        }
    })?;
    Ok(Labels::from_pairs(
        pairs
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref())),
    )?)
}

/// Where a series ends.
pub(crate) struct Delimited {
    /// Position behind name and labels.
    pub(crate) end: usize,
    /// The token after them, already taken.
    pub(crate) next: Token,
}

/// Walks over name and labels, of which `first` is the token already taken. Calls `on_label` with
/// `None` for the metric's name and with the label's name for each label; texts are still escaped.
pub(crate) fn delimit<'a>(
    lexer: &mut Lexer<'a>,
    line_start: usize,
    first: Token,
    on_label: &mut impl FnMut(Option<&'a str>, &'a str),
) -> Result<Delimited, ParseError> {
    let mut named = false;
    let mut braces = first == Token::BraceOpen;
    let mut end = lexer.at;
    let mut next = first;
    if first == Token::MetricName {
        named = true;
        on_label(None, utf8_name(lexer.token())?);
        next = lexer.next_token();
        braces = next == Token::BraceOpen;
    }
    if braces {
        named = delimit_labels(lexer, line_start, named, on_label)?;
        end = lexer.at;
        next = lexer.next_token();
    } else if first != Token::MetricName {
        return Err(unexpected(
            lexer,
            line_start,
            "expected a valid start token",
            first,
        ));
    }
    if !named {
        return Err(ParseError::MetricNameMissing(context(lexer, line_start)));
    }
    Ok(Delimited { end, next })
}

/// Walks over labels up to the closing brace, the opening one being taken already; tells whether the metric's name is known then.
pub(crate) fn delimit_labels<'a>(
    lexer: &mut Lexer<'a>,
    line_start: usize,
    mut named: bool,
    on_label: &mut impl FnMut(Option<&'a str>, &'a str),
) -> Result<bool, ParseError> {
    let mut token = lexer.next_token();
    loop {
        let name = match token {
            Token::BraceClose => return Ok(named),
            Token::LabelName => utf8_name(lexer.token())?,
            Token::QuotedString => utf8_name(inside_quotes(lexer.token()))?,
            other => return Err(unexpected(lexer, line_start, "expected label name", other)),
        };
        token = lexer.next_token();
        // A name without a value is the metric's: `{"my.metric", a="b"}`.
        if matches!(token, Token::Comma | Token::BraceClose) {
            if named {
                return Err(ParseError::MetricNameTwice(context(lexer, line_start)));
            }
            named = true;
            on_label(None, name);
        } else {
            if token != Token::Equal {
                return Err(unexpected(lexer, line_start, "expected equal", token));
            }
            token = lexer.next_token();
            if token != Token::LabelValue {
                return Err(unexpected(lexer, line_start, "expected label value", token));
            }
            let value = std::str::from_utf8(inside_quotes(lexer.token()))
                .map_err(|_| ParseError::LabelValueNotUtf8(Excerpt::new(lexer.token())))?;
            on_label(Some(name), value);
            token = lexer.next_token();
            let is_strict = lexer.dialect == Dialect::OpenMetrics;
            if is_strict && !matches!(token, Token::Comma | Token::BraceClose) {
                return Err(unexpected(
                    lexer,
                    line_start,
                    "expected comma or brace close",
                    token,
                ));
            }
        }
        if token == Token::Comma {
            token = lexer.next_token();
        }
    }
}

/// Whether a series ends between `raw` and `rest`, and does not go on with more name or labels.
pub(crate) fn ends_series(raw: &[u8], rest: &[u8]) -> bool {
    let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
    raw.ends_with(b"}") || (blanks > 0 && rest.get(blanks) != Some(&b'{'))
}

pub(crate) fn unexpected(
    lexer: &Lexer<'_>,
    line_start: usize,
    expected: &'static str,
    token: Token,
) -> ParseError {
    ParseError::Unexpected {
        expected,
        token,
        got: Excerpt::new(&lexer.excerpt(lexer.start, lexer.at + 1)),
        context: Excerpt::new(&lexer.excerpt(line_start, lexer.at + 1)),
    }
}

pub(crate) fn context(lexer: &Lexer<'_>, line_start: usize) -> Excerpt {
    Excerpt::new(&lexer.excerpt(line_start, lexer.at))
}

pub(crate) fn utf8_name(name: &[u8]) -> Result<&str, ParseError> {
    std::str::from_utf8(name).map_err(|_| ParseError::NameNotUtf8(Excerpt::new(name)))
}

pub(crate) fn inside_quotes(text: &[u8]) -> &[u8] {
    text.get(1..text.len().saturating_sub(1))
        .unwrap_or_default()
}
