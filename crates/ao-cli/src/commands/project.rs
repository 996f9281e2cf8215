//! `ao project`: the registered repositories.

use std::path::PathBuf;

use ao_api::project::{AddProjectRequest, Project};
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::env;
use crate::error::CliError;
use crate::ui::table::Column;
use crate::ui::{Ui, text};

/// What to do with projects.
#[derive(Debug, Subcommand)]
pub enum ProjectCommand {
    /// Register a repository; the same path again is no error.
    Add(AddArgs),
    /// List the projects.
    Ls,
    /// Show a project.
    Show(IdArgs),
    /// Forget a project; its repository is not touched.
    Rm(IdArgs),
}

/// Arguments of `ao project add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// A directory in the repository.
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Its id; made from the directory's name without it.
    #[arg(long)]
    pub id: Option<String>,
    /// Where it is on GitHub; read off its remote without it.
    #[arg(long, value_name = "OWNER/NAME")]
    pub github: Option<String>,
}

/// Names one project.
#[derive(Debug, Args)]
pub struct IdArgs {
    /// The project.
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub id: String,
}

pub(crate) async fn run(
    command: ProjectCommand,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    match command {
        ProjectCommand::Add(args) => {
            let project = context.client.add_project(&add_request(args, context)?).await?;
            show(&project, &format!("{} is {}", project.id, project.path), ui)
        }
        ProjectCommand::Ls => list(&context.client.projects().await?, ui),
        ProjectCommand::Show(IdArgs { id }) => {
            let project = context.client.project(&id).await?;
            let github = text::or_nothing(project.github.as_deref());
            let lines = format!(
                "id        {}\npath      {}\ngithub    {github}\nadded     {} ago",
                project.id,
                project.path,
                text::age(env::now(), &project.created_at),
            );
            show(&project, &lines, ui)
        }
        ProjectCommand::Rm(IdArgs { id }) => {
            let project = context.client.remove_project(&id).await?;
            show(
                &project,
                &format!("{} is forgotten; {} is as it was", project.id, project.path),
                ui,
            )
        }
    }
}

fn add_request(args: AddArgs, context: &Context<'_>) -> Result<AddProjectRequest, CliError> {
    let AddArgs { path, id, github } = args;
    let path = match context.env.cwd() {
        Some(cwd) => cwd.join(path),
        None => path,
    };
    let Some(path) = path.to_str().map(str::to_owned) else {
        return Err(CliError::usage(format!("the path `{}` is not UTF-8", path.display())));
    };
    Ok(AddProjectRequest { path, id, github })
}

fn show(project: &Project, text: &str, ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() { ui.json(project) } else { ui.line(text) }
}

fn list(projects: &[Project], ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        return ui.json(&projects);
    }
    if projects.is_empty() {
        ui.note("No project is registered; `ao project add PATH` registers a repository.");
        return Ok(());
    }
    let columns = [
        Column::new("ID"),
        Column::new("PATH").shrinks_to(20),
        Column::new("GITHUB").shrinks_to(10),
    ];
    let rows: Vec<Vec<String>> = projects
        .iter()
        .map(|p| vec![p.id.clone(), text::one_line(&p.path), text::or_nothing(p.github.as_deref())])
        .collect();
    ui.table(&columns, &rows)
}
