//! When a reading is news: it contradicts what is known, and is not older than that.
//!
//! Pure. A screen has to say so in two looks, because it lags behind what hooks told.

use std::time::Duration;

use ao_core::fact::SignalDetail;
use ao_core::ids::{FactId, LaunchId};
use ao_core::reading::Reading;
use ao_core::record::{Activity, ActivitySource, ActivityState};
use ao_core::time::{Moment, Timestamp};

/// How long an agent that has started may take until it takes its launch prompt in: many times what
/// the slowest start that was measured takes. One that still rests then never got it.
const STARTED_FOR_MAX: Duration = Duration::from_secs(20);

/// How far a screen may be behind what hooks tell: an agent draws a change within a few frames,
/// many times that on a loaded machine.
const SCREEN_LAG_MAX: Duration = Duration::from_secs(1);

/// How far apart two looks at a screen have to be that say the same: longer than a redraw.
const CONFIRM_AFTER: Duration = Duration::from_millis(500);

/// How far a stamp of an agent may lie ahead: both read the same clock.
const AHEAD_MAX: Duration = Duration::from_secs(1);

/// A reading, as one source gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    /// What it says.
    pub(super) reading: Reading,
    /// Since when.
    pub(super) since: Moment,
    /// When it still said so.
    pub(super) seen_at: Moment,
}

impl News {
    /// As of when it is a fact; `None` when it says nothing else than what is known, or when that
    /// was heard since.
    pub(super) fn at(&self, known: Option<&Activity>) -> Option<Moment> {
        // A status file and a screen tell of rest a moment after the transcript told why, and not
        // why.
        let is_reason = known.is_some_and(|known| {
            known.state == ActivityState::Idle
                && matches!(known.source, ActivitySource::Native | ActivitySource::Terminal)
                && known.detail.is_none()
        });
        if is_reason && self.reading.is_trouble() {
            return Some(self.seen_at);
        }
        let is_later = known.is_none_or(|known| !known.at.is_after(&self.since));
        if is_later && self.reading.says_otherwise(known) {
            return Some(self.since);
        }
        // An agent that said that it starts has a launch prompt to come. It may be lost.
        let is_start_over = known.is_some_and(|known| {
            known.state == ActivityState::Ready
                && known.detail == Some(SignalDetail::Started)
                && self.seen_at.awake_since(&known.at) >= STARTED_FOR_MAX
        });
        (is_start_over && self.reading.activity == ActivityState::Idle).then_some(self.seen_at)
    }
}

/// The moment of an agent's own stamp, now. A stamp from the future tells nothing.
pub(super) fn moment_of(stamp: Timestamp, now: &Moment) -> Option<Moment> {
    (stamp <= now.wall.plus(AHEAD_MAX)).then(|| now.back_to(stamp))
}

/// The name of a fact, so that one reading is taken in once; `None` when that is no id.
pub(super) fn fact_id(
    launch: &LaunchId,
    source: ActivitySource,
    activity: ActivityState,
    at: &Moment,
) -> Option<FactId> {
    FactId::parse(format!("{source}-{launch}-{}-{activity}", at.wall.as_millis())).ok()
}

/// What a screen says against what is known, and since which look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doubt {
    reading: Reading,
    since: Moment,
}

impl Doubt {
    /// The doubt that is left after a look that began then.
    pub(super) fn after(
        before: Option<Self>,
        reading: Option<Reading>,
        known: Option<&Activity>,
        began_at: &Moment,
    ) -> Option<Self> {
        let fresh = Self { reading: reading?, since: *began_at };
        let lags = known.is_some_and(|known| began_at.since(&known.at) < SCREEN_LAG_MAX);
        if lags || fresh.news(began_at).at(known).is_none() {
            return None;
        }
        let is_old = |known: &Activity, doubt: &Self| !known.at.is_after(&doubt.since);
        let before = before.filter(|doubt| {
            doubt.reading == fresh.reading && known.is_none_or(|known| is_old(known, doubt))
        });
        Some(before.unwrap_or(fresh))
    }

    /// What it comes to, once a second look said the same.
    pub(super) fn confirmed(&self, began_at: &Moment) -> Option<News> {
        let is_confirmed = began_at.since(&self.since) >= CONFIRM_AFTER;
        is_confirmed.then(|| self.news(began_at))
    }

    const fn news(&self, seen_at: &Moment) -> News {
        News { reading: self.reading, since: self.since, seen_at: *seen_at }
    }
}

#[cfg(test)]
mod tests {
    use ao_core::time::BootId;

    use super::*;

    fn at(millis: u64) -> Moment {
        let since_boot = Duration::from_millis(millis);
        Moment {
            wall: Timestamp::default().plus(since_boot),
            boot: BootId(1),
            since_boot,
            awake: since_boot,
        }
    }

    /// `STATE [DETAIL]`.
    fn reading(words: &str) -> Reading {
        let (state, detail) = words.split_once(' ').unwrap_or((words, ""));
        Reading { activity: state.parse().unwrap(), detail: detail.parse().ok() }
    }

    /// `STATE [DETAIL]` of a hook, or `nothing`.
    fn known(words: &str, millis: u64) -> Option<Activity> {
        let Reading { activity, detail } = (words != "nothing").then(|| reading(words))?;
        Some(Activity { state: activity, at: at(millis), source: ActivitySource::Hook, detail })
    }

    #[track_caller]
    fn check(says: &str, since: u64, seen_at: u64, known: Option<Activity>, expect: Option<u64>) {
        let news = News { reading: reading(says), since: at(since), seen_at: at(seen_at) };
        assert_eq!(news.at(known.as_ref()), expect.map(at), "{says} against {known:?}");
    }

    #[test]
    fn a_status_is_news_when_it_contradicts_and_nothing_was_heard_since() {
        check("idle", 900, 1_000, known("active", 500), Some(900));
        check("idle", 400, 1_000, known("active", 500), None);
        check("idle", 900, 1_000, known("nothing", 0), Some(900));
        check("active", 900, 1_000, known("active", 500), None);
        check("active", 900, 1_000, known("blocked permission", 500), Some(900));
        check("blocked", 900, 1_000, known("active", 500), Some(900));
    }

    #[test]
    fn rest_says_nothing_against_background_work_or_a_request() {
        check("idle", 900, 1_000, known("ready background", 500), None);
        check("idle", 900, 100_000, known("ready background", 500), None);
        check("idle", 900, 1_000, known("waiting_input", 500), None);
        check("idle", 900, 1_000, known("idle usage_limited", 500), None);
    }

    #[test]
    fn why_an_agent_rests_may_be_told_before_that_it_does() {
        let rest = |source| known("idle", 500).map(|known| Activity { source, ..known });
        check("idle api_error", 450, 1_000, rest(ActivitySource::Native), Some(1_000));
        check("idle usage_limited", 450, 1_000, rest(ActivitySource::Terminal), Some(1_000));
        check("idle api_error", 450, 1_000, rest(ActivitySource::Hook), None);
        check("idle", 450, 1_000, rest(ActivitySource::Native), None);
    }

    #[test]
    fn a_start_whose_prompt_never_comes_ends_in_rest() {
        check("idle", 900, 20_400, known("ready started", 500), None);
        check("idle", 400, 20_500, known("ready started", 500), Some(20_500));
        check("active", 900, 1_000, known("ready started", 500), Some(900));
    }

    #[test]
    fn a_stamp_becomes_the_moment_that_it_names() {
        let now = at(100_000);
        let moment = |millis: i64| moment_of(Timestamp::from_millis(millis), &now);
        assert_eq!(moment(40_000), Some(at(40_000)));
        assert_eq!(moment(100_500), Some(now), "it is never later than now");
        assert_eq!(moment(101_500), None, "the clock was set back: nobody can tell");
        let early = Moment { since_boot: Duration::from_secs(1), ..now };
        let moment = moment_of(Timestamp::from_millis(40_000), &early);
        assert_eq!(moment.map(|it| it.since_boot), Some(Duration::ZERO));
    }

    /// Looks at these times, each `STATE` or `-`; answers which of them confirms a reading.
    #[track_caller]
    fn check_looks(known: Option<Activity>, looks: &[(u64, &str)], expect: Option<(u64, u64)>) {
        let mut doubt = None;
        let mut confirmed = None;
        for &(millis, says) in looks {
            let says = (says != "-").then(|| reading(says));
            doubt = Doubt::after(doubt, says, known.as_ref(), &at(millis));
            let news = doubt.and_then(|doubt| doubt.confirmed(&at(millis)));
            confirmed = confirmed.or_else(|| news.map(|news| (millis, news)));
        }
        let confirmed = confirmed.map(|(millis, news)| (millis, news.since));
        assert_eq!(confirmed, expect.map(|(millis, since)| (millis, at(since))), "{looks:?}");
    }

    #[test]
    fn a_screen_has_to_say_so_twice() {
        let idle = "idle";
        check_looks(known("active", 0), &[(2_000, idle)], None);
        check_looks(known("active", 0), &[(2_000, idle), (2_400, idle)], None);
        check_looks(known("active", 0), &[(2_000, idle), (2_500, idle)], Some((2_500, 2_000)));
        check_looks(
            known("nothing", 0),
            &[(0, "blocked trust"), (500, "blocked trust")],
            Some((500, 0)),
        );
        check_looks(known("active", 0), &[(2_000, idle), (2_500, "-"), (3_000, idle)], None);
        check_looks(known("active", 0), &[(2_000, idle), (2_500, "blocked"), (3_000, idle)], None);
    }

    #[test]
    fn a_screen_that_may_lag_behind_a_hook_says_nothing() {
        let looks = [(2_100, "idle"), (2_700, "idle"), (3_100, "idle"), (3_600, "idle")];
        check_looks(known("active", 2_000), &looks, Some((3_600, 3_100)));
    }

    #[test]
    fn one_reading_has_one_name() {
        let launch = LaunchId::parse("l1").unwrap();
        let id = fact_id(&launch, ActivitySource::Native, ActivityState::WaitingInput, &at(5));
        assert_eq!(id.unwrap().as_str(), "native-l1-5-waiting_input");
        let long = LaunchId::parse("l".repeat(100)).unwrap();
        assert_eq!(fact_id(&long, ActivitySource::Native, ActivityState::Idle, &at(5)), None);
    }
}
