//! `/`: one small page that says what runs here and where to go from it. Self-contained: no
//! scripts, no outside resources.

use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use http::header;
use model::PromDuration;

use crate::parts::{ActiveTarget, Parts, Phase, TargetHealth};

const PAGE: &str = include_str!("home/page.html");

/// Targets that are listed by name; with more, the rest is counted.
const MAX_ROWS: usize = 50;

/// The page.
pub(crate) async fn home(State(parts): State<Parts>) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    (no_store, Html(render(&parts))).into_response()
}

fn render(parts: &Parts) -> String {
    let runtime = parts.control.runtime();
    let (state, state_class) = match parts.readiness.phase() {
        Phase::Ready => ("ready", "up"),
        Phase::Starting => ("starting", "unknown"),
        Phase::Stopping => ("stopping", "down"),
    };
    let active = parts.targets.targets().active;
    let up = active
        .iter()
        .filter(|target| target.health == TargetHealth::Up)
        .count();
    let down = active
        .iter()
        .filter(|target| target.health == TargetHealth::Down)
        .count();
    let uptime_ms = parts
        .clock
        .now()
        .since(runtime.start_time)
        .as_millis()
        .max(0);
    let uptime = PromDuration::from_millis(uptime_ms - uptime_ms % 1000).to_string();
    let version = &parts.settings.build.version;
    let compatible = version
        .split_once('+')
        .map_or(version.as_str(), |(theirs, _ours)| theirs);
    let reload = if runtime.reload_succeeded {
        "loaded"
    } else {
        "last reload failed"
    };
    let values = [
        ("version", escape(&parts.settings.build.own_version)),
        ("compatible", escape(compatible)),
        ("state", state.to_owned()),
        ("state_class", state_class.to_owned()),
        ("uptime", uptime),
        ("hostname", escape(&runtime.hostname)),
        ("series", metric(parts, "prometheus_tsdb_head_series")),
        (
            "samples",
            metric(parts, "prometheus_tsdb_head_samples_appended_total"),
        ),
        ("storage", escape(&runtime.storage_path)),
        ("retention", escape(&runtime.retention)),
        ("config", reload.to_owned()),
        ("up", up.to_string()),
        ("down", down.to_string()),
        ("targets", rows(&active)),
    ];
    fill(PAGE, &values)
}

/// Replaces `{{name}}` by its value, in one pass: values are never looked at again.
fn fill(page: &str, values: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(page.len() + 4096);
    let mut rest = page;
    while let Some((before, (name, after))) = rest
        .split_once("{{")
        .and_then(|(before, tail)| Some((before, tail.split_once("}}")?)))
    {
        out.push_str(before);
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            out.push_str(value);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn rows(active: &[ActiveTarget]) -> String {
    if active.is_empty() {
        return "<tr><td colspan=\"4\">No targets yet.</td></tr>".to_owned();
    }
    let mut out = String::new();
    for target in active.iter().take(MAX_ROWS) {
        let health = target.health.as_str();
        out.push_str(&format!(
            "<tr><td><span class=\"dot {health}\"></span>{health}</td><td>{}</td>\
             <td><a href=\"{url}\">{url}</a></td><td>{}</td></tr>\n",
            escape(&target.scrape_pool),
            escape(&target.last_error),
            url = escape(&target.scrape_url),
        ));
    }
    if active.len() > MAX_ROWS {
        out.push_str(&format!(
            "<tr><td colspan=\"4\">and {} more</td></tr>\n",
            active.len() - MAX_ROWS
        ));
    }
    out
}

/// The sum of a family of our own metrics with its digits grouped; a dash where there is none.
fn metric(parts: &Parts, name: &str) -> String {
    match parts
        .registry
        .gather()
        .iter()
        .find(|family| family.name == name)
    {
        None => "–".to_owned(),
        Some(family) => {
            let sum: f64 = family.samples.iter().map(|sample| sample.value).sum();
            group_digits(&model::number::format_plain(sum.trunc()))
        }
    }
}

fn group_digits(digits: &str) -> String {
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            // A narrow space that does not break lines.
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_every_placeholder_once() {
        let values = [("a", "{{b}}".to_owned()), ("b", "2".to_owned())];
        assert_eq!(fill("x{{a}}{{b}}{{c}}y{{", &values), "x{{b}}2y{{");
    }

    #[test]
    fn groups_digits() {
        for (digits, want) in [
            ("1", "1"),
            ("123", "123"),
            ("1234567", "1\u{202f}234\u{202f}567"),
        ] {
            assert_eq!(group_digits(digits), want);
        }
    }
}
