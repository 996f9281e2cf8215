use super::*;

use ao_core::ledger::ReactionKind;
use ao_core::policy::{Policy, ReactionPolicy};

fn parse(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let env = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Config::parse(Path::new("config.toml"), text, &env)
}

fn project(id: &str) -> ProjectId {
    ProjectId::parse(id).unwrap()
}

#[track_caller]
fn refused(text: &str, expect: &str) {
    let error = parse(text, &[]).expect_err("it should be refused");
    assert_eq!(error.to_string(), expect);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
    refused(
        "[defaults]\nagent = 'command'\nmodle = 'x'\n",
        "`config.toml` line 3: unknown key `modle` in `[defaults]`; did you mean `model`?",
    );
    refused(
        "[default]\nagent = 'command'\n",
        "`config.toml` line 1: unknown key `default` at the top level; did you mean `defaults`?",
    );
    refused(
        "[projects.app]\nbase = 'main'\n\n[projects.app.reactions.ci-fail]\nretries = 1\n",
        "`config.toml` line 4: unknown key `ci-fail` in `[projects.app.reactions]`; \
         did you mean `ci-failed`?",
    );
    refused(
        "[defaults.reactions.agent-stuck]\nescalate = '2s'\n",
        "`config.toml` line 2: unknown key `escalate` in `[defaults.reactions.agent-stuck]`; \
         did you mean `escalate_after`?",
    );
}

#[test]
fn a_key_like_no_other_gets_the_list_of_those_there_are() {
    refused(
        "[tmux]\nxyz = 1\n",
        "`config.toml` line 2: unknown key `xyz` in `[tmux]`; \
         known are `config`, `history_limit`, `prefix`",
    );
}

#[test]
fn every_unknown_key_is_named_at_once_in_the_order_of_the_file() {
    refused(
        "[tmux]\nprefx = 'C-b'\n[capacity]\nmaxx = 3\n",
        "`config.toml` line 2: unknown key `prefx` in `[tmux]`; did you mean `prefix`?; \
         `config.toml` line 4: unknown key `maxx` in `[capacity]`; did you mean `max`?",
    );
}

#[test]
fn broken_toml_and_wrong_types_are_named_with_their_line() {
    refused(
        "[defaults]\nagent = \n",
        "`config.toml` line 2: string values must be quoted, expected literal string",
    );
    refused(
        "[capacity]\nmax = 'many'\n",
        "`config.toml` line 2: `capacity.max`: invalid type: string \"many\", \
         expected a whole number, 0 or more",
    );
    refused(
        "\n[defaults.reactions.agent-idle]\nescalate_after = '2 weeks'\n",
        "`config.toml` line 3: `defaults.reactions.agent-idle.escalate_after`: \
         `2 weeks` is not a length of time \
         (write `500ms`, `2s`, `15m` or `1h30m`)",
    );
}

#[test]
fn what_the_types_cannot_refuse_is_refused_all_the_same() {
    refused(
        "[projects.\"a/b\"]\nbase = 'main'\n",
        "`config.toml` line 1: `a/b` is not a valid project id: \
         only letters, digits, `-` and `_` may stand in it",
    );
    refused(
        "[agents.mine]\nresume = ['x']\n",
        "`config.toml` line 1: agent `mine` needs `launch`, its command line",
    );
    refused(
        "[notifiers.phone]\nkind = 'slack'\nurl = 'https://example.org'\n",
        "`config.toml` line 1: notifier `phone`: kind `slack` is not in this version; \
         use `inbox` or `command`",
    );
    refused(
        "[notifiers.bell]\nkind = 'command'\n",
        "`config.toml` line 1: notifier `bell` needs `argv`, its command line",
    );
    refused(
        "[notifiers.bell]\nkind = 'command'\nargv = ['true']\n\n[routing]\nurgent = ['bel']\n",
        "`config.toml` line 6: `routing.urgent`: there is no `[notifiers.bel]`; did you mean `bell`?",
    );
    refused(
        "[notifiers.inbox]\nkind = 'command'\nargv = ['true']\n",
        "`config.toml` line 1: `inbox` is the built-in notifier; give `command` another name",
    );
    refused(
        "[daemon]\nreaper_interval = '1ms'\n",
        "`config.toml` line 2: `1ms` is shorter than 100ms",
    );
    refused(
        "[daemon]\nactivity_interval = '1ms'\n",
        "`config.toml` line 2: `1ms` is shorter than 50ms",
    );
}

#[test]
fn a_wrong_variable_is_named_as_the_variable_that_it_is() {
    let error = parse("", &[("AO_REAPER_INTERVAL", "soon")]).expect_err("it should be refused");
    assert_eq!(
        error.to_string(),
        "`AO_REAPER_INTERVAL`: `soon` is not a length of time \
         (write `500ms`, `2s`, `15m` or `1h30m`)"
    );
    let error = parse("", &[("AO_MAX_SESSIONS", "-1")]).expect_err("it should be refused");
    assert_eq!(error.to_string(), "`AO_MAX_SESSIONS`: `-1` is not a number of sessions");
}

#[test]
fn a_bare_number_is_seconds_and_may_have_a_fraction() {
    let interval = |value| parse("", &[("AO_ACTIVITY_INTERVAL", value)]);
    for (value, millis) in [("2", 2_000), ("0.25", 250), ("1.5", 1_500), ("700ms", 700)] {
        let expect = Duration::from_millis(millis);
        assert_eq!(interval(value).unwrap().activity_interval(), expect, "{value}");
    }
    for value in ["-1", "inf", "1e9", "0.5.1", ".", "99999999999999999999"] {
        let error = interval(value).expect_err("it should be refused").to_string();
        assert!(error.starts_with("`AO_ACTIVITY_INTERVAL`: "), "{error}");
    }
    assert_eq!(parse("", &[]).unwrap().activity_interval(), Duration::from_millis(500));
}

#[test]
fn the_environment_goes_over_the_file() {
    let text = "[daemon]\nreaper_interval = '9s'\n[capacity]\nmax = 4\n";
    let plain = parse(text, &[]).unwrap();
    assert_eq!((plain.reaper_interval(), plain.max_sessions()), (Duration::from_secs(9), Some(4)));
    let env = [("AO_REAPER_INTERVAL", "1"), ("AO_MAX_SESSIONS", "0"), ("AO_LOG", "debug")];
    let over = parse(text, &env).unwrap();
    assert_eq!((over.reaper_interval(), over.max_sessions()), (Duration::from_secs(1), None));
    assert_eq!(over.log(), "debug");
}

#[test]
fn an_empty_configuration_is_the_table_of_the_design_routed_to_the_inbox() {
    let config = parse("", &[]).unwrap();
    let inbox = vec![NotifierId::parse("inbox").unwrap()];
    let expect = Policy {
        routing: Priority::ALL.iter().map(|&priority| (priority, inbox.clone())).collect(),
        ..Policy::default()
    };
    assert_eq!(config.policy(&project("app")), expect);
}

#[test]
fn a_project_overrides_the_defaults_field_by_field() {
    let config = parse(
        "[defaults]\nagent = 'codex'\nbase = 'main'\nlink = ['a', 'b']\n\
         env = { A = '1', B = '2' }\n\
         [defaults.reactions.ci-failed]\nretries = 5\nmessage = 'fix it'\n\
         [projects.app]\nagent = 'command'\nlink = ['c']\nenv = { B = '3' }\n\
         [projects.app.reactions.ci-failed]\nretries = 1\nescalate_after = '2s'\n",
        &[],
    )
    .unwrap();
    let app = config.project(&project("app"));
    assert_eq!(app.agent.as_deref(), Some("command"));
    assert_eq!(app.base.as_deref(), Some("main"));
    assert_eq!(app.link, Some(vec!["c".to_owned()]));
    let env: Vec<_> = app.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["A=1", "B=3"]);
    let expect = ReactionPolicy {
        retries: Some(1),
        escalate_after: Some(Duration::from_secs(2)),
        message: Some("fix it".to_owned()),
        ..ReactionPolicy::default_of(ReactionKind::CiFailed)
    };
    assert_eq!(config.policy(&project("app")).reaction(ReactionKind::CiFailed), expect);
    assert_eq!(
        config.policy(&project("other")).reaction(ReactionKind::CiFailed).retries,
        Some(5),
        "another project keeps the defaults"
    );
}

#[test]
fn what_is_not_routed_goes_to_the_inbox() {
    let config = parse(
        "[notifiers.bell]\nkind = 'command'\nargv = ['true']\n[routing]\nurgent = ['bell']\n\
         info = []\n",
        &[],
    )
    .unwrap();
    let routing: Vec<String> = config
        .routing()
        .iter()
        .map(|(priority, ids)| {
            let ids: Vec<&str> = ids.iter().map(NotifierId::as_str).collect();
            format!("{priority}: {}", ids.join(" "))
        })
        .collect();
    assert_eq!(routing, ["urgent: bell", "action: inbox", "warning: inbox", "info: "]);
}

#[test]
fn what_is_shown_reads_back_as_the_same() {
    let text = "[daemon]\nreaper_interval = '90s'\n[projects.app.reactions.agent-idle]\n\
                enabled = true\n[agents.mine]\nlaunch = ['mine', '{prompt}']\n";
    let config = parse(text, &[]).unwrap();
    let shown = toml::to_string(&config.in_force()).unwrap();
    let again = parse(&shown, &[]).unwrap();
    assert_eq!(again.in_force(), config.in_force(), "{shown}");
}

#[test]
fn places_follow_from_the_memory_unless_somebody_says_how_many() {
    let caps = |text: &str, env: &[(&str, &str)]| {
        let gib = 1024 * 1024 * 1024;
        parse(text, env).unwrap().with_memory(Some(16 * gib)).caps()
    };
    let agent = |name: &str| AgentName::parse(name).unwrap();
    let plain = caps("", &[]);
    assert_eq!((plain.max, plain.per_project), (Some(25), None));
    assert_eq!(plain.weight_of(&agent("claude-code")), 1);
    assert_eq!(plain.weight_of(&agent("command")), 0, "a program is no agent");
    assert_eq!(parse("", &[]).unwrap().caps().max, Some(4), "of unknown memory");

    let text = "[capacity]\nmax = 7\nper_project = 3\nweight = { command = 2, codex = 0 }\n";
    let given = caps(text, &[]);
    assert_eq!((given.max, given.per_project), (Some(7), Some(3)));
    assert_eq!(given.weight_of(&agent("command")), 2);
    assert_eq!(given.weight_of(&agent("codex")), 0);
    assert_eq!(caps(text, &[("AO_MAX_SESSIONS", "9")]).max, Some(9));
    assert_eq!(caps(text, &[("AO_MAX_SESSIONS", "0")]).max, None);
    assert_eq!(caps("[capacity]\nmax = 0\nper_project = 0\n", &[]).per_project, None);
}

#[test]
fn a_weight_of_what_can_be_no_agent_is_a_mistake() {
    let error = parse("[capacity]\nweight = { 'a b' = 2 }\n", &[]).unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn a_directory_of_a_sparse_checkout_outside_of_the_repository_is_a_mistake() {
    for bad in ["/etc", "../other", "a/../.."] {
        let text = format!("[projects.app]\nsparse = ['src', '{bad}']\n");
        let error = parse(&text, &[]).unwrap_err().to_string();
        let expected = format!("line 2: `sparse`: `{bad}` is no path inside the repository");
        assert!(error.contains(&expected), "{error}");
    }
    assert!(parse("[defaults]\nsparse = ['src', 'docs/api/']\n", &[]).is_ok());
}

#[test]
fn values_of_variables_are_not_shown() {
    let config = parse("[defaults]\nenv = { TOKEN = 'geheim' }\n", &[]).unwrap();
    let shown = toml::to_string(&config.in_force()).unwrap();
    assert!(shown.contains("TOKEN") && !shown.contains("geheim"), "{shown}");
}

#[test]
fn the_first_file_that_exists_is_the_one() {
    let dir = tempfile::tempdir().unwrap();
    let (home, xdg) = (dir.path().join("home.toml"), dir.path().join("xdg.toml"));
    std::fs::write(&xdg, "[defaults]\nagent = 'xdg'\n").unwrap();
    let load = || Config::load(&[home.clone(), xdg.clone()], &BTreeMap::new()).unwrap();
    assert_eq!(load().file.defaults.agent.as_deref(), Some("xdg"));
    std::fs::write(&home, "[defaults]\nagent = 'home'\n").unwrap();
    assert_eq!(load().file.defaults.agent.as_deref(), Some("home"));
    assert_eq!(load().path, Some(home.clone()));
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_a_missing_one() {
    let dir = tempfile::tempdir().unwrap();
    let error = Config::load(&[dir.path().to_owned()], &BTreeMap::new())
        .expect_err("a directory is no file");
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn a_bad_override_of_a_project_is_an_error_that_names_its_whole_key() {
    refused(
        "[projects.app.reactions.ci-failed]\nretries = -1\n",
        "`config.toml` line 2: `projects.app.reactions.ci-failed.retries`: \
         invalid value: integer `-1`, expected a whole number, 0 or more",
    );
    refused(
        "[projects.app.reactions.ci-failed]\nretries = 2.5\n",
        "`config.toml` line 2: `projects.app.reactions.ci-failed.retries`: \
         invalid type: floating point `2.5`, expected a whole number, 0 or more",
    );
    refused(
        "[projects.app]\nreactions.agent-idle.enabled = 'yes'\n",
        "`config.toml` line 2: `projects.app.reactions.agent-idle.enabled`: \
         invalid type: string \"yes\", expected `true` or `false`",
    );
    refused(
        "[projects.app.reactions.ci-failed]\nescalate_after = '-5m'\n",
        "`config.toml` line 2: `projects.app.reactions.ci-failed.escalate_after`: \
         `-5m` is not a length of time (write `500ms`, `2s`, `15m` or `1h30m`)",
    );
    refused(
        "[projects.app.reactions.ci-failed]\nescalate_after = 30\n",
        "`config.toml` line 2: `projects.app.reactions.ci-failed.escalate_after`: \
         invalid type: integer `30`, expected a string",
    );
    refused(
        "[projects.app.reactions]\nci-failed = 5\n",
        "`config.toml` line 2: `projects.app.reactions.ci-failed`: \
         invalid type: integer `5`, expected a table of its fields",
    );
    refused(
        "[projects.app.reactions.on-fire]\nretries = 5\n",
        "`config.toml` line 1: unknown key `on-fire` in `[projects.app.reactions]`; \
         known are `agent-exited`, `agent-idle`, `agent-needs-input`, `agent-stuck`, \
         `all-complete`, `approved-and-green`, `bugbot-comments`, `changes-requested`, \
         `ci-failed`, `infrastructure`, `merge-conflicts`, `pr-closed`, `session-done`, \
         `turn-finished`",
    );
    refused(
        "[projects.app.reactions.ci-failed]\nurgency = 'high'\n",
        "`config.toml` line 2: unknown key `urgency` in `[projects.app.reactions.ci-failed]`; \
         known are `auto_merge`, `enabled`, `escalate_after`, `message`, `retries`",
    );
}

#[test]
fn what_nothing_would_perform_is_refused_and_not_ignored() {
    refused(
        "[projects.app.reactions.approved-and-green]\nauto_merge = true\n",
        "`config.toml` line 2: `projects.app.reactions.approved-and-green.auto_merge`: \
         this version has no forge to merge with; leave it out, or set it to `false`",
    );
    refused(
        "[defaults.reactions.approved-and-green]\nauto_merge = true\n",
        "`config.toml` line 2: `defaults.reactions.approved-and-green.auto_merge`: \
         this version has no forge to merge with; leave it out, or set it to `false`",
    );
    refused(
        "[projects.app.reactions.ci-failed]\nauto_merge = false\n",
        "`config.toml` line 2: `projects.app.reactions.ci-failed.auto_merge`: \
         `ci-failed` merges nothing; only `approved-and-green` does",
    );
    refused(
        "[projects.app.reactions.infrastructure]\nretries = 1\n",
        "`config.toml` line 2: `projects.app.reactions.infrastructure.retries`: \
         `infrastructure` is told once per outage; it takes `enabled` and `message`",
    );
    let off = "[projects.app.reactions.approved-and-green]\nauto_merge = false\n";
    let policy = parse(off, &[]).unwrap().policy(&project("app"));
    assert_eq!(policy.reactions, Policy::default().reactions);
}

#[test]
fn every_field_of_every_reaction_is_overridden_alone() {
    for kind in ReactionKind::ALL {
        let given = [
            ("enabled", "true"),
            ("retries", "7"),
            ("escalate_after", "'3m'"),
            ("message", "'own words'"),
        ];
        for (field, value) in given {
            let is_once = *kind == ReactionKind::Infrastructure;
            if is_once && ["retries", "escalate_after"].contains(&field) {
                continue;
            }
            let text = format!("[projects.app.reactions.{kind}]\n{field} = {value}\n");
            let config = parse(&text, &[]).unwrap();
            let mut expect = ReactionPolicy::default_of(*kind);
            match field {
                "enabled" => expect.is_enabled = true,
                "retries" => expect.retries = Some(7),
                "escalate_after" => expect.escalate_after = Some(Duration::from_mins(3)),
                _ => expect.message = Some("own words".to_owned()),
            }
            assert_eq!(config.policy(&project("app")).reaction(*kind), expect, "{text}");
            let other = config.policy(&project("other"));
            assert_eq!(other.reactions, Policy::default().reactions, "{text}");
            assert_eq!(config.default_policy().reactions, Policy::default().reactions, "{text}");
        }
    }
}
