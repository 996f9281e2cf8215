//! The stand-in model server of one test, and what its log proves.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use crate::tools::program;

/// A server that ends with the value, and with this test however that ends.
pub(crate) struct Model {
    child: Child,
    /// Kept open: what the server writes must not end it.
    _output: BufReader<ChildStdout>,
    url: String,
    log: PathBuf,
}

impl Model {
    /// Starts it. Its log goes into this directory.
    pub(crate) fn start(directory: &Path) -> Self {
        let log = directory.join("model.jsonl");
        let mut child = program(env!("CARGO_BIN_EXE_ao-model"))
            .arg("--until-eof")
            .arg("--log")
            .arg(&log)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        Self { child, _output: output, url: line.trim().to_owned(), log }
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        // A line that is being written has no end yet.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The model turns so far.
    pub(crate) fn turns(&self) -> Vec<Value> {
        self.requests().into_iter().filter(|it| it["kind"] == "turn").collect()
    }

    /// How often a text with this mark was submitted.
    pub(crate) fn n_submitted(&self, mark: &str) -> usize {
        let texts = |request: &Value| request["new"].as_array().cloned().unwrap_or_default();
        let texts: Vec<Value> = self.requests().iter().flat_map(texts).collect();
        texts.iter().filter(|text| text.as_str().unwrap().contains(mark)).count()
    }

    /// When the turn began that a text with this mark began, in milliseconds since 1970.
    #[track_caller]
    pub(crate) fn began(&self, mark: &str) -> i64 {
        let begins = |request: &Value| {
            let texts = request["new"].as_array().cloned().unwrap_or_default();
            texts.iter().any(|text| text.as_str().unwrap().contains(mark))
        };
        let turns = self.turns();
        let turn = turns.iter().find(|request| begins(request));
        turn.unwrap_or_else(|| panic!("no turn began with {mark}"))["at_ms"].as_i64().unwrap()
    }

    /// The text with this mark as it was submitted; a long one lost its middle.
    #[track_caller]
    pub(crate) fn text_with(&self, mark: &str) -> String {
        let texts = |request: Value| request["new"].as_array().cloned().unwrap_or_default();
        let mut texts = self.requests().into_iter().flat_map(texts);
        let text = texts.find(|text| text.as_str().unwrap().contains(mark));
        text.unwrap_or_else(|| panic!("nothing with {mark}")).as_str().unwrap().to_owned()
    }

    /// Holds that the text with this mark has at least so many bytes.
    #[track_caller]
    pub(crate) fn had_whole(&self, mark: &str, n_bytes: usize) {
        let turns = self.turns();
        let turn = turns.iter().find(|it| it["text"].as_str().unwrap().contains(mark)).unwrap();
        let n = turn["text_bytes"].as_u64().unwrap();
        assert!(n >= n_bytes as u64, "{n} bytes of {n_bytes}");
    }

    /// When the last request for a model turn came.
    #[track_caller]
    pub(crate) fn last(&self) -> i64 {
        self.turns().last().unwrap()["at_ms"].as_i64().unwrap()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // Either may fail because it has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
