//! A segment: the immutable index of some series that stopped. Per label name one automaton of
//! its values with the series of each, and the set of all series that have the label.

use std::collections::BTreeSet;
use std::sync::Arc;

use fst::{IntoStreamer as _, Map, MapBuilder, Streamer as _};
use kv::{Batch, Family, Kv};
use model::{MatchOp, Matcher};
use roaring::RoaringBitmap;

use super::cache::SegmentCache;
use crate::error::TsdbError;
use crate::index::Index;
use crate::keys::{self, SegmentRow};
use crate::replay::log_damage;

/// Format of a segment's rows.
const VERSION: u8 = 1;
/// Bytes of the checksum at the end of a row.
const CHECKSUM_BYTES: usize = 4;

/// An index of series that stopped, whose rows are in the store.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u32,
    /// Its series. Those that take samples again are in the index in memory as well.
    pub(crate) series: RoaringBitmap,
}

/// The values of one label of a segment.
pub(crate) struct SegmentLabel {
    values: Map<Part>,
    /// Sets of more than one series.
    postings: Part,
}

/// A part of a row.
#[derive(Clone)]
struct Part {
    row: Arc<Vec<u8>>,
    range: std::ops::Range<usize>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        self.row.get(self.range.clone()).unwrap_or_default()
    }
}

/// A matcher's expression, as the automaton of values asks for it.
struct Search<'a>(&'a re2::Automaton);

impl fst::Automaton for Search<'_> {
    type State = re2::State;

    fn start(&self) -> Self::State {
        self.0.start()
    }

    fn is_match(&self, state: &Self::State) -> bool {
        self.0.accepts(*state)
    }

    fn can_match(&self, state: &Self::State) -> bool {
        !self.0.is_dead(*state)
    }

    fn accept(&self, state: &Self::State, byte: u8) -> Self::State {
        self.0.next(*state, byte)
    }
}

impl Segment {
    /// Puts the rows of a segment with all series of `index` into a batch.
    pub(crate) fn write(
        number: u32,
        index: &Index,
        batch: &mut Batch<'_>,
    ) -> Result<Self, TsdbError> {
        for label in index.labels() {
            let mut row = vec![VERSION, 0, 0, 0, 0];
            let mut postings = Vec::new();
            let mut builder = MapBuilder::memory();
            for slot in label.sorted().iter() {
                let series = label.postings_at(*slot).to_bitmap();
                let place = match (series.min(), series.len()) {
                    (None, _) => continue,
                    (Some(only), 1) => u64::from(only) << 1 | 1,
                    _ => {
                        let start = (postings.len() as u64) << 1;
                        push_bitmap(series, &mut postings)?;
                        start
                    }
                };
                builder.insert(label.text(*slot), place).map_err(unusable)?;
            }
            let values = builder.into_inner().map_err(unusable)?;
            let length = u32::try_from(values.len())
                .map_err(|_| TsdbError::corrupt("index segment", "a label has too many values"))?;
            row[1..].copy_from_slice(&length.to_be_bytes());
            row.extend_from_slice(&values);
            row.extend_from_slice(&postings);
            let key = keys::segment(number, SegmentRow::Values(label.name()));
            batch.put(Family::Index, &key, &sealed(row));
            let mut row = vec![VERSION];
            push_bitmap(label.present().clone(), &mut row)?;
            let key = keys::segment(number, SegmentRow::Present(label.name()));
            batch.put(Family::Index, &key, &sealed(row));
        }
        let segment = Self {
            number,
            series: RoaringBitmap::new(),
        };
        segment.with_series(index.all().clone(), batch)
    }

    /// Removes the rows of a segment.
    pub(crate) fn delete(number: u32, batch: &mut Batch<'_>) {
        let (from, below) = keys::segment_bounds(number);
        batch.delete_range(Family::Index, &from, &below);
    }

    /// All segments of the store. What is damaged is logged and left out.
    pub(crate) fn load_all(kv: &Kv) -> Vec<Self> {
        let mut segments = Vec::new();
        if let Err(error) = Self::walk(kv, |segment| segments.push(segment)) {
            log_damage(&error, "segments of the index are unreadable");
        }
        segments
    }

    fn walk(kv: &Kv, mut visit: impl FnMut(Self)) -> Result<(), TsdbError> {
        let mut scan = kv.scan(Family::Index, None);
        scan.seek(keys::SEGMENT_PREFIX);
        while let Some((key, row)) = scan.current()? {
            let Some(number) = keys::segment_number(key) else {
                break;
            };
            if key == keys::segment(number, SegmentRow::Series) {
                match read_bitmap(row) {
                    Ok(series) => visit(Self { number, series }),
                    Err(error) => log_damage(&error, "a segment of the index is damaged"),
                }
            }
            let (_, below) = keys::segment_bounds(number);
            scan.seek(&below);
        }
        Ok(())
    }

    /// Those of `candidates` that pass all matchers.
    pub(crate) fn select(
        &self,
        (kv, cache): (&Kv, &SegmentCache),
        matchers: &[Matcher],
        mut candidates: RoaringBitmap,
    ) -> Result<RoaringBitmap, TsdbError> {
        let mut matchers: Vec<&Matcher> = matchers.iter().collect();
        matchers.sort_by_key(|matcher| cost(matcher));
        for matcher in matchers {
            if candidates.is_empty() {
                break;
            }
            let telling = match tells(matcher) {
                Tells::Nothing => RoaringBitmap::new(),
                Tells::Presence => self.present(kv, matcher.name())?,
                Tells::Values => match cache.label(kv, self.number, matcher.name())? {
                    None => RoaringBitmap::new(),
                    Some(label) => label.telling(matcher)?,
                },
            };
            if matcher.matches_empty() {
                candidates -= telling;
            } else {
                candidates &= telling;
            }
        }
        Ok(candidates)
    }

    /// The series that have a label.
    fn present(&self, kv: &Kv, name: &str) -> Result<RoaringBitmap, TsdbError> {
        let key = keys::segment(self.number, SegmentRow::Present(name));
        match kv.get(Family::Index, &key)? {
            None => Ok(RoaringBitmap::new()),
            Some(row) => read_bitmap(&row),
        }
    }

    /// The segment with some of its series only; its row goes into a batch.
    pub(crate) fn with_series(
        &self,
        series: RoaringBitmap,
        batch: &mut Batch<'_>,
    ) -> Result<Self, TsdbError> {
        let mut row = vec![VERSION];
        push_bitmap(series.clone(), &mut row)?;
        let key = keys::segment(self.number, SegmentRow::Series);
        batch.put(Family::Index, &key, &sealed(row));
        Ok(Self {
            number: self.number,
            series,
        })
    }

    /// Adds the names of the labels that any of `series` has.
    pub(crate) fn add_names(
        &self,
        kv: &Kv,
        series: &RoaringBitmap,
        names: &mut BTreeSet<String>,
    ) -> Result<(), TsdbError> {
        let mut scan = kv.scan(Family::Index, None);
        scan.seek(&keys::segment(self.number, SegmentRow::Present("")));
        while let Some((key, row)) = scan.current()? {
            let Some(name) = keys::segment_present_name(self.number, key) else {
                break;
            };
            if !names.contains(name) && !read_bitmap(row)?.is_disjoint(series) {
                names.insert(name.to_owned());
            }
            scan.advance();
        }
        Ok(())
    }
}

/// What has to be read of a label for a matcher.
enum Tells {
    /// Nothing: no value tells a series from others.
    Nothing,
    /// Who has the label.
    Presence,
    /// Who has which value.
    Values,
}

fn tells(matcher: &Matcher) -> Tells {
    match (matcher.op(), matcher.regex()) {
        (MatchOp::Equal | MatchOp::NotEqual, _) if matcher.value().is_empty() => Tells::Presence,
        (_, Some(regex)) if regex.is_match_all() => Tells::Nothing,
        (_, Some(regex)) if regex.is_match_non_empty() => Tells::Presence,
        _ => Tells::Values,
    }
}

/// Single values first, searches among exclusions last.
fn cost(matcher: &Matcher) -> (bool, bool) {
    let searches = matcher
        .regex()
        .is_some_and(|regex| regex.set_matches().is_none());
    (matcher.matches_empty(), searches)
}

impl SegmentLabel {
    /// Reads the row of a label's values.
    pub(crate) fn parse(row: Vec<u8>) -> Result<Self, TsdbError> {
        let content = checked(&row)?;
        let length = content.get(1..5).and_then(|bytes| bytes.try_into().ok());
        let length = length.map(u32::from_be_bytes);
        let values_end =
            length.map_or(usize::MAX, |length| 5_usize.saturating_add(length as usize));
        let end = content.len();
        if values_end > end {
            return Err(damaged("its values are cut off"));
        }
        let row = Arc::new(row);
        let part = |range| Part {
            row: Arc::clone(&row),
            range,
        };
        let values = Map::new(part(5..values_end)).map_err(unusable)?;
        let postings = part(values_end..end);
        Ok(Self { values, postings })
    }

    /// Memory that it takes, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.postings.row.len()
    }

    /// The series with the values that tell a matcher's series from others: see
    /// [`crate::index`].
    fn telling(&self, matcher: &Matcher) -> Result<RoaringBitmap, TsdbError> {
        let passing = !matcher.matches_empty();
        let mut series = RoaringBitmap::new();
        match (matcher.op(), matcher.regex()) {
            (MatchOp::Equal | MatchOp::NotEqual, _) if !matcher.value().is_empty() => {
                self.add_value(matcher.value(), &mut series)?;
            }
            (_, Some(regex)) if !regex.matches_empty() => self.add_matching(regex, &mut series)?,
            _ => {
                let mut values = self.values.stream();
                while let Some((value, place)) = values.next() {
                    if matcher.matches(text(value)?) == passing {
                        self.add_place(place, &mut series)?;
                    }
                }
            }
        }
        Ok(series)
    }

    fn add_matching(
        &self,
        regex: &re2::Regex,
        series: &mut RoaringBitmap,
    ) -> Result<(), TsdbError> {
        if let Some(set) = regex.set_matches() {
            return set
                .iter()
                .try_for_each(|value| self.add_value(value, series));
        }
        let prefix = regex.prefix().as_bytes();
        if let Some(automaton) = regex.automaton() {
            let search = self.values.search(Search(automaton)).ge(prefix);
            let mut values = search.into_stream();
            while let Some((_, place)) = values.next() {
                self.add_place(place, series)?;
            }
            return Ok(());
        }
        let mut values = self.values.range().ge(prefix).into_stream();
        while let Some((value, place)) = values.next() {
            if !value.starts_with(prefix) {
                break;
            }
            if regex.is_match(text(value)?) {
                self.add_place(place, series)?;
            }
        }
        Ok(())
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Adds the values that any of `series` has.
    pub(crate) fn add_values(
        &self,
        series: &RoaringBitmap,
        found: &mut BTreeSet<String>,
    ) -> Result<(), TsdbError> {
        let mut values = self.values.stream();
        while let Some((value, place)) = values.next() {
            let mut postings = RoaringBitmap::new();
            self.add_place(place, &mut postings)?;
            if !postings.is_disjoint(series) {
                found.insert(text(value)?.to_owned());
            }
        }
        Ok(())
    }

    fn add_value(&self, value: &str, series: &mut RoaringBitmap) -> Result<(), TsdbError> {
        match self.values.get(value) {
            Some(place) => self.add_place(place, series),
            None => Ok(()),
        }
    }

    /// Adds the series at a place: one as it is, or a set where it starts.
    fn add_place(&self, place: u64, series: &mut RoaringBitmap) -> Result<(), TsdbError> {
        if place & 1 == 1 {
            let id = u32::try_from(place >> 1).map_err(|_| damaged("a series is no series"))?;
            series.insert(id);
            return Ok(());
        }
        let start = usize::try_from(place >> 1).unwrap_or(usize::MAX);
        let bytes = self.postings.as_ref().get(start..);
        let bytes = bytes.ok_or_else(|| damaged("its postings are cut off"))?;
        *series |= RoaringBitmap::deserialize_from(bytes).map_err(unusable)?;
        Ok(())
    }
}

fn text(value: &[u8]) -> Result<&str, TsdbError> {
    std::str::from_utf8(value).map_err(unusable)
}

fn push_bitmap(mut series: RoaringBitmap, row: &mut Vec<u8>) -> Result<(), TsdbError> {
    series.optimize();
    series.serialize_into(row).map_err(unusable)
}

fn read_bitmap(row: &[u8]) -> Result<RoaringBitmap, TsdbError> {
    let content = checked(row)?.get(1..).unwrap_or_default();
    RoaringBitmap::deserialize_from(content).map_err(unusable)
}

/// Ends a row with its checksum.
fn sealed(mut row: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c(&row);
    row.extend_from_slice(&checksum.to_be_bytes());
    row
}

/// A row without its checksum, which is right.
fn checked(row: &[u8]) -> Result<&[u8], TsdbError> {
    let end = row.len().saturating_sub(CHECKSUM_BYTES);
    let (content, checksum) = row.split_at(end);
    if checksum != crc32c::crc32c(content).to_be_bytes() {
        return Err(damaged("its checksum is wrong"));
    }
    match content.first() {
        Some(&VERSION) => Ok(content),
        version => Err(damaged(&format!("unknown version {version:?}"))),
    }
}

fn damaged(reason: &str) -> TsdbError {
    TsdbError::corrupt("index segment", reason)
}

fn unusable(error: impl std::fmt::Display) -> TsdbError {
    damaged(&error.to_string())
}
