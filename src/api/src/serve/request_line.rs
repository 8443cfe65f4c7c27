//! Finds the request lines in the bytes of a connection and percent-encodes what their targets may
//! not hold. Follows HTTP/1 just closely enough to know where a request ends; whatever it does not
//! understand it hands on unchanged, from there to the end of the connection. Bodies and headers are
//! never changed.

/// Longest part of a line that is looked at: enough for every header that says where a body ends.
const MAX_LINE_BYTES: usize = 256;

/// Where in the stream the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    /// Before a request.
    Start,
    Method,
    Target,
    Version,
    Headers,
    /// In a body of which so many bytes are left.
    Sized(u64),
    ChunkSize,
    /// In a chunk of which so many bytes are left.
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    /// Nothing is changed any more.
    Verbatim,
}

/// Follows the bytes of one connection.
#[derive(Debug)]
pub(super) struct RequestLines {
    section: Section,
    /// The line so far, or its beginning.
    line: Vec<u8>,
    /// Whether `line` holds less than there was.
    line_was_cut: bool,
    content_length: Option<u64>,
    is_chunked: bool,
}

impl RequestLines {
    pub(super) fn new() -> Self {
        Self {
            section: Section::Start,
            line: Vec::new(),
            line_was_cut: false,
            content_length: None,
            is_chunked: false,
        }
    }

    /// How many of the next bytes are certain to stay as they are.
    pub(super) fn verbatim(&self) -> u64 {
        match self.section {
            Section::Verbatim => u64::MAX,
            Section::Sized(left) | Section::ChunkData(left) => left,
            _ => 0,
        }
    }

    /// Passes `count` bytes, at most [`RequestLines::verbatim`].
    pub(super) fn skip(&mut self, count: u64) {
        self.section = match self.section {
            Section::Sized(left) if left <= count => Section::Start,
            Section::Sized(left) => Section::Sized(left - count),
            Section::ChunkData(left) if left <= count => Section::ChunkEnd,
            Section::ChunkData(left) => Section::ChunkData(left - count),
            other => other,
        };
    }

    /// Appends `input` to `out`, its targets encoded.
    pub(super) fn encode(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while !input.is_empty() {
            let verbatim = usize::try_from(self.verbatim()).unwrap_or(usize::MAX);
            let (now, later) = input.split_at(verbatim.clamp(1, input.len()));
            if verbatim > 0 {
                out.extend_from_slice(now);
                self.skip(u64::try_from(now.len()).unwrap_or(u64::MAX));
            } else {
                self.encode_byte(now[0], out);
            }
            input = later;
        }
    }

    fn encode_byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.section == Section::Target && needs_encoding(byte) {
            out.extend_from_slice(&[b'%', hex_digit(byte >> 4), hex_digit(byte & 15)]);
            return;
        }
        out.push(byte);
        self.section = match (self.section, byte) {
            // Empty lines between requests are allowed.
            (Section::Start, b'\r' | b'\n') => Section::Start,
            (Section::Start, _) => Section::Method,
            (Section::Method, b' ') => Section::Target,
            // A request without a version, which nobody sends any more.
            (Section::Method | Section::Target, b'\n') => Section::Verbatim,
            (Section::Target, b' ') => Section::Version,
            (Section::Version, b'\n') => self.begin_headers(),
            (Section::Method | Section::Target | Section::Version, _) => self.section,
            (_, b'\n') => self.end_line(),
            _ => {
                self.keep(byte);
                self.section
            }
        };
    }

    fn keep(&mut self, byte: u8) {
        if self.line.len() < MAX_LINE_BYTES {
            self.line.push(byte);
        } else {
            self.line_was_cut = true;
        }
    }

    fn begin_line(&mut self) {
        self.line.clear();
        self.line_was_cut = false;
    }

    fn begin_headers(&mut self) -> Section {
        self.begin_line();
        (self.content_length, self.is_chunked) = (None, false);
        Section::Headers
    }

    /// What follows the line that has just ended.
    fn end_line(&mut self) -> Section {
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        let next = match self.section {
            Section::Headers if self.line.is_empty() => self.begin_body(),
            Section::Headers => self.header(),
            Section::ChunkSize => self.chunk_size(),
            Section::ChunkEnd if self.line.is_empty() => Some(Section::ChunkSize),
            Section::Trailers if self.line.is_empty() => Some(Section::Start),
            Section::Trailers => Some(Section::Trailers),
            _ => None,
        };
        self.begin_line();
        next.unwrap_or(Section::Verbatim)
    }

    /// Notes a header that says where the body ends; `None` for one that is not plain.
    fn header(&mut self) -> Option<Section> {
        let colon = self.line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&self.line[..colon], self.line[colon + 1..].trim_ascii());
        if name.first().is_none_or(|byte| byte.is_ascii_whitespace()) {
            return None;
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = number(value, 10).filter(|_| !self.line_was_cut)?;
            if self.content_length.is_some_and(|known| known != length) {
                return None;
            }
            self.content_length = Some(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") || self.line_was_cut {
                return None;
            }
            self.is_chunked = true;
        }
        Some(Section::Headers)
    }

    fn begin_body(&self) -> Option<Section> {
        match (self.is_chunked, self.content_length) {
            (true, Some(_)) => None,
            (true, None) => Some(Section::ChunkSize),
            (false, None | Some(0)) => Some(Section::Start),
            (false, Some(length)) => Some(Section::Sized(length)),
        }
    }

    fn chunk_size(&self) -> Option<Section> {
        let size = self.line.split(|byte| *byte == b';').next()?;
        match number(size.trim_ascii(), 16)? {
            0 => Some(Section::Trailers),
            size => Some(Section::ChunkData(size)),
        }
    }
}

/// Reads digits and nothing else.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let plain = digits.first().is_some_and(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| plain)?;
    u64::from_str_radix(text, radix).ok()
}

/// What Go accepts in a target and Rust's `http` does not, or does not take as part of it. Control
/// characters and spaces are refused by both.
fn needs_encoding(byte: u8) -> bool {
    matches!(
        byte,
        b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..
    )
}

fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..10 => b'0' + nibble,
        _ => b'A' + nibble - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole at once, and the same in two parts, cut anywhere.
    #[track_caller]
    fn check(input: &[u8], want: &[u8]) {
        for cut in 0..input.len() {
            let mut lines = RequestLines::new();
            let mut out = Vec::new();
            lines.encode(&input[..cut], &mut out);
            lines.encode(&input[cut..], &mut out);
            let (got, want) = (String::from_utf8_lossy(&out), String::from_utf8_lossy(want));
            assert_eq!(got, want, "cut at {cut}");
        }
    }

    #[test]
    fn encodes_targets_alone() {
        check(
            b"GET /q?a=up{j=\"<x>|#\\^`\"}[5m]&b=\xff%22 HTTP/1.1\r\nHost: {x}\r\nA: \"b\"\r\n\r\n",
            b"GET /q?a=up%7Bj=%22%3Cx%3E%7C%23%5C%5E%60%22%7D[5m]&b=%FF%22 HTTP/1.1\r\nHost: {x}\r\n\
              A: \"b\"\r\n\r\n",
        );
    }

    #[test]
    fn follows_requests_on_one_connection() {
        check(
            b"POST /{ HTTP/1.1\r\ncontent-LENGTH: 7 \r\n\r\nGET /{ GET /{ HTTP/1.1\r\n\r\n\
              \r\nPOST /{ HTTP/1.1\nTransfer-Encoding: Chunked\n\n5;x={\r\n{\r\n}\n\r\nA\r\n0123456789\r\n\
              0\r\nT: {\r\n\r\nGET /{ HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /{ HTTP/1.1\r\n\r\n",
            b"POST /%7B HTTP/1.1\r\ncontent-LENGTH: 7 \r\n\r\nGET /{ GET /%7B HTTP/1.1\r\n\r\n\
              \r\nPOST /%7B HTTP/1.1\nTransfer-Encoding: Chunked\n\n5;x={\r\n{\r\n}\n\r\nA\r\n0123456789\r\n\
              0\r\nT: {\r\n\r\nGET /%7B HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /%7B HTTP/1.1\r\n\r\n",
        );
    }

    #[test]
    fn changes_nothing_once_it_is_not_sure() {
        for head in [
            "GET /\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n folded: c\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        ] {
            let input = format!("{head}GET /{{ HTTP/1.1\r\n\r\n");
            check(input.as_bytes(), input.as_bytes());
        }
        let long = " ".repeat(MAX_LINE_BYTES);
        let input =
            format!("GET / HTTP/1.1\r\nContent-Length:{long}1\r\n\r\nGET /{{ HTTP/1.1\r\n\r\n");
        let mut out = Vec::new();
        RequestLines::new().encode(input.as_bytes(), &mut out);
        assert_eq!(out, input.as_bytes());
    }
}
