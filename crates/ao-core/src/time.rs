//! Moments that know three clocks, so that each rule can name the one that it means.

use std::fmt;
use std::time::Duration;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This moment, moved forward.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// The kernel's name for one boot of one machine (a UUID).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(pub u128);

impl BootId {
    /// Parses the text of `/proc/sys/kernel/random/boot_id`.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut id, mut n_digits) = (0_u128, 0_u32);
        for c in text.trim().chars().filter(|&c| c != '-') {
            id = (id << 4) | u128::from(c.to_digit(16)?);
            n_digits = n_digits.saturating_add(1);
        }
        (n_digits == 32).then_some(Self(id))
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0;
        let part = |shift: u32, mask: u128| (all >> shift) & mask;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            part(96, 0xffff_ffff),
            part(80, 0xffff),
            part(64, 0xffff),
            part(48, 0xffff),
            part(0, 0xffff_ffff_ffff)
        )
    }
}

/// One instant on three clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moment {
    /// Wall clock: for people, quiet hours and expiry. It may jump.
    pub wall: Timestamp,
    /// The boot that the two other clocks count from.
    pub boot: BootId,
    /// Since boot, time asleep included: for order and age.
    pub since_boot: Duration,
    /// Since boot, time asleep excluded: for patience with an agent.
    pub awake: Duration,
}

impl Moment {
    /// How old `earlier` is now, time asleep included.
    ///
    /// Across boots it falls back to the wall clock. Never negative.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        if self.boot == earlier.boot {
            self.since_boot.saturating_sub(earlier.since_boot)
        } else {
            self.wall.since(earlier.wall)
        }
    }

    /// How long the machine was awake since `earlier`.
    ///
    /// Across boots it falls back to the wall clock. Never negative.
    #[must_use]
    pub fn awake_since(&self, earlier: &Self) -> Duration {
        if self.boot == earlier.boot {
            self.awake.saturating_sub(earlier.awake)
        } else {
            self.wall.since(earlier.wall)
        }
    }

    /// The moment of this boot at which the wall clock showed `wall`, going by how long ago that is
    /// now; never later than this one. A jump of the wall clock in between makes it wrong by as much.
    #[must_use]
    pub fn back_to(&self, wall: Timestamp) -> Self {
        let ago = self.wall.since(wall);
        Self {
            wall: wall.min(self.wall),
            boot: self.boot,
            since_boot: self.since_boot.saturating_sub(ago),
            awake: self.awake.saturating_sub(ago),
        }
    }

    /// Whether this moment lies strictly after `other`.
    pub fn is_after(&self, other: &Self) -> bool {
        if self.boot == other.boot {
            self.since_boot > other.since_boot
        } else {
            self.wall > other.wall
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(boot: u128, wall_s: i64, since_boot_s: u64, awake_s: u64) -> Moment {
        Moment {
            wall: Timestamp::from_millis(wall_s * 1000),
            boot: BootId(boot),
            since_boot: Duration::from_secs(since_boot_s),
            awake: Duration::from_secs(awake_s),
        }
    }

    #[test]
    fn suspend_counts_for_age_and_not_for_patience() {
        let before = moment(1, 1_000, 100, 100);
        let after = moment(1, 33_400, 32_500, 102);
        assert_eq!(after.since(&before), Duration::from_hours(9));
        assert_eq!(after.awake_since(&before), Duration::from_secs(2));
    }

    #[test]
    fn a_wall_clock_that_jumps_back_changes_no_order_within_a_boot() {
        let before = moment(1, 10_000, 100, 100);
        let after = moment(1, 6_400, 105, 105);
        assert!(after.is_after(&before));
        assert_eq!(after.since(&before), Duration::from_secs(5));
    }

    #[test]
    fn across_boots_age_is_wall_time_and_never_negative() {
        let before = moment(1, 10_000, 9_000, 9_000);
        assert_eq!(moment(2, 10_060, 5, 5).since(&before), Duration::from_mins(1));
        assert_eq!(moment(2, 9_000, 5, 5).since(&before), Duration::ZERO);
        assert_eq!(moment(2, 10_060, 5, 5).awake_since(&before), Duration::from_mins(1));
        assert!(!moment(2, 9_000, 5, 5).is_after(&before));
        assert!(moment(2, 10_001, 5, 5).is_after(&before));
    }

    #[test]
    fn no_moment_lies_after_itself() {
        let one = moment(1, 10_000, 9_000, 9_000);
        assert!(!one.is_after(&one));
        assert!(!moment(2, 10_000, 5, 5).is_after(&one), "nor one of the same time on the wall");
    }

    #[test]
    fn a_timestamp_counts_in_milliseconds() {
        let one = Timestamp::from_millis(1_500).plus(Duration::from_millis(250));
        assert_eq!(one.as_millis(), 1_750);
        assert_eq!(one.since(Timestamp::from_millis(750)), Duration::from_secs(1));
    }

    #[test]
    fn a_time_on_the_wall_is_found_in_this_boot_and_never_ahead() {
        let now = moment(1, 1_000, 100, 90);
        assert_eq!(now.back_to(Timestamp::from_millis(990_000)), moment(1, 990, 90, 80));
        assert_eq!(now.back_to(Timestamp::from_millis(2_000_000)), now);
        assert_eq!(now.back_to(Timestamp::from_millis(0)), moment(1, 0, 0, 0));
    }

    #[test]
    fn a_boot_id_reads_what_it_writes() {
        let text = "0d5b2d5a-93a0-4c3f-8a7b-0123456789ab";
        assert_eq!(BootId::parse(text).unwrap().to_string(), text);
        assert_eq!(BootId::parse("not one"), None);
    }
}
