//! What is read from standard input and from files that the user names, always with a bound.

use std::io::{self, BufRead as _, Read as _};
use std::path::Path;

use ao_api::ErrorKind;

use crate::error::CliError;

/// Longest text that is read: what the daemon takes for a message.
pub(crate) const TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// The text of a file, or of standard input for `-`.
pub(crate) fn read_text(path: &str) -> Result<String, CliError> {
    let (shown, bytes) = if path == "-" {
        ("standard input".to_owned(), read_bounded(io::stdin().lock()))
    } else {
        let file = std::fs::File::open(Path::new(path));
        (format!("`{path}`"), file.and_then(read_bounded))
    };
    let bytes = bytes.map_err(|error| {
        let is_absent = error.kind() == io::ErrorKind::NotFound;
        let kind = if is_absent { ErrorKind::NotFound } else { ErrorKind::Failed };
        CliError::new(kind, "FILE_UNREADABLE", format!("{shown} cannot be read: {error}"))
    })?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > TEXT_BYTES_MAX {
        return Err(CliError::usage(format!("{shown} is longer than {TEXT_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_not_utf8| CliError::usage(format!("{shown} is not UTF-8")))
}

/// One byte more than allowed, so that too long is told from just long enough.
fn read_bounded(input: impl io::Read) -> Result<Vec<u8>, io::Error> {
    let mut bytes = Vec::new();
    input.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A yes or no from a person; nothing means yes, the end of the input no.
pub(crate) fn read_yes() -> Result<bool, CliError> {
    let mut answer = String::new();
    let n_read = io::stdin().lock().take(1_024).read_line(&mut answer).map_err(|error| {
        let message = format!("standard input cannot be read: {error}");
        CliError::new(ErrorKind::Failed, "FILE_UNREADABLE", message)
    })?;
    let answer = answer.trim().to_ascii_lowercase();
    Ok(n_read > 0 && matches!(answer.as_str(), "" | "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let max = usize::try_from(TEXT_BYTES_MAX).unwrap();
        std::fs::write(path("long"), "x".repeat(max)).unwrap();
        std::fs::write(path("too-long"), "x".repeat(max + 1)).unwrap();
        std::fs::write(path("binary"), [0xff, 0xfe]).unwrap();
        assert_eq!(read_text(&path("long")).unwrap().len(), max);
        let kind_of = |name: &str| read_text(&path(name)).unwrap_err().body().kind;
        assert_eq!(kind_of("too-long"), ErrorKind::User);
        assert_eq!(kind_of("binary"), ErrorKind::User);
        assert_eq!(kind_of("absent"), ErrorKind::NotFound);
    }
}
