//! How errors look from outside, and how their causes are printed.

use std::error::Error;
use std::fmt::Write as _;

/// What an error means to the client. Source: the `errorType` values of upstream's HTTP API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong.
    BadData,
    /// There is no such thing.
    NotFound,
    /// The request is right, its execution failed.
    Execution,
    /// The deadline passed.
    Timeout,
    /// The client went away.
    Canceled,
    /// Not now.
    Unavailable,
    /// No representation suits the client.
    NotAcceptable,
    /// Our fault.
    Internal,
}

impl ErrorKind {
    /// The `errorType` text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::NotFound => "not_found",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Unavailable => "unavailable",
            Self::NotAcceptable => "not_acceptable",
            Self::Internal => "internal",
        }
    }
}

/// An error and its causes in one line: `commit failed: disk full`.
#[must_use]
pub fn report(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _infallible = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
