//! How much of the heap is in use, by the allocator's own account, as the C peers ask it.

/// Bytes in use, with what the allocator adds to each block.
pub(crate) fn bytes_in_use() -> usize {
    // SAFETY: `mallinfo2` takes no arguments and answers by value; it locks what it reads.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}
