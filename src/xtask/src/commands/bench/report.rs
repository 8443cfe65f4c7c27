//! Figures of one run, side by side with their ratios and goals, as a table of Markdown.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;

use super::server::{Kind, Setup};

/// One line of the table. Less is better for all that have a goal.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) values: Vec<(Kind, f64)>,
    /// The most that Firewatch may have of what Prometheus and VictoriaMetrics have.
    pub(super) goals: [Option<f64>; 2],
}

impl Figure {
    pub(super) fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            unit,
            values: Vec::new(),
            goals: [None, None],
        }
    }

    pub(super) fn goals(mut self, prometheus: f64, victoria_metrics: f64) -> Self {
        self.goals = [Some(prometheus), Some(victoria_metrics)];
        self
    }

    pub(super) fn goal_of_prometheus(mut self, prometheus: f64) -> Self {
        self.goals[0] = Some(prometheus);
        self
    }

    pub(super) fn add(&mut self, kind: Kind, value: f64) {
        self.values.push((kind, value));
    }

    fn value(&self, kind: Kind) -> Option<f64> {
        let of_kind = self.values.iter().find(|(known, _)| *known == kind);
        of_kind.map(|(_, value)| *value)
    }
}

/// Adds what one server shows to lines that are the same for all, and tells who waits.
pub(super) fn add_all(figures: &mut [Figure], kind: Kind, values: &[f64]) {
    let mut progress = std::io::stderr().lock();
    for (figure, value) in figures.iter_mut().zip(values) {
        figure.add(kind, *value);
        let (name, value) = (&figure.name, number(*value));
        // Nobody may be there to read it.
        let _unread = writeln!(progress, "{}: {name}: {value} {}", kind.name(), figure.unit);
    }
}

/// The table of some figures.
pub(super) fn table(figures: &[Figure]) -> String {
    let mut out = String::from("| figure | unit |");
    for kind in Kind::ALL {
        let _written = write!(out, " {} |", kind.name());
    }
    out.push_str(" ÷ prometheus | goal | ÷ victoria-metrics | goal |\n");
    out.push_str("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for figure in figures {
        let _written = write!(out, "| {} | {} |", figure.name, figure.unit);
        for kind in Kind::ALL {
            let _written = write!(
                out,
                " {} |",
                figure.value(kind).map_or(String::new(), number)
            );
        }
        let peers = [Kind::Prometheus, Kind::VictoriaMetrics];
        for (peer, goal) in peers.into_iter().zip(figure.goals) {
            let ratio = match (figure.value(Kind::Firewatch), figure.value(peer)) {
                (Some(ours), Some(theirs)) if theirs != 0.0 => number(ours / theirs),
                _ => String::new(),
            };
            let goal = goal.map_or(String::new(), |goal| format!("≤ {goal}"));
            let _written = write!(out, " {ratio} | {goal} |");
        }
        out.push('\n');
    }
    out
}

/// Three digits that matter, and thousands whole.
fn number(value: f64) -> String {
    if value.is_nan() {
        return "never".to_owned();
    }
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The machine, the versions and the flags, so that a figure can be repeated.
pub(super) fn machine(setup: &Setup) -> String {
    let fact = |file: &str, name: &str| -> String {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let first_line = |file: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().next().unwrap_or("unknown").to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let mut out = format!(
        "machine: {} × {}, {} memory, Linux {}; load average at start {}\n",
        cores,
        fact("/proc/cpuinfo", "model name"),
        fact("/proc/meminfo", "MemTotal"),
        first_line("/proc/sys/kernel/osrelease"),
        first_line("/proc/loadavg"),
    );
    for (kind, program) in &setup.programs {
        let _written = writeln!(
            out,
            "{}: {}; flags {}",
            kind.name(),
            version(*kind, program),
            setup.flags(*kind).join(" ")
        );
    }
    out
}

fn version(kind: Kind, program: &str) -> String {
    let flag = match kind {
        Kind::Firewatch | Kind::Prometheus => "--version",
        Kind::VictoriaMetrics => "-version",
    };
    first_line_of(program, &[flag])
        // Debian's VictoriaMetrics does not know its own version.
        .or_else(|| first_line_of("dpkg-query", &["-W", kind.name()]))
        .unwrap_or_else(|| "unknown version".to_owned())
}

fn first_line_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().find(|line| !line.trim().is_empty())?;
    Some(line.trim().replace('\t', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_show_ratios_beside_goals() {
        let mut figure = Figure::new("CPU", "ns").goals(0.25, 0.5);
        figure.add(Kind::Firewatch, 300.0);
        figure.add(Kind::Prometheus, 1500.0);
        let line = table(&[figure]).lines().nth(2).unwrap().to_owned();
        assert_eq!(
            line,
            "| CPU | ns | 300 | 1500 |  | 0.200 | ≤ 0.25 |  | ≤ 0.5 |"
        );
    }
}
