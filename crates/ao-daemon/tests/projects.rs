//! Registering repositories.

use ao_api::error::ErrorKind;
use ao_api::kill::KillRequest;
use ao_api::project::{AddProjectRequest, Project};
use ao_api::{Client, ClientError};

use crate::harness::{Home, REPO, add_app, spawn};

async fn add(client: &Client, path: &str, id: Option<&str>) -> Result<Project, String> {
    let request =
        AddProjectRequest { path: path.to_owned(), id: id.map(str::to_owned), github: None };
    client.add_project(&request).await.map_err(|error: ClientError| {
        let body = error.body();
        format!("{} {}", body.kind.http_status(), body.code)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_repository_again_is_no_error_and_another_one_of_the_same_name_is() {
    let home = Home::new();
    home.workspace.add_repo("/other/app");
    home.workspace.add_unborn_repo("/repos/fresh");
    let daemon = home.start("").await;
    let client = home.client();
    let app = add(&client, REPO, None).await.unwrap();
    assert_eq!((app.id.as_str(), app.path.as_str()), ("app", REPO));
    assert_eq!(add(&client, &format!("{REPO}/src"), None).await, Ok(app.clone()));
    assert_eq!(add(&client, REPO, Some("app")).await, Ok(app));
    let refused = |text: &str| Err(text.to_owned());
    assert_eq!(add(&client, REPO, Some("b")).await, refused("409 PROJECT_EXISTS"));
    assert_eq!(add(&client, "/other/app", None).await, refused("409 PROJECT_EXISTS"));
    assert!(add(&client, "/other/app", Some("app2")).await.is_ok());
    assert_eq!(add(&client, "/nowhere", None).await, refused("422 NOT_A_REPO"));
    assert_eq!(add(&client, "relative", None).await, refused("400 MALFORMED"));
    assert_eq!(add(&client, "/repos/fresh", Some("-x")).await, refused("400 INVALID_ID"));
    assert_eq!(client.projects().await.unwrap().len(), 2);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_with_live_sessions_stays() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let session = spawn(&client).await;
    let refusal = client.remove_project("app").await.unwrap_err().body();
    assert_eq!((refusal.kind, refusal.code.as_str()), (ErrorKind::Conflict, "PROJECT_LIVE"));
    client.kill(&session.id, &KillRequest::default()).await.unwrap();
    assert_eq!(client.remove_project("app").await.unwrap().id, "app");
    let refusal = client.project("app").await.unwrap_err().body();
    assert_eq!((refusal.kind, refusal.code.as_str()), (ErrorKind::NotFound, "PROJECT_UNKNOWN"));
    daemon.end().await;
}
