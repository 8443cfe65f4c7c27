//! The one HTTP client: pooled connections, redirects, deadlines, limited bodies, Go's error texts.
//! Plain HTTP so far. It knows nothing of what is fetched.

pub mod body;
pub mod client;
pub mod dial;
pub mod error;

pub use body::Body;
pub use client::{ClientOptions, HttpClient, Redirects, Request, Response};
pub use dial::DialError;
pub use error::{BodyError, HttpError, RequestError};
