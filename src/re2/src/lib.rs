//! Go's regular-expression dialect (RE2 syntax) on top of the regex-automata engine.
