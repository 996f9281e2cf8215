//! One server of a test's own, and the smallest client that shows every byte.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// Longest wait for bytes that have to come: far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that ends with the value, and with this test however that ends.
pub(crate) struct Server {
    child: Child,
    /// Kept open: what the server writes must not end it.
    _output: BufReader<ChildStdout>,
    address: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status; 0 when the connection ended without one.
    pub(crate) status: u16,
    /// The head as text, in small letters.
    pub(crate) head: String,
    /// The body without its transfer coding.
    pub(crate) body: String,
    /// Whether the body came to its end.
    pub(crate) is_whole: bool,
}

impl Server {
    /// A server that writes no log.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// A server that writes this log.
    pub(crate) fn logging(file: &Path) -> Self {
        Self::with(&["--log", file.to_str().unwrap(), "--log-text", "40"])
    }

    fn with(args: &[&str]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test talks to the program from outside")]
        let mut child = Command::new(env!("CARGO_BIN_EXE_ao-model"))
            .arg("--until-eof")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self { child, _output: output, address }
    }

    /// Ends its standard input, and tells how it ended.
    pub(crate) fn end(mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().unwrap()
    }

    /// Sends a request, whose answer is read by and by.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len(),
        );
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        stream
    }

    /// A connection on which nothing was said.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Posts a body and reads the whole answer.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        read(self.send("POST", path, &body.to_string()))
    }

    /// Gets a page.
    pub(crate) fn get(&self, path: &str) -> Answer {
        read(self.send("GET", path, ""))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either may fail because it has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads until the connection ends.
pub(crate) fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    parse(&String::from_utf8(bytes).unwrap())
}

fn parse(text: &str) -> Answer {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        assert_eq!(text, "", "half a head");
        return Answer { status: 0, head: String::new(), body: String::new(), is_whole: false };
    };
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let (body, is_whole) = if head.contains("transfer-encoding: chunked") {
        unchunked(body)
    } else {
        (body.to_owned(), true)
    };
    Answer { status, head, body, is_whole }
}

fn unchunked(mut rest: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        let Some((chunk, after)) = after.split_at_checked(length) else { break };
        body.push_str(chunk);
        rest = after.strip_prefix("\r\n").unwrap_or_default();
    }
    (body, false)
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The events of the stream: name and data. An event without a name has an empty one.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        assert!(self.head.contains("content-type: text/event-stream"), "{}", self.head);
        let blocks = self.body.split_terminator("\n\n").filter(|block| !block.starts_with(':'));
        let events = blocks.map(|block| {
            let (name, data) = match block.split_once('\n') {
                Some((name, data)) => (name.strip_prefix("event: ").unwrap(), data),
                None => ("", block),
            };
            let data = data.strip_prefix("data: ").unwrap();
            (name.to_owned(), serde_json::from_str(data).unwrap_or_else(|_end| json!(data)))
        });
        events.collect()
    }

    /// The names of the events; neighbours of one name are one.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.events().into_iter().map(|(name, _)| name).collect();
        names.dedup();
        names
    }

    /// The data of the events of this name.
    pub(crate) fn data(&self, name: &str) -> Vec<Value> {
        let events = self.events().into_iter();
        events.filter(|(of, _)| of == name).map(|(_, data)| data).collect()
    }
}

/// The texts at this place in each of these, as one.
pub(crate) fn joined(values: &[Value], pointer: &str) -> String {
    values.iter().filter_map(|value| value.pointer(pointer)?.as_str()).collect()
}
