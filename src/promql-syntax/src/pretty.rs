//! Prints trees over several lines, as `format_query` does: what is longer than 100 bytes in one
//! line is split, its parts one level deeper. Source: upstream `promql/parser/prettier.go`.

use std::fmt::{self, Write};

use crate::ast::{BinaryExpr, Expr};
use crate::printer::{
    AggregateHead, BinaryHead, SubquerySuffix, UNSIGNED_INFINITY, is_power_of_infinity,
};

const MAX_LINE_BYTES: usize = 100;

/// Deeper levels are printed in one line. Every level is indented, so that the text of a chain of
/// n operators would take n² bytes. No query that people write is as deep.
const MAX_LEVEL: usize = 1000;

/// Formats an expression over several lines.
#[must_use]
pub fn prettify(expr: &Expr) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _infallible = write_pretty(&mut out, expr, 0);
    out
}

fn write_pretty(out: &mut String, expr: &Expr, level: usize) -> fmt::Result {
    if let Expr::Unary(unary) = expr {
        indent(out, level);
        write!(out, "{}", unary.op)?;
        let start = out.len();
        write_pretty(out, &unary.expr, level)?;
        // The operand's own indentation gives way to that of the sign.
        let operand = out.split_off(start);
        out.push_str(operand.trim());
        return Ok(());
    }
    if !needs_split(expr, level) {
        // As upstream: a short subquery is not indented.
        if !matches!(expr, Expr::Subquery(_)) {
            indent(out, level);
        }
        return write!(out, "{expr}");
    }
    match expr {
        Expr::Aggregate(aggregate) => {
            indent(out, level);
            writeln!(out, "{}(", AggregateHead(aggregate))?;
            if let Some(param) = &aggregate.param {
                write_pretty(out, param, level + 1)?;
                out.push_str(",\n");
            }
            write_pretty(out, &aggregate.expr, level + 1)?;
            close(out, level);
        }
        Expr::Binary(binary) => write_chain(out, binary, level)?,
        Expr::Call(call) => {
            indent(out, level);
            writeln!(out, "{}(", call.func.name)?;
            for (index, arg) in call.args.iter().enumerate() {
                if index > 0 {
                    out.push_str(",\n");
                }
                write_pretty(out, arg, level + 1)?;
            }
            close(out, level);
        }
        Expr::Paren(paren) => {
            indent(out, level);
            out.push_str("(\n");
            write_pretty(out, &paren.expr, level + 1)?;
            close(out, level);
        }
        Expr::Subquery(subquery) => {
            write_pretty(out, &subquery.expr, level)?;
            write!(out, "{}", SubquerySuffix(subquery))?;
        }
        Expr::Number(_)
        | Expr::String(_)
        | Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::Unary(_) => {
            indent(out, level);
            write!(out, "{expr}")?;
        }
    }
    Ok(())
}

/// Prints a chain of operators, the last of which stands at `level` and does not fit in a line.
/// Every left side is a level deeper.
fn write_chain(out: &mut String, last: &BinaryExpr, level: usize) -> fmt::Result {
    let mut split = vec![(last, level)];
    let mut operator = last;
    let mut level = level;
    loop {
        level += 1;
        match &*operator.lhs {
            Expr::Binary(left) if needs_split(&operator.lhs, level) => {
                split.push((left, level));
                operator = left;
            }
            _ if is_power_of_infinity(operator) => {
                indent(out, level);
                out.push_str(UNSIGNED_INFINITY);
                break;
            }
            left => {
                write_pretty(out, left, level)?;
                break;
            }
        }
    }
    for (operator, level) in split.into_iter().rev() {
        out.push('\n');
        indent(out, level);
        writeln!(out, "{}", BinaryHead(operator))?;
        write_pretty(out, &operator.rhs, level + 1)?;
    }
    Ok(())
}

fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

fn close(out: &mut String, level: usize) {
    out.push('\n');
    indent(out, level);
    out.push(')');
}

/// Whether the expression is too long for one line. Stops looking as soon as that is clear, so that
/// a deep tree is not printed once per level.
fn needs_split(expr: &Expr, level: usize) -> bool {
    level < MAX_LEVEL && (is_long_chain(expr) || write!(Room(MAX_LINE_BYTES), "{expr}").is_err())
}

/// Whether there are so many operators in a row that they fill more than a line by themselves.
fn is_long_chain(expr: &Expr) -> bool {
    let mut expr = expr;
    for _ in 0..MAX_LINE_BYTES {
        match expr {
            Expr::Binary(binary) => expr = &binary.lhs,
            _ => return false,
        }
    }
    true
}

/// The bytes that are left in a line.
struct Room(usize);

impl Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{ParserOptions, parse_expr};

    #[track_caller]
    fn check(query: &str, want: &str) {
        let expr = parse_expr(query, &ParserOptions::default()).unwrap();
        assert_eq!(super::prettify(&expr), want);
    }

    #[test]
    fn short_expressions_stay_on_one_line() {
        check("sum(rate(a[5m]))by(job)", "sum by (job) (rate(a[5m]))");
        check(
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        );
    }

    #[test]
    fn long_expressions_are_split_level_by_level() {
        let long = "a_metric_with_a_name_that_fills_more_than_half_of_a_line_of_text";
        check(
            &format!("sum by (job) (rate({long}[5m])) / on (job) group_left topk(3, {long} > 1)"),
            &format!(
                "  sum by (job) (rate({long}[5m]))\n\
                 / on (job) group_left ()\n\
                 \x20 topk(3, {long} > 1)"
            ),
        );
        check(
            &format!("-max(label_replace({long}, \"destination\", \"$1\", \"source\", \"(.*)\"))"),
            &format!(
                "-max(\n  label_replace(\n    {long},\n    \"destination\",\n    \"$1\",\n    \
                 \"source\",\n    \"(.*)\"\n  )\n)"
            ),
        );
        check(
            &format!("max_over_time(({long} - {long})[1h:1m] offset 5m)"),
            &format!(
                "max_over_time(\n  (\n      {long}\n    -\n      {long}\n  )[1h:1m] offset 5m\n)"
            ),
        );
    }
}
