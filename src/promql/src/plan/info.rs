//! What `info()` looks up: which info series, and at which instants. Source: upstream
//! `promql/info.go`.

use model::{METRIC_NAME, MatchOp, Matcher, TimeRange};
use promql_syntax::ast::{ValueType, WindowEdges};

use super::build::normalised;
use super::{Info, Node, NodeKind, Selector, SelectorOutput};
use crate::error::EngineError;

/// The info metric that is meant unless the query names another.
const DEFAULT_INFO_METRIC: &str = "target_info";

/// What names have to look like when the query only says which ones it does not want.
const INFO_METRIC_PATTERN: &str = ".+_info";

/// The plan of a call: `written` are the matchers of its second argument.
pub(super) fn info_of(
    expr: Node,
    written: &[Matcher],
    lookback_ms: i64,
) -> Result<Info, EngineError> {
    let (names, data): (Vec<Matcher>, Vec<Matcher>) = written
        .iter()
        .cloned()
        .partition(|matcher| matcher.name() == METRIC_NAME);
    let names = effective_names(names)?;
    let matchers: Vec<Matcher> = names.iter().chain(&data).cloned().collect();
    let reference = common_reference(&expr).unwrap_or_default();
    let series = Selector {
        matchers: normalised(&matchers),
        written: matchers,
        at_ms: reference.at_ms,
        offset_ms: reference.offset_ms,
        window_ms: lookback_ms,
        edges: WindowEdges::Plain,
        before_ms: 0,
        behind_ms: 0,
        output: SelectorOutput::Timestamp,
        statistics_only: false,
        read: TimeRange::ALL,
    };
    Ok(Info {
        expr,
        names,
        data,
        series,
    })
}

/// The conditions on names: those written if one of them says what is wanted.
fn effective_names(mut written: Vec<Matcher>) -> Result<Vec<Matcher>, EngineError> {
    let is_positive = |matcher: &Matcher| matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex);
    if written.is_empty() {
        written.push(Matcher::equal(METRIC_NAME, DEFAULT_INFO_METRIC));
    } else if !written.iter().any(is_positive) {
        let pattern = Matcher::new(MatchOp::Regex, METRIC_NAME, INFO_METRIC_PATTERN);
        written.insert(0, pattern.map_err(|error| bad_query(&error))?);
    }
    Ok(written)
}

fn bad_query(error: &re2::Error) -> EngineError {
    EngineError::BadQuery(error.to_string())
}

/// How a selector's instants follow from the steps.
#[derive(Clone, Copy, Debug, Default)]
struct ReferenceTime {
    at_ms: Option<i64>,
    offset_ms: i64,
}

impl ReferenceTime {
    fn is_same(self, other: Self) -> bool {
        match (self.at_ms, other.at_ms) {
            (Some(at), Some(other_at)) => {
                at.saturating_sub(self.offset_ms) == other_at.saturating_sub(other.offset_ms)
            }
            (None, None) => self.offset_ms == other.offset_ms,
            _ => false,
        }
    }
}

/// When all selectors that the vector is made of are looked at, if that is the same for all of
/// them. A vector that is not made of any follows the steps.
fn common_reference(expr: &Node) -> Option<ReferenceTime> {
    let mut search = Search {
        first: None,
        is_common: true,
        outer: Vec::new(),
    };
    search.visit(expr);
    search.first.filter(|_| search.is_common)
}

struct Search {
    first: Option<ReferenceTime>,
    is_common: bool,
    /// The subqueries around, the outermost first.
    outer: Vec<ReferenceTime>,
}

impl Search {
    /// Says whether the expression is a vector made of selectors; scalars do not count.
    fn visit(&mut self, node: &Node) -> bool {
        if !matches!(node.value_type(), ValueType::Vector | ValueType::Matrix) {
            return false;
        }
        let subquery = match &node.kind {
            NodeKind::Selector(selector) => return self.add(selector),
            NodeKind::Matrix(matrix) => return self.add(&matrix.selector),
            NodeKind::Subquery(subquery) => Some(ReferenceTime {
                at_ms: subquery.at_ms,
                offset_ms: subquery.offset_ms,
            }),
            _ => None,
        };
        self.outer.extend(subquery);
        let mut has_selector = false;
        for child in node.children() {
            has_selector |= self.visit(child);
        }
        if subquery.is_some() {
            self.outer.pop();
        }
        self.is_common &= has_selector;
        has_selector
    }

    fn add(&mut self, selector: &Selector) -> bool {
        let mut time = ReferenceTime {
            at_ms: selector.at_ms,
            offset_ms: selector.offset_ms,
        };
        for outer in self.outer.iter().rev() {
            if time.at_ms.is_some() {
                break;
            }
            time.at_ms = outer.at_ms;
            time.offset_ms = time.offset_ms.saturating_add(outer.offset_ms);
        }
        let first = *self.first.get_or_insert(time);
        self.is_common &= first.is_same(time);
        true
    }
}
