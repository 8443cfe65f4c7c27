//! Whether two servers gave the same answer.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

/// How far values may be apart, as a part of the larger one: servers add in different orders.
const TOLERANCE: f64 = 1e-9;

/// Fails where the answers are not the same; `ours` and `theirs` are bodies of `/api/v1`.
pub(super) fn compare(ours: &str, theirs: &str) -> anyhow::Result<()> {
    let (ours, theirs) = (data(ours)?, data(theirs)?);
    let (Some(our_result), Some(their_result)) = (ours.get("result"), theirs.get("result")) else {
        return same_list(&ours, &theirs);
    };
    let (ours, theirs) = (by_labels(our_result)?, by_labels(their_result)?);
    anyhow::ensure!(
        ours.len() == theirs.len(),
        "{} series, not {}",
        ours.len(),
        theirs.len()
    );
    for (labels, points) in &ours {
        let others = theirs
            .get(labels)
            .with_context(|| format!("{labels} is not expected"))?;
        anyhow::ensure!(
            points.len() == others.len(),
            "{labels} has {} points, not {}",
            points.len(),
            others.len()
        );
        for ((at, value), (their_at, their_value)) in points.iter().zip(others) {
            anyhow::ensure!(
                at == their_at && is_close(*value, *their_value),
                "{labels} is {value} at {at}, not {their_value} at {their_at}"
            );
        }
    }
    Ok(())
}

fn data(body: &str) -> anyhow::Result<Value> {
    let mut body: Value = serde_json::from_str(body).context("an answer is no JSON")?;
    anyhow::ensure!(body["status"] == "success", "{body}");
    Ok(body["data"].take())
}

/// Names, values or series, in any order.
fn same_list(ours: &Value, theirs: &Value) -> anyhow::Result<()> {
    let sorted = |list: &Value| -> anyhow::Result<Vec<String>> {
        let list = list.as_array().context("an answer is no list")?;
        let mut texts: Vec<String> = list.iter().map(Value::to_string).collect();
        texts.sort_unstable();
        Ok(texts)
    };
    anyhow::ensure!(sorted(ours)? == sorted(theirs)?, "lists differ");
    Ok(())
}

type Points = Vec<(f64, f64)>;

fn by_labels(result: &Value) -> anyhow::Result<BTreeMap<String, Points>> {
    let series = result.as_array().context("a result is no list")?;
    series
        .iter()
        .map(|series| {
            let points = match series.get("values").and_then(Value::as_array) {
                Some(points) => points.iter().map(point).collect::<anyhow::Result<_>>()?,
                None => vec![point(&series["value"])?],
            };
            Ok((series["metric"].to_string(), points))
        })
        .collect()
}

fn point(pair: &Value) -> anyhow::Result<(f64, f64)> {
    let at = pair[0].as_f64().context("a point without time")?;
    let value = pair[1].as_str().context("a point without value")?;
    Ok((at, value.parse()?))
}

fn is_close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(series: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
    }

    #[test]
    fn order_and_rounding_do_not_matter_but_values_and_labels_do() {
        let a = r#"{"metric":{"x":"1"},"value":[1,"0.30000000000000004"]}"#;
        let b = r#"{"metric":{"x":"2"},"value":[1,"NaN"]}"#;
        let ours = vector(&format!("{a},{b}"));
        for (theirs, is_same) in [
            (
                format!("{b},{}", a.replace("0.30000000000000004", "0.3")),
                true,
            ),
            (
                format!("{b},{}", a.replace("0.30000000000000004", "0.31")),
                false,
            ),
            (format!("{b},{}", a.replace("\"x\"", "\"y\"")), false),
            (a.to_owned(), false),
        ] {
            assert_eq!(
                compare(&ours, &vector(&theirs)).is_ok(),
                is_same,
                "{theirs}"
            );
        }
        let list = |list: &str| format!(r#"{{"status":"success","data":{list}}}"#);
        assert!(compare(&list(r#"["a","b"]"#), &list(r#"["b","a"]"#)).is_ok());
        assert!(compare(&list(r#"["a"]"#), &list(r#"["b"]"#)).is_err());
    }
}
