//! Pages of other people that open WebSockets with the cookies of our users.

use super::Row;
use super::victim::Victim;

/// Pages that are not the gate's own; its host is `game.example:3250`.
const FOREIGN: [&str; 13] = [
    "null",
    "https://evil.example",
    "https://game.example",
    "https://game.example:3251",
    "http://game.example:80",
    "https://sub.game.example:3250",
    "https://game.example.evil.example:3250",
    "https://evilgame.example:3250",
    "https://game.example:3250@evil.example",
    "https://evil.example/game.example:3250",
    "https://g\u{e4}me.example:3250",
    "https://xn--gme-qla.example:3250",
    "file://",
];
/// Its own, however they are written, and clients that are no browsers.
const OWN: [&str; 3] = ["http://game.example:3250", "https://GAME.Example:3250", ""];

pub(crate) fn attack(victim: &Victim) -> Vec<Row> {
    let status = |origin: &str| {
        let header = if origin.is_empty() { String::new() } else { format!("Origin: {origin}\r\n") };
        victim.connect().upgrade(&header)
    };
    let accepted: Vec<_> = FOREIGN.iter().filter(|origin| status(origin) == Some(101)).collect();
    let refused: Vec<_> = OWN.iter().filter(|origin| status(origin) != Some(101)).collect();
    let two =
        victim.connect().upgrade("Origin: http://game.example:3250\r\nOrigin: https://evil.example\r\n");
    let counted = victim.stats().origins_refused;
    vec![Row {
        attack: "foreign origins",
        tried: format!(
            "{} origins: null, other ports, hosts that look alike, IDN, two at once",
            FOREIGN.len() + 1
        ),
        wanted: "403 for each, 101 for its own in any case",
        happened: format!(
            "{} of others let in, {} of its own refused, {counted} counted",
            accepted.len(),
            refused.len()
        ),
        is_held: accepted.is_empty() && refused.is_empty() && two != Some(101),
    }]
}
