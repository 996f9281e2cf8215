//! `ao doctor`: is everything as it should be.

use ao_api::ErrorKind;
use ao_api::doctor::{CheckState, DoctorReport};
use clap::Args;

use super::agents;
use crate::context::Context;
use crate::error::CliError;
use crate::exit;
use crate::ui::{Ui, text};

/// Arguments of `ao doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Mend what can be mended.
    #[arg(long)]
    pub fix: bool,
}

pub(crate) async fn run(
    args: DoctorArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<u8, CliError> {
    let caller = agents::caller(context);
    let asked = if args.fix {
        context.client.doctor_fix(&caller).await
    } else {
        context.client.doctor(&caller).await
    };
    let report = match asked {
        Ok(report) => report,
        Err(error) if error.body().kind == ErrorKind::Unreachable => {
            without_daemon(&args, context)?
        }
        Err(error) => return Err(error.into()),
    };
    if ui.is_json() {
        ui.json(&report)?;
    } else {
        ui.write(render(&report).as_bytes())?;
    }
    Ok(if report.ok { exit::DONE } else { exit::FAILED })
}

/// What can be seen while no daemon runs: why it does not, for one.
fn without_daemon(args: &DoctorArgs, context: &Context<'_>) -> Result<DoctorReport, CliError> {
    if args.fix {
        let mended = context.ask_local(|local, layout, _| local.doctor_fix(layout))?;
        mended.map_err(CliError::Own)?;
    }
    context.ask_local(|local, layout, env| local.doctor(layout, env))?.map_err(CliError::Own)
}

fn render(report: &DoctorReport) -> String {
    let mut lines = Vec::new();
    for check in &report.checks {
        let sign = match check.state {
            CheckState::Ok => "ok     ",
            CheckState::Warning => "warning",
            CheckState::Failed => "FAILED ",
        };
        lines.push(format!("{sign}  {}: {}", check.name, text::one_line(&check.detail)));
        let hint = check.hint.as_deref().map(text::one_line);
        lines.extend(hint.map(|hint| format!("         Hint: {hint}")));
    }
    text::joined(&lines)
}

#[cfg(test)]
mod tests {
    use ao_api::doctor::DoctorCheck;

    use super::*;

    #[test]
    fn what_failed_stands_out_and_says_what_to_do() {
        let check = |name: &str, state, detail: &str, hint: Option<&str>| DoctorCheck {
            name: name.to_owned(),
            state,
            detail: detail.to_owned(),
            hint: hint.map(str::to_owned),
        };
        let checks = vec![
            check("git", CheckState::Ok, "2.47.3", None),
            check("tmux", CheckState::Failed, "not on the PATH", Some("apt-get install tmux")),
        ];
        insta::assert_snapshot!(render(&DoctorReport { ok: false, checks }), @r"
        ok       git: 2.47.3
        FAILED   tmux: not on the PATH
                 Hint: apt-get install tmux
        ");
    }
}
