//! Calls of every function.

use super::{Generator, Wanted};

/// Functions from number to number.
const MATH: [&str; 25] = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "deg", "exp",
    "floor", "ln", "log10", "log2", "rad", "round", "sgn", "sin", "sinh", "sqrt", "tan", "tanh",
    "absent",
];

const DATES: [&str; 8] = [
    "minute",
    "hour",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "days_in_month",
    "month",
    "year",
];

/// Functions of a range vector alone, those that Prometheus 2.42 does not know last.
const WINDOWS: [&str; 26] = [
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "resets",
    "changes",
    "deriv",
    "absent_over_time",
    "present_over_time",
    "avg_over_time",
    "count_over_time",
    "last_over_time",
    "max_over_time",
    "min_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
    "rate",
    "increase",
    "first_over_time",
    "mad_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];
const WINDOWS_OF_242: usize = 20;

impl Generator {
    /// A call of any function that gives a vector.
    pub(super) fn call(&mut self, depth: usize) -> String {
        match self.random.below(17) {
            0..=2 => {
                let name = self.text(&MATH);
                format!("{name}({})", self.vector(depth, Wanted::Floats))
            }
            3 => self.date(depth),
            4..=8 => self.window(depth),
            9 => self.clamped(depth),
            10 => self.times(depth),
            11 => self.relabelled(depth),
            12 => self.sorted(depth),
            13 if self.is_full() => self.histogram_part(depth),
            14 if self.is_full() => self.info(depth),
            15 => format!("vector({})", self.scalar(depth)),
            _ => self.estimate(depth),
        }
    }

    fn date(&mut self, depth: usize) -> String {
        let name = self.text(&DATES);
        match self.random.below(3) {
            0 => format!("{name}()"),
            1 => {
                let selector = self.selector(Wanted::Floats);
                format!("{name}(timestamp({selector}) * 5000)")
            }
            _ => format!("{name}({} * 1e5)", self.operand(depth, Wanted::Floats)),
        }
    }

    fn window(&mut self, depth: usize) -> String {
        let known = if self.is_full() {
            WINDOWS.len()
        } else {
            WINDOWS_OF_242
        };
        let name = self.text(&WINDOWS[..known]);
        let extended = ["rate", "increase", "delta", "resets", "changes"];
        if self.is_full() && extended.contains(&name.as_str()) && self.random.once_in(3) {
            let series = self.series(Wanted::Any);
            let range = self.range();
            let edges = self.text(&["anchored", "smoothed", "anchored"]);
            let time = self.time_modifiers();
            return format!("{name}({series}[{range}] {edges}{time})");
        }
        let matrix = self.matrix(depth, Wanted::Any);
        match self.random.below(8) {
            0 => {
                let phi = self.text(&["0.5", "0.9", "0", "1", "-1", "2"]);
                format!("quantile_over_time({phi}, {matrix})")
            }
            1 if self.random.once_in(2) => {
                format!(
                    "predict_linear({matrix}, {})",
                    self.text(&["60", "-30", "600"])
                )
            }
            2 if self.is_full() && self.random.once_in(2) => {
                let factors = self.text(&["0.5, 0.3", "0.1, 0.9", "0.5, 0.5", "1, 0.5"]);
                format!("double_exponential_smoothing({matrix}, {factors})")
            }
            _ => format!("{name}({matrix})"),
        }
    }

    fn clamped(&mut self, depth: usize) -> String {
        let vector = self.vector(depth, Wanted::Floats);
        match self.random.below(4) {
            0 => format!("clamp({vector}, {}, {})", self.scalar(1), self.scalar(1)),
            1 => format!("clamp_max({vector}, {})", self.scalar(depth)),
            2 => format!("clamp_min({vector}, {})", self.scalar(depth)),
            _ => format!("round({vector}, {})", self.text(&["0.1", "5", "0.5"])),
        }
    }

    fn times(&mut self, depth: usize) -> String {
        let names = ["timestamp", "start_timestamp"];
        let name = self.text(&names[..if self.is_full() { 2 } else { 1 }]);
        if self.random.once_in(4) {
            return format!("{name}({})", self.vector(depth, Wanted::Any));
        }
        format!("{name}({})", self.selector(Wanted::Any))
    }

    fn relabelled(&mut self, depth: usize) -> String {
        let vector = self.vector(depth, Wanted::Any);
        let destination = self.text(&["y", "job", "x", "__name__"]);
        match self.random.below(3) {
            0 => format!(
                "label_join({vector}, \"{destination}\", \"-\", \"job\", \"instance\", \"x\")"
            ),
            _ => {
                let source = self.text(&["job", "instance", "__name__", "x"]);
                let rule = self.text(&[
                    "\"$1\", \"SOURCE\", \"(.*)\"",
                    "\"new-$1\", \"SOURCE\", \"([a-b])\"",
                    "\"\", \"SOURCE\", \".*\"",
                    "\"${n}x\", \"SOURCE\", \"(?P<n>.).*\"",
                ]);
                let rule = rule.replace("SOURCE", &source);
                format!("label_replace({vector}, \"{destination}\", {rule})")
            }
        }
    }

    fn sorted(&mut self, depth: usize) -> String {
        let vector = self.vector(depth, Wanted::Any);
        let names = ["sort", "sort_desc", "sort_by_label", "sort_by_label_desc"];
        let name = self.text(&names[..if self.is_full() { 4 } else { 2 }]);
        if name.contains("label") {
            return format!("{name}({vector}, \"instance\", \"job\")");
        }
        format!("{name}({vector})")
    }

    fn histogram_part(&mut self, depth: usize) -> String {
        let name = self.text(&[
            "histogram_avg",
            "histogram_count",
            "histogram_sum",
            "histogram_stddev",
            "histogram_stdvar",
        ]);
        format!("{name}({})", self.vector(depth, Wanted::Histograms))
    }

    fn info(&mut self, depth: usize) -> String {
        let vector = self.vector(depth, Wanted::Any);
        let selection = self.text(&[
            "",
            "",
            ", {version=~\".+\"}",
            ", {__name__=\"build_info\"}",
            ", {__name__=~\".+_info\", env=\"e\"}",
            ", {version=~\"v1|v2\"}",
            ", {__name__!=\"target_info\"}",
            ", {version=\"\"}",
        ]);
        format!("info({vector}{selection})")
    }

    fn estimate(&mut self, depth: usize) -> String {
        let buckets = match self.random.below(3) {
            0 => format!("rate(lat_bucket[{}])", self.range()),
            1 => format!("sum by (job, le) (lat_bucket{})", self.time_modifiers()),
            _ if self.is_full() => self.vector(depth, Wanted::Histograms),
            _ => "lat_bucket".to_owned(),
        };
        let phi = self.text(&["0.5", "0.9", "0", "1", "-1", "1.5"]);
        match self.random.below(4) {
            0 if self.is_full() => {
                let bounds = self.text(&["0, 1", "-1, 0.7", "0.5, Inf", "2, 1", "-Inf, 3"]);
                format!("histogram_fraction({bounds}, {buckets})")
            }
            1 if self.is_full() => {
                format!("histogram_quantiles({buckets}, \"q\", {phi}, 0.25, 0.75)")
            }
            _ => format!("histogram_quantile({phi}, {buckets})"),
        }
    }
}
