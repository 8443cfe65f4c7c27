//! Which values of a label pass a matcher.

use model::Matcher;
use re2::{Automaton, Regex, State};

use super::label::{LabelIndex, Slot};

/// For fewer values than this it does not pay to build an automaton.
const MIN_AUTOMATON_VALUES: usize = 128;

/// The values that tell a matcher's series from others: those that pass, or, where a series
/// without the label passes as well, those that do not.
pub(super) fn telling_values(label: &LabelIndex, matcher: &Matcher) -> Vec<Slot> {
    match matcher.regex() {
        Some(regex) if !regex.matches_empty() => matching(label, regex),
        _ => {
            let passing = !matcher.matches_empty();
            let sorted = label.sorted();
            let slots = sorted.iter().copied();
            slots
                .filter(|slot| matcher.matches(label.text(*slot)) == passing)
                .collect()
        }
    }
}

/// Values that match, in order.
fn matching(label: &LabelIndex, regex: &Regex) -> Vec<Slot> {
    let sorted = label.sorted();
    let range = label.prefix_range(&sorted, regex.prefix());
    let slots = sorted.get(range).unwrap_or_default();
    if slots.len() >= MIN_AUTOMATON_VALUES
        && let Some(automaton) = regex.automaton()
    {
        return accepted(automaton, label, slots);
    }
    let matches = |slot: &Slot| regex.is_match(label.text(*slot));
    slots.iter().copied().filter(matches).collect()
}

/// Values that an automaton accepts, of sorted ones. What neighbours have in common is read once,
/// and where nothing that begins like a value can match, all that does is left out.
fn accepted(automaton: &Automaton, label: &LabelIndex, slots: &[Slot]) -> Vec<Slot> {
    let mut accepted = Vec::new();
    // The states after each byte of `previous`, up to the last one that was read.
    let mut states = vec![automaton.start()];
    let mut previous: &[u8] = &[];
    let mut rest = slots;
    while let [slot, behind @ ..] = rest {
        let text = label.text(*slot).as_bytes();
        states.truncate(common_length(previous, text) + 1);
        previous = text;
        rest = match read(automaton, text, &mut states) {
            Ok(state) => {
                if automaton.accepts(state) {
                    accepted.push(*slot);
                }
                behind
            }
            Err(dead) => {
                let dead = text.get(..dead).unwrap_or_default();
                let skipped =
                    count_leading(behind, |slot| label.text(slot).as_bytes().starts_with(dead));
                behind.get(skipped..).unwrap_or_default()
            }
        };
    }
    accepted
}

/// Reads on behind the bytes whose states are known; fails with the length of a prefix behind
/// which nothing matches.
fn read(automaton: &Automaton, text: &[u8], states: &mut Vec<State>) -> Result<State, usize> {
    let known = states.len() - 1;
    let mut state = states.last().copied().unwrap_or_else(|| automaton.start());
    for (position, byte) in text.iter().enumerate().skip(known) {
        state = automaton.next(state, *byte);
        if automaton.is_dead(state) {
            return Err(position + 1);
        }
        states.push(state);
    }
    Ok(state)
}

fn common_length(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// How many leading slots satisfy a condition that none behind them does, in steps that grow.
fn count_leading(slots: &[Slot], holds: impl Fn(Slot) -> bool) -> usize {
    let mut step = 1;
    let mut known = 0;
    while let Some(slot) = slots.get(known + step - 1) {
        if !holds(*slot) {
            break;
        }
        known += step;
        step *= 2;
    }
    let end = (known + step - 1).min(slots.len());
    let unknown = slots.get(known..end).unwrap_or_default();
    known + unknown.partition_point(|slot| holds(*slot))
}
