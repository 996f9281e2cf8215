//! The exit codes: what a script may branch on.

use ao_api::ErrorKind;

/// Done.
pub const DONE: u8 = 0;
/// It was tried, or checked beforehand, and failed; the code says how.
pub const FAILED: u8 = 1;
/// Usage, or malformed input.
pub const USAGE: u8 = 2;
/// What was named does not exist.
pub const NOT_FOUND: u8 = 3;
/// Something is in the way, or it was refused.
pub const CONFLICT: u8 = 4;
/// No daemon could be reached.
pub const UNREACHABLE: u8 = 5;
/// Nothing confirms that it was done: in doubt, expired, or a wait timed out.
pub const NOT_CONFIRMED: u8 = 6;
/// A fault of this program (`EX_SOFTWARE` of sysexits).
pub const BUG: u8 = 70;

/// The exit code of a failure.
pub const fn code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::User => USAGE,
        ErrorKind::NotFound => NOT_FOUND,
        ErrorKind::Conflict => CONFLICT,
        ErrorKind::Failed | ErrorKind::Unavailable => FAILED,
        ErrorKind::Unreachable => UNREACHABLE,
        ErrorKind::NotConfirmed => NOT_CONFIRMED,
        ErrorKind::Bug => BUG,
    }
}

/// What a failure with this exit code asks of its reader, when nothing more is known.
pub(crate) const fn kind_of(code: u8) -> ErrorKind {
    match code {
        USAGE => ErrorKind::User,
        NOT_FOUND => ErrorKind::NotFound,
        CONFLICT => ErrorKind::Conflict,
        UNREACHABLE => ErrorKind::Unreachable,
        NOT_CONFIRMED => ErrorKind::NotConfirmed,
        BUG => ErrorKind::Bug,
        _ => ErrorKind::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_and_its_kind_agree() {
        for code in [FAILED, USAGE, NOT_FOUND, CONFLICT, UNREACHABLE, NOT_CONFIRMED, BUG] {
            assert_eq!(code_of(kind_of(code)), code);
        }
    }
}
