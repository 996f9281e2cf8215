//! Reads on in transcripts: what was used, what was taken in, and what the agent does.
//!
//! A transcript only grows, so each of its lines is read once for each start of this program.

use std::path::Path;
use std::time::Duration;

use ao_core::echo::PromptEcho;
use ao_core::ports::{RunningAgent, StoreError};
use ao_core::reading::{PromptSeen, Reading, TranscriptReading};
use ao_core::receipt::{Evidence, EvidenceKind};
use ao_core::record::{ActivitySource, ActivityState};
use ao_core::time::{Moment, Timestamp};

use super::files::SETTLE_FOR;
use super::memory::{LastLine, Memory, Seen, SeenTranscript};
use super::news::{News, moment_of};
use super::target::Target;
use super::{Observer, Told};

/// How often the length of a transcript is asked for beside a status file, which tells sooner. Where
/// there is none, it takes its place at every interval.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Bytes read at once: several turns of a talkative agent.
const PART_BYTES: usize = 256 * 1024;

/// Longest line that is read; what is longer (an image, a large file) is passed over.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Parts read in one pass: a conversation of many megabytes that is found at a start is read over
/// several passes.
const PARTS_PER_PASS: usize = 8;

/// Prompts told from one read: more than anybody types in two seconds.
const PROMPTS_MAX: usize = 32;

/// A look for whole lines.
enum Lines {
    /// These are there, and end at this byte.
    Read(String, u64),
    /// The next line is not there, or not whole.
    NoneYet,
}

/// What was found in the lines that were read.
#[derive(Debug, Default)]
struct Found {
    last: Option<(Reading, Timestamp)>,
    paused_until: Option<Timestamp>,
    prompts: Vec<PromptSeen>,
    has_grown: bool,
    is_at_end: bool,
}

impl Found {
    fn add(&mut self, reading: TranscriptReading) {
        self.has_grown = true;
        self.prompts.extend(reading.prompts);
        let n_old = self.prompts.len().saturating_sub(PROMPTS_MAX);
        self.prompts.drain(..n_old);
        if reading.last.is_some() {
            self.last = reading.last;
            self.paused_until = reading.paused_until;
        }
    }
}

impl Observer {
    /// Reads on in the transcript, when it is time to or something else told of a change.
    pub(super) async fn follow_transcript(
        &self,
        target: &Target,
        running: &RunningAgent,
        memory: &Memory,
        is_news: bool,
    ) -> Result<(), StoreError> {
        let Some(path) = target.agent.transcript(running) else { return Ok(()) };
        let now = self.ports.clock.now();
        let due = memory.with(target, |seen| {
            let (looked_at, has_status) = (seen.transcript.looked_at, seen.status.is_some());
            let is_time = |at: Duration| now.since_boot.saturating_sub(at) >= LOOK_EVERY;
            let is_due = is_news
                || !has_status
                || seen.transcript.untold.is_some()
                || looked_at.is_none_or(is_time);
            is_due.then(|| seen.transcript.clone())
        });
        let Some(Some(mut seen)) = due else { return Ok(()) };
        if seen.path != path {
            seen = SeenTranscript { path, ..SeenTranscript::default() };
        }
        seen.looked_at = Some(now.since_boot);
        let Some(found) = self.read_on(target, &mut seen).await else {
            memory.pause_files(target, self.ports.clock.now().since_boot);
            return Ok(());
        };
        if found.has_grown {
            seen.grew_at = Some(now.since_boot);
        }
        if let Some((reading, stamp)) = found.last {
            let is_turn = reading.activity == ActivityState::Active;
            seen.active_since = is_turn.then_some(stamp);
            let paused_until = found.paused_until;
            seen.untold = found.is_at_end.then_some(LastLine { reading, stamp, paused_until });
        }
        // What is told is rare and large: it is kept out of what is made anew for every pass.
        if !found.prompts.is_empty() {
            Box::pin(self.tell_prompts(target, &found.prompts)).await?;
        }
        if let Some(last) = seen.untold
            && (is_news || now.wall.since(last.stamp) >= SETTLE_FOR)
        {
            seen.untold = None;
            Box::pin(self.tell_last(target, &last, memory)).await?;
        }
        self.note_usage(target, &mut seen).await?;
        memory.with(target, |it| it.transcript = seen);
        Ok(())
    }

    /// Reads for the last time what a launch that ended wrote down.
    pub(super) async fn close(&self, gone: Seen) -> Result<(), StoreError> {
        let (target, mut seen) = (gone.target, gone.transcript);
        if !seen.path.as_os_str().is_empty() {
            drop(self.read_on(&target, &mut seen).await);
        }
        self.write_usage(&target, &mut seen).await
    }

    /// Reads the whole lines that were appended; `None` when the file does not answer.
    async fn read_on(&self, target: &Target, seen: &mut SeenTranscript) -> Option<Found> {
        let mut found = Found::default();
        for _ in 0..PARTS_PER_PASS {
            let length = self.within(self.ports.files.length(&seen.path)).await?;
            let Some(n_bytes) = length.filter(|n_bytes| *n_bytes != seen.offset) else {
                found.is_at_end = true;
                break;
            };
            if n_bytes < seen.offset {
                // It was written anew.
                let path = std::mem::take(&mut seen.path);
                *seen = SeenTranscript { path, looked_at: seen.looked_at, ..<_>::default() };
            }
            let Lines::Read(lines, offset) = self.lines_after(&seen.path, seen.offset).await?
            else {
                found.is_at_end = true;
                break;
            };
            let reading = target.agent.read_transcript(&mut seen.memory, &lines);
            seen.offset = offset;
            seen.usage = reading.usage.or(seen.usage);
            found.add(reading);
        }
        Some(found)
    }

    /// The whole lines from there on; `None` when the file does not answer.
    async fn lines_after(&self, path: &Path, offset: u64) -> Option<Lines> {
        for n_bytes_max in [PART_BYTES, LINE_BYTES_MAX] {
            let read = self.ports.files.read_part(path, offset, n_bytes_max);
            let Some(part) = self.within(read).await? else { return Some(Lines::NoneYet) };
            if let Some(end) = part.text.rfind('\n') {
                let (lines, rest) = part.text.split_at(end.saturating_add(1));
                // What is no text counts more here than in the file; the next part then begins in
                // the line before, and half a line says nothing.
                let n_rest = u64::try_from(rest.len()).unwrap_or(u64::MAX);
                let ends_at = part.ends_at.saturating_sub(n_rest).max(offset);
                return Some(Lines::Read(lines.to_owned(), ends_at));
            }
            if part.ends_at >= part.n_bytes {
                // The last line is still being written.
                return Some(Lines::NoneYet);
            }
            if n_bytes_max == LINE_BYTES_MAX {
                return Some(Lines::Read(String::new(), part.ends_at));
            }
        }
        Some(Lines::NoneYet)
    }

    /// What its transcript says of what the agent does. A status file says it better, but for what
    /// keeps the agent from going on.
    async fn tell_last(
        &self,
        target: &Target,
        last: &LastLine,
        memory: &Memory,
    ) -> Result<(), StoreError> {
        let LastLine { reading, stamp, paused_until } = *last;
        let has_status = memory.with(target, |seen| seen.status.is_some()).unwrap_or(false);
        if has_status && reading.detail.is_none() {
            return Ok(());
        }
        let now = self.ports.clock.now();
        // What was written before the launch is of an earlier part of the conversation.
        let since = moment_of(stamp, &now).filter(|since| !target.launched_at.is_after(since));
        let Some(since) = since else { return Ok(()) };
        let news = News { reading, since, seen_at: now };
        let told = Told { paused_until, ..Told::by(ActivitySource::Transcript) };
        self.tell(target, &told, &news).await.map(drop)
    }

    /// What stands in the transcript was taken in: evidence for receipts.
    async fn tell_prompts(
        &self,
        target: &Target,
        prompts: &[PromptSeen],
    ) -> Result<(), StoreError> {
        let now = self.ports.clock.now();
        for prompt in prompts {
            let at: Option<Moment> = moment_of(prompt.at, &now);
            let Some(at) = at.filter(|at| !target.launched_at.is_after(at)) else { continue };
            let echo = PromptEcho::new(&prompt.text, false);
            let kind = EvidenceKind::Prompt(Some(echo));
            let evidence = Evidence { launch: target.launch.clone(), at, kind };
            self.lifecycle.confirm(&target.session, &evidence).await?;
        }
        Ok(())
    }
}
