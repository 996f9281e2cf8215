//! The inbox and the command notifier.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ao_adapters::notifiers::{CommandNotifier, CommandNotifierConfig, InboxNotifier};
use ao_core::ids::{EffectId, NotifierId};
use ao_core::inbox::Notification;
use ao_core::ports::{BoxFuture, Inbox as _, InboxFilter, Notifier, StoreError};
use ao_testkit::contract::notifier::{NotifierHarness, notification, notifier_contract};
use ao_testkit::memory_store::{MemoryStore, Op};
use tempfile::TempDir;

/// A command that appends what it gets to a file, unless it is told to fail.
struct Commands {
    dir: TempDir,
}

impl Commands {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn items(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("items")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn shell(script: &str, dir: &Path) -> CommandNotifierConfig {
    CommandNotifierConfig {
        id: NotifierId::parse("shell").unwrap(),
        argv: ["sh", "-c", script, "sh", &dir.display().to_string()].map(str::to_owned).to_vec(),
        timeout: Duration::from_secs(30),
        secrets: BTreeMap::new(),
    }
}

impl NotifierHarness for Commands {
    fn notifier(&self) -> Arc<dyn Notifier> {
        let script =
            r#"test ! -e "$1/broken" || { echo no route >&2; exit 3; }; cat >> "$1/items""#;
        Arc::new(CommandNotifier::new(shell(script, self.dir.path())))
    }

    fn arrived(&self) -> BoxFuture<'_, Vec<EffectId>> {
        Box::pin(async move {
            let id = |line: &String| {
                let item: serde_json::Value = serde_json::from_str(line).unwrap();
                EffectId::new(item["id"].as_str().unwrap())
            };
            self.items().iter().map(id).collect()
        })
    }

    fn set_broken(&self, is_broken: bool) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if is_broken {
                std::fs::write(self.path("broken"), "").unwrap();
            } else {
                std::fs::remove_file(self.path("broken")).unwrap();
            }
        })
    }
}

/// The inbox of a store in memory.
struct InMemory {
    store: Arc<MemoryStore>,
}

impl NotifierHarness for InMemory {
    fn notifier(&self) -> Arc<dyn Notifier> {
        let id = NotifierId::parse("inbox").unwrap();
        Arc::new(InboxNotifier::new(id, Arc::clone(&self.store) as _))
    }

    fn arrived(&self) -> BoxFuture<'_, Vec<EffectId>> {
        Box::pin(async move {
            let items = self.store.inbox(&InboxFilter { with_read: true }).await.unwrap();
            items.into_iter().map(|item| item.notification.id).collect()
        })
    }

    fn set_broken(&self, is_broken: bool) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if is_broken {
                let error = StoreError::Unavailable { message: "disk full".to_owned() };
                self.store.fail_next(Op::Deliver, error);
            }
        })
    }
}

#[tokio::test]
async fn the_inbox_keeps_the_notifier_contract() {
    notifier_contract(&InMemory { store: Arc::new(MemoryStore::new()) }).await;
}

#[tokio::test]
async fn the_command_keeps_the_notifier_contract() {
    notifier_contract(&Commands::new()).await;
}

#[tokio::test]
async fn a_command_gets_one_inbox_item_with_every_key() {
    let commands = Commands::new();
    let nobody = Notification { session: None, ..notification("one") };
    commands.notifier().notify(&nobody).await.unwrap();
    let [line] = commands.items().try_into().unwrap();
    assert_eq!(
        line,
        "{\"id\":\"one\",\"session\":null,\"project\":\"app\",\"reaction\":\"agent-stuck\",\
         \"cause\":\"no_signal\",\"priority\":\"urgent\",\"title\":\"app-1 is stuck\",\
         \"text\":\"a \\\"quoted\\\" line\\nand a second; $(true) `true` \\u001b[31m ü\",\
         \"at\":\"2023-11-14T22:13:20.042Z\",\"state\":\"unread\"}"
    );
}

#[tokio::test]
async fn a_failure_says_the_last_line_and_no_secret() {
    let commands = Commands::new();
    let script = r#"echo first >&2; test "${#TOKEN}" = 6 && echo "no route" >&2; exit 3"#;
    let mut config = shell(script, commands.dir.path());
    config.secrets.insert("TOKEN".to_owned(), "s3cret".to_owned());
    let notifier = CommandNotifier::new(config);
    assert!(!format!("{notifier:?}").contains("s3cret"));
    let error = notifier.notify(&notification("one")).await.unwrap_err();
    assert_eq!(error.message, "`sh` ended with exit status: 3: no route");
}

#[tokio::test]
async fn a_command_that_hangs_or_floods_is_bounded() {
    let commands = Commands::new();
    let mut config = shell("sleep 600", commands.dir.path());
    config.timeout = Duration::from_millis(100);
    let error = CommandNotifier::new(config).notify(&notification("one")).await.unwrap_err();
    assert!(error.message.contains("did not end"), "{error}");

    let flood = "head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2; exit 1";
    let notifier = CommandNotifier::new(shell(flood, commands.dir.path()));
    let error = notifier.notify(&notification("one")).await.unwrap_err();
    assert!(error.message.len() < 1000, "{}", error.message.len());

    let deaf = CommandNotifier::new(shell("exit 0", commands.dir.path()));
    let large = Notification { text: "x".repeat(1_000_000), ..notification("one") };
    deaf.notify(&large).await.unwrap();
}

#[tokio::test]
async fn a_command_that_is_not_there_is_named() {
    let commands = Commands::new();
    let mut config = shell("", commands.dir.path());
    config.argv = vec!["ao-no-such-notifier".to_owned()];
    let error =
        CommandNotifier::new(config.clone()).notify(&notification("one")).await.unwrap_err();
    assert!(error.message.contains("`ao-no-such-notifier` is not installed"), "{error}");
    config.argv.clear();
    let error = CommandNotifier::new(config).notify(&notification("one")).await.unwrap_err();
    assert_eq!(error.message, "it has no command to call");
}
