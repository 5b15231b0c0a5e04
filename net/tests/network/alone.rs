//! A member in a process of its own: what it takes is what is measured, and nothing else.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::support::{Member, PATIENCE, RunningRelay};

/// A member in a process of its own, so that nothing else counts.
pub(crate) struct Alone {
    process: Child,
    asks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Alone {
    pub(crate) async fn open(store: &str, relay: &RunningRelay) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "alone::member_alone", "--ignored", "--nocapture"])
            .envs([("GOSSIPSTORE_STORE", store), ("GOSSIPSTORE_RELAY", &relay.address)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let asks = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, asks, answers }
    }

    /// Has it do something, and gives what it says of that; see [`member_alone`].
    pub(crate) async fn ask(&mut self, what: &str) -> usize {
        self.asks.write_all(format!("{what}\n").as_bytes()).await.unwrap();
        let answer = async {
            loop {
                let line = self.answers.next_line().await.unwrap().expect("it runs");
                if let Some(answer) = line.strip_prefix("answer ") {
                    return answer.parse().unwrap();
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        answer.unwrap_or_else(|_| panic!("no answer to {what}"))
    }

    pub(crate) async fn end(mut self) {
        drop(self.asks);
        assert!(self.process.wait().await.unwrap().success());
    }
}

/// Does what it is asked for, line by line: waits for so many `peers` or `keys`, puts one, or gives the most bytes of `memory` that it has had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by another test, in a process of its own"]
async fn member_alone() {
    fn peak() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    }

    let [store, relay] = ["GOSSIPSTORE_STORE", "GOSSIPSTORE_RELAY"].map(std::env::var);
    let (Ok(store), Ok(relay)) = (store, relay) else {
        // Run together with all that are ignored.
        return;
    };
    let member = Member::open_at(&store, [relay]);
    let mut asked = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = asked.next_line().await.unwrap() {
        let (what, count) = line.split_once(' ').unwrap_or((&line, "0"));
        let count = count.parse().unwrap();
        let answer = match what {
            "peers" => {
                member.until_status("peers", |status| status.peers.len() == count).await;
                count
            }
            "keys" => {
                member.until("keys", |member| member.len() == count).await;
                count
            }
            "put" => {
                member.put("after", "value").await;
                member.len()
            }
            "memory" => peak(),
            other => panic!("nobody asks for {other}"),
        };
        println!("answer {answer}");
    }
}
