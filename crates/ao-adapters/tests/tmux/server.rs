//! Servers and sessions: what only tmux can show.

use std::path::Path;

use ao_adapters::launches::FileLaunches;
use ao_adapters::tmux::{TmuxConfig, TmuxRuntime};
use ao_core::fact::{RuntimeProbe, ServerProbe};
use ao_core::ports::{
    CreateRuntime, Ensured, LaunchFile, LaunchProof, Launches as _, Runtime as _, RuntimeError,
    ServerEvent, ServerLook, Terminal as _,
};
use ao_core::record::Exit;
use ao_core::session::RuntimeHandle;
use ao_testkit::contract::runtime::RuntimeHarness as _;
use ao_testkit::contract::wait_until;

use super::{Harness, config, with_config, with_harness};

const WAITS: &[&str] = &["tail", "-f", "/dev/null"];

/// Waits for the next event, for as long as no test should have to.
async fn watch(tmux: &TmuxRuntime, handle: &RuntimeHandle) -> ServerEvent {
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, tmux.watch(&handle.server)).await.unwrap()
}

/// The processes that listen to a server: shells and the clients that wait for them.
fn listeners(socket: &Path) -> Vec<String> {
    let socket = socket.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let commands =
        processes.filter_map(|it| std::fs::read_to_string(it.path().join("cmdline")).ok());
    let is_listener =
        |command: &String| command.contains(socket) && command.contains("wait-for ao-changed");
    commands.filter(is_listener).collect()
}

async fn probe(harness: &Harness, handle: &RuntimeHandle) -> (ServerProbe, RuntimeProbe) {
    let look = harness.tmux.is_alive(handle).await;
    (look.server, look.runtime)
}

/// Waits until a runtime that waits has passed its gate.
async fn until_executed(harness: &Harness, handle: &RuntimeHandle) {
    wait_until(&harness.clock, "the command is executed", async || {
        let command = format!("/proc/{}/cmdline", handle.process.pid);
        std::fs::read_to_string(command).is_ok_and(|command| command.starts_with("tail"))
    })
    .await;
}

#[test]
fn a_server_is_marked_bounded_and_outlives_its_last_session() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        let socket = &handle.server.socket;
        let formats = [
            ("#{@ao_home}", "home"),
            ("#{exit-empty}", "0"),
            ("#{history-limit}", "10000"),
            ("#{remain-on-exit}", "on"),
            ("#{update-environment}", ""),
            ("#{status}", "off"),
        ];
        for (format, expected) in formats {
            assert_eq!(harness.says(socket, format).await, expected, "{format}");
        }
        let size =
            ["display-message", "-p", "-t", &handle.pane, "#{window_width}x#{window_height}"];
        assert_eq!(harness.by_hand(socket, &size).await.stdout_text().trim(), "200x50");
        let cwd = std::fs::read_link(format!("/proc/{}/cwd", handle.server.process.pid)).unwrap();
        assert_eq!(cwd, harness.directory(), "a directory that stays");
        let end_all = ["kill-session", "-a", "-t", "=app-1", ";", "kill-session", "-t", "=app-1"];
        assert!(harness.by_hand(socket, &end_all).await.status.success());
        assert_eq!(probe(harness, &handle).await, (ServerProbe::Living, RuntimeProbe::Missing));
    });
}

#[test]
fn a_server_without_a_marker_is_somebodys_and_not_touched() {
    with_harness(&async |harness: &Harness| {
        let socket = harness.file("run/t-app");
        let start = ["-f", "/dev/null", "new-session", "-d", "-s", "app-1", "tail -f /dev/null"];
        assert!(harness.by_hand(&socket, &start).await.status.success());
        let created = harness.tmux.create(&harness.request("app-1", WAITS)).await;
        assert_eq!(created, Err(RuntimeError::Stranger { socket: socket.clone() }));
        assert_eq!(harness.tmux.end_idle_servers().await, Ok(Vec::new()));
        assert_eq!(harness.says(&socket, "#{S:#{session_name} }").await, "app-1");
    });
}

#[test]
fn a_session_that_a_human_made_in_our_server_is_not_ours_and_keeps_it_busy() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        let socket = &handle.server.socket;
        let start = ["new-session", "-d", "-s", "app-2", "tail -f /dev/null"];
        assert!(harness.by_hand(socket, &start).await.status.success());
        let taken = harness.tmux.create(&harness.request("app-2", WAITS)).await;
        assert_eq!(taken, Err(RuntimeError::Taken { name: "app-2".to_owned() }));
        assert_eq!(harness.tmux.destroy(&handle).await, Ok(Ensured::Done));
        assert_eq!(harness.tmux.end_idle_servers().await, Ok(Vec::new()));
        let ServerLook::Living { panes } = harness.tmux.look_all(&handle.server).await else {
            unreachable!("the server lives")
        };
        let seen: Vec<_> = panes.iter().map(|pane| (&*pane.session, &pane.launch)).collect();
        assert_eq!(seen, [("app-2", &None)]);
    });
}

#[test]
fn a_pane_that_a_human_added_is_not_the_runtime_and_ends_with_it() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        let split = ["split-window", "-d", "-t", "=app-1:", "tail -f /dev/null"];
        assert!(harness.by_hand(&handle.server.socket, &split).await.status.success());
        let ServerLook::Living { panes } = harness.tmux.look_all(&handle.server).await else {
            unreachable!("the server lives")
        };
        let with_launch: Vec<_> = panes.iter().filter(|pane| pane.launch.is_some()).collect();
        assert_eq!((panes.len(), with_launch.len()), (2, 1));
        assert!(with_launch.iter().all(|pane| pane.pane == handle.pane));
        assert_eq!(harness.tmux.destroy(&handle).await, Ok(Ensured::Done));
        let nothing = ServerLook::Living { panes: Vec::new() };
        assert_eq!(harness.tmux.look_all(&handle.server).await, nothing);
    });
}

#[test]
fn a_session_renamed_by_hand_is_still_that_runtime() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        let rename = ["rename-session", "-t", "=app-1", "mine"];
        assert!(harness.by_hand(&handle.server.socket, &rename).await.status.success());
        assert_eq!(probe(harness, &handle).await, (ServerProbe::Living, RuntimeProbe::Alive));
        assert_eq!(harness.tmux.destroy(&handle).await, Ok(Ensured::Done));
        assert_eq!(probe(harness, &handle).await, (ServerProbe::Living, RuntimeProbe::Missing));
    });
}

#[test]
fn a_creation_that_was_cut_short_is_finished_by_the_next() {
    with_harness(&async |harness: &Harness| {
        // A server of ours, and in it what a daemon leaves behind that is killed before it has
        // written down who waits at the gate.
        let server = harness.create("app-2", WAITS).await.server;
        let request = harness.request("app-1", WAITS);
        let gate = format!(
            "tmux -S {} wait-for ao-{} && exec tail -f /dev/null",
            server.socket.display(),
            request.launch
        );
        let start = ["new-session", "-d", "-s", "app-1", &gate];
        assert!(harness.by_hand(&server.socket, &start).await.status.success());
        let mark = ["set-option", "-t", "=app-1:", "@ao_launch", request.launch.as_str()];
        assert!(harness.by_hand(&server.socket, &mark).await.status.success());

        let found = harness.tmux.find(&request).await.unwrap().unwrap();
        let handle = harness.tmux.create(&request).await.unwrap();
        assert_eq!(handle, found);
        until_executed(harness, &handle).await;
        assert_eq!(probe(harness, &handle).await, (ServerProbe::Living, RuntimeProbe::Alive));
    });
}

#[test]
fn a_server_that_lost_its_socket_is_reached_again() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        until_executed(harness, &handle).await;
        std::fs::remove_file(&handle.server.socket).unwrap();
        assert_eq!(
            probe(harness, &handle).await,
            (ServerProbe::Unreachable, RuntimeProbe::Unknown)
        );
        wait_until(&harness.clock, "the server answers again", async || {
            probe(harness, &handle).await == (ServerProbe::Living, RuntimeProbe::Alive)
        })
        .await;
    });
}

#[test]
fn no_second_server_hides_the_first_while_its_socket_is_lost() {
    with_harness(&async |harness: &Harness| {
        let first = harness.create("app-1", WAITS).await;
        std::fs::remove_file(&first.server.socket).unwrap();
        let request = harness.request("app-2", WAITS);
        let refused = harness.tmux.create(&request).await;
        assert!(matches!(refused, Err(RuntimeError::Unavailable { .. })), "{refused:?}");
        wait_until(&harness.clock, "the server answers again", async || {
            harness.tmux.create(&request).await.is_ok_and(|second| second.server == first.server)
        })
        .await;
    });
}

#[test]
fn a_missing_socket_of_a_dead_server_is_no_obstacle() {
    with_harness(&async |harness: &Harness| {
        let first = harness.create("app-1", WAITS).await;
        harness.kill_server(&first.server);
        wait_until(&harness.clock, "the server is gone", async || {
            harness.tmux.look_all(&first.server).await == ServerLook::Gone
        })
        .await;
        let second = harness.create("app-2", WAITS).await;
        assert_ne!(second.server.process, first.server.process);
    });
}

#[test]
fn a_server_without_a_session_is_still_watched() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        let tmux = &harness.tmux;
        assert_eq!(watch(&harness.tmux, &handle).await, ServerEvent::Changed);
        harness.kill_session(&handle).await;
        assert_eq!(probe(harness, &handle).await, (ServerProbe::Living, RuntimeProbe::Missing));
        assert_eq!(watch(tmux, &handle).await, ServerEvent::Changed);
        let (event, next) =
            futures_util::join!(watch(tmux, &handle), harness.create("app-2", WAITS));
        assert_eq!((event, next.server), (ServerEvent::Changed, handle.server));
    });
}

#[test]
fn a_watch_tells_of_a_process_that_ended_in_a_kept_pane() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        let tmux = &harness.tmux;
        assert_eq!(watch(tmux, &handle).await, ServerEvent::Changed);
        harness.kill_process(&handle.process);
        // tmux may miss the signal, and then notices when it is looked at.
        wait_until(&harness.clock, "tmux has noticed", async || {
            tmux.is_alive(&handle).await.exit == Some(Exit::Signal(9))
        })
        .await;
        assert_eq!(watch(tmux, &handle).await, ServerEvent::Changed);
    });
}

#[test]
fn every_change_of_a_pane_or_a_session_is_told() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        let tmux = &harness.tmux;
        assert_eq!(watch(tmux, &handle).await, ServerEvent::Changed);
        let by_hand: [&[&str]; 7] = [
            &["split-window", "-d", "-t", "=app-1:", "tail -f /dev/null"],
            &["kill-pane", "-t", "=app-1:.1"],
            &["new-window", "-d", "-t", "=app-1:", "tail -f /dev/null"],
            &["kill-window", "-t", "=app-1:1"],
            &["new-session", "-d", "-s", "other", "tail -f /dev/null"],
            &["rename-session", "-t", "=other", "another"],
            &["kill-session", "-t", "=another"],
        ];
        for args in by_hand {
            let socket = &handle.server.socket;
            let n_before = harness.says(socket, "#{@ao_changes}").await;
            let done = harness.by_hand(socket, args).await;
            assert!(done.status.success(), "{args:?}: {}", done.stderr_text());
            assert_ne!(harness.says(socket, "#{@ao_changes}").await, n_before, "{args:?}");
            assert_eq!(watch(tmux, &handle).await, ServerEvent::Changed, "{args:?}");
        }
    });
}
#[test]
fn a_listener_ends_with_its_runtime_and_with_its_server() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        let socket = &handle.server.socket;
        let nobody = async |what: &str| {
            wait_until(&harness.clock, what, async || listeners(socket).is_empty()).await;
        };
        let config = config(harness.dir.path(), "home");
        for _ in 0..3 {
            let watching = TmuxRuntime::new(config.clone(), harness.processes.clone());
            assert_eq!(watch(&watching, &handle).await, ServerEvent::Changed);
            assert!(!listeners(socket).is_empty());
            drop(watching);
            nobody("the runtime's listener has ended").await;
        }
        assert_eq!(watch(&harness.tmux, &handle).await, ServerEvent::Changed);
        harness.kill_server(&handle.server);
        while watch(&harness.tmux, &handle).await != ServerEvent::Gone {}
        nobody("the server's listener has ended").await;
    });
}

#[test]
fn two_that_listen_take_no_change_from_each_other() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        let named = ["rename-session", "-t", "=app-1", "s0"];
        assert!(harness.by_hand(&handle.server.socket, &named).await.status.success());
        let config = config(harness.dir.path(), "home");
        let second = TmuxRuntime::new(config, harness.processes.clone());
        let both = [&harness.tmux, &second];
        for tmux in both {
            assert_eq!(watch(tmux, &handle).await, ServerEvent::Changed);
        }
        let rename = |from: &str, to: &str| {
            ["rename-session", "-t", &format!("={from}"), to].map(str::to_owned)
        };
        for n in 0..10 {
            // In every second round two changes come in one stroke: a channel forgets such signals.
            let (a, b, c) = (format!("s{n}"), format!("s{n}-b"), format!("s{}", n + 1));
            let once = rename(&a, &c).to_vec();
            let twice = [rename(&a, &b).to_vec(), vec![";".to_owned()], rename(&b, &c).to_vec()];
            let args = if n % 2 == 0 { once } else { twice.concat() };
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            assert!(harness.by_hand(&handle.server.socket, &args).await.status.success());
            for tmux in both {
                assert_eq!(watch(tmux, &handle).await, ServerEvent::Changed, "round {n}");
            }
        }
    });
}

#[test]
fn a_lost_listener_is_replaced() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        let tmux = &harness.tmux;
        assert_eq!(watch(tmux, &handle).await, ServerEvent::Changed);
        // Its next question finds nobody.
        let away = handle.server.socket.with_extension("away");
        std::fs::rename(&handle.server.socket, &away).unwrap();
        assert!(
            harness.by_hand(&away, &["rename-session", "-t", "=app-1", "x"]).await.status.success()
        );
        while watch(tmux, &handle).await != ServerEvent::Lost {}
        std::fs::rename(&away, &handle.server.socket).unwrap();
        assert_eq!(watch(tmux, &handle).await, ServerEvent::Changed, "it is watched again");
        harness.kill_session(&RuntimeHandle { session: "x".to_owned(), ..handle.clone() }).await;
        assert_eq!(watch(tmux, &handle).await, ServerEvent::Changed);
    });
}

#[test]
fn a_server_survives_that_listening_begins_while_sessions_come_and_go() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-0", WAITS).await;
        let config = config(harness.dir.path(), "home");
        let listen = async {
            for _ in 0..20 {
                let watching = TmuxRuntime::new(config.clone(), harness.processes.clone());
                assert_eq!(watch(&watching, &handle).await, ServerEvent::Changed);
            }
        };
        let come_and_go = async |worker: u32| {
            for n in 1..=10 {
                let victim = harness.create(&format!("app-{}", worker * 100 + n), WAITS).await;
                assert_eq!(victim.server, handle.server);
                assert_eq!(harness.tmux.destroy(&victim).await, Ok(Ensured::Done));
            }
        };
        let workers = futures_util::future::join_all((1..=4).map(come_and_go));
        futures_util::join!(listen, workers);
        assert_eq!(probe(harness, &handle).await, (ServerProbe::Living, RuntimeProbe::Alive));
    });
}

#[test]
fn a_cancelled_watch_loses_nothing() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        let other = harness.create("app-2", WAITS).await;
        let tmux = &harness.tmux;
        assert_eq!(tmux.watch(&handle.server).await, ServerEvent::Changed);
        let cancelled = tokio::time::timeout(std::time::Duration::ZERO, async {
            loop {
                tmux.watch(&handle.server).await;
            }
        });
        assert!(cancelled.await.is_err());
        harness.kill_session(&handle).await;
        harness.kill_session(&other).await;
        assert_eq!(tmux.watch(&handle.server).await, ServerEvent::Changed);
    });
}

#[test]
fn an_exit_status_is_never_lost() {
    with_harness(&async |harness: &Harness| {
        // tmux misses the signal of most deaths like these, and learns of them when it is nudged.
        for n in 1..=12 {
            let name = format!("app-{n}");
            let handle = harness.create(&name, WAITS).await;
            harness.kill_process(&handle.process);
            wait_until(&harness.clock, "the pane is dead", async || {
                harness.tmux.is_alive(&handle).await.runtime == RuntimeProbe::Dead
            })
            .await;
            assert_eq!(harness.tmux.is_alive(&handle).await.exit, Some(Exit::Signal(9)), "{name}");
        }
    });
}

#[test]
fn a_command_line_reaches_its_program_as_it_is() {
    with_harness(&async |harness: &Harness| {
        let file = harness.file("arguments");
        let script = r#"for arg; do printf '<%s>' "$arg"; done > "$0"; exec tail -f /dev/null"#;
        let odd = ["a;", ";", "a b", "#{pid}", "$HOME", "'", "\"", "\\", "%d", "-x", ""];
        let head = ["sh", "-c", script, file.to_str().unwrap()];
        let argv: Vec<&str> = head.into_iter().chain(odd).collect();
        harness.create("app-1", &argv).await;
        let expected: String = odd.map(|arg| format!("<{arg}>")).concat();
        wait_until(&harness.clock, "the arguments arrived", async || {
            std::fs::read_to_string(&file).is_ok_and(|text| text == expected)
        })
        .await;
    });
}

#[test]
fn a_program_starts_in_its_directory_whatever_that_is_called() {
    with_harness(&async |harness: &Harness| {
        let directory = harness.file("a #{pid} b");
        std::fs::create_dir(&directory).unwrap();
        let request =
            CreateRuntime { directory: directory.clone(), ..harness.request("app-1", WAITS) };
        let handle = harness.tmux.create(&request).await.unwrap();
        until_executed(harness, &handle).await;
        let cwd = std::fs::read_link(format!("/proc/{}/cwd", handle.process.pid)).unwrap();
        assert_eq!(cwd, directory);
    });
}

#[test]
fn a_missing_tmux_is_named() {
    let without =
        |dir: &Path| TmuxConfig { program: "no-such-tmux".to_owned(), ..config(dir, "home") };
    with_config(without, &async |harness: &Harness| {
        let created = harness.tmux.create(&harness.request("app-1", WAITS)).await;
        let missing = RuntimeError::Missing { program: "no-such-tmux".to_owned() };
        assert_eq!(created, Err(missing));
    });
}

#[test]
fn the_users_configuration_is_read_and_cannot_take_a_server_from_us() {
    let with_user = |dir: &Path| {
        let path = dir.join("tmux.conf");
        let text = "set -g exit-empty on\nset -g exit-unattached on\nset -g remain-on-exit off\nset -g status-left x\n";
        std::fs::write(&path, text).unwrap();
        let prefix = Some("C-a".to_owned());
        TmuxConfig { user_config: Some(path), prefix, ..config(dir, "home") }
    };
    with_config(with_user, &async |harness: &Harness| {
        let socket = harness.create("app-1", WAITS).await.server.socket;
        let options = "#{status-left} #{prefix} #{remain-on-exit} #{exit-empty}#{exit-unattached} #{@ao_home}";
        assert_eq!(harness.says(&socket, options).await, "x C-a on 00 home");
    });
}

#[test]
fn a_configuration_with_an_error_keeps_nobody_from_working() {
    let texts = [
        Some("set -g exit-empty on\nno-such-command\n"),
        Some("set -g exit-empty on\nset -g x y\n"),
        None,
    ];
    for text in texts {
        let with_error = |dir: &Path| {
            let path = dir.join("it's tmux.conf");
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            TmuxConfig { user_config: Some(path), ..config(dir, "home") }
        };
        with_config(with_error, &async |harness: &Harness| {
            let handle = harness.create("app-1", WAITS).await;
            assert_eq!(probe(harness, &handle).await, (ServerProbe::Living, RuntimeProbe::Alive));
            assert_eq!(harness.says(&handle.server.socket, "#{exit-empty}").await, "0", "{text:?}");
        });
    }
}

#[test]
fn a_server_has_nothing_of_its_starter_in_its_environment() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create("app-1", WAITS).await;
        for process in [&handle.server.process, &handle.process] {
            let environment = std::fs::read(format!("/proc/{}/environ", process.pid)).unwrap();
            let environment = String::from_utf8_lossy(&environment).into_owned();
            let ours = environment
                .split('\0')
                .find(|v| v.starts_with("AO_") && !v.starts_with("AO_HOME="));
            assert_eq!(ours, None);
        }
    });
}

#[test]
fn the_process_of_a_runtime_becomes_the_agent() {
    with_harness(&async |harness: &Harness| {
        let this = std::env::current_exe().unwrap();
        let launches = FileLaunches::new(harness.file("launches"), Vec::new());
        let request = harness.request("app-1", &[]);
        let file = LaunchFile {
            launch: request.launch.clone(),
            session: request.session.clone(),
            directory: harness.directory(),
            argv: WAITS.iter().map(|&arg| arg.to_owned()).collect(),
            env: [("PATH", "/usr/bin:/bin"), ("AO_NONCE", "secret")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            origin: None,
        };
        launches.write(&file, &[]).await.unwrap();
        let argv = launcher(&this, &launches.dir(&request.launch));
        let handle = harness.tmux.create(&CreateRuntime { argv, ..request.clone() }).await.unwrap();
        wait_until(&harness.clock, "the agent is executed", async || {
            launches.proof(&request.launch).await == LaunchProof::Execed { pid: handle.process.pid }
        })
        .await;
        let environment = std::fs::read(format!("/proc/{}/environ", handle.process.pid)).unwrap();
        let environment = String::from_utf8(environment).unwrap();
        assert!(environment.contains("AO_NONCE=secret\0"), "{environment}");
        assert!(environment.contains(&format!("TMUX_PANE={}\0", handle.pane)), "{environment}");
    });
}

#[test]
fn a_launcher_that_fails_says_so_on_the_screen_that_is_kept() {
    with_harness(&async |harness: &Harness| {
        let this = std::env::current_exe().unwrap();
        let absent = harness.file("absent");
        let argv = launcher(&this, &absent);
        let request = CreateRuntime { argv, ..harness.request("app-1", &[]) };
        let handle = harness.tmux.create(&request).await.unwrap();
        wait_until(&harness.clock, "the launcher has ended", async || {
            harness.tmux.is_alive(&handle).await.exit == Some(Exit::Status(127))
        })
        .await;
        let output = harness.tmux.get_output(&handle, 50).await.unwrap();
        assert!(output.contains("ao: the agent was not started"), "{output}");
    });
}

/// The launcher of this test program; see `launches`.
fn launcher(this: &Path, dir: &Path) -> Vec<String> {
    let variable = format!("TEST_LAUNCH={}", dir.display());
    let test = "launches::a_launcher_without_a_launch_says_so";
    ["env", &variable, &this.to_string_lossy(), test, "--exact", "--nocapture", "--quiet"]
        .map(str::to_owned)
        .to_vec()
}

#[test]
fn a_project_with_a_long_name_has_a_socket() {
    with_harness(&async |harness: &Harness| {
        let handle = harness.create(&format!("{}-1", "p".repeat(85)), WAITS).await;
        let socket = &handle.server.socket;
        assert!(socket.as_os_str().len() <= 100, "{}", socket.display());
        assert_eq!(probe(harness, &handle).await, (ServerProbe::Living, RuntimeProbe::Alive));
    });
}
