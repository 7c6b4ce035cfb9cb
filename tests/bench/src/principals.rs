//! Calls of many distinct principals: each has a token of its own, signed here as it is needed.
//!
//! It reads commands from standard input, a line each, and answers each with a line of JSON: `new COUNT` makes one call of each of so many
//! principals that never called before; `known COUNT` makes calls of principals that did, evenly chosen among all of them.
use crate::load::{Client, Common, Conn, one_with};
use crate::mint::Minter;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::fs;
use std::io::BufRead;
use std::rc::Rc;
use std::time::Instant;
use test_support::{Key, KeyPair, key_set};

/// Known tokens that are kept; of more principals every second, fourth, … is kept.
const KEPT: usize = 4_000;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    c: Common,
    #[arg(long, default_value_t = 16)]
    conns: usize,
    /// Where the key set goes. The gateway starts when the file is there.
    #[arg(long)]
    jwks: String,
}

/// Who has called so far.
struct Callers {
    minter: Minter,
    count: Cell<usize>,
    known: RefCell<Vec<String>>,
    stride: Cell<usize>,
    turn: Cell<usize>,
}

impl Callers {
    fn new_token(&self) -> String {
        let number = self.count.get();
        self.count.set(number + 1);
        let token = self.minter.sign(&self.minter.claims(number));
        if number.is_multiple_of(self.stride.get()) {
            let mut known = self.known.borrow_mut();
            known.push(token.clone());
            if known.len() > KEPT {
                let mut at = 0;
                known.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.stride.set(2 * self.stride.get());
            }
        }
        token
    }

    fn known_token(&self) -> String {
        let known = self.known.borrow();
        let at = self.turn.get();
        self.turn.set(at + 1);
        known[at % known.len()].clone()
    }
}

pub async fn run(a: Args) {
    let key = Key::new("bench-many", KeyPair::p256());
    fs::write(&a.jwks, key_set(&[&key]).to_string()).unwrap();
    let callers = Rc::new(Callers {
        minter: Minter::new(key),
        count: Cell::new(0),
        known: RefCell::default(),
        stride: Cell::new(1),
        turn: Cell::new(0),
    });
    let client = Client::new(a.c);
    let mut conns: Vec<Conn> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (what, count) = line.split_once(' ').expect("new COUNT or known COUNT");
        let count: usize = count.parse().expect("a count");
        if conns.is_empty() {
            for _ in 0..a.conns {
                conns.push(client.connect().await.expect("connect"));
            }
        }
        let (left, errors) = (Rc::new(Cell::new(count)), Rc::new(Cell::new(0usize)));
        let is_new = what == "new";
        let began = Instant::now();
        let tasks: Vec<_> = std::mem::take(&mut conns)
            .into_iter()
            .map(|mut conn| {
                let (client, callers, left, errors) = (client.clone(), callers.clone(), left.clone(), errors.clone());
                tokio::task::spawn_local(async move {
                    while left.get() > 0 {
                        left.set(left.get() - 1);
                        let token = if is_new { callers.new_token() } else { callers.known_token() };
                        if one_with(&client, &mut conn, &token).await.is_err() {
                            errors.set(errors.get() + 1);
                        }
                    }
                    conn
                })
            })
            .collect();
        for task in tasks {
            conns.push(task.await.expect("a task"));
        }
        println!(
            "{}",
            json!({"requests": count, "errors": errors.get(), "principals": callers.count.get(), "secs": began.elapsed().as_secs_f64()})
        );
    }
}
