//! The parser from outside: error texts, trees, printed forms, other parsers' opinions.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod generator;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod series;
#[cfg(test)]
mod trees;
