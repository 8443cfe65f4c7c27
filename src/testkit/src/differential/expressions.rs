//! Random queries that parse: every function, operator, aggregation and modifier comes often.

mod calls;

use super::random::Random;

/// Which language queries are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// All of the language, with what is experimental.
    Full,
    /// What Prometheus 2.42 knows, without native histograms.
    Prometheus242,
}

/// Metrics whose samples are numbers.
const FLOATS: [&str; 6] = ["g", "k", "c_total", "c_total", "lat_count", "lat_bucket"];
/// Metrics with native histograms.
const HISTOGRAMS: [&str; 4] = ["h", "hc", "hg", "m"];

/// Makes queries.
#[derive(Clone, Debug)]
pub struct Generator {
    random: Random,
    dialect: Dialect,
    base_ms: i64,
}

/// What samples are wanted of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Any,
    Floats,
    Histograms,
}

impl Generator {
    /// The generator of a seed, for data around `base_ms` milliseconds after the epoch.
    #[must_use]
    pub const fn new(seed: u64, dialect: Dialect, base_ms: i64) -> Self {
        Self {
            random: Random::new(seed),
            dialect,
            base_ms,
        }
    }

    /// A query; a range vector or a text only where `is_instant`.
    pub fn query(&mut self, is_instant: bool) -> String {
        let depth = 1 + self.random.below(5);
        match self.random.below(40) {
            0 => self.scalar(depth),
            1 if is_instant => self.matrix(depth, Wanted::Any),
            2 if is_instant && self.random.once_in(4) => "\"text\"".to_owned(),
            _ => self.vector(depth, Wanted::Any),
        }
    }

    fn is_full(&self) -> bool {
        self.dialect == Dialect::Full
    }

    fn text(&mut self, choices: &[&str]) -> String {
        (*self.random.pick(choices)).to_owned()
    }

    fn wanted(&mut self, wanted: Wanted) -> Wanted {
        match wanted {
            _ if !self.is_full() => Wanted::Floats,
            Wanted::Any if self.random.once_in(4) => Wanted::Histograms,
            Wanted::Any => Wanted::Floats,
            other => other,
        }
    }

    fn vector(&mut self, depth: usize, wanted: Wanted) -> String {
        if depth == 0 {
            return self.selector(wanted);
        }
        match self.random.below(20) {
            0 => self.selector(wanted),
            1 => format!("-{}", self.operand(depth - 1, wanted)),
            2 => format!("({})", self.vector(depth - 1, wanted)),
            3..=6 => self.aggregation(depth - 1, wanted),
            7..=11 => self.operation(depth - 1, wanted),
            _ => self.call(depth - 1),
        }
    }

    /// A vector that can stand beside an operator.
    fn operand(&mut self, depth: usize, wanted: Wanted) -> String {
        format!("({})", self.vector(depth, wanted))
    }

    fn selector(&mut self, wanted: Wanted) -> String {
        let series = self.series(wanted);
        let smoothed = if self.is_full() && self.random.once_in(25) {
            " smoothed"
        } else {
            ""
        };
        let time = self.time_modifiers();
        format!("{series}{smoothed}{time}")
    }

    fn series(&mut self, wanted: Wanted) -> String {
        let name = match self.wanted(wanted) {
            Wanted::Histograms => self.text(&HISTOGRAMS),
            _ => self.text(&FLOATS),
        };
        let matchers = [
            "job=\"a\"",
            "job!=\"a\"",
            "instance=~\"1|2\"",
            "x=\"1\"",
            "x!~\"2\"",
            "x=\"\"",
            "job=\"b\",instance=\"1\"",
            "nothing=\"\"",
        ];
        match self.random.below(6) {
            0 | 1 => format!("{name}{{{}}}", self.random.pick(&matchers)),
            2 if self.random.once_in(3) => {
                let names = ["g|k", "c_total|g", "lat_count|lat_sum|g"];
                format!("{{__name__=~\"{}\"}}", self.random.pick(&names))
            }
            3 if self.random.once_in(6) => "absent_metric{job=\"a\"}".to_owned(),
            _ => name,
        }
    }

    fn time_modifiers(&mut self) -> String {
        let base = self.base_ms / 1000;
        let at = format!(" @ {}", base + self.random.between(1, 20) * 60);
        let offset = match self.random.below(16) {
            0 => " offset 1m",
            1 => " offset -47s",
            2 if self.is_full() => " offset (step() + 10s)",
            3 if self.is_full() => " offset -step()",
            _ => "",
        };
        let pin = match self.random.below(20) {
            0 => at.as_str(),
            1 => " @ start()",
            2 => " @ end()",
            _ => "",
        };
        format!("{offset}{pin}")
    }

    /// A range vector.
    fn matrix(&mut self, depth: usize, wanted: Wanted) -> String {
        if depth > 0 && self.random.once_in(3) {
            let inner = self.operand(depth - 1, wanted);
            let window = match self.random.below(6) {
                0 => "3m:",
                1 => "5m:1m",
                2 => "90s:20s",
                3 if self.is_full() => "max_of(step(), 2m):30s",
                4 if self.is_full() => "2m:min_of(step() + 7s, 25s)",
                _ => "4m:30s",
            };
            let time = self.time_modifiers();
            return format!("{inner}[{window}]{time}");
        }
        let range = self.range();
        let series = self.series(wanted);
        let time = self.time_modifiers();
        format!("{series}[{range}]{time}")
    }

    fn range(&mut self) -> String {
        let plain = ["1m", "2m", "5m", "37s", "90s", "4m30s"];
        let computed = [
            "step() + 1m",
            "range() / 2 + 30s",
            "2m * 1.5",
            "2 ^ 7",
            "250 % 130",
        ];
        if self.is_full() && self.random.once_in(10) {
            return self.text(&computed);
        }
        self.text(&plain)
    }

    /// A scalar.
    fn scalar(&mut self, depth: usize) -> String {
        let simple = ["0", "1", "2", "0.5", "-1", "3", "60", "1e3"];
        if depth == 0 || self.random.once_in(2) {
            return self.text(&simple);
        }
        let depth = depth - 1;
        match self.random.below(12) {
            0 => "time()".to_owned(),
            1 => "pi()".to_owned(),
            2 => format!("scalar({})", self.vector(depth, Wanted::Any)),
            3 | 10 | 11 if self.is_full() => self.text(&["start()", "end()", "range()", "step()"]),
            4 if self.is_full() => {
                let name = self.text(&["max_of", "min_of"]);
                format!("{name}({}, {})", self.scalar(depth), self.scalar(depth))
            }
            5 => {
                let op = self.text(&["==", "!=", "<", "<=", ">", ">="]);
                format!("({} {op} bool {})", self.scalar(depth), self.scalar(depth))
            }
            6 | 7 => {
                let op = self.text(&["+", "-", "*", "/", "%", "^", "atan2"]);
                format!("({} {op} {})", self.scalar(depth), self.scalar(depth))
            }
            8 => format!("-({})", self.scalar(depth)),
            _ => self.text(&["NaN", "Inf", "-Inf", "5m"][..if self.is_full() { 4 } else { 3 }]),
        }
    }

    fn aggregation(&mut self, depth: usize, wanted: Wanted) -> String {
        let plain = [
            "sum",
            "avg",
            "min",
            "max",
            "count",
            "group",
            "stddev",
            "stdvar",
            "topk",
            "bottomk",
            "quantile",
            "count_values",
            "limitk",
            "limit_ratio",
        ];
        let known = if self.is_full() {
            plain.len()
        } else {
            plain.len() - 2
        };
        let op = self.text(&plain[..known]);
        let inner = self.vector(depth, wanted);
        let grouping = match self.random.below(6) {
            0 => "",
            1 => " by (job)",
            2 => " by (job, instance)",
            3 => " without (x)",
            4 => " without (instance, le)",
            _ => " by (instance, __name__)",
        };
        let param = match op.as_str() {
            "topk" | "bottomk" => self.text(&["1, ", "2, ", "3, ", "100, ", "0, "]),
            "limitk" => self.text(&["100, ", "50, ", "0, "]),
            "limit_ratio" => self.text(&["0.5, ", "-0.3, ", "1, ", "0, ", "2, "]),
            "quantile" => self.text(&["0.5, ", "0.9, ", "0, ", "1, ", "-1, ", "2, "]),
            "count_values" => self.text(&["\"value\", ", "\"job\", "]),
            _ => String::new(),
        };
        format!("{op}{grouping} ({param}{inner})")
    }

    fn operation(&mut self, depth: usize, wanted: Wanted) -> String {
        let arithmetic = ["+", "-", "*", "/", "%", "^", "atan2"];
        let comparison = ["==", "!=", "<", "<=", ">", ">="];
        let wanted = self.wanted(wanted);
        match self.random.below(12) {
            0 | 1 => {
                let op = self.text(&["and", "or", "unless"]);
                let matching =
                    self.text(&["", "", " on (job)", " on (job, instance)", " ignoring (x)"]);
                let (left, right) = (self.operand(depth, wanted), self.operand(depth, wanted));
                format!("{left} {op}{matching} {right}")
            }
            2 | 3 => {
                let op = if self.random.once_in(2) {
                    self.text(&arithmetic)
                } else {
                    self.comparison(&comparison)
                };
                let (vector, scalar) = (self.operand(depth, wanted), self.scalar(depth.min(2)));
                if self.random.once_in(2) {
                    format!("{vector} {op} {scalar}")
                } else {
                    format!("{scalar} {op} {vector}")
                }
            }
            4 if self.is_full() => {
                let op = self.text(&["</", ">/"]);
                let bound = self.text(&["0", "0.5", "1", "-1", "2.5", "Inf"]);
                let left = self.operand(depth, Wanted::Histograms);
                format!("{left} {op} {bound}")
            }
            _ => {
                let op = if self.random.once_in(3) {
                    self.comparison(&comparison)
                } else {
                    self.text(&arithmetic)
                };
                self.join(depth, &op, wanted)
            }
        }
    }

    fn comparison(&mut self, operators: &[&str]) -> String {
        let op = self.text(operators);
        if self.random.once_in(3) {
            format!("{op} bool")
        } else {
            op
        }
    }

    /// An operation between vectors, most of which match.
    fn join(&mut self, depth: usize, op: &str, wanted: Wanted) -> String {
        let fill = match self.random.below(12) {
            0 if self.is_full() => " fill (0)",
            1 if self.is_full() => " fill_left (1)",
            2 if self.is_full() => " fill_right (2)",
            3 if self.is_full() => " fill_left (3) fill_right (NaN)",
            _ => "",
        };
        let by_target = |vector: String| format!("sum by (job, instance) ({vector})");
        let left = self.vector(depth, wanted);
        match self.random.below(8) {
            0 | 1 => {
                let right = by_target(self.vector(depth, wanted));
                let include = self.text(&["", " ()", " (nothing)"]);
                format!("({left}) {op} on (job, instance) group_left{include}{fill} {right}")
            }
            2 => {
                let right = self.vector(depth, wanted);
                let left = by_target(left);
                format!("{left} {op} on (job, instance) group_right{fill} ({right})")
            }
            3 => {
                let right = self.text(&["build_info", "target_info"]);
                let label = self.text(&["branch", "version", "env"]);
                format!("({left}) {op} on (job, instance) group_left ({label}) {right}")
            }
            4 => {
                let right = self.series(wanted);
                format!("({left}) {op} ignoring (x, le){fill} ({right})")
            }
            5 => {
                let series = self.series(wanted);
                format!("{series} {op}{fill} {series} offset 30s")
            }
            6 => {
                let right = self.vector(depth, wanted);
                format!("({left}) {op}{fill} ({right})")
            }
            _ => {
                let right = self.vector(depth, wanted);
                format!(
                    "{} {op} on (job, instance){fill} {}",
                    by_target(left),
                    by_target(right)
                )
            }
        }
    }
}
