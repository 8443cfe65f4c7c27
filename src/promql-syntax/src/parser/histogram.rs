//! Native histograms in series descriptions: `{{schema:1 sum:2 count:3 buckets:[1 2]}}`.
//!
//! Source: upstream `histogram_series_value` of `generated_parser.y`, and `buildHistogramFromMap`.

use model::{CounterResetHint, FloatHistogram, Span};

use super::{Abort, Context, Parsed, Parser};
use crate::ast::{BinaryOp, PosRange};
use crate::token::{Token, TokenKind};

/// A histogram as it was written.
#[derive(Clone, Debug)]
pub(super) struct WrittenHistogram {
    pub(super) histogram: FloatHistogram,
    /// Whether it says what is known of counter resets.
    pub(super) hint_is_given: bool,
}

/// The value of one part.
enum Part {
    Integer(i32),
    Number(f64),
    Numbers(Vec<f64>),
    Hint(CounterResetHint),
}

/// The parts so far.
#[derive(Default)]
struct Description {
    histogram: FloatHistogram,
    keys: Vec<String>,
    offset: i32,
    negative_offset: i32,
}

impl<'a> Parser<'a> {
    /// Parses a histogram; its `{{` is next.
    pub(super) fn parse_histogram(&mut self) -> Parsed<WrittenHistogram> {
        self.expect(TokenKind::OpenHistogram)?;
        self.accept(TokenKind::Space);
        let mut description = Description::default();
        if self.peek().kind != TokenKind::CloseHistogram {
            self.parse_part(&mut description)?;
        }
        self.within(Context::Histogram, |parser| {
            loop {
                let spaced = parser.accept(TokenKind::Space).is_some();
                if parser.accept(TokenKind::CloseHistogram).is_some() {
                    return Ok(());
                }
                if !spaced {
                    return Err(parser.unexpected_here());
                }
                parser.parse_part(&mut description)?;
            }
        })?;
        Ok(description.finish())
    }

    fn parse_part(&mut self, description: &mut Description) -> Parsed<()> {
        let key = self.expect(TokenKind::HistogramKey)?;
        self.expect(TokenKind::Colon)?;
        let name = key.text.to_ascii_lowercase();
        let part = match name.as_str() {
            "schema" | "offset" | "n_offset" => Part::Integer(self.parse_integer()?),
            "buckets" | "n_buckets" | "custom_values" => Part::Numbers(self.parse_numbers()?),
            "counter_reset_hint" => Part::Hint(self.parse_hint()?),
            _ => Part::Number(self.parse_histogram_number()?),
        };
        if description.keys.contains(&name) {
            let message = format!("duplicate key \"{name}\" in histogram");
            self.error(PosRange::default(), message);
            return Ok(());
        }
        description.set(&name, part);
        description.keys.push(name);
        Ok(())
    }

    /// Parses a whole number with a sign if need be.
    fn parse_integer(&mut self) -> Parsed<i32> {
        let is_negative = self.accept(TokenKind::Binary(BinaryOp::Sub)).is_some();
        let digits = self.expect(TokenKind::Number)?;
        let magnitude = i64::try_from(self.parse_count(&digits)?).unwrap_or(i64::MAX);
        let value = if is_negative { -magnitude } else { magnitude };
        i32::try_from(value).map_err(|_| self.out_of_range(&digits))
    }

    fn out_of_range(&mut self, digits: &Token<'a>) -> Abort {
        let message = format!("{} is out of range in a histogram", digits.text);
        self.error(digits.pos(), message);
        Abort
    }

    /// Parses a number with a sign if need be.
    fn parse_histogram_number(&mut self) -> Parsed<f64> {
        match self.peek().kind {
            TokenKind::Number | TokenKind::Binary(BinaryOp::Sub) => self.parse_signed_number(),
            _ => Err(self.unexpected_here()),
        }
    }

    /// Parses `[1 2 3]`, at least one number.
    fn parse_numbers(&mut self) -> Parsed<Vec<f64>> {
        self.expect(TokenKind::LeftBracket)?;
        let mut numbers = Vec::new();
        loop {
            self.accept(TokenKind::Space);
            if !numbers.is_empty() && self.accept(TokenKind::RightBracket).is_some() {
                return Ok(numbers);
            }
            numbers.push(self.parse_histogram_number()?);
        }
    }

    fn parse_hint(&mut self) -> Parsed<CounterResetHint> {
        let word = self.expect(TokenKind::ResetHint)?;
        Ok(match word.text.to_ascii_lowercase().as_str() {
            "gauge" => CounterResetHint::Gauge,
            "reset" => CounterResetHint::CounterReset,
            "not_reset" => CounterResetHint::NotCounterReset,
            _ => CounterResetHint::Unknown,
        })
    }
}

impl Description {
    fn set(&mut self, name: &str, part: Part) {
        let histogram = &mut self.histogram;
        match (name, part) {
            ("schema", Part::Integer(value)) => histogram.schema = value,
            ("offset", Part::Integer(value)) => self.offset = value,
            (_, Part::Integer(value)) => self.negative_offset = value,
            ("sum", Part::Number(value)) => histogram.sum = value,
            ("count", Part::Number(value)) => histogram.count = value,
            ("z_bucket", Part::Number(value)) => histogram.zero_count = value,
            (_, Part::Number(value)) => histogram.zero_threshold = value,
            ("buckets", Part::Numbers(values)) => histogram.positive_buckets = values,
            ("n_buckets", Part::Numbers(values)) => histogram.negative_buckets = values,
            (_, Part::Numbers(values)) => histogram.custom_values = values.into(),
            (_, Part::Hint(hint)) => histogram.counter_reset_hint = hint,
        }
    }

    fn finish(self) -> WrittenHistogram {
        let mut histogram = self.histogram;
        histogram.positive_spans = one_span(self.offset, &histogram.positive_buckets);
        histogram.negative_spans = one_span(self.negative_offset, &histogram.negative_buckets);
        WrittenHistogram {
            histogram,
            hint_is_given: self.keys.iter().any(|key| key == "counter_reset_hint"),
        }
    }
}

fn one_span(offset: i32, buckets: &[f64]) -> Vec<Span> {
    match u32::try_from(buckets.len()) {
        Ok(length) if length > 0 => vec![Span { offset, length }],
        _ => Vec::new(),
    }
}
