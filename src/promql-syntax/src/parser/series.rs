//! Series descriptions of tests: a metric, then values such as `1 2+3x4 _x5 stale {{count:6}}`.

use std::sync::Arc;

use model::{FloatHistogram, Labels, stale_nan};

use super::{Abort, Context, Parsed, Parser, unary_op};
use crate::ast::UnaryOp;
use crate::series::SequenceValue;
use crate::token::{Token, TokenKind};

/// A series and its values, one per interval.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesDescription {
    /// The series.
    pub labels: Labels,
    /// The values in order.
    pub values: Vec<SequenceValue>,
}

/// More values than this in one description are taken for a slip of the pen.
const MAX_VALUES: u64 = 10_000_000;

/// More histograms than this, each computed from the one before, are one too.
const MAX_STEPS: u64 = 100_000;

impl<'a> Parser<'a> {
    /// Parses a whole series description.
    pub(crate) fn parse_series_description(&mut self) -> Parsed<SeriesDescription> {
        let labels = self.parse_metric()?;
        let mut values = Vec::new();
        self.within(Context::SeriesValues, |parser| {
            while parser.accept(TokenKind::Space).is_some() {
                if parser.peek().kind != TokenKind::Eof {
                    parser.parse_item(&mut values)?;
                }
            }
            parser.expect_end()
        })?;
        Ok(SeriesDescription { labels, values })
    }

    fn parse_item(&mut self, values: &mut Vec<SequenceValue>) -> Parsed<()> {
        if self.accept(TokenKind::Blank).is_some() {
            let count = self.parse_repetition(values.len())?.unwrap_or(1);
            values.extend((0..count).map(|_| SequenceValue::Omitted));
            return Ok(());
        }
        if self.peek().kind == TokenKind::OpenHistogram {
            return self.parse_histogram_item(values);
        }
        let mut value = self.parse_value()?;
        let mut change = 0.0;
        let has_change = unary_op(self.peek().kind).is_some();
        if has_change {
            change = self.parse_signed_number()?;
        }
        match self.parse_repetition(values.len())? {
            Some(count) => {
                // As upstream: a repetition adds to the value that is there at once. Only a
                // written change is added, so that infinities and stale markers stay as they are.
                for _ in 0..=count {
                    values.push(SequenceValue::Float(value));
                    if has_change {
                        value += change;
                    }
                }
            }
            None if has_change => return Err(self.unexpected_here()),
            None => values.push(SequenceValue::Float(value)),
        }
        Ok(())
    }

    /// Parses a histogram, repeated or with a step if need be. Source: upstream `series_item` and
    /// `histogramsSeries`.
    fn parse_histogram_item(&mut self, values: &mut Vec<SequenceValue>) -> Parsed<()> {
        let base = self.parse_histogram()?;
        let Some(op) = unary_op(self.peek().kind) else {
            let value = value_of(base.histogram, base.hint_is_given);
            let count = self.parse_repetition(values.len())?.unwrap_or(0);
            values.extend((0..=count).map(|_| value.clone()));
            return Ok(());
        };
        self.take();
        let change = self.parse_histogram()?;
        let position = self.peek().pos();
        let Some(count) = self.parse_repetition(values.len())? else {
            return Err(self.unexpected_here());
        };
        if count > MAX_STEPS {
            self.error(
                position,
                format!("more than {MAX_STEPS} histograms in steps"),
            );
            return Err(Abort);
        }
        let mut current = base.histogram;
        for _ in 0..count {
            let next = step(&current, op, &change.histogram);
            // As upstream: what the change says of its hint goes for all values.
            values.push(value_of(current, change.hint_is_given));
            current = next.map_err(|message| {
                self.error(position, message);
                Abort
            })?;
        }
        values.push(value_of(current, change.hint_is_given));
        Ok(())
    }

    fn parse_value(&mut self) -> Parsed<f64> {
        let token = self.peek();
        if token.kind == TokenKind::Identifier {
            if token.text != "stale" {
                self.unexpected("series values", "number or \"stale\"");
                return Err(Abort);
            }
            self.take();
            return Ok(stale_nan());
        }
        self.parse_signed_number()
    }

    /// Parses `x5`; `None` when there is no `x`.
    fn parse_repetition(&mut self, values: usize) -> Parsed<Option<u64>> {
        if self.accept(TokenKind::Times).is_none() {
            return Ok(None);
        }
        let count = self.expect(TokenKind::Number)?;
        let repetitions = self.parse_count(&count)?;
        let total = u64::try_from(values)
            .unwrap_or(u64::MAX)
            .saturating_add(repetitions);
        if total > MAX_VALUES {
            let message = format!("more than {MAX_VALUES} values in a series description");
            self.error(count.pos(), message);
            return Err(Abort);
        }
        Ok(Some(repetitions))
    }

    pub(super) fn parse_count(&mut self, token: &Token<'a>) -> Parsed<u64> {
        let digits_only = token.text.bytes().all(|b| b.is_ascii_digit());
        let reason = match token.text.parse::<u64>() {
            Ok(count) if digits_only => return Ok(count),
            Err(_) if digits_only => "value out of range",
            _ => "invalid syntax",
        };
        let text = model::quote::quoted(token.text);
        let message = format!(
            "invalid repetition in series values: strconv.ParseUint: parsing {text}: {reason}"
        );
        self.error(token.pos(), message);
        Err(Abort)
    }
}

fn value_of(histogram: FloatHistogram, hint_is_given: bool) -> SequenceValue {
    SequenceValue::Histogram {
        histogram: Arc::new(histogram),
        hint_is_given,
    }
}

/// The histogram behind `current`.
fn step(
    current: &FloatHistogram,
    op: UnaryOp,
    change: &FloatHistogram,
) -> Result<FloatHistogram, String> {
    if current.schema > change.schema {
        return Err(format!(
            "error combining histograms: cannot merge from schema {} to {}",
            change.schema, current.schema
        ));
    }
    let mut next = current.clone();
    let combined = match op {
        UnaryOp::Plus => next.add(change),
        UnaryOp::Minus => next.sub(change),
    };
    combined.map(|_| next).map_err(|error| error.to_string())
}
