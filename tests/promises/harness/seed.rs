//! Random choices that a failure lets one repeat.

/// A generator whose seed is printed; `SEED` sets it.
pub(crate) fn random(what: &str) -> fastrand::Rng {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    println!("{what}: SEED={seed}");
    fastrand::Rng::with_seed(seed)
}
