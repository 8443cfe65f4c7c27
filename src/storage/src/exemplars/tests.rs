//! Order, repetitions and room of the circular buffer.

use model::Timestamp;

use super::*;

const EVERYTHING: &[&str] = &[];

fn exemplar(at: i64, value: f64, trace: &str) -> Exemplar {
    Exemplar {
        labels: Labels::from_pairs([("trace_id", trace)]).unwrap(),
        value,
        timestamp: Timestamp::from_millis(at),
    }
}

fn series(name: &str) -> Labels {
    Labels::from_pairs([(model::METRIC_NAME, name)]).unwrap()
}

fn times(buffer: &CircularExemplars, names: &[&str]) -> Vec<(String, Vec<i64>)> {
    let sets: Vec<Vec<Matcher>> = match names {
        [] => vec![Vec::new()],
        names => names
            .iter()
            .map(|name| vec![Matcher::equal(model::METRIC_NAME, name)])
            .collect(),
    };
    let found = buffer.select(TimeRange::ALL, &sets).into_iter();
    found
        .map(|found| {
            let name = found.series.metric_name().unwrap_or("").to_owned();
            let times = found.exemplars.iter().map(|it| it.timestamp.as_millis());
            (name, times.collect())
        })
        .collect()
}

#[test]
fn order_is_upstreams() {
    let none = PromDuration::ZERO;
    let window = PromDuration::from_millis(50);
    let kept = |number| Ok(Added::Kept { number });
    let late = Err(ExemplarError::OutOfOrder);
    let cases = [
        (exemplar(100, 1.0, "a"), none, kept(0)),
        (exemplar(100, 1.0, "a"), none, Ok(Added::Repeated)),
        // At one time: by value, then by labels.
        (exemplar(100, 0.5, "a"), none, late),
        (exemplar(100, 2.0, "a"), none, kept(1)),
        (exemplar(100, 2.0, "b"), none, kept(2)),
        (exemplar(100, 2.0, "a"), none, late),
        (exemplar(99, 9.0, "a"), none, late),
        (exemplar(200, 1.0, "a"), none, kept(3)),
        (exemplar(150, 1.0, "a"), window, late),
        (exemplar(151, 1.0, "a"), window, kept(4)),
        (exemplar(151, 7.0, "z"), window, Ok(Added::Repeated)),
        (exemplar(300, 1.0, &"x".repeat(120)), none, kept(5)),
        (
            exemplar(400, 1.0, &"x".repeat(121)),
            none,
            Err(ExemplarError::LabelLength),
        ),
        (exemplar(400, 1.0, &"ä".repeat(120)), none, kept(6)),
    ];
    let mut buffer = CircularExemplars::new(100, 0);
    for (exemplar, window, want) in cases {
        let added = buffer.add(&series("m"), &exemplar, window);
        assert_eq!(added, want, "{exemplar:?}");
    }
    let want = vec![100, 100, 100, 151, 200, 300, 400];
    assert_eq!(times(&buffer, EVERYTHING), [("m".to_owned(), want)]);
}

#[test]
fn the_first_ones_go_when_there_is_no_room() {
    let mut buffer = CircularExemplars::new(3, 7);
    let add = |buffer: &mut CircularExemplars, name: &str, at: i64| {
        let exemplar = exemplar(at, 1.0, "a");
        buffer.add(&series(name), &exemplar, PromDuration::ZERO)
    };
    for (name, at, number) in [("a", 10, 7), ("b", 5, 8), ("a", 20, 9), ("b", 6, 10)] {
        assert_eq!(add(&mut buffer, name, at), Ok(Added::Kept { number }));
    }
    let of = |name: &str, times: &[i64]| (name.to_owned(), times.to_vec());
    assert_eq!(
        times(&buffer, EVERYTHING),
        [of("a", &[20]), of("b", &[5, 6])]
    );
    assert_eq!(times(&buffer, &["b", "c"]), [of("b", &[5, 6])]);
    assert_eq!(
        (buffer.len(), buffer.series(), buffer.first_number()),
        (3, 2, 8)
    );
    buffer.resize(1);
    assert_eq!(times(&buffer, EVERYTHING), [of("b", &[6])]);
    buffer.resize(2);
    assert_eq!(add(&mut buffer, "b", 7), Ok(Added::Kept { number: 11 }));
    assert_eq!(times(&buffer, EVERYTHING), [of("b", &[6, 7])]);
    buffer.resize(0);
    assert_eq!(add(&mut buffer, "b", 8), Err(ExemplarError::Disabled));
    assert!(buffer.is_empty());
}
