//! `ao agents`: which agents there are, and whether they can be used from this shell.

use ao_api::agents::{Agent, AgentSignals, CallerRequest};

use crate::context::Context;
use crate::error::CliError;
use crate::ui::table::Column;
use crate::ui::{Ui, text};

const COLUMNS: [Column; 6] = [
    Column::new("AGENT").shrinks_to(10),
    Column::new("VERSION").shrinks_to(8),
    Column::new("TESTED"),
    Column::new("SIGNALS"),
    Column::new("RESUME"),
    Column::new("PROGRAM").shrinks_to(8),
];

pub(crate) async fn run(context: &Context<'_>, ui: &mut Ui) -> Result<(), CliError> {
    let agents = context.client.agents(&caller(context)).await?;
    if ui.is_json() {
        return ui.json(&agents);
    }
    let rows: Vec<Vec<String>> = agents.iter().map(row).collect();
    ui.table(&COLUMNS, &rows)?;
    for note in agents.iter().flat_map(notes) {
        ui.note(note);
    }
    Ok(())
}

/// What an agent that is started from here would get.
pub(crate) fn caller(context: &Context<'_>) -> CallerRequest {
    CallerRequest { caller_env: Some(context.env.inheritable()) }
}

fn row(agent: &Agent) -> Vec<String> {
    let program = match (&agent.path, &agent.program) {
        (Some(path), _) => path.clone(),
        (None, Some(program)) => format!("{program} is missing"),
        (None, None) => "what it is told".to_owned(),
    };
    vec![
        agent.name.clone(),
        text::or_nothing(agent.version.as_deref()),
        text::or_nothing(agent.tested.map(yes_or_no)),
        match agent.signals {
            AgentSignals::None => "none",
            AgentSignals::Activity => "activity",
            AgentSignals::Full => "full",
        }
        .to_owned(),
        yes_or_no(agent.resume).to_owned(),
        program,
    ]
}

const fn yes_or_no(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

/// What there is to do before each agent can be used.
fn notes(agent: &Agent) -> Vec<String> {
    let name = &agent.name;
    let mut notes = Vec::new();
    if let (None, Some(install)) = (&agent.path, &agent.install) {
        notes.push(format!("{name}: `{install}` installs it"));
    }
    if let (Some(false), Some(newest)) = (agent.tested, agent.tested_versions.last()) {
        notes.push(format!("{name}: this version was not tested with this release, {newest} was"));
    }
    let needs = agent.needs.iter().map(|need| {
        format!("{name}: {}\n  Hint: {}", text::one_line(&need.message), text::one_line(&need.hint))
    });
    notes.extend(needs);
    notes
}

#[cfg(test)]
mod tests {
    use ao_api::agents::{AgentKind, AgentNeed};

    use super::*;

    fn agent(name: &str) -> Agent {
        Agent {
            name: name.to_owned(),
            kind: AgentKind::BuiltIn,
            program: Some(name.to_owned()),
            path: Some(format!("/usr/local/lib/agents/bin/{name}")),
            version: Some("2.1.330".to_owned()),
            tested: Some(true),
            tested_versions: vec!["2.1.330".to_owned()],
            signals: AgentSignals::Full,
            resume: true,
            install: Some(format!("npm install -g {name}@2.1.330")),
            needs: Vec::new(),
        }
    }

    #[test]
    fn agents_are_listed_with_what_they_can_do() {
        let command = Agent {
            program: None,
            path: None,
            version: None,
            tested: None,
            signals: AgentSignals::None,
            resume: false,
            install: None,
            ..agent("command")
        };
        let missing = Agent { path: None, version: None, tested: None, ..agent("codex") };
        let rows = [row(&agent("claude-code")), row(&missing), row(&command)];
        let render = |width| crate::ui::table::render(&COLUMNS, &rows, width);
        insta::assert_snapshot!(render(None), @r"
        AGENT        VERSION  TESTED  SIGNALS  RESUME  PROGRAM
        claude-code  2.1.330  yes     full     yes     /usr/local/lib/agents/bin/claude-code
        codex        -        -       full     yes     codex is missing
        command      -        -       none     no      what it is told
        ");
        insta::assert_snapshot!(render(Some(60)), @r"
        AGENT        VERSION  TESTED  SIGNALS  RESUME  PROGRAM
        claude-code  2.1.330  yes     full     yes     /usr/local/l…
        codex        -        -       full     yes     codex is mis…
        command      -        -       none     no      what it is t…
        ");
    }

    #[test]
    fn what_is_to_be_done_first_stands_below() {
        assert!(notes(&agent("claude-code")).is_empty());
        let missing = Agent { path: None, version: None, tested: None, ..agent("codex") };
        insta::assert_snapshot!(notes(&missing).join("\n"), @"codex: `npm install -g codex@2.1.330` installs it");
        let need =
            AgentNeed { message: "it is not logged in".to_owned(), hint: "log in".to_owned() };
        let lacking = Agent {
            version: Some("2.2.0".to_owned()),
            tested: Some(false),
            needs: vec![need],
            ..agent("codex")
        };
        insta::assert_snapshot!(notes(&lacking).join("\n"), @r"
        codex: this version was not tested with this release, 2.1.330 was
        codex: it is not logged in
          Hint: log in
        ");
    }
}
