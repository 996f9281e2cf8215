//! Changes over the socket: by the page, as they happen, across a restart.

use ao_api::client::StreamItem;
use ao_api::event::{Event, EventsQuery};
use ao_api::{Client, ErrorKind};

use crate::harness::{Home, add_app, spawn};

async fn all_after(client: &Client, after: u64) -> Vec<Event> {
    let mut cursor = after;
    let mut all = Vec::new();
    loop {
        let query = EventsQuery { after: Some(cursor), limit: Some(3) };
        let page = client.events(&query).await.unwrap();
        if page.events.is_empty() {
            assert_eq!(page.next, cursor);
            return all;
        }
        cursor = page.next;
        all.extend(page.events);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_told_once_and_in_order_across_a_restart() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    spawn(&client).await;
    daemon.end().await;
    let daemon = home.start("").await;
    let events = all_after(&client, 0).await;
    let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
    let expect: Vec<u64> = (1..=u64::try_from(events.len()).unwrap()).collect();
    assert_eq!(seqs, expect, "no gap and no repetition");
    assert_eq!(events.first().map(|event| event.kind.as_str()), Some("project.added"));
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_from_its_cursor_and_ends_with_the_daemon() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let mut stream = client.follow_events(Some(0)).await.unwrap();
    let Some(StreamItem::Change(first)) = stream.next().await.unwrap() else {
        panic!("a change was expected");
    };
    assert_eq!((first.seq, first.kind.as_str()), (1, "project.added"));
    spawn(&client).await;
    let Some(StreamItem::Change(second)) = stream.next().await.unwrap() else {
        panic!("a change was expected");
    };
    assert_eq!(second.seq, 2);
    daemon.end().await;
    while let Ok(Some(_rest)) = stream.next().await {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_is_not_there_is_named() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    let refusal = client.session("a/b").await.unwrap_err().body();
    assert_eq!(refusal.kind, ErrorKind::User, "{refusal:?}");
    let refusal = client.session("nothing-1").await.unwrap_err().body();
    assert_eq!(refusal.code, "SESSION_UNKNOWN");
    daemon.end().await;
}
