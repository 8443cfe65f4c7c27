//! Random queries from a seed: the same seed gives the same query on every machine.

/// A source of random choices (SplitMix64).
pub(crate) struct Generator(u64);

const METRICS: [&str; 8] = [
    "up",
    "http_requests_total",
    "job:latency:p95",
    "sum",
    "offset",
    "by",
    "start",
    "and",
];
const LABELS: [&str; 6] = ["job", "instance", "le", "by", "on", "group_left"];
const VALUES: [&str; 7] = [
    "\"api\"",
    "'x'",
    "\"a\\\"b\"",
    "\"\"",
    "\"a.*|b\"",
    "\".+\"",
    "\"\\u00e4\\n\"",
];
const MATCH_OPS: [&str; 4] = ["=", "!=", "=~", "!~"];
const NUMBERS: [&str; 10] = [
    "0", "1", "0.5", "1e3", "0x1F", "Inf", "NaN", ".5", "10.", "017",
];
const DURATIONS: [&str; 6] = ["5m", "1h30m", "10s", "1d", "100ms", "2w"];
const OPERATORS: [&str; 17] = [
    "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<", "<=", ">", ">=", "and", "or", "unless",
    "AND",
];
const AGGREGATES: [&str; 9] = [
    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "SUM",
];
const VECTOR_FUNCTIONS: [&str; 6] = ["abs", "ceil", "absent", "sort", "timestamp", "day_of_week"];
const RANGE_FUNCTIONS: [&str; 6] = [
    "rate",
    "increase",
    "delta",
    "max_over_time",
    "changes",
    "absent_over_time",
];
const STRAY: [&str; 24] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "=",
    "=~",
    "by",
    "on",
    "bool",
    "offset",
    "@",
    "5m",
    "1",
    "up",
    "\"x\"",
    "group_left",
    "sum",
    "rate",
    "-",
    "without",
];

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap();
        usize::try_from(self.next() % bound).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick(&mut self, choices: &[&'static str]) -> &'static str {
        choices[self.below(choices.len())]
    }

    /// An expression that mostly makes sense.
    pub(crate) fn query(&mut self) -> String {
        let mut tokens = Vec::new();
        self.vector(4, &mut tokens);
        join(&tokens)
    }

    /// An expression with some tokens removed, doubled, swapped or put in.
    pub(crate) fn broken_query(&mut self) -> String {
        let mut tokens = Vec::new();
        self.vector(3, &mut tokens);
        for _ in 0..=self.below(2) {
            let at = self.below(tokens.len());
            match self.below(4) {
                0 if tokens.len() > 1 => {
                    tokens.remove(at);
                }
                1 => tokens.insert(at, tokens[at]),
                2 => {
                    let other = self.below(tokens.len());
                    tokens.swap(at, other);
                }
                _ => tokens.insert(at, self.pick(&STRAY)),
            }
        }
        join(&tokens)
    }

    fn vector(&mut self, depth: usize, out: &mut Vec<&'static str>) {
        match if depth == 0 { 0 } else { self.below(10) } {
            0 | 1 => self.selector(out),
            2 => {
                out.push("(");
                self.vector(depth - 1, out);
                out.push(")");
            }
            3 => {
                out.push(if self.chance(80) { "-" } else { "+" });
                self.vector(depth - 1, out);
            }
            4 => self.aggregate(depth, out),
            5 => {
                out.push(self.pick(&VECTOR_FUNCTIONS));
                out.push("(");
                self.vector(depth - 1, out);
                out.push(")");
            }
            6 => self.call_with_range(depth, out),
            7 => self.call_with_parameters(depth, out),
            _ => self.binary(depth, out),
        }
    }

    fn selector(&mut self, out: &mut Vec<&'static str>) {
        let metric = self.pick(&METRICS);
        out.push(metric);
        if self.chance(50) {
            out.push("{");
            for _ in 0..self.below(3) {
                out.push(self.pick(&LABELS));
                out.push(self.pick(&MATCH_OPS));
                out.push(self.pick(&VALUES));
                out.push(",");
            }
            out.push("}");
        }
        if self.chance(15) {
            self.modifiers(out);
        }
    }

    fn modifiers(&mut self, out: &mut Vec<&'static str>) {
        if self.chance(60) {
            out.push("offset");
            if self.chance(30) {
                out.push("-");
            }
            out.push(self.pick(&DURATIONS));
        }
        if self.chance(50) {
            out.push("@");
            match self.below(4) {
                0 => out.extend(["start", "(", ")"]),
                1 => out.extend(["end", "(", ")"]),
                2 => out.extend(["-", "1.5"]),
                _ => out.push("1609746000"),
            }
        }
    }

    fn range(&mut self, depth: usize, out: &mut Vec<&'static str>) {
        if depth == 0 || self.chance(70) {
            out.push(self.pick(&METRICS[..3]));
            out.extend(["[", self.pick(&DURATIONS), "]"]);
        } else {
            out.push("(");
            self.vector(depth - 1, out);
            out.push(")");
            out.extend(["[", self.pick(&DURATIONS), ":"]);
            if self.chance(50) {
                out.push(self.pick(&DURATIONS));
            }
            out.push("]");
        }
        if self.chance(15) {
            self.modifiers(out);
        }
    }

    fn call_with_range(&mut self, depth: usize, out: &mut Vec<&'static str>) {
        out.push(self.pick(&RANGE_FUNCTIONS));
        out.push("(");
        self.range(depth - 1, out);
        out.push(")");
    }

    fn call_with_parameters(&mut self, depth: usize, out: &mut Vec<&'static str>) {
        match self.below(5) {
            0 => {
                out.extend(["histogram_quantile", "(", "0.9", ","]);
                self.vector(depth - 1, out);
            }
            1 => {
                out.extend(["clamp", "("]);
                self.vector(depth - 1, out);
                out.extend([",", "1", ",", self.pick(&NUMBERS)]);
            }
            2 => {
                out.extend(["label_join", "("]);
                self.vector(depth - 1, out);
                for _ in 0..2 + self.below(3) {
                    out.extend([",", "\"a\""]);
                }
            }
            3 => {
                out.extend(["predict_linear", "("]);
                self.range(depth - 1, out);
                out.extend([",", "3600", "*", self.pick(&NUMBERS)]);
            }
            _ => {
                out.extend(["vector", "(", "time", "(", ")"]);
            }
        }
        out.push(")");
    }

    fn grouping(&mut self, out: &mut Vec<&'static str>) {
        out.push("(");
        for index in 0..self.below(3) {
            if index > 0 {
                out.push(",");
            }
            out.push(self.pick(&LABELS));
        }
        out.push(")");
    }

    fn aggregate(&mut self, depth: usize, out: &mut Vec<&'static str>) {
        let mut parameter = None;
        if self.chance(20) {
            let choices = [
                ("topk", "5"),
                ("quantile", "0.9"),
                ("count_values", "\"v\""),
                ("bottomk", "1"),
            ];
            let (op, value) = choices[self.below(choices.len())];
            out.push(op);
            parameter = Some(value);
        } else {
            out.push(self.pick(&AGGREGATES));
        }
        let place = self.below(3);
        let keyword = if self.chance(70) { "by" } else { "without" };
        if place == 0 {
            out.push(keyword);
            self.grouping(out);
        }
        out.push("(");
        if let Some(value) = parameter {
            out.extend([value, ","]);
        }
        self.vector(depth - 1, out);
        out.push(")");
        if place == 1 {
            out.push(keyword);
            self.grouping(out);
        }
    }

    fn binary(&mut self, depth: usize, out: &mut Vec<&'static str>) {
        self.vector(depth - 1, out);
        let op = self.pick(&OPERATORS);
        out.push(op);
        let is_set = matches!(op, "and" | "or" | "unless" | "AND");
        let is_comparison = matches!(op, "==" | "!=" | "<" | "<=" | ">" | ">=");
        if !is_set && self.chance(30) {
            if is_comparison && self.chance(40) {
                out.push("bool");
            }
            out.push(self.pick(&NUMBERS));
            return;
        }
        if is_comparison && self.chance(20) {
            out.push("bool");
        }
        if self.chance(30) {
            out.push(if self.chance(60) { "on" } else { "ignoring" });
            self.grouping(out);
            if !is_set && self.chance(40) {
                out.push(if self.chance(60) {
                    "group_left"
                } else {
                    "group_right"
                });
                self.grouping(out);
            }
        }
        self.vector(depth - 1, out);
    }
}

fn join(tokens: &[&'static str]) -> String {
    tokens.join(" ")
}
