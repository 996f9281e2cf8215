//! Registered repositories.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ao_adapters::cmd::Cmd;
use ao_api::project::{AddProjectRequest, Project as WireProject};
use ao_core::ids::ProjectId;
use ao_core::ports::{Ensured, ErrorKind, StoreError};
use ao_core::project::Project;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::extract::{Body, Id};
use crate::app::App;
use crate::fault::Fault;
use crate::wire;

pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<WireProject>>, Fault> {
    let projects = app.ports.projects.projects().await?;
    Ok(Json(projects.iter().map(wire::project).collect()))
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Id(id): Id<ProjectId>,
) -> Result<Json<WireProject>, Fault> {
    Ok(Json(wire::project(&app.project(&id).await?)))
}

/// Registers the repository that holds a directory. The same one again is no error.
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    Body(asked): Body<AddProjectRequest>,
) -> Result<(StatusCode, Json<WireProject>), Fault> {
    let path = PathBuf::from(&asked.path);
    if !path.is_absolute() {
        return Err(Fault::malformed(format!("`{}` is not an absolute path", asked.path)));
    }
    let path = app.ports.workspace.discover(&path).await?;
    let wanted = asked.id.as_deref().map(ProjectId::parse).transpose()?;
    let known = app.ports.projects.projects().await?;
    if let Some(there) = known.iter().find(|project| project.path == path) {
        return match wanted {
            Some(id) if id != there.id => Err(exists(format!(
                "`{}` is registered already, as `{}`",
                path.display(),
                there.id
            ))),
            Some(_) | None => Ok((StatusCode::OK, Json(wire::project(there)))),
        };
    }
    let id = match wanted {
        Some(id) => id,
        None => id_of(&path)?,
    };
    let github = match asked.github {
        Some(github) => Some(github_name(&github).ok_or_else(|| {
            Fault::malformed(format!("`{github}` is not of the form `OWNER/NAME`"))
        })?),
        None => github_of(&path).await,
    };
    let project = Project { id, path, github, created_at: app.ports.clock.now().wall };
    match app.ports.projects.add_project(project.clone()).await {
        Ok(Ensured::Done) => Ok((StatusCode::CREATED, Json(wire::project(&project)))),
        Ok(Ensured::AlreadyThere) => {
            Ok((StatusCode::OK, Json(wire::project(&app.project(&project.id).await?))))
        }
        Err(StoreError::Exists { .. }) => {
            Err(exists(format!("there is a project `{}` with another path", project.id)))
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Id(id): Id<ProjectId>,
) -> Result<Json<WireProject>, Fault> {
    let project = app.project(&id).await?;
    match app.ports.projects.remove_project(&id).await {
        Ok(()) => Ok(Json(wire::project(&project))),
        Err(StoreError::NotFound { .. }) => Err(Fault::project_unknown(id.as_str())),
        Err(StoreError::Exists { .. }) => Err(Fault::new(
            "PROJECT_LIVE",
            ErrorKind::Conflict,
            format!("project `{id}` has sessions that have not ended"),
        )),
        Err(error) => Err(error.into()),
    }
}

/// The registered project whose repository holds a directory.
pub(crate) async fn of_directory(app: &App, directory: &Path) -> Result<Project, Fault> {
    let path = app.ports.workspace.discover(directory).await?;
    let projects = app.ports.projects.projects().await?;
    projects.into_iter().find(|project| project.path == path).ok_or_else(|| {
        let message = format!("the repository `{}` is not registered", path.display());
        Fault::new(ao_api::error::PROJECT_UNKNOWN, ErrorKind::NotFound, message)
            .with_hint(format!("`ao project add {}` registers it", path.display()))
    })
}

fn exists(message: String) -> Fault {
    Fault::new("PROJECT_EXISTS", ErrorKind::Conflict, message)
}

/// An id made from the directory's name: what cannot stand in one becomes a dash.
fn id_of(path: &Path) -> Result<ProjectId, Fault> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let mut id = String::new();
    for c in name.unwrap_or_default().chars() {
        let c = if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        if c != '-' || !(id.is_empty() || id.ends_with('-')) {
            id.push(c);
        }
    }
    let id = id.trim_end_matches('-');
    let id = if id.is_empty() { "project" } else { id };
    let id: String = id.chars().take(PROJECT_ID_LEN).collect();
    Ok(ProjectId::parse(id.trim_end_matches('-'))?)
}

/// Made-up ids stay well below the bound of an id: session ids are made from them.
const PROJECT_ID_LEN: usize = 40;

/// `OWNER/NAME` of the remote `origin`, when that is on GitHub.
async fn github_of(path: &Path) -> Option<String> {
    let output = Cmd::new("git")
        .arg("-C")
        .arg(path)
        .args(["config", "--get", "remote.origin.url"])
        .run()
        .await
        .ok()?;
    github_in_url(output.stdout_text().trim())
}

fn github_in_url(url: &str) -> Option<String> {
    let prefixes = [
        "https://github.com/",
        "git@github.com:",
        "ssh://git@github.com/",
        "git://github.com/",
        "http://github.com/",
    ];
    let rest = prefixes.into_iter().find_map(|prefix| url.strip_prefix(prefix))?;
    let rest = rest.trim_end_matches('/');
    github_name(rest.strip_suffix(".git").unwrap_or(rest))
}

fn github_name(text: &str) -> Option<String> {
    let (owner, name) = text.split_once('/')?;
    let is_part = |part: &str| {
        let may = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty() && part.chars().all(may)
    };
    (is_part(owner) && is_part(name)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn id(path: &str, expect: &str) {
        assert_eq!(id_of(Path::new(path)).unwrap().as_str(), expect);
    }

    #[test]
    fn every_directory_makes_a_valid_id() {
        id("/src/app", "app");
        id("/src/My App.rs", "my-app-rs");
        id("/src/--x--", "x");
        id("/src/ä", "project");
        id("/", "project");
        id(&format!("/{}", "a".repeat(200)), &"a".repeat(40));
    }

    #[track_caller]
    fn github(url: &str, expect: Option<&str>) {
        assert_eq!(github_in_url(url).as_deref(), expect, "{url}");
    }

    #[test]
    fn a_remote_on_github_is_read_in_each_of_its_spellings() {
        for url in [
            "https://github.com/rust-lang/rust.git",
            "https://github.com/rust-lang/rust",
            "git@github.com:rust-lang/rust.git",
            "ssh://git@github.com/rust-lang/rust/",
        ] {
            github(url, Some("rust-lang/rust"));
        }
        for url in ["", "/srv/repo.git", "https://example.org/a/b", "git@github.com:a/b/c"] {
            github(url, None);
        }
    }
}
