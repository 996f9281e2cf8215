//! How the daemon of a history is configured.

use std::collections::BTreeMap;

use ao_core::capacity::Caps;
use ao_core::ports::Provisions;

use super::dice::Dice;
use super::names;

/// Places in all, and of each project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In all.
    pub max: u32,
    /// Of each project.
    pub per_project: Option<u32>,
    /// Whether some agents take several places, and some none.
    pub is_weighed: bool,
}

/// What a history begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// Places, where there is a cap.
    pub room: Option<Room>,
    /// Whether worktrees are prepared.
    pub is_prepared: bool,
}

/// What an agent takes where agents take different numbers of places.
const WEIGHTS: [(&str, u32); 3] = [("mute", 0), ("seeing", 2), ("native", 3)];

impl Terms {
    /// Of a hundred histories, so many have a cap, and so many prepare their worktrees.
    const CAPPED: u64 = 34;
    const PREPARED: u64 = 34;

    pub(crate) fn of(dice: &mut Dice) -> Self {
        let small = |dice: &mut Dice, from, n| from + u32::try_from(dice.below(n)).unwrap_or(0);
        let room = dice.chance(Self::CAPPED).then(|| Room {
            max: small(dice, 4, 6),
            per_project: dice.chance(40).then(|| small(dice, 3, 4)),
            is_weighed: dice.chance(60),
        });
        Self { room, is_prepared: dice.chance(Self::PREPARED) }
    }

    pub(crate) fn caps(self) -> Caps {
        let Some(room) = self.room else { return Caps::default() };
        let weights = WEIGHTS.iter().filter(|_| room.is_weighed);
        let weights: BTreeMap<_, _> = weights.map(|&(name, n)| (names::agent(name), n)).collect();
        Caps { max: Some(room.max), per_project: room.per_project, weights }
    }

    pub(crate) fn provisions(self) -> Provisions {
        if !self.is_prepared {
            return Provisions::default();
        }
        Provisions {
            link: vec!["node_modules".to_owned()],
            copy: vec![".env".to_owned()],
            post_create: vec!["npm ci".to_owned()],
        }
    }
}
