//! A label matcher's expression as an automaton that reads a text byte by byte. Who has sorted
//! texts walks their common prefixes once, and leaves out all texts behind a dead one.

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{NFA, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::Hir;

/// The most bytes of the tables of an automaton.
const MAX_TABLE_BYTES: usize = 1 << 20;

/// The most bytes that it may take to build them.
const MAX_BUILD_BYTES: usize = 4 << 20;

/// Decides whether whole texts match, byte by byte.
pub struct Automaton {
    tables: dense::DFA<Vec<u32>>,
    start: State,
}

/// Where an automaton is after some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(StateID);

impl Automaton {
    /// Builds the automaton of an expression that is bound to both ends; nothing if its tables
    /// would be too large.
    pub(crate) fn build(hir: &Hir) -> Option<Self> {
        let config = NFA::config()
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(MAX_BUILD_BYTES));
        let program = NFA::compiler().configure(config).build_from_hir(hir).ok()?;
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .accelerate(false)
            .dfa_size_limit(Some(MAX_TABLE_BYTES))
            .determinize_size_limit(Some(MAX_BUILD_BYTES));
        let tables = dense::Builder::new()
            .configure(config)
            .build_from_nfa(&program)
            .ok()?;
        let at_start = start::Config::new().anchored(Anchored::Yes);
        let start = State(tables.start_state(&at_start).ok()?);
        Some(Self { tables, start })
    }

    /// The state before the first byte.
    pub fn start(&self) -> State {
        self.start
    }

    /// The state after one more byte.
    #[inline]
    pub fn next(&self, state: State, byte: u8) -> State {
        State(self.tables.next_state(state.0, byte))
    }

    /// Tells whether no text that goes on from here matches.
    #[inline]
    pub fn is_dead(&self, state: State) -> bool {
        self.tables.is_dead_state(state.0)
    }

    /// Tells whether the text matches if it ends here.
    #[inline]
    pub fn accepts(&self, state: State) -> bool {
        let at_end = self.tables.next_eoi_state(state.0);
        self.tables.is_match_state(at_end)
    }
}
