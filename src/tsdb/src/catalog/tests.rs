//! Series are found however they are named, and labels outlive their series for who holds a pin.

use model::LabelError;
use parking_lot::RwLockReadGuard;

use super::*;

/// No series has stopped.
#[derive(Default)]
struct NoneStopped(RwLock<()>);

impl StoppedSeries for NoneStopped {
    fn arrivals(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read()
    }

    fn is_any(&self) -> bool {
        false
    }

    fn find(&self, _labels: &Labels) -> Result<Option<(u32, SeriesEntry)>, AppendError> {
        Ok(None)
    }

    fn returned(&self, _series: &[(u32, SeriesEntry)]) {}
}

fn labels_of(number: u32) -> Labels {
    let number_text = number.to_string();
    let pairs = [
        ("__name__", ["a", "b", "c"][(number % 3) as usize]),
        ("job", "node"),
        ("number", number_text.as_str()),
    ];
    Labels::from_pairs(pairs.into_iter().take(2 + number as usize % 2)).unwrap()
}

/// Labels as a sender writes them: here the packed text itself.
fn parse(span: &[u8]) -> Result<Labels, LabelError> {
    let text = std::str::from_utf8(span).map_err(|_| LabelError::Malformed)?;
    Labels::from_packed(text.trim_start_matches('\n')).ok_or(LabelError::Malformed)
}

fn ids(catalog: &Catalog, spans: &[String]) -> Vec<Option<u32>> {
    let keys = spans.iter().map(|span| SeriesKey::Raw {
        span: span.as_bytes(),
        parse,
    });
    let resolution = catalog.resolve(keys, &NoneStopped::default()).unwrap();
    resolution.into_iter().map(Result::ok).collect()
}

#[test]
fn series_are_found_by_span_labels_and_reference() {
    let catalog = Catalog::new(3);
    let labels: Vec<Labels> = (0..1000).map(|n| labels_of(n * 2 + 1)).collect();
    let spans: Vec<String> = labels.iter().map(|l| l.as_packed().to_owned()).collect();
    let first = ids(&catalog, &spans);
    assert_eq!(first, (0..1000).map(Some).collect::<Vec<_>>());
    assert_eq!(ids(&catalog, &spans), first);
    let mut mixed: Vec<String> = spans.iter().rev().cloned().collect();
    mixed.insert(500, "broken".to_owned());
    mixed.insert(0, format!("\n{}", spans[7]));
    mixed.push(String::new());
    let mut want: Vec<Option<u32>> = (0..1000).rev().map(Some).collect();
    want.insert(500, None);
    want.insert(0, Some(7));
    want.push(None);
    assert_eq!(ids(&catalog, &mixed), want);
    assert_eq!(ids(&catalog, &mixed), want);
    for (id, labels) in (0..).zip(&labels) {
        let by_labels = catalog.resolve(
            std::iter::once(SeriesKey::Labels(labels)),
            &NoneStopped::default(),
        );
        assert_eq!(by_labels.unwrap()[0].ok(), Some(id));
        let reference = SeriesKey::Ref(SeriesRef::new(u64::from(id)));
        let by_reference = catalog.resolve(std::iter::once(reference), &NoneStopped::default());
        assert_eq!(by_reference.unwrap()[0].ok(), Some(id));
        let entry = catalog.get(id).unwrap();
        assert_eq!(entry.labels, *labels);
        assert_eq!(catalog.place(id).unwrap().metric, entry.metric);
    }
    let mut values = 0;
    for name in ["", "__name__", "job", "number", "other"] {
        catalog.visit_values(0..2000, name, |id, value| {
            assert_eq!(value, labels[id as usize].value_or_empty(name));
            values += 1;
        });
    }
    assert_eq!(values, 5000);
    assert_eq!(catalog.len(), 1000);
    assert_eq!(catalog.next_id(), 1000);
}

#[test]
fn pinned_labels_outlive_their_series() {
    let catalog = Catalog::new(3);
    let labels: Vec<Labels> = (0..100).map(|n| labels_of(n * 2 + 1)).collect();
    for (id, labels) in (5..).zip(&labels) {
        let entry = SeriesEntry {
            labels: labels.clone(),
            metric: id + 10,
        };
        catalog.restore(id, &entry);
    }
    let pin = catalog.pin();
    catalog.remove(&[10, 11, 3]);
    let later = catalog.pin();
    catalog.remove(&[12]);
    assert!(catalog.get(10).is_none());
    assert_eq!(catalog.ids().len(), 97);
    assert_eq!(catalog.labels(10, &pin), labels[5]);
    drop(pin);
    // New series would take the pairs of those that are gone.
    let new = catalog.resolve(
        std::iter::once(SeriesKey::Labels(&labels[5])),
        &NoneStopped::default(),
    );
    assert_eq!(new.unwrap()[0].ok(), Some(105));
    assert_eq!(catalog.labels(12, &later), labels[7]);
    assert_eq!(catalog.labels(13, &later), labels[8]);
    drop(later);
    let new = catalog.resolve(
        std::iter::once(SeriesKey::Labels(&labels[6])),
        &NoneStopped::default(),
    );
    assert_eq!(new.unwrap()[0].ok(), Some(106));
    assert!(catalog.inner.read().removed.is_empty());
    assert_eq!(catalog.labels(12, &catalog.pin()), Labels::empty());
    let known = catalog.places(0..200);
    assert_eq!(known.len(), 99);
    assert_eq!(catalog.get_many(0..200).len(), 99);
}
