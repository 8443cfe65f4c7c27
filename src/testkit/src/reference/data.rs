//! Samples in memory.

use std::sync::Arc;

use model::{Labels, Timestamp, is_stale_nan};
use promql::SampleValue;
use storage::memory::MemoryStorage;
use storage::{
    AppendError, AppendPolicy, AppendRequest, Appender, Durability, HistogramSample, Sample,
    SeriesKey,
};

/// Series with their samples, in order of labels.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// The series.
    pub series: Vec<DataSeries>,
}

/// A series with its samples, in order of time.
#[derive(Clone, Debug)]
pub struct DataSeries {
    /// The series.
    pub labels: Labels,
    /// The samples, stale markers included.
    pub points: Vec<DataPoint>,
}

/// A sample.
#[derive(Clone, Debug)]
pub struct DataPoint {
    /// When it was taken.
    pub at_ms: i64,
    /// Its value.
    pub value: SampleValue,
    /// Since when it has been counting, in milliseconds since the epoch; 0 if that is not known.
    pub start_ms: i64,
}

impl DataPoint {
    /// Whether the sample says that the series ends.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        match &self.value {
            SampleValue::Float(value) => is_stale_nan(*value),
            SampleValue::Histogram(histogram) => histogram.is_stale(),
        }
    }
}

impl Dataset {
    /// A storage engine in memory that holds the samples.
    ///
    /// # Errors
    /// The engine refuses a sample.
    pub fn to_storage(&self) -> Result<MemoryStorage, AppendError> {
        let storage = MemoryStorage::new();
        self.append_to(&storage)?;
        Ok(storage)
    }

    /// Writes the samples.
    ///
    /// # Errors
    /// The engine refuses a sample.
    pub fn append_to(&self, appender: &dyn Appender) -> Result<(), AppendError> {
        for series in &self.series {
            let mut request = AppendRequest::default();
            let mut samples = Vec::new();
            let mut histograms = Vec::new();
            for point in &series.points {
                let timestamp = Timestamp::from_millis(point.at_ms);
                match &point.value {
                    SampleValue::Float(value) => {
                        samples.push(Sample {
                            timestamp,
                            value: *value,
                        });
                        request.start_timestamps.push(point.start_ms);
                    }
                    SampleValue::Histogram(histogram) => {
                        histograms.push(HistogramSample {
                            timestamp,
                            histogram: model::Histogram::Float(Arc::clone(histogram)),
                        });
                        request.histogram_start_timestamps.push(point.start_ms);
                    }
                }
            }
            request.push(SeriesKey::Labels(&series.labels), samples);
            request.push_histograms(histograms);
            appender
                .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)?
                .wait_blocking()?;
        }
        Ok(())
    }
}
