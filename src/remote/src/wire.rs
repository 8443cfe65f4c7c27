//! Walks protobuf's wire format field by field, borrowing everything. Refuses groups, which no
//! message of ours ever had.

/// Why bytes are no protobuf message. Texts in the wording of upstream's generated decoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The message ends inside a field.
    #[error("unexpected EOF")]
    Truncated,
    /// A variable-length integer does not fit 64 bits.
    #[error("proto: integer overflow")]
    IntegerOverflow,
    /// A field number is zero or too large.
    #[error("proto: illegal tag {0}")]
    IllegalTag(u64),
    /// A wire type that does not exist, or the start or end of a group.
    #[error("proto: illegal wireType {0}")]
    IllegalWireType(u8),
    /// A known field has another wire type than its definition says.
    #[error("proto: wrong wireType = {wire_type} for field {field}")]
    WrongWireType {
        /// The field's name.
        field: &'static str,
        /// The wire type that was found.
        wire_type: u8,
    },
}

/// How a field's value is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireType {
    /// Variable-length integer.
    Varint,
    /// Eight bytes.
    Fixed64,
    /// Length and bytes.
    Bytes,
    /// Four bytes.
    Fixed32,
}

impl WireType {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Varint => 0,
            Self::Fixed64 => 1,
            Self::Bytes => 2,
            Self::Fixed32 => 5,
        }
    }
}

/// A field's number and layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Field number, at least 1.
    pub field: u32,
    /// Layout of the value that follows.
    pub wire_type: WireType,
}

impl Tag {
    /// Checks that a known field has the layout that its definition says.
    ///
    /// # Errors
    /// It has another one.
    #[inline]
    pub fn expect(self, wire_type: WireType, field: &'static str) -> Result<(), WireError> {
        if self.wire_type == wire_type {
            Ok(())
        } else {
            Err(WireError::WrongWireType {
                field,
                wire_type: self.wire_type.number(),
            })
        }
    }
}

/// Reads a message from its first byte to its last.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    message: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `message`.
    #[must_use]
    pub const fn new(message: &'a [u8]) -> Self {
        Self {
            message,
            position: 0,
        }
    }

    /// Starts behind the first `position` bytes of `message`.
    #[must_use]
    pub const fn starting_at(message: &'a [u8], position: usize) -> Self {
        Self { message, position }
    }

    /// How many bytes were read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.position >= self.message.len()
    }

    /// Reads the next field's tag; `None` at the end of the message.
    ///
    /// # Errors
    /// The tag is truncated or names no field.
    #[inline]
    pub fn tag(&mut self) -> Result<Option<Tag>, WireError> {
        if self.is_at_end() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match u32::try_from(key >> 3) {
            Ok(field) if field != 0 && field < 1 << 29 => field,
            _ => return Err(WireError::IllegalTag(key >> 3)),
        };
        let wire_type = match key & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Bytes,
            5 => WireType::Fixed32,
            other => return Err(WireError::IllegalWireType(u8::try_from(other).unwrap_or(7))),
        };
        Ok(Some(Tag { field, wire_type }))
    }

    /// Reads a variable-length integer.
    ///
    /// # Errors
    /// It is truncated or longer than 64 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, WireError> {
        let first = *self
            .message
            .get(self.position)
            .ok_or(WireError::Truncated)?;
        if first < 0x80 {
            self.position += 1;
            return Ok(u64::from(first));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self
                .message
                .get(self.position)
                .ok_or(WireError::Truncated)?;
            self.position += 1;
            // The tenth byte holds bit 63 alone.
            if shift == 63 && byte > 1 {
                return Err(WireError::IntegerOverflow);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::IntegerOverflow)
    }

    /// Reads a length and that many bytes.
    ///
    /// # Errors
    /// Fewer bytes remain.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
        self.take(length)
    }

    /// Reads eight bytes.
    ///
    /// # Errors
    /// Fewer bytes remain.
    #[inline]
    pub fn fixed64(&mut self) -> Result<u64, WireError> {
        let bytes = self.message[self.position..]
            .first_chunk()
            .ok_or(WireError::Truncated)?;
        self.position += 8;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// Moves behind a value of the given layout.
    ///
    /// # Errors
    /// The value is truncated.
    pub fn skip(&mut self, wire_type: WireType) -> Result<(), WireError> {
        match wire_type {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.take(8).map(drop),
            WireType::Bytes => self.bytes().map(drop),
            WireType::Fixed32 => self.take(4).map(drop),
        }
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let rest = self
            .message
            .get(self.position..)
            .ok_or(WireError::Truncated)?;
        let taken = rest.get(..length).ok_or(WireError::Truncated)?;
        self.position += length;
        Ok(taken)
    }
}

/// Appends `value` as a variable-length integer.
pub fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        // The mask keeps seven bits, so nothing is lost.
        out.push(u8::try_from(value & 0x7f).unwrap_or(0x7f) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0x7f));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_is_no_field() {
        for (bytes, want) in [
            (&[0x80][..], WireError::Truncated),
            (&[0x00], WireError::IllegalTag(0)),
            (
                &[0x80, 0x80, 0x80, 0x80, 0x10],
                WireError::IllegalTag(1 << 29),
            ),
            (&[0x0b], WireError::IllegalWireType(3)),
            (&[0x0c], WireError::IllegalWireType(4)),
            (&[0x0e], WireError::IllegalWireType(6)),
            (&[0xff; 10], WireError::IntegerOverflow),
        ] {
            assert_eq!(Reader::new(bytes).tag(), Err(want), "{bytes:x?}");
        }
    }

    #[test]
    fn refuses_truncated_values() {
        for (wire_type, bytes) in [
            (WireType::Varint, &[0x80, 0x80][..]),
            (WireType::Fixed64, &[1, 2, 3, 4, 5, 6, 7]),
            (WireType::Bytes, &[2, 1]),
            (
                WireType::Bytes,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            ),
            (WireType::Fixed32, &[1, 2, 3]),
        ] {
            assert_eq!(
                Reader::new(bytes).skip(wire_type),
                Err(WireError::Truncated)
            );
        }
        assert_eq!(Reader::new(&[1; 7]).fixed64(), Err(WireError::Truncated));
    }

    proptest! {
        #[test]
        fn integers_survive(value: u64) {
            let mut bytes = Vec::new();
            push_varint(value, &mut bytes);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert!(reader.is_at_end());
        }
    }
}
