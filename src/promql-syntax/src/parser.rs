//! The parser: recursive descent with precedence climbing, long chains without recursion.
//!
//! The grammar and the error texts are those of upstream's `generated_parser.y`. Upstream's parser
//! is an LALR automaton that reports a syntax error at the innermost construct with an error
//! production; [`Context`] stands for that construct here. It goes on behind that construct, skips
//! what does not fit there, and so may find more errors: [`Parser::recover`]. The look-ahead is read
//! only when it is needed, so that errors come in upstream's order.

mod aggregate;
mod binary;
mod call;
mod duration;
mod histogram;
mod labels;
mod literal;
mod modifiers;
mod selector;
mod series;

use crate::ast::{Expr, ParenExpr, PosRange, UnaryExpr, UnaryOp};
use crate::error::ParseError;
use crate::lexer::{Language, Lexer};
use crate::options::ParserOptions;
use crate::token::{Token, TokenKind};

pub(crate) use duration::duration_from_seconds;
pub use series::SeriesDescription;

/// A syntax error has been recorded and parsing cannot go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abort;

type Parsed<T> = Result<T, Abort>;

/// An expression and what walking it costs.
struct Node {
    expr: Expr,
    /// How many levels it has; a chain of binary operators counts as one.
    depth: usize,
    /// How many binary operators are in a row where the expression is one.
    chain: usize,
}

/// The innermost construct that words syntax errors inside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    Top,
    Aggregation,
    Offset,
    Range,
    Step,
    At,
    SeriesValues,
    Histogram,
}

impl Context {
    /// What the message says of the construct, and of what it expects.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Top => ("", ""),
            Self::Aggregation => ("aggregation", ""),
            Self::Offset => ("offset", "number, duration, step(), or range()"),
            Self::Range => (
                "subquery or range selector",
                "number, duration, step(), or range()",
            ),
            Self::Step => (
                "subquery selector",
                "number, duration, step(), range(), or \"]\"",
            ),
            Self::At => ("@", "timestamp"),
            Self::SeriesValues => ("series values", ""),
            Self::Histogram => (
                "histogram description",
                "histogram description key, e.g. buckets:[5 10 7]",
            ),
        }
    }
}

/// More errors than this are not of use to anybody.
const MAX_ERRORS: usize = 100;

/// As in every parser that yacc makes.
const RECOVERY_TOKENS: u8 = 3;

/// How many parentheses, calls, signs and right-associative operators may be open at once. Each one
/// is a level of recursion.
const MAX_NESTING: usize = 250;

/// The state of the parser.
pub(crate) struct Parser<'a> {
    lexer: Lexer<'a>,
    input: &'a str,
    options: &'a ParserOptions,
    /// The look-ahead, once it was needed.
    peeked: Option<Token<'a>>,
    /// End of the last token that was taken.
    last_end: usize,
    errors: Vec<ParseError>,
    context: Context,
    /// The construct in which a syntax error was just reported.
    aborted_in: Option<Context>,
    /// How many tokens must fit until a syntax error counts as overcome.
    recovering: u8,
    nesting: usize,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(input: &'a str, options: &'a ParserOptions, language: Language) -> Self {
        Self {
            lexer: Lexer::new(input, language),
            input,
            options,
            peeked: None,
            last_end: 0,
            errors: Vec::new(),
            context: Context::Top,
            aborted_in: None,
            recovering: 0,
            nesting: 0,
        }
    }

    /// Parses a whole expression. The result is of use only when no errors were recorded.
    pub(crate) fn parse_query(&mut self) -> Parsed<Expr> {
        if self.peek().kind == TokenKind::Eof {
            self.error(
                PosRange::default(),
                "no expression found in input".to_owned(),
            );
            return Err(Abort);
        }
        let result = self.parse_expr(0).and_then(|node| {
            self.expect_end()?;
            Ok(node.expr)
        });
        if result.is_err() {
            self.read_to_end();
        }
        result
    }

    /// Reads what is left after a syntax error that nothing takes up: the lexer may refuse it.
    fn read_to_end(&mut self) {
        while !matches!(self.peek().kind, TokenKind::Eof | TokenKind::Error) {
            self.take();
        }
    }

    /// The errors found so far, in order.
    pub(crate) fn into_errors(self) -> Vec<ParseError> {
        self.errors
    }

    fn expect_end(&mut self) -> Parsed<()> {
        match self.skip_unfit(&[]) {
            TokenKind::Eof => Ok(()),
            _ => Err(self.unexpected_here()),
        }
    }

    /// The look-ahead.
    fn peek(&mut self) -> Token<'a> {
        if let Some(token) = self.peeked {
            return token;
        }
        let token = self.lexer.next_token().unwrap_or_else(|error| {
            let pos = PosRange::new(error.start, self.input.len());
            self.error(pos, error.message);
            Token {
                kind: TokenKind::Error,
                text: "",
                start: pos.start,
            }
        });
        self.peeked = Some(token);
        token
    }

    /// Takes the look-ahead. The end and a lexer's error stay.
    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        if !matches!(token.kind, TokenKind::Eof | TokenKind::Error) {
            self.peeked = None;
            self.last_end = token.pos().end;
            self.recovering = self.recovering.saturating_sub(1);
        }
        token
    }

    /// Takes the look-ahead if it is a `kind`.
    fn accept(&mut self, kind: TokenKind) -> Option<Token<'a>> {
        (self.peek().kind == kind).then(|| self.take())
    }

    /// Takes a `kind` or reports the look-ahead.
    fn expect(&mut self, kind: TokenKind) -> Parsed<Token<'a>> {
        self.skip_unfit(&[kind]);
        self.accept(kind).ok_or_else(|| self.unexpected_here())
    }

    /// Goes on behind a construct with a syntax error, as upstream's parser does: what does not fit
    /// there is skipped in silence.
    fn recover<T>(&mut self, instead: T) -> Parsed<T> {
        self.aborted_in = None;
        self.recovering = RECOVERY_TOKENS;
        Ok(instead)
    }

    /// Right behind a syntax error, skips the tokens that are none of `fit`. Returns the look-ahead.
    fn skip_unfit(&mut self, fit: &[TokenKind]) -> TokenKind {
        self.skip_until(|kind| fit.contains(&kind))
    }

    /// Right behind a syntax error, skips the tokens that do not fit. Returns the look-ahead.
    fn skip_until(&mut self, fits: impl Fn(TokenKind) -> bool) -> TokenKind {
        loop {
            let kind = self.peek().kind;
            let is_end = matches!(kind, TokenKind::Eof | TokenKind::Error);
            if self.recovering < RECOVERY_TOKENS || is_end || fits(kind) {
                return kind;
            }
            self.peeked = None;
        }
    }

    fn error(&mut self, pos: PosRange, message: String) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(ParseError { pos, message });
        }
    }

    /// Reports the look-ahead. What the lexer reported is not reported again.
    fn unexpected(&mut self, context: &str, expected: &str) -> Abort {
        let token = self.peek();
        self.aborted_in = None;
        let is_end = token.kind == TokenKind::Eof;
        if token.kind != TokenKind::Error && !(is_end && self.recovering == RECOVERY_TOKENS) {
            let mut message = format!("unexpected {}", token.describe());
            for (word, detail) in [(" in ", context), (", expected ", expected)] {
                if !detail.is_empty() {
                    message.push_str(word);
                    message.push_str(detail);
                }
            }
            self.error(token.pos(), message);
        }
        Abort
    }

    /// Reports the look-ahead in the words of the construct around it.
    fn unexpected_here(&mut self) -> Abort {
        let (context, expected) = self.context.words();
        let at_end = matches!(self.peek().kind, TokenKind::Eof | TokenKind::Error);
        let is_lost = at_end && self.recovering == RECOVERY_TOKENS;
        let abort = self.unexpected(context, expected);
        // When the query ends before anything fits again, nothing takes it up.
        self.aborted_in = (!is_lost).then_some(self.context);
        abort
    }

    /// Runs `parse` as part of a construct that words errors.
    fn within<T>(
        &mut self,
        context: Context,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        let outer = std::mem::replace(&mut self.context, context);
        let result = parse(self);
        self.context = outer;
        result
    }

    /// Runs `parse` one level deeper, unless that is too deep.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let limit = MAX_NESTING.min(self.options.max_depth);
        if self.nesting >= limit {
            return Err(self.too_deep(limit));
        }
        self.nesting += 1;
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    fn too_deep(&mut self, limit: usize) -> Abort {
        let pos = self.peek().pos();
        self.error(
            pos,
            format!("expression is nested too deeply, at most {limit} levels are supported"),
        );
        Abort
    }

    /// A node above others, the deepest of which has `below` levels.
    fn node(&mut self, expr: Expr, below: usize) -> Parsed<Node> {
        let limit = self.options.max_depth;
        if below >= limit {
            return Err(self.too_deep(limit));
        }
        Ok(Node {
            expr,
            depth: below + 1,
            chain: 0,
        })
    }

    /// Parses an operand: signs, a primary expression, its modifiers.
    fn parse_operand(&mut self) -> Parsed<Node> {
        self.skip_until(TokenKind::can_start_expr);
        let token = self.peek();
        let Some(op) = unary_op(token.kind) else {
            let primary = self.parse_primary()?;
            return self.parse_modifiers(primary);
        };
        self.take();
        // A sign binds like `*`, so only `^` and modifiers bind tighter.
        let mut operand = self.nested(|parser| parser.parse_expr(binary::POWER_PRECEDENCE))?;
        if let Expr::Number(number) = &mut operand.expr {
            if op == UnaryOp::Minus {
                number.value = -number.value;
            }
            number.pos.start = token.start;
            return Ok(operand);
        }
        let pos = PosRange::new(token.start, operand.expr.pos().end);
        let expr = Expr::Unary(UnaryExpr {
            op,
            expr: Box::new(operand.expr),
            pos,
        });
        self.node(expr, operand.depth)
    }

    fn parse_primary(&mut self) -> Parsed<Node> {
        let token = self.peek();
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let number = self.parse_number_literal();
                self.node(Expr::Number(number), 0)
            }
            TokenKind::String => {
                let string = self.parse_string_literal();
                self.node(Expr::String(string), 0)
            }
            TokenKind::LeftParen => self.parse_paren(),
            TokenKind::LeftBrace => {
                let selector = self.parse_selector(None)?;
                self.node(Expr::VectorSelector(selector), 0)
            }
            kind if kind.is_metric_name() => self.parse_word(),
            _ => Err(self.unexpected_here()),
        }
    }

    fn parse_paren(&mut self) -> Parsed<Node> {
        let open = self.take();
        let inner = self.nested(|parser| {
            let mut inner = parser.parse_expr(0)?;
            while parser.recovering == RECOVERY_TOKENS && parser.skip_one_unfit() {
                inner = parser.parse_modifiers(inner)?;
                inner = parser.parse_operators(inner, 0)?;
            }
            Ok(inner)
        })?;
        let close = self.expect(TokenKind::RightParen)?;
        let pos = open.pos().merge(close.pos());
        self.node(
            Expr::Paren(ParenExpr {
                expr: Box::new(inner.expr),
                pos,
            }),
            inner.depth,
        )
    }

    /// Skips the look-ahead unless parentheses can end with it.
    fn skip_one_unfit(&mut self) -> bool {
        let kind = self.peek().kind;
        let fits = matches!(
            kind,
            TokenKind::RightParen | TokenKind::Eof | TokenKind::Error
        );
        if !fits {
            self.peeked = None;
        }
        !fits
    }

    /// Parses what starts with a word: an aggregation, a call, or else a selector.
    fn parse_word(&mut self) -> Parsed<Node> {
        use crate::token::Keyword;
        let word = self.take();
        let next = self.peek().kind;
        match (word.kind, next) {
            (
                TokenKind::Aggregate(op),
                TokenKind::LeftParen | TokenKind::Keyword(Keyword::By | Keyword::Without),
            ) => self.parse_aggregate(word, op),
            (TokenKind::Identifier, TokenKind::LeftParen) => self.parse_call(word),
            (TokenKind::Keyword(keyword), TokenKind::LeftParen) if keyword.is_function() => {
                self.parse_call(word)
            }
            _ => {
                let selector = self.parse_selector(Some(word))?;
                self.node(Expr::VectorSelector(selector), 0)
            }
        }
    }
}

/// The sign that a token is.
fn unary_op(kind: TokenKind) -> Option<UnaryOp> {
    use crate::ast::BinaryOp;
    match kind {
        TokenKind::Binary(BinaryOp::Add) => Some(UnaryOp::Plus),
        TokenKind::Binary(BinaryOp::Sub) => Some(UnaryOp::Minus),
        _ => None,
    }
}
