//! What plain `cargo test` leaves out, so that it is seen.

#[cfg(not(feature = "sim"))]
#[test]
#[ignore = "the suite, the model, and the counts of allocations and system calls need `--features sim`"]
fn most_tests_need_the_simulated_backend() {}
