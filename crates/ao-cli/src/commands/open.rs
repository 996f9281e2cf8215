//! `ao open`: opens a session's worktree in the caller's editor, or with what the desktop opens
//! directories with.

use std::path::Path;

use ao_api::ErrorKind;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::env::Env;
use crate::error::CliError;
use crate::launch;
use crate::ui::Ui;

/// Opens a directory on a desktop.
const DESKTOP: &str = "xdg-open";

/// Arguments of `ao open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// Id, name or unique prefix; the session of the working directory without it.
    pub id: Option<String>,
}

#[derive(Debug, Serialize)]
struct Opened {
    session: String,
    path: String,
    /// What opens it; null when there is nothing that could.
    argv: Option<Vec<String>>,
}

pub(crate) async fn run(
    args: OpenArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let id = context.session_id(args.id.as_deref()).await?;
    let session = context.client.session(&id).await?;
    let path = session.workspace_path;
    if !Path::new(&path).is_dir() {
        let message = format!("the worktree of session `{id}` is not at `{path}`");
        let error = CliError::new(ErrorKind::NotFound, "WORKTREE_GONE", message);
        let hint = "`ao restore ID` brings the session back, `ao recover ID` what was set aside";
        return Err(error.hint(hint));
    }
    let argv = opener(&context.env)?.map(|mut argv| {
        argv.push(path.clone());
        argv
    });
    if ui.is_json() {
        return ui.json(&Opened { session: session.id, path, argv });
    }
    let Some(argv) = argv else {
        ui.note("Neither VISUAL nor EDITOR is set, and there is no desktop; this is the path.");
        return ui.line(path);
    };
    let error = launch::become_program(&argv, &[]);
    let program = argv.first().map_or("", String::as_str);
    let message = format!("`{program}` cannot be started: {error}");
    let error = CliError::new(ErrorKind::Failed, "OPEN_FAILED", message);
    Err(error.hint("set `VISUAL` or `EDITOR` to a program on your PATH; `ao path ID` is the path"))
}

/// The command line that opens a directory, without the directory.
fn opener(env: &Env) -> Result<Option<Vec<String>>, CliError> {
    for name in ["VISUAL", "EDITOR"] {
        let Some(value) = env.var(name) else { continue };
        let words = shlex::split(value).filter(|words| !words.is_empty());
        return match words {
            Some(words) => Ok(Some(words)),
            None => Err(CliError::usage(format!("`{name}` is not a command line: `{value}`"))),
        };
    }
    let has_desktop = ["WAYLAND_DISPLAY", "DISPLAY"].iter().any(|name| env.var(name).is_some());
    let path = env.var("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(path).any(|dir| dir.join(DESKTOP).is_file());
    Ok((has_desktop && is_there).then(|| vec![DESKTOP.to_owned()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(vars: &[(&str, &str)], expect: Option<&[&str]>) {
        let env = Env::for_test(vars, Path::new("/"));
        let expect = expect.map(|it| it.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(opener(&env).unwrap(), expect, "{vars:?}");
    }

    #[test]
    fn the_editor_of_the_caller_comes_before_the_desktop() {
        check(&[("VISUAL", "code --wait"), ("EDITOR", "vi")], Some(&["code", "--wait"]));
        check(&[("VISUAL", ""), ("EDITOR", "'my editor' -x")], Some(&["my editor", "-x"]));
        check(&[], None);
        check(&[("DISPLAY", ":0"), ("PATH", "/nowhere")], None);
        let env = Env::for_test(&[("EDITOR", "'half")], Path::new("/"));
        assert!(opener(&env).is_err());
    }
}
