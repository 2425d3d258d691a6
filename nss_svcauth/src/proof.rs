//! The panic handler, and the proof that nothing reaches it.
//!
//! A panic in an NSS module kills the process that asked for a name. So there is none, and the linker says so: with the
//! feature `proof` the handler calls a symbol that nobody defines, and `-z defs` makes the link fail when the handler
//! survives the removal of unreachable code. The feature `proof-negative` adds one slice index and shows that the proof
//! can fail. `tests/gates.rs` runs both.

#[cfg(feature = "proof")]
unsafe extern "C" {
    // Named for the person who reads the linker's message.
    #[cfg(all(panic = "abort", not(test)))]
    safe fn svcauth_nss_panic_path_survived() -> !;
}

#[cfg(all(panic = "abort", not(test)))]
#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "proof")]
    svcauth_nss_panic_path_survived();
    #[cfg(not(feature = "proof"))]
    crate::sys::abort()
}

/// One slice index that the compiler cannot remove: the negative control.
#[cfg(feature = "proof-negative")]
#[expect(clippy::indexing_slicing, reason = "this is the panic path that the proof must find")]
pub(crate) fn negative_control(bytes: &[u8], at: usize) -> u8 {
    core::hint::black_box(bytes[at])
}
