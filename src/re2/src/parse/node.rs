//! A parsed piece of an expression together with what Go's limits count: the height of its syntax
//! tree, the number of its instructions and the product of its counted repetitions.

use regex_syntax::hir::{self, Class, ClassUnicode, Hir, Look};

use crate::error::ErrorKind;

/// The highest syntax tree that Go accepts.
const MAX_HEIGHT: usize = 1000;

/// The most instructions that Go accepts: 128 MiB in instructions of 40 bytes.
const MAX_INSTRUCTIONS: u64 = (128 << 20) / 40;

/// The most copies that nested counted repetitions may make of one piece.
const MAX_REPEAT: u32 = 1000;

/// How a piece takes part in the piece around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A character: neighbours melt into one string.
    Char,
    /// A character class: alternatives melt into one class.
    Class,
    /// Several characters in a row.
    Literal,
    /// A sequence, which melts into a sequence around it.
    Concat,
    /// A choice, which melts into a choice around it.
    Alternation,
    /// Anything that stands for itself.
    Other,
}

/// The bounds of a repetition operator.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) min: u32,
    /// No value means no upper bound.
    pub(super) max: Option<u32>,
}

/// Whether a repetition prefers many or few rounds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Greed {
    Greedy,
    Lazy,
}

/// A piece of an expression.
pub(super) struct Node {
    pub(super) hir: Hir,
    pub(super) height: usize,
    pub(super) instructions: u64,
    repeat_product: u32,
    shape: Shape,
}

impl Node {
    fn leaf(hir: Hir, shape: Shape) -> Self {
        Self {
            hir,
            height: 1,
            instructions: 1,
            repeat_product: 1,
            shape,
        }
    }

    pub(super) fn empty() -> Self {
        Self::leaf(Hir::empty(), Shape::Other)
    }

    pub(super) fn look(look: Look) -> Self {
        Self::leaf(Hir::look(look), Shape::Other)
    }

    pub(super) fn class(class: ClassUnicode) -> Self {
        Self::leaf(Hir::class(Class::Unicode(class)), Shape::Class)
    }

    /// Makes a piece from characters that stand for themselves.
    pub(super) fn literal(text: &str) -> Self {
        let chars = text.chars().count();
        let shape = if chars == 1 {
            Shape::Char
        } else {
            Shape::Literal
        };
        let mut node = Self::leaf(Hir::literal(text.as_bytes()), shape);
        node.instructions = u64::try_from(chars).unwrap_or(u64::MAX).max(1);
        node
    }

    /// Wraps the piece into the capturing group with the given number.
    pub(super) fn capture(self, index: u32) -> Self {
        let capture = hir::Capture {
            index,
            name: None,
            sub: Box::new(self.hir),
        };
        Self {
            hir: Hir::capture(capture),
            height: self.height.saturating_add(1),
            instructions: self.instructions.saturating_add(2),
            shape: Shape::Other,
            ..Self::empty()
        }
        .with_repeat_product(self.repeat_product)
    }

    /// Repeats the piece with `*`, `+` or `?`.
    pub(super) fn repeat(self, bounds: Bounds, greed: Greed) -> Self {
        let growth = if bounds.max.is_none() && bounds.min == 0 {
            2
        } else {
            1
        };
        let instructions = self.instructions.saturating_add(growth);
        let repeat_product = self.repeat_product;
        self.into_repetition(bounds, greed, instructions)
            .with_repeat_product(repeat_product)
    }

    /// Repeats the piece a counted number of times.
    pub(super) fn repeat_counted(self, bounds: Bounds, greed: Greed) -> Self {
        let min = u64::from(bounds.min);
        let instructions = match bounds.max {
            None if min == 0 => self.instructions.saturating_add(2),
            None => self.instructions.saturating_mul(min).saturating_add(1),
            Some(max) => {
                let max = u64::from(max);
                self.instructions
                    .saturating_mul(max)
                    .saturating_add(max.saturating_sub(min))
            }
        };
        let repeat_product = match bounds.max {
            Some(0) => 1,
            max => self
                .repeat_product
                .saturating_mul(max.unwrap_or(bounds.min).max(1)),
        };
        self.into_repetition(bounds, greed, instructions.max(1))
            .with_repeat_product(repeat_product)
    }

    /// Tells whether counted repetitions make more copies than Go allows.
    pub(super) fn repeats_too_often(&self) -> bool {
        self.repeat_product > MAX_REPEAT
    }

    fn into_repetition(self, bounds: Bounds, greed: Greed, instructions: u64) -> Self {
        let repetition = hir::Repetition {
            min: bounds.min,
            max: bounds.max,
            greedy: greed == Greed::Greedy,
            sub: Box::new(self.hir),
        };
        let mut node = Self::leaf(Hir::repetition(repetition), Shape::Other);
        node.height = self.height.saturating_add(1);
        node.instructions = instructions;
        node
    }

    const fn with_repeat_product(mut self, repeat_product: u32) -> Self {
        self.repeat_product = repeat_product;
        self
    }

    /// Joins pieces that follow each other.
    pub(super) fn concat(nodes: Vec<Self>) -> Self {
        if nodes
            .iter()
            .all(|node| matches!(node.shape, Shape::Char | Shape::Literal))
        {
            return Self::join(nodes, Shape::Literal, Hir::concat);
        }
        Self::join(nodes, Shape::Concat, Hir::concat)
    }

    /// Joins pieces that exclude each other; earlier ones are preferred.
    pub(super) fn alternation(nodes: Vec<Self>) -> Self {
        if nodes
            .iter()
            .all(|node| matches!(node.shape, Shape::Char | Shape::Class))
        {
            return Self::join(nodes, Shape::Class, Hir::alternation);
        }
        Self::join(nodes, Shape::Alternation, Hir::alternation)
    }

    fn join(mut nodes: Vec<Self>, shape: Shape, build: fn(Vec<Hir>) -> Hir) -> Self {
        if nodes.len() == 1
            && let Some(node) = nodes.pop()
        {
            return node;
        }
        let mut height = 0;
        let mut instructions = 0_u64;
        let mut repeat_product = 1;
        for node in &nodes {
            // A piece of the same shape melts into this one and adds no level.
            let own_level = usize::from(node.shape == shape);
            height = height.max(node.height.saturating_sub(own_level));
            instructions = instructions.saturating_add(node.instructions);
            repeat_product = repeat_product.max(node.repeat_product);
        }
        let (height, instructions) = match shape {
            Shape::Class => (1, 1),
            Shape::Literal => (1, instructions.max(1)),
            Shape::Alternation => {
                let jumps = u64::try_from(nodes.len().saturating_sub(1)).unwrap_or(u64::MAX);
                (
                    height.saturating_add(1),
                    instructions.saturating_add(jumps).max(1),
                )
            }
            Shape::Char | Shape::Concat | Shape::Other => {
                (height.saturating_add(1), instructions.max(1))
            }
        };
        let hir = build(nodes.into_iter().map(|node| node.hir).collect());
        Self {
            hir,
            height,
            instructions,
            repeat_product,
            shape,
        }
    }

    /// Checks the limits that hold for every piece.
    pub(super) const fn check_limits(&self) -> Result<(), ErrorKind> {
        if self.instructions > MAX_INSTRUCTIONS {
            return Err(ErrorKind::Large);
        }
        if self.height > MAX_HEIGHT {
            return Err(ErrorKind::NestingDepth);
        }
        Ok(())
    }
}
