//! Repetition operators, plain (`*`) and counted (`{2,3}`).

use super::Parser;
use super::node::{Bounds, Greed};
use crate::error::{Error, ErrorKind};

/// The largest count of a counted repetition.
const MAX_COUNT: u32 = 1000;

/// A repetition operator.
#[derive(Clone, Copy)]
pub(super) enum Operator {
    Simple(Bounds),
    Counted(Bounds),
}

/// Returns the operator that a symbol stands for.
pub(super) const fn simple(symbol: char) -> Operator {
    Operator::Simple(match symbol {
        '*' => Bounds { min: 0, max: None },
        '+' => Bounds { min: 1, max: None },
        _ => Bounds {
            min: 0,
            max: Some(1),
        },
    })
}

/// A number in a counted repetition.
enum Count {
    Number(u32),
    TooLarge,
}

/// What stands behind the first number of a counted repetition.
enum UpperCount {
    /// Nothing: the upper bound is the lower one.
    Same,
    /// Only a comma.
    None,
    Count(Count),
}

impl Parser<'_> {
    /// Repeats the last piece. The operator starts at `start` and its own text has been read.
    pub(super) fn repeat(
        &mut self,
        start: usize,
        operator: Operator,
        operator_before: Option<usize>,
    ) -> Result<(), Error> {
        let swapped = self.eat('?') != self.flags.swap_greed;
        let greed = if swapped { Greed::Lazy } else { Greed::Greedy };
        if let Some(start_before) = operator_before {
            return Err(self.since(ErrorKind::InvalidRepeatOp, start_before));
        }
        let repeated = self
            .group
            .take_repeated()
            .map_err(|kind| self.whole(kind))?;
        let Some(repeated) = repeated else {
            return Err(self.since(ErrorKind::MissingRepeatArgument, start));
        };
        let node = match operator {
            Operator::Simple(bounds) => repeated.repeat(bounds, greed),
            Operator::Counted(bounds) => repeated.repeat_counted(bounds, greed),
        };
        node.check_limits().map_err(|kind| self.whole(kind))?;
        if matches!(operator, Operator::Counted(_)) && node.repeats_too_often() {
            return Err(self.since(ErrorKind::InvalidRepeatSize, start));
        }
        self.push(node)
    }

    /// Reads `{2}`, `{2,}` or `{2,3}`. Returns nothing, and reads nothing, if the brace stands for
    /// itself.
    pub(super) fn counted_bounds(&mut self) -> Result<Option<Bounds>, Error> {
        let start = self.position;
        let Some((min, max)) = self.counts() else {
            self.position = start;
            return Ok(None);
        };
        let valid = match (min, max) {
            (Count::Number(min), UpperCount::Same) => Some(Bounds {
                min,
                max: Some(min),
            }),
            (Count::Number(min), UpperCount::None) => Some(Bounds { min, max: None }),
            (Count::Number(min), UpperCount::Count(Count::Number(max))) if min <= max => {
                Some(Bounds {
                    min,
                    max: Some(max),
                })
            }
            _ => None,
        };
        match valid {
            Some(bounds) => Ok(Some(bounds)),
            None => Err(self.since(ErrorKind::InvalidRepeatSize, start)),
        }
    }

    fn counts(&mut self) -> Option<(Count, UpperCount)> {
        self.next();
        let min = self.count()?;
        let max = if !self.eat(',') {
            UpperCount::Same
        } else if self.peek() == Some('}') {
            UpperCount::None
        } else {
            UpperCount::Count(self.count()?)
        };
        self.eat('}').then_some((min, max))
    }

    /// Reads a decimal number without leading zeros.
    fn count(&mut self) -> Option<Count> {
        let rest = self.rest();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let text = rest.get(..digits)?;
        if text.is_empty() || (digits > 1 && text.starts_with('0')) {
            return None;
        }
        self.position += digits;
        Some(match text.parse() {
            Ok(number) if number <= MAX_COUNT => Count::Number(number),
            _ => Count::TooLarge,
        })
    }
}
