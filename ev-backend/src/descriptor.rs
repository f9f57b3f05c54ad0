//! What can be asked about a descriptor that is only known by its number. For checks; nothing here changes anything.

#[doc(no_inline)]
pub use ev_sys::fdio::{FileId, file_id, is_blocking};
