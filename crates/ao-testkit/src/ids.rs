//! Ids that count instead of being drawn, so that a history is the same every time.

use std::sync::atomic::{AtomicU64, Ordering};

use ao_core::ids::Token;
use ao_core::ports::IdGen;

/// Makes token 1, 2, 3, ….
#[derive(Debug, Default)]
pub struct SeqIds {
    n_made: AtomicU64,
}

impl SeqIds {
    /// Starts before the first token.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts after the `n`-th token: two daemons of one history never make the same.
    pub const fn after(n: u64) -> Self {
        Self { n_made: AtomicU64::new(n) }
    }

    /// How many were made.
    pub fn n_made(&self) -> u64 {
        self.n_made.load(Ordering::Relaxed)
    }
}

impl IdGen for SeqIds {
    fn token(&self) -> Token {
        let n = self.n_made.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        Token::from_bits(u128::from(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_sort_by_their_making() {
        let ids = SeqIds::new();
        let (first, second) = (ids.token(), ids.token());
        assert!(first < second);
        assert_eq!(SeqIds::after(1).token(), second);
    }
}
