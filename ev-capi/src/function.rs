//! A place for a C function that the program may set, replace and clear.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A C function or none, as a function pointer lies in a C structure: `F` is the type of the function pointer.
///
/// The accesses are relaxed. libevent asks its callers to set functions up before a second thread uses the library, and
/// what starts that thread orders the two.
#[repr(transparent)]
#[derive(Debug)]
pub struct FunctionCell<F> {
    address: AtomicPtr<c_void>,
    function: PhantomData<F>,
}

impl<F: Copy> FunctionCell<F> {
    /// No function.
    pub(crate) const fn none() -> Self {
        FunctionCell {
            address: AtomicPtr::new(ptr::null_mut()),
            function: PhantomData,
        }
    }

    /// The function that is set.
    #[inline]
    pub(crate) fn get(&self) -> Option<F> {
        const { assert!(size_of::<Option<F>>() == size_of::<*mut c_void>()) };
        let address = self.address();
        // SAFETY: The address was an `Option<F>` when `set` or C stored it, and has its size; `F` is a function pointer.
        unsafe { mem::transmute_copy(&address) }
    }

    /// Sets the function, or clears it.
    pub(crate) fn set(&self, function: Option<F>) {
        const { assert!(size_of::<Option<F>>() == size_of::<*mut c_void>()) };
        // SAFETY: An `Option<F>` has the size of a pointer and, as `F` is a function pointer, is one.
        let address = unsafe { mem::transmute_copy(&function) };
        self.address.store(address, Ordering::Relaxed);
    }

    /// Takes over what `other` holds.
    pub(crate) fn copy_from(&self, other: &Self) {
        self.address.store(other.address(), Ordering::Relaxed);
    }

    /// Whether both hold the same function, or both none.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.address() == other.address()
    }

    /// Whether a function is set.
    pub(crate) fn is_set(&self) -> bool {
        !self.address().is_null()
    }

    #[inline]
    fn address(&self) -> *mut c_void {
        self.address.load(Ordering::Relaxed)
    }
}
