//! The function table: names, argument and result types, what is experimental.

use crate::ast::ValueType;
use ValueType::{Matrix as M, Scalar as S, String as T, Vector as V};

/// A PromQL function's signature.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// The name.
    pub name: &'static str,
    /// The arguments' types; the last one holds for all further arguments.
    pub arg_types: &'static [ValueType],
    /// How many arguments must be given.
    pub min_args: usize,
    /// How many may be given; `None` for any number.
    pub max_args: Option<usize>,
    /// The result's type.
    pub return_type: ValueType,
    /// Whether the function is refused unless experimental functions are enabled.
    pub experimental: bool,
}

impl Function {
    /// How many arguments may follow those that must be given, as upstream counts: 0 where the
    /// number of arguments is fixed, -1 where it has no end. It is a field of `parse_query`.
    #[must_use]
    pub fn variadic(&self) -> i64 {
        match self.max_args {
            None => -1,
            Some(max) if max == self.min_args => 0,
            Some(max) => i64::try_from(max - self.min_args).unwrap_or(i64::MAX),
        }
    }
}

/// The function called `name`.
#[must_use]
pub fn function(name: &str) -> Option<&'static Function> {
    let index = FUNCTIONS
        .binary_search_by_key(&name, |function| function.name)
        .ok()?;
    FUNCTIONS.get(index)
}

/// All functions in order of names.
#[must_use]
pub fn functions() -> &'static [Function] {
    &FUNCTIONS
}

/// A function whose arguments all must be given.
const fn exact(
    name: &'static str,
    arg_types: &'static [ValueType],
    return_type: ValueType,
) -> Function {
    let min_args = arg_types.len();
    let max_args = Some(min_args);
    Function {
        name,
        arg_types,
        min_args,
        max_args,
        return_type,
        experimental: false,
    }
}

/// A function from vector to vector whose last listed argument may be left out or repeated, up to
/// `max_args` arguments in all.
const fn variadic(
    name: &'static str,
    arg_types: &'static [ValueType],
    max_args: Option<usize>,
) -> Function {
    let min_args = arg_types.len() - 1;
    Function {
        name,
        arg_types,
        min_args,
        max_args,
        return_type: V,
        experimental: false,
    }
}

const fn experimental(function: Function) -> Function {
    Function {
        experimental: true,
        ..function
    }
}

/// In order of names. Source: upstream `promql/parser/functions.go` of 3.14.
static FUNCTIONS: [Function; 90] = [
    exact("abs", &[V], V),
    exact("absent", &[V], V),
    exact("absent_over_time", &[M], V),
    exact("acos", &[V], V),
    exact("acosh", &[V], V),
    exact("asin", &[V], V),
    exact("asinh", &[V], V),
    exact("atan", &[V], V),
    exact("atanh", &[V], V),
    exact("avg_over_time", &[M], V),
    exact("ceil", &[V], V),
    exact("changes", &[M], V),
    exact("clamp", &[V, S, S], V),
    exact("clamp_max", &[V, S], V),
    exact("clamp_min", &[V, S], V),
    exact("cos", &[V], V),
    exact("cosh", &[V], V),
    exact("count_over_time", &[M], V),
    variadic("day_of_month", &[V], Some(1)),
    variadic("day_of_week", &[V], Some(1)),
    variadic("day_of_year", &[V], Some(1)),
    variadic("days_in_month", &[V], Some(1)),
    exact("deg", &[V], V),
    exact("delta", &[M], V),
    exact("deriv", &[M], V),
    experimental(exact("double_exponential_smoothing", &[M, S, S], V)),
    experimental(exact("end", &[], S)),
    exact("exp", &[V], V),
    exact("first_over_time", &[M], V),
    exact("floor", &[V], V),
    exact("histogram_avg", &[V], V),
    exact("histogram_count", &[V], V),
    exact("histogram_fraction", &[S, S, V], V),
    exact("histogram_quantile", &[S, V], V),
    experimental(variadic("histogram_quantiles", &[V, T, S, S], Some(12))),
    exact("histogram_stddev", &[V], V),
    exact("histogram_stdvar", &[V], V),
    exact("histogram_sum", &[V], V),
    variadic("hour", &[V], Some(1)),
    exact("idelta", &[M], V),
    exact("increase", &[M], V),
    experimental(variadic("info", &[V, V], Some(2))),
    exact("irate", &[M], V),
    variadic("label_join", &[V, T, T, T], None),
    exact("label_replace", &[V, T, T, T, T], V),
    exact("last_over_time", &[M], V),
    exact("ln", &[V], V),
    exact("log10", &[V], V),
    exact("log2", &[V], V),
    experimental(exact("mad_over_time", &[M], V)),
    experimental(exact("max_of", &[S, S], S)),
    exact("max_over_time", &[M], V),
    experimental(exact("min_of", &[S, S], S)),
    exact("min_over_time", &[M], V),
    variadic("minute", &[V], Some(1)),
    variadic("month", &[V], Some(1)),
    exact("pi", &[], S),
    exact("predict_linear", &[M, S], V),
    exact("present_over_time", &[M], V),
    exact("quantile_over_time", &[S, M], V),
    exact("rad", &[V], V),
    experimental(exact("range", &[], S)),
    exact("rate", &[M], V),
    exact("resets", &[M], V),
    variadic("round", &[V, S], Some(2)),
    exact("scalar", &[V], S),
    exact("sgn", &[V], V),
    exact("sin", &[V], V),
    exact("sinh", &[V], V),
    exact("sort", &[V], V),
    experimental(variadic("sort_by_label", &[V, T], None)),
    experimental(variadic("sort_by_label_desc", &[V, T], None)),
    exact("sort_desc", &[V], V),
    exact("sqrt", &[V], V),
    experimental(exact("start", &[], S)),
    experimental(exact("start_timestamp", &[V], V)),
    exact("stddev_over_time", &[M], V),
    exact("stdvar_over_time", &[M], V),
    experimental(exact("step", &[], S)),
    exact("sum_over_time", &[M], V),
    exact("tan", &[V], V),
    exact("tanh", &[V], V),
    exact("time", &[], S),
    exact("timestamp", &[V], V),
    experimental(exact("ts_of_first_over_time", &[M], V)),
    experimental(exact("ts_of_last_over_time", &[M], V)),
    experimental(exact("ts_of_max_over_time", &[M], V)),
    experimental(exact("ts_of_min_over_time", &[M], V)),
    exact("vector", &[S], V),
    variadic("year", &[V], Some(1)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_every_function_is_found() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        for entry in functions() {
            assert_eq!(function(entry.name), Some(entry));
        }
        assert_eq!(function("holt_winters"), None);
    }

    #[test]
    fn argument_counts_agree_with_types() {
        for entry in functions() {
            assert!(entry.min_args <= entry.arg_types.len(), "{}", entry.name);
            assert!(
                entry.max_args.is_none_or(|max| max >= entry.min_args),
                "{}",
                entry.name
            );
        }
        let quantiles = function("histogram_quantiles").unwrap();
        assert_eq!((quantiles.min_args, quantiles.max_args), (3, Some(12)));
        let join = function("label_join").unwrap();
        assert_eq!((join.min_args, join.max_args), (3, None));
        let variadic = ["rate", "year", "round", "label_join", "histogram_quantiles"]
            .map(|name| function(name).unwrap().variadic());
        assert_eq!(variadic, [0, 1, 1, -1, 9]);
    }
}
