//! Attacks on a gate that is set up by nobody: every limit is the default, the sockets are real. `cargo xtask abuse` writes what
//! happened to `docs/abuse.md`.

#![expect(clippy::unwrap_used, reason = "a test that meets what it rules out fails")]

mod bombs;
mod floods;
mod origins;
mod ports;
mod sizes;
mod slow;
mod victim;

use std::fmt::Write as _;

use self::victim::Victim;

/// One attack: what was tried, what had to happen, and what did.
pub(crate) struct Row {
    pub(crate) attack: &'static str,
    pub(crate) tried: String,
    pub(crate) wanted: &'static str,
    pub(crate) happened: String,
    pub(crate) is_held: bool,
}

type Attack = fn(&Victim) -> Vec<Row>;

/// In three waves: those that look at memory are alone, the others take their time side by side.
const ALONE: [Attack; 2] = [sizes::attack, bombs::attack];
const TOGETHER: [Attack; 3] = [slow::attack, ports::attack, origins::attack];
const FLOODS: [Attack; 2] = [floods::of_messages, floods::of_connections];

/// Each attack has a gate of its own, and looks at the end whether that still serves.
async fn run(attack: Attack) -> Vec<Row> {
    let victim = Victim::start().await;
    let (mut rows, victim) = tokio::task::spawn_blocking(move || (attack(&victim), victim)).await.unwrap();
    let stats = victim.stop().await;
    if stats.panics > 0 {
        let happened = format!("{} panics", stats.panics);
        rows.iter_mut().for_each(|row| (row.happened, row.is_held) = (happened.clone(), false));
    }
    rows
}

fn table(rows: &[Row]) -> String {
    let mut table =
        "| attack | what was tried | what had to happen | what happened | held |\n|---|---|---|---|---|\n"
            .to_owned();
    for Row { attack, tried, wanted, happened, is_held } in rows {
        let held = if *is_held { "yes" } else { "**no**" };
        writeln!(table, "| {attack} | {tried} | {wanted} | {happened} | {held} |").unwrap();
    }
    table
}

/// Writes the table between the marks of its page, when that is asked for.
fn publish(table: &str) {
    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/abuse.md");
    const MARKS: [&str; 2] = ["<!-- table -->\n", "<!-- end -->\n"];
    if std::env::var_os("UPDATE").is_none() {
        return;
    }
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(MARKS[0]).unwrap();
    let (_, after) = rest.split_once(MARKS[1]).unwrap();
    std::fs::write(PAGE, format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1])).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_with_its_defaults_holds_against_every_attack() {
    let mut rows = Vec::new();
    for attack in ALONE {
        rows.extend(run(attack).await);
    }
    let together = TOGETHER.map(|attack| tokio::spawn(run(attack)));
    for attack in together {
        rows.extend(attack.await.unwrap());
    }
    for attack in FLOODS {
        rows.extend(run(attack).await);
    }
    let table = table(&rows);
    println!("{table}");
    publish(&table);
    let lost: Vec<&str> = rows.iter().filter(|row| !row.is_held).map(|row| row.attack).collect();
    assert!(lost.is_empty(), "not held: {lost:?}\n{table}");
}
