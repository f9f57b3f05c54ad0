//! Memory: all of it goes through the functions of `event_set_mem_functions`, what Rust allocates included.
//!
//! Nothing here takes a lock or allocates, so the functions may be called from anywhere. As in libevent, replacing the
//! functions while memory of the old ones is in use is the program's affair: the block is freed by the new ones.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use crate::function::FunctionCell;

type Malloc = unsafe extern "C" fn(usize) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void);

static MALLOC: FunctionCell<Malloc> = FunctionCell::none();
static REALLOC: FunctionCell<Realloc> = FunctionCell::none();
static FREE: FunctionCell<Free> = FunctionCell::none();

/// The alignment that `malloc` promises on the systems we run on of blocks that are not smaller;
/// `event_set_mem_functions` asks the same of its functions.
const ALIGN: usize = 16;

/// Replaces the functions that the library allocates with; libc's stand in for those that are null.
#[unsafe(no_mangle)]
pub extern "C" fn event_set_mem_functions(malloc: Option<Malloc>, realloc: Option<Realloc>, free: Option<Free>) {
    MALLOC.set(malloc);
    REALLOC.set(realloc);
    FREE.set(free);
}

/// Memory for C, aligned to 16 bytes and not initialised; null when there is none, and for no bytes.
pub(crate) fn alloc(size: usize) -> *mut c_void {
    if size == 0 {
        return ptr::null_mut();
    }
    match MALLOC.get() {
        // SAFETY: Who set the function promised that it behaves as malloc.
        Some(malloc) => unsafe { malloc(size) },
        // SAFETY: malloc may be called with every size.
        None => unsafe { libc::malloc(size) },
    }
}

/// Zeroed memory for C; null when there is none, and for no bytes.
pub(crate) fn alloc_zeroed(count: usize, size: usize) -> *mut c_void {
    if count == 0 || size == 0 {
        return ptr::null_mut();
    }
    let Some(malloc) = MALLOC.get() else {
        // SAFETY: calloc may be called with every size.
        return unsafe { libc::calloc(count, size) };
    };
    let Some(bytes) = count.checked_mul(size) else {
        set_errno(libc::ENOMEM);
        return ptr::null_mut();
    };
    // SAFETY: Who set the function promised that it behaves as malloc.
    let memory = unsafe { malloc(bytes) };
    if !memory.is_null() {
        // SAFETY: malloc returned `bytes` bytes that are nobody else's.
        unsafe { memory.write_bytes(0, bytes) };
    }
    memory
}

/// Resizes memory of [`alloc`]'s.
///
/// # Safety
/// `memory` is null or came from one of this module's functions, and nobody uses it after a success.
pub(crate) unsafe fn realloc(memory: *mut c_void, size: usize) -> *mut c_void {
    match REALLOC.get() {
        // SAFETY: Who set the function promised that it behaves as realloc; the caller vouches for the memory.
        Some(realloc) => unsafe { realloc(memory, size) },
        // SAFETY: As above.
        None => unsafe { libc::realloc(memory, size) },
    }
}

/// Gives memory of [`alloc`]'s back.
///
/// # Safety
/// `memory` is null or came from one of this module's functions, and nobody uses it any more.
pub(crate) unsafe fn free(memory: *mut c_void) {
    match FREE.get() {
        // SAFETY: Who set the function promised that it behaves as free; the caller vouches for the memory.
        Some(free) => unsafe { free(memory) },
        // SAFETY: As above.
        None => unsafe { libc::free(memory) },
    }
}

/// A box; `None` if there is no memory for it, of which `Box::new` would end the process.
pub(crate) fn boxed<T>(value: T) -> Option<Box<T>> {
    const { assert!(size_of::<T>() > 0) };
    // SAFETY: The size is not zero.
    let memory = unsafe { std::alloc::alloc(Layout::new::<T>()) }.cast::<T>();
    if memory.is_null() {
        return None;
    }
    // SAFETY: The memory has this size and alignment, and is nobody else's.
    unsafe { memory.write(value) };
    // SAFETY: It was allocated as a box is, and holds a value.
    Some(unsafe { Box::from_raw(memory) })
}

/// libevent's malloc, which the libraries on top of it use too: null for no bytes.
#[unsafe(no_mangle)]
pub extern "C" fn event_mm_malloc_(size: usize) -> *mut c_void {
    alloc(size)
}

/// libevent's calloc: null for no bytes.
#[unsafe(no_mangle)]
pub extern "C" fn event_mm_calloc_(count: usize, size: usize) -> *mut c_void {
    alloc_zeroed(count, size)
}

/// libevent's realloc.
///
/// # Safety
/// As for realloc.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_mm_realloc_(memory: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: The caller vouches for the memory.
    unsafe { realloc(memory, size) }
}

/// libevent's free.
///
/// # Safety
/// As for free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_mm_free_(memory: *mut c_void) {
    // SAFETY: The caller vouches for the memory.
    unsafe { free(memory) }
}

/// libevent's strdup: null and EINVAL for null.
///
/// # Safety
/// `text` is null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_mm_strdup_(text: *const c_char) -> *mut c_char {
    if text.is_null() {
        set_errno(libc::EINVAL);
        return ptr::null_mut();
    }
    // SAFETY: The caller passed a C string.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes_with_nul();
    let copy = alloc(bytes.len()).cast::<c_char>();
    if !copy.is_null() {
        // SAFETY: The string has this many bytes, and the copy was allocated with as many.
        unsafe { copy.copy_from_nonoverlapping(text, bytes.len()) };
    }
    copy
}

/// The allocator of this library's Rust code.
struct ProgramsFunctions;

#[global_allocator]
static ALLOCATOR: ProgramsFunctions = ProgramsFunctions;

// SAFETY: The functions behave as malloc, realloc and free, by the promise of who set them, so blocks have at least the
// size asked for, do not overlap and live until they are freed. `aligning` and `over_aligned` see to the alignment.
unsafe impl GlobalAlloc for ProgramsFunctions {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGN {
            return alloc(aligning(layout.size(), layout)).cast();
        }
        over_aligned(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGN {
            return alloc_zeroed(1, aligning(layout.size(), layout)).cast();
        }
        let block = over_aligned(layout);
        if !block.is_null() {
            // SAFETY: The block has this size and is nobody else's.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let memory = if layout.align() <= ALIGN {
            block.cast()
        } else {
            // SAFETY: The layout tells that the block is one of `over_aligned`'s.
            unsafe { allocated(block) }
        };
        // SAFETY: The memory is what `alloc` returned for the block, which its owner gives up.
        unsafe { free(memory) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= ALIGN {
            // SAFETY: The block is what `alloc` returned, and its owner takes the new one for it.
            return unsafe { realloc(block.cast(), aligning(size, layout)) }.cast();
        }
        // SAFETY: The caller promises that `size`, rounded up to the alignment, does not overflow.
        let new_layout = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let new = over_aligned(new_layout);
        if !new.is_null() {
            // SAFETY: Both blocks have at least the smaller of the two sizes, and the new one is nobody else's.
            unsafe { new.copy_from_nonoverlapping(block, layout.size().min(size)) };
            // SAFETY: The caller promises that the block has this layout, and takes the new one for it.
            unsafe { self.dealloc(block, layout) };
        }
        new
    }
}

/// How much to allocate for that many bytes to have them aligned: `malloc` aligns no better than what fits into the size
/// needs.
fn aligning(size: usize, layout: Layout) -> usize {
    size.max(layout.align())
}

/// A block of an alignment above [`ALIGN`]: somewhere in a larger one, whose address lies in the word in front.
fn over_aligned(layout: Layout) -> *mut u8 {
    // A layout's size is at most isize::MAX even when rounded up to its alignment, so this does not overflow.
    let memory = alloc(layout.size() + layout.align()).cast::<u8>();
    if memory.is_null() {
        return memory;
    }
    // The memory is aligned to ALIGN and the block to more, so the gap is at least ALIGN: room for the word.
    let gap = layout.align() - memory.addr() % layout.align();
    // SAFETY: The gap is at most the alignment, by which the allocation is larger than the block.
    let block = unsafe { memory.add(gap) };
    // SAFETY: The gap has room for the word, and the block belongs to the allocation.
    let word = unsafe { word_in_front(block) };
    // SAFETY: The word is inside the allocation and aligned, since the block is.
    unsafe { word.write(memory.cast()) };
    block
}

/// The allocation around a block of [`over_aligned`]'s.
///
/// # Safety
/// The block came from `over_aligned` and was not freed.
unsafe fn allocated(block: *mut u8) -> *mut c_void {
    // SAFETY: The word in front of such a block belongs to its allocation.
    let word = unsafe { word_in_front(block) };
    // SAFETY: `over_aligned` stored the address there.
    unsafe { word.read() }
}

/// Where the address of a block's allocation lies.
///
/// # Safety
/// The bytes in front of the block belong to its allocation.
unsafe fn word_in_front(block: *mut u8) -> *mut *mut c_void {
    #[expect(clippy::cast_ptr_alignment, reason = "the block is aligned to more than 16 bytes")]
    let end = block.cast::<*mut c_void>();
    // SAFETY: The caller vouches for the bytes.
    unsafe { end.sub(1) }
}

/// Sets the calling thread's `errno`.
fn set_errno(code: c_int) {
    #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
    use libc::__errno as errno_location;
    #[cfg(any(target_os = "linux", target_os = "dragonfly"))]
    use libc::__errno_location as errno_location;
    #[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
    use libc::__error as errno_location;

    // SAFETY: The function has no conditions.
    let errno = unsafe { errno_location() };
    // SAFETY: The address is that of the thread's own errno.
    unsafe { *errno = code };
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;
    use crate::child::{in_child, stderr};

    #[test]
    fn blocks_have_their_alignment() {
        for align in [1, 16, 32, 64, 4096] {
            for size in [1, 15, 100, 5000] {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: The size is not zero.
                let block = unsafe { ALLOCATOR.alloc(layout) };
                assert!(
                    !block.is_null() && block.addr().is_multiple_of(align),
                    "{size} bytes by {align}"
                );
                // SAFETY: The block has this size.
                unsafe { block.write_bytes(0xa5, size) };
                // SAFETY: The block has this layout.
                let block = unsafe { ALLOCATOR.realloc(block, layout, 2 * size) };
                assert!(
                    !block.is_null() && block.addr().is_multiple_of(align),
                    "{size} bytes by {align}"
                );
                // SAFETY: The block has at least this size and was written before it moved.
                let bytes = unsafe { std::slice::from_raw_parts(block, size) };
                assert!(bytes.iter().all(|&byte| byte == 0xa5), "{size} bytes by {align}");
                // SAFETY: The block has this layout since it was resized.
                unsafe { ALLOCATOR.dealloc(block, Layout::from_size_align(2 * size, align).unwrap()) };
            }
        }
    }

    #[test]
    fn small_blocks_have_their_alignment() {
        /// Aligns only what needs it by its size.
        unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
            let skipped = if size < ALIGN { ALIGN / 2 } else { 0 };
            // SAFETY: malloc may be called with every size.
            let memory = unsafe { libc::malloc(size + skipped) };
            // SAFETY: That much was allocated in addition; nothing in this process gives any of it back.
            unsafe { memory.byte_add(skipped) }
        }
        unsafe extern "C" fn realloc(_memory: *mut c_void, size: usize) -> *mut c_void {
            // SAFETY: As the caller promises.
            unsafe { malloc(size) }
        }
        unsafe extern "C" fn free(_memory: *mut c_void) {}
        let output = in_child("mm::tests::small_blocks_have_their_alignment", || {
            event_set_mem_functions(Some(malloc), Some(realloc), Some(free));
            let layout = Layout::from_size_align(ALIGN / 2, ALIGN).unwrap();
            // SAFETY: The size is not zero.
            let blocks = [unsafe { ALLOCATOR.alloc(layout) }, unsafe {
                ALLOCATOR.alloc_zeroed(layout)
            }];
            // SAFETY: The block has this layout.
            let resized = unsafe { ALLOCATOR.realloc(blocks[0], layout, 1) };
            event_set_mem_functions(None, None, None);
            for block in [blocks[0], blocks[1], resized] {
                assert!(block.addr().is_multiple_of(ALIGN));
            }
        });
        assert!(output.status.success(), "{}", stderr(&output));
    }

    #[test]
    fn a_box_that_does_not_fit_is_none() {
        unsafe extern "C" fn malloc(_size: usize) -> *mut c_void {
            ptr::null_mut()
        }
        let output = in_child("mm::tests::a_box_that_does_not_fit_is_none", || {
            assert_eq!(boxed(7).as_deref(), Some(&7));
            event_set_mem_functions(Some(malloc), None, None);
            let lacking = boxed(7);
            event_set_mem_functions(None, None, None);
            assert_eq!(lacking, None);
        });
        assert!(output.status.success(), "{}", stderr(&output));
    }

    #[test]
    fn zeroed_blocks_are_zero() {
        for align in [8, 128] {
            let layout = Layout::from_size_align(1000, align).unwrap();
            // SAFETY: The size is not zero.
            let block = unsafe { ALLOCATOR.alloc_zeroed(layout) };
            // SAFETY: The block has this size and is initialised.
            let bytes = unsafe { std::slice::from_raw_parts(block, 1000) };
            assert!(bytes.iter().all(|&byte| byte == 0));
            // SAFETY: The block has this layout.
            unsafe { ALLOCATOR.dealloc(block, layout) };
        }
    }

    #[test]
    fn no_bytes_are_null() {
        assert!(event_mm_malloc_(0).is_null());
        assert!(event_mm_calloc_(0, 8).is_null());
        assert!(event_mm_calloc_(8, 0).is_null());
        // SAFETY: Null is allowed.
        assert!(unsafe { event_mm_strdup_(ptr::null()) }.is_null());
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn strings_are_copied() {
        // SAFETY: The text is a C string.
        let copy = unsafe { event_mm_strdup_(c"text".as_ptr()) };
        // SAFETY: strdup returned a C string.
        assert_eq!(unsafe { CStr::from_ptr(copy) }, c"text");
        // SAFETY: The copy is not used any more.
        unsafe { event_mm_free_(copy.cast()) };
    }

    #[test]
    fn all_memory_goes_through_the_programs_functions() {
        static COUNTS: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
        unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
            COUNTS[0].fetch_add(1, Relaxed);
            // SAFETY: malloc may be called with every size.
            unsafe { libc::malloc(size) }
        }
        unsafe extern "C" fn realloc(memory: *mut c_void, size: usize) -> *mut c_void {
            COUNTS[1].fetch_add(1, Relaxed);
            // SAFETY: The library passes memory of the functions here.
            unsafe { libc::realloc(memory, size) }
        }
        unsafe extern "C" fn free(memory: *mut c_void) {
            COUNTS[2].fetch_add(1, Relaxed);
            // SAFETY: The library passes memory of the functions here.
            unsafe { libc::free(memory) }
        }
        let output = in_child("mm::tests::all_memory_goes_through_the_programs_functions", || {
            let counted = |body: fn()| {
                event_set_mem_functions(Some(malloc), Some(realloc), Some(free));
                body();
                event_set_mem_functions(None, None, None);
                COUNTS.each_ref().map(|count| count.swap(0, Relaxed))
            };
            let vector = counted(|| {
                let mut vector = vec![1_u8; 10];
                vector.reserve_exact(1000);
                std::hint::black_box(&vector);
            });
            assert_eq!(vector, [1, 1, 1]);
            let zeroed = counted(|| drop(std::hint::black_box(vec![0_u64; 100])));
            assert_eq!(zeroed, [1, 0, 1]);
            // SAFETY: The memory is not used after it is freed.
            let c = counted(|| unsafe { free(alloc(8)) });
            assert_eq!(c, [1, 0, 1]);
            assert_eq!(counted(|| drop(std::hint::black_box(Box::new(1)))), [1, 0, 1]);
        });
        assert!(output.status.success(), "{}", stderr(&output));
    }

    #[test]
    fn too_much_is_no_memory() {
        // Both ways of libevent's calloc: libc's, and the one around the program's malloc.
        unsafe extern "C" fn malloc(_size: usize) -> *mut c_void {
            unreachable!("there is no such size")
        }
        let output = in_child("mm::tests::too_much_is_no_memory", || {
            assert!(event_mm_calloc_(usize::MAX, 2).is_null());
            event_set_mem_functions(Some(malloc), None, None);
            set_errno(0);
            let memory = event_mm_calloc_(usize::MAX, 2);
            event_set_mem_functions(None, None, None);
            assert!(memory.is_null());
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ENOMEM));
        });
        assert!(output.status.success(), "{}", stderr(&output));
    }
}
