//! Who of the demo's bots says what, and when: small talk line by line, and people before everything else.
//!
//! What is said: `script.rs`. Who says it on which connection: `bots.rs`.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::bots::{Heard, Seated};
use super::messages::Name;
use super::script::{SceneLine, Scenes, answer, greeting};

/// What is still to be said to people; older things are forgotten.
const CUES_MAX: usize = 4;
/// People that are greeted as old friends when they come again.
const KNOWN_MAX: usize = 100;
/// The first lines come quickly, so that a page that is opened at once finds some.
const QUICK_LINES: u32 = 4;

/// Something a bot is to say.
struct Cue {
    bot: usize,
    text: String,
}

/// Decides who says what: to people first, and small talk otherwise.
pub(super) struct Director {
    perches: Vec<watch::Receiver<Option<Seated>>>,
    heard: mpsc::Receiver<Heard>,
    rng: Rng,
    scenes: Scenes,
    scene: &'static [SceneLine],
    /// Which bot has which voice in this scene.
    cast: Vec<usize>,
    cues: VecDeque<Cue>,
    known: VecDeque<Name>,
    /// The person who talks with the bots, and the bot that answered last.
    partner: Option<(Name, usize)>,
    spoke_last: usize,
    lines_said: u32,
}

impl Director {
    pub(super) fn new(perches: Vec<watch::Receiver<Option<Seated>>>, heard: mpsc::Receiver<Heard>) -> Self {
        Self {
            heard,
            rng: Rng::new(),
            scenes: Scenes::new(perches.len()),
            scene: &[],
            cast: (0..perches.len()).collect(),
            cues: VecDeque::new(),
            known: VecDeque::new(),
            partner: None,
            spoke_last: 0,
            lines_said: 0,
            perches,
        }
    }

    /// Has the bots talk, until they are all gone.
    pub(super) async fn run(mut self) {
        self.assemble().await;
        let mut is_open = true;
        while is_open {
            let (typing, pause) = self.pace();
            if let Some(cue) = self.next_cue() {
                self.speak(&cue, typing).await;
            }
            is_open = self.listen(Instant::now() + pause).await;
        }
    }

    /// How long the next line is typed, and how long nobody speaks after it.
    fn pace(&mut self) -> (Duration, Duration) {
        let (typing, pause) = match self.lines_said < QUICK_LINES {
            true => (150, 250),
            false => (self.rng.u64(700..1_300), self.rng.u64(1_100..1_900)),
        };
        (Duration::from_millis(typing), Duration::from_millis(pause))
    }

    /// Waits until the bots are there, but not for those that cannot come.
    async fn assemble(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(2);
        for perch in &mut self.perches {
            // An error means that it is too late, or that the bot is gone; the others begin.
            timeout_at(deadline, perch.wait_for(Option::is_some)).await.ok();
        }
    }

    fn next_cue(&mut self) -> Option<Cue> {
        if let Some(cue) = self.cues.pop_front() {
            return Some(cue);
        }
        if self.scene.is_empty() {
            self.scene = self.scenes.next(&mut self.rng);
            self.rng.shuffle(&mut self.cast);
        }
        let ((voice, text), rest) = self.scene.split_first()?;
        self.scene = rest;
        Some(Cue { bot: *self.cast.get(*voice)?, text: (*text).to_owned() })
    }

    async fn speak(&mut self, cue: &Cue, typing: Duration) {
        let Some(seated) = self.perches.get(cue.bot).and_then(|perch| perch.borrow().clone()) else { return };
        self.spoke_last = cue.bot;
        match seated.say(&cue.text, typing).await {
            Ok(()) => self.lines_said += 1,
            Err(error) => tracing::debug!(%error, "a bot could not speak"),
        }
    }

    /// Listens until the pause is over, or somebody is to be answered. `false`: no bot will ever hear anything again.
    async fn listen(&mut self, until: Instant) -> bool {
        while let Ok(heard) = self.heard.try_recv() {
            self.handle_heard(heard);
        }
        while self.cues.is_empty() {
            match timeout_at(until, self.heard.recv()).await {
                Ok(Some(heard)) => self.handle_heard(heard),
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
        true
    }

    fn handle_heard(&mut self, heard: Heard) {
        let cue = match heard {
            Heard::WasHere(name) if self.known.contains(&name) => return,
            Heard::WasHere(name) | Heard::Came(name) => {
                let is_known = self.known.contains(&name);
                let text = greeting(&name, is_known, &mut self.rng);
                if !is_known {
                    self.known.truncate(KNOWN_MAX - 1);
                    self.known.push_front(name);
                }
                Cue { bot: self.any_bot(), text }
            }
            Heard::Said { from, .. } if self.is_bot(&from) => return,
            Heard::Said { from, text } => {
                let bot = self.bot_for(&from, &text);
                let text = answer(&from, &text, &mut self.rng);
                self.partner = Some((from, bot));
                Cue { bot, text }
            }
        };
        self.spoke_last = cue.bot;
        if self.cues.len() == CUES_MAX {
            self.cues.pop_front();
        }
        self.cues.push_back(cue);
    }

    fn is_bot(&self, name: &Name) -> bool {
        self.perches.iter().any(|perch| perch.borrow().as_ref().is_some_and(|seated| seated.name == *name))
    }

    /// Who answers: the bot that is named, the one that talked with this person, or any.
    fn bot_for(&mut self, from: &Name, text: &str) -> usize {
        let is_named = |seated: &Seated| text.contains(&*seated.name);
        if let Some(named) =
            self.perches.iter().position(|perch| perch.borrow().as_ref().is_some_and(is_named))
        {
            return named;
        }
        match &self.partner {
            Some((name, bot)) if name == from && self.rng.bool() => *bot,
            _ => self.any_bot(),
        }
    }

    /// Any bot but the one that spoke last, so that it is a flock that talks.
    fn any_bot(&mut self) -> usize {
        let others = self.rng.usize(1..self.perches.len().max(2));
        (self.spoke_last + others) % self.perches.len().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A director of bots that nobody has connected.
    fn director(bots: usize) -> Director {
        let perches = (0..bots).map(|_| watch::channel(None).1).collect();
        Director { rng: Rng::with_seed(7), ..Director::new(perches, mpsc::channel(1).1) }
    }

    fn name(name: &str) -> Name {
        Name::try_from(name.to_owned()).unwrap()
    }

    fn said(from: &str, text: &str) -> Heard {
        Heard::Said { from: name(from), text: text.to_owned() }
    }

    #[test]
    fn a_flood_of_words_leaves_no_more_to_say_than_the_bound() {
        let mut director = director(5);
        for number in 0..100 {
            director.handle_heard(said(&format!("ann {number}"), "hello?"));
        }
        assert_eq!(director.cues.len(), CUES_MAX);
        assert!(director.cues.iter().any(|cue| cue.text.contains("ann 99")));
    }

    #[test]
    fn people_are_answered_before_small_talk_goes_on() {
        let mut director = director(3);
        director.next_cue().unwrap();
        director.handle_heard(said("ann", "thanks"));
        assert!(director.next_cue().unwrap().text.contains("ann"));
        assert!(!director.next_cue().unwrap().text.contains("ann"));
    }

    #[test]
    fn who_was_there_before_is_greeted_once_and_who_comes_in_each_time() {
        let mut director = director(3);
        director.handle_heard(Heard::WasHere(name("ann")));
        director.handle_heard(Heard::WasHere(name("ann")));
        assert_eq!(director.cues.len(), 1);
        director.handle_heard(Heard::Came(name("ann")));
        assert_eq!(director.cues.len(), 2);
        for number in 0..2 * KNOWN_MAX {
            director.handle_heard(Heard::Came(name(&format!("bob {number}"))));
        }
        assert_eq!(director.known.len(), KNOWN_MAX);
    }

    #[test]
    fn strangers_are_greeted_by_another_bot_than_spoke_last() {
        let mut director = director(2);
        let mut last = director.spoke_last;
        for _ in 0..20 {
            director.handle_heard(Heard::Came(name("ann")));
            let cue = director.next_cue().unwrap();
            assert_ne!(cue.bot, last);
            last = cue.bot;
        }
    }

    #[test]
    fn a_bot_alone_talks_and_answers() {
        let mut director = director(1);
        assert_eq!(director.next_cue().unwrap().bot, 0);
        director.handle_heard(said("ann", "hi"));
        assert_eq!(director.next_cue().unwrap().bot, 0);
    }
}
