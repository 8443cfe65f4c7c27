//! Chunk codecs: bytes in, columns of samples out, bit for bit.
