//! A real browser on one page: Chromium without a screen, driven over two pipes by its DevTools protocol.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};

use crate::failure::{Context, Failure, Outcome, require};
use crate::program::{Background, Program};
use crate::world::World;

/// The package that has it.
pub const PACKAGE: &[&str] = &["chromium"];
/// Cases of this theme need it.
pub const THEME: &str = "browser::";

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Chromium speaks on 4 and listens on 3. It is root's in here, where its sandbox does not work, and the namespace it is in
/// has no network.
const START: &str = "exec chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-extensions \
    --disable-background-networking --disable-component-update --disable-sync --window-size=1360,1600 \
    --user-data-dir=/run/world/browser --remote-debugging-pipe about:blank 3</run/world/to_browser 4>/run/world/from_browser";

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    _process: Background,
    to: File,
    messages: Receiver<Value>,
    session: String,
    last: u64,
    events: Vec<Value>,
}

impl Browser {
    /// Starts it with an empty page, and notes from then on what goes wrong and what is fetched.
    pub fn start(world: &World) -> Outcome<Self> {
        let (to, from) = ("/run/world/to_browser", "/run/world/from_browser");
        for pipe in [to, from] {
            mkfifo(pipe, Mode::S_IRUSR | Mode::S_IWUSR).doing(pipe)?;
        }
        // Open for both directions: opening one end waits for nobody then.
        let open = |pipe| OpenOptions::new().read(true).write(true).open(pipe).doing(pipe);
        let (to, from) = (open(to)?, open(from)?);
        let process = Program::new("sh").args(&["-c", START]).start(world.log_file("chromium.out")?)?;
        let (last, events, session) = (0, Vec::new(), String::new());
        let mut browser = Self { _process: process, to, messages: listen(from), session, last, events };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": text(&target, "/targetId")?, "flatten": true });
        let attached = browser.ask("Target.attachToTarget", attach)?;
        browser.session = text(&attached, "/sessionId")?;
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Opens a file and waits until it is there as a whole.
    pub fn open(&mut self, path: &Path) -> Outcome {
        self.events.clear();
        let url = format!("file://{}", path.display());
        self.ask("Page.navigate", json!({ "url": url }))?;
        self.wait_for("Page.loadEventFired")
    }

    /// Whether scripts of a page run, from the next page on.
    pub fn run_scripts(&mut self, is_on: bool) -> Outcome {
        self.ask("Emulation.setScriptExecutionDisabled", json!({ "value": !is_on })).map(drop)
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Outcome<Value> {
        let answer =
            self.ask("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }))?;
        require(answer.get("exceptionDetails").is_none(), || format!("{expression}: {answer}"))?;
        Ok(answer.pointer("/result/value").cloned().unwrap_or(Value::Null))
    }

    /// The page as it would be printed: the bytes of a PDF, in base64.
    pub fn print(&mut self) -> Outcome<String> {
        let answer = self.ask("Page.printToPDF", json!({ "preferCSSPageSize": true }))?;
        text(&answer, "/data")
    }

    /// The addresses that the page has asked for since it was opened, itself among them.
    pub fn requests(&mut self) -> Outcome<Vec<String>> {
        self.settle()?;
        let sent = self.events.iter().filter(|event| is(event, "Network.requestWillBeSent"));
        sent.map(|event| text(event, "/params/request/url")).collect()
    }

    /// What the page has said to its console, and what the browser has to say about it: errors, exceptions, what a policy
    /// forbade, and windows that a script opened.
    pub fn complaints(&mut self) -> Outcome<Vec<String>> {
        self.settle()?;
        let loud = [
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Log.entryAdded",
            "Page.javascriptDialogOpening",
        ];
        let all = self.events.iter().filter(|event| loud.iter().any(|method| is(event, method)));
        Ok(all.map(ToString::to_string).collect())
    }

    /// Asks once more, so that everything that was said before has come in.
    fn settle(&mut self) -> Outcome {
        self.ask("Runtime.evaluate", json!({ "expression": "0" })).map(drop)
    }

    fn ask(&mut self, method: &str, params: Value) -> Outcome<Value> {
        self.last += 1;
        let id = self.last;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let (false, Some(message)) = (self.session.is_empty(), message.as_object_mut()) {
            message.insert("sessionId".to_owned(), json!(self.session));
        }
        self.to.write_all(format!("{message}\0").as_bytes()).doing(method)?;
        let end = Instant::now() + PATIENCE;
        loop {
            let heard = self.hear(end).doing(method)?;
            if heard.get("id").and_then(Value::as_u64) != Some(id) {
                self.events.push(heard);
                continue;
            }
            require(heard.get("error").is_none(), || format!("{method}: {heard}"))?;
            return Ok(heard.get("result").cloned().unwrap_or(Value::Null));
        }
    }

    fn wait_for(&mut self, event: &str) -> Outcome {
        let end = Instant::now() + PATIENCE;
        while !self.events.iter().any(|heard| is(heard, event)) {
            let heard = self.hear(end).doing(event)?;
            self.events.push(heard);
        }
        Ok(())
    }

    fn hear(&mut self, end: Instant) -> Outcome<Value> {
        let left = end.saturating_duration_since(Instant::now());
        self.messages.recv_timeout(left).map_err(|_| {
            let said = std::fs::read_to_string("/var/log/chromium.out").unwrap_or_default();
            Failure::new(format!("chromium says nothing\n{said}"))
        })
    }
}

fn is(event: &Value, method: &str) -> bool {
    event.get("method").and_then(Value::as_str) == Some(method)
}

fn text(value: &Value, pointer: &str) -> Outcome<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| Failure::new(format!("no {pointer} in {value}")))
}

/// Messages end in NUL. The thread ends with the process.
fn listen(mut from: File) -> Receiver<Value> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let (mut buffer, mut chunk) = (Vec::new(), vec![0; 65536]);
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
            while let Some(end) = buffer.iter().position(|byte| *byte == 0) {
                let message: Vec<u8> = buffer.drain(..=end).collect();
                let parsed = serde_json::from_slice(message.strip_suffix(&[0]).unwrap_or(&message));
                let Ok(value) = parsed else { return };
                if sender.send(value).is_err() {
                    return;
                }
            }
        }
    });
    receiver
}
