//! The floats of a series that holds histograms too.

use super::window::{RangeContext, WindowKind, WindowNote, Windows};
use crate::error::EngineError;
use crate::slice::SeriesSlice;

/// What becomes of a window with floats and histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MixedWindow {
    /// Its floats stay.
    KeepFloats,
    /// It is emptied.
    Empty,
}

/// The floats among a series' samples, and the windows over them.
#[derive(Default)]
struct Floats {
    timestamps: Vec<i64>,
    values: Vec<f64>,
    samples_before: Vec<u64>,
    start_timestamps: Vec<i64>,
    bounds: Vec<(usize, usize)>,
}

impl Floats {
    fn of(windows: &Windows<'_>, mixed: MixedWindow) -> Self {
        let mut floats = Self::default();
        let mut samples = 0;
        for (index, at_ms) in windows.timestamps.iter().enumerate() {
            if windows.histogram(index).is_none() {
                floats.samples_before.push(samples);
                samples += windows.samples(index, index + 1) as u64;
                floats.timestamps.push(*at_ms);
                floats.values.push(windows.values[index]);
                if let Some(start_ms) = windows.start_timestamps.get(index) {
                    floats.start_timestamps.push(*start_ms);
                }
            }
        }
        floats.samples_before.push(samples);
        let before = |index: usize| {
            let histograms = windows.histograms_before.get(index).copied().unwrap_or(0);
            index - histograms as usize
        };
        let bounds = windows.bounds.iter().map(|(first, end)| {
            let is_mixed = windows.kind(*first, *end) == WindowKind::Mixed;
            if is_mixed && mixed == MixedWindow::Empty {
                // Windows move forward even when they are empty.
                (before(*end), before(*end))
            } else {
                (before(*first), before(*end))
            }
        });
        floats.bounds = bounds.collect();
        floats
    }

    fn windows<'a>(&'a self, all: &Windows<'a>) -> Windows<'a> {
        Windows {
            timestamps: &self.timestamps,
            values: &self.values,
            histograms: &[],
            histograms_before: &[],
            samples_before: &self.samples_before,
            start_timestamps: &self.start_timestamps,
            bounds: &self.bounds,
            ..*all
        }
    }
}

/// Runs a function that knows floats only; windows that hold histograms beside them get an info.
pub(crate) fn without_histograms(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
    function: super::RangeFunction,
) -> Result<(), EngineError> {
    if !windows.has_histograms() {
        return function(windows, context, out);
    }
    if any_mixed(windows) {
        context.note(WindowNote::IgnoredHistograms);
    }
    let floats = Floats::of(windows, MixedWindow::KeepFloats);
    function(&floats.windows(windows), context, out)
}

/// Calls `floats` with the windows that hold floats only and `histograms` for the others that are
/// of one kind; windows that hold both have no result and get a warning.
pub(super) fn by_kind(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
    floats: impl Fn(&Windows<'_>, &mut RangeContext<'_>, &mut SeriesSlice),
    histograms: impl Fn(
        &Windows<'_>,
        &mut RangeContext<'_>,
        &mut SeriesSlice,
    ) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    if !windows.has_histograms() {
        floats(windows, context, out);
        return Ok(());
    }
    if any_mixed(windows) {
        context.note(WindowNote::Mixed);
    }
    let pure = Floats::of(windows, MixedWindow::Empty);
    floats(&pure.windows(windows), context, out);
    histograms(windows, context, out)
}

fn any_mixed(windows: &Windows<'_>) -> bool {
    windows
        .filled()
        .any(|(_, first, end)| windows.kind(first, end) == WindowKind::Mixed)
}

/// The windows that hold histograms only.
pub(super) fn histogram_windows<'a>(
    windows: &'a Windows<'_>,
) -> impl Iterator<Item = (usize, usize, usize)> + 'a {
    windows
        .filled()
        .filter(|(_, first, end)| windows.kind(*first, *end) == WindowKind::Histograms)
}
