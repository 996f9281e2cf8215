//! What the hooks of agents tell.

use crate::harness::{Home, add_app, hook, spawn};

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_another_agent_is_not_about_this_one() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let session = spawn(&client).await;
    let launch = session.launch_id;
    let told =
        |id: &str, agent: &str, event: &str| hook(&home, id, launch.clone(), [agent, event, "{}"]);
    for (id, agent) in [("f1", "other"), ("f2", "unknown")] {
        let taken = client.signal("app-1", &told(id, agent, "waiting_input")).await.unwrap().taken;
        assert!(!taken, "{agent}");
    }
    assert!(!client.signal("app-1", &told("f3", "scripted", "nonsense")).await.unwrap().taken);
    assert_ne!(client.session("app-1").await.unwrap().activity.as_deref(), Some("waiting_input"));
    assert!(client.signal("app-1", &told("f4", "scripted", "waiting_input")).await.unwrap().taken);
    assert_eq!(client.session("app-1").await.unwrap().activity.as_deref(), Some("waiting_input"));
    daemon.end().await;
}
