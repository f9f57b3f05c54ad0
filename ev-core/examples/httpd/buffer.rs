//! Bytes that come in at one end and go out at the other.

/// A queue of bytes in one piece of memory, which is given back when the queue is [`release`](Self::release)d.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// How many of `bytes` have gone out. Less than `bytes.len()`, or both are 0.
    gone: usize,
}

impl Buffer {
    /// What came in and has not gone out.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.gone..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The way in for those who write to a `Vec`: what is appended to it is pending.
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.gone);
        self.gone = 0;
        &mut self.bytes
    }

    /// Takes all of `bytes` in, without copying if nothing is pending.
    pub(crate) fn append(&mut self, mut bytes: Vec<u8>) {
        if self.is_empty() {
            self.bytes = bytes;
        } else {
            self.tail().append(&mut bytes);
        }
    }

    /// The first `count` pending bytes are gone.
    pub(crate) fn consume(&mut self, count: usize) {
        self.gone += count;
        debug_assert!(self.gone <= self.bytes.len(), "consumed more than was pending");
        if self.gone >= self.bytes.len() {
            self.clear();
        }
    }

    /// Everything pending is gone. The memory stays.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.gone = 0;
    }

    /// Gives the memory back, if nothing is pending.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            self.bytes = Vec::new();
        }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out() {
        let mut buffer = Buffer::default();
        buffer.tail().extend_from_slice(b"abc");
        buffer.consume(2);
        assert_eq!(buffer.pending(), b"c");
        buffer.tail().extend_from_slice(b"de");
        assert_eq!(buffer.pending(), b"cde");
        buffer.append(b"fg".to_vec());
        assert_eq!(buffer.pending(), b"cdefg");
        buffer.consume(5);
        assert!(buffer.is_empty());
    }

    #[test]
    fn memory_is_kept_until_released() {
        let mut buffer = Buffer::default();
        buffer.append(vec![0; 1000]);
        buffer.release();
        assert_eq!(buffer.pending().len(), 1000);
        buffer.consume(1000);
        assert!(buffer.capacity() >= 1000);
        buffer.release();
        assert_eq!(buffer.capacity(), 0);
    }
}
