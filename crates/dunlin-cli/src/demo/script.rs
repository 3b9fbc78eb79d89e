//! What the demo's bots say: small talk among birds, greetings, and answers to people. Pure: dice in, words out.

use fastrand::Rng;

/// One line of a scene: which of its voices speaks, and what.
pub(super) type SceneLine = (usize, &'static str);

/// Small talk that needs as many bots as its highest voice says.
const SCENES: &[&[SceneLine]] = &[
    &[
        (0, "Tide's turning. The mud will be out in an hour."),
        (1, "Good, I'm starving. Where do we go first?"),
        (0, "The south bar. The lugworms are lazy there."),
        (2, "Everything is lazy there, including the falcons."),
        (1, "Don't say falcon."),
    ],
    &[
        (0, "Has anyone counted us today?"),
        (1, "Somebody with a telescope tried. At four hundred we took off."),
        (0, "Rude."),
        (1, "They laughed and started again."),
    ],
    &[
        (0, "How far did you come this spring?"),
        (1, "Mauritania to Iceland, with one stop in the Wadden Sea."),
        (2, "One stop? I had three, and a proper bath at each."),
        (1, "That explains why you were late."),
    ],
    &[
        (0, "Why do they call us dunlin, anyway?"),
        (1, "From dun. The little brown one."),
        (0, "I am not brown. I am chestnut."),
        (1, "In winter you are grey, my friend."),
    ],
    &[
        (0, "When we all turn at once, who decides?"),
        (1, "Nobody. I watch the few nearest me and do what they do."),
        (2, "I only watch you."),
        (1, "That explains Tuesday."),
    ],
    &[
        (0, "Blowing from the north-east again."),
        (1, "How strong?"),
        (0, "I flew backwards for a while."),
        (2, "Then we stay. Plenty of shrimp on the lee side."),
    ],
    &[(0, "I found a snail."), (1, "And?"), (0, "That's it. That's the news."), (1, "Good news, though.")],
    &[
        (0, "Dog on the beach."),
        (1, "On a lead?"),
        (0, "In theory."),
        (2, "Everybody up. One circle, then back down."),
        (0, "He only wanted to say hello."),
    ],
    &[
        (0, "The sanderlings are running after the waves again."),
        (1, "They think the sea is leaving."),
        (2, "Twice a day they're right."),
    ],
    &[
        (0, "A godwit flew from Alaska to Tasmania without a stop."),
        (1, "How long does that take?"),
        (0, "Eleven days."),
        (2, "I can't go eleven minutes without a snack."),
    ],
    &[(0, "My ring says: please report."), (1, "Did you?"), (0, "With what thumbs?")],
    &[
        (0, "How do you sleep with a flock this loud?"),
        (1, "One half of the brain at a time."),
        (0, "And the other half?"),
        (1, "Listens to you, apparently."),
    ],
    &[
        (0, "Is it high water yet?"),
        (1, "Look down."),
        (0, "Ah."),
        (1, "Move up a bit, there's room on the groyne."),
    ],
    &[
        (0, "I can stand on one leg for an hour."),
        (1, "Which one?"),
        (0, "Now I have to look. Left."),
        (2, "That's the wooden post."),
    ],
    &[(0, "Low water is the best time of the day. Both of them.")],
    &[(0, "Sun's out. Feathers nearly dry.")],
    &[(0, "Probing, probing, probing. Got one.")],
    &[(0, "If anyone finds my other sandbank, it was here this morning.")],
];

const GREETINGS: &[&str] = &[
    "Welcome, {name}! Find yourself a dry spot.",
    "Hello {name}. We were just talking about the tide.",
    "{name} has landed. Move up a bit, everybody.",
    "Good to see you, {name}. Say something, we don't bite.",
];

const GREETINGS_AGAIN: &[&str] =
    &["Back already, {name}? The mud missed you.", "Welcome back, {name}.", "There you are again, {name}."];

/// Answers by what a person's words are about; the first that fits is taken.
const ANSWERS: &[(&[&str], &[&str])] = &[
    (
        &["falcon", "hawk", "cat", "fox"],
        &[
            "Where?! Everybody up!",
            "Please, {name}, not that word.",
            "I looked twice. It was a kite, the paper kind.",
        ],
    ),
    (
        &["rust", "code", "server", "websocket", "socket", "tcp", "dunlin", "bot", "bots", "work", "works"],
        &[
            "We sit on real sockets, {name}, some WebSocket and some plain TCP. Our nest is in the Handler source tab.",
            "Ask the Handler source tab, {name}. It is what runs here, line by line.",
        ],
    ),
    (
        &["hi", "hello", "hey", "hallo", "moin", "morning", "evening", "howdy", "hola", "salut", "grüße"],
        &["Hello {name}! How was the flight?", "Hi {name}. Mind the puddle.", "Good tide to you, {name}."],
    ),
    (&["bye", "goodbye", "ciao", "night"], &["Safe flight, {name}!", "Tailwind to you, {name}."]),
    (
        &["thanks", "thank", "thx", "danke", "merci"],
        &["Any time, {name}.", "Don't mention it, {name}. Pass the shrimp."],
    ),
    (
        &["haha", "hehe", "lol", "funny"],
        &["We do evenings too, {name}.", "{name} laughs. I shall tell it again."],
    ),
    (
        &["worm", "worms", "shrimp", "snail", "food", "eat", "hungry", "lunch", "dinner"],
        &["South bar, {name}. Tell them we sent you.", "Say it quietly, {name}, or the gulls hear it."],
    ),
    (
        &["bird", "birds", "wader", "flock", "fly", "feather", "wing", "wings"],
        &["You know your way around a flock, {name}.", "Spoken like someone with wings, {name}."],
    ),
];

const ANSWERS_TO_QUESTIONS: &[&str] = &[
    "Good question, {name}. Ask the one with the longest bill.",
    "I'd say yes, {name}, but I also said yes to that sandbank.",
    "It's in the tide tables, {name}. Somewhere near the back.",
    "Depends on the wind, {name}.",
];

const ANSWERS_TO_THE_REST: &[&str] = &[
    "I'll tell the flock, {name}.",
    "That's what the oystercatcher said, {name}.",
    "Noted, {name}. Anything about worms?",
    "Go on, {name}. High water is hours away.",
    "You have a point, {name}. Mine is longer, though.",
    "{name} is right, you know.",
];

/// The scenes in an order drawn by dice, each once before any comes again.
pub(super) struct Scenes {
    left: Vec<&'static [SceneLine]>,
    voices_max: usize,
}

impl Scenes {
    /// Scenes for so many bots.
    pub(super) fn new(voices_max: usize) -> Self {
        Self { left: Vec::new(), voices_max }
    }

    /// The next scene; none when there is nobody to play it.
    pub(super) fn next(&mut self, rng: &mut Rng) -> &'static [SceneLine] {
        if self.left.is_empty() {
            self.left = SCENES.iter().copied().filter(|scene| voices(scene) <= self.voices_max).collect();
            rng.shuffle(&mut self.left);
        }
        self.left.pop().unwrap_or_default()
    }
}

fn voices(scene: &[SceneLine]) -> usize {
    scene.iter().map(|(voice, _)| voice + 1).max().unwrap_or(0)
}

/// Greets somebody who came in.
pub(super) fn greeting(name: &str, is_known: bool, rng: &mut Rng) -> String {
    one_of(if is_known { GREETINGS_AGAIN } else { GREETINGS }, name, rng)
}

/// Answers a line that a person said.
pub(super) fn answer(name: &str, text: &str, rng: &mut Rng) -> String {
    let text = text.to_lowercase();
    let has =
        |wanted: &&str| text.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == *wanted);
    let by_word = ANSWERS.iter().find(|(words, _)| words.iter().any(&has));
    let answers = match by_word {
        Some((_, answers)) => answers,
        None if text.contains('?') => ANSWERS_TO_QUESTIONS,
        None => ANSWERS_TO_THE_REST,
    };
    one_of(answers, name, rng)
}

fn one_of(lines: &[&str], name: &str, rng: &mut Rng) -> String {
    rng.choice(lines).copied().unwrap_or_default().replace("{name}", name)
}

#[cfg(test)]
mod tests {
    use super::super::messages::Text;
    use super::*;

    #[test]
    fn a_scene_never_needs_more_voices_than_there_are() {
        for voices_max in 0..4 {
            let (mut scenes, mut rng) = (Scenes::new(voices_max), Rng::with_seed(1));
            for _ in 0..2 * SCENES.len() {
                assert!(voices(scenes.next(&mut rng)) <= voices_max);
            }
        }
    }

    #[test]
    fn every_scene_is_played_before_one_comes_again() {
        let (mut scenes, mut rng) = (Scenes::new(5), Rng::with_seed(2));
        let mut played: Vec<_> = SCENES.iter().map(|_| scenes.next(&mut rng)).collect();
        played.sort_unstable();
        played.dedup();
        assert_eq!(played.len(), SCENES.len());
    }

    #[test]
    fn whatever_is_said_fits_the_chat_even_for_the_longest_name() {
        let name = "W".repeat(24);
        let lists = ANSWERS.iter().map(|(_, answers)| *answers);
        let lists = lists.chain([GREETINGS, GREETINGS_AGAIN, ANSWERS_TO_QUESTIONS, ANSWERS_TO_THE_REST]);
        for line in lists.flatten() {
            Text::try_from(line.replace("{name}", &name)).unwrap();
        }
        for (_, line) in SCENES.iter().copied().flatten() {
            Text::try_from((*line).to_owned()).unwrap();
        }
    }

    #[test]
    fn answers_are_about_whole_words() {
        let answer = |text| answer("ann", text, &mut Rng::with_seed(3));
        let of = |answer: &str, topic: &str| {
            let (_, answers) = ANSWERS.iter().find(|(words, _)| words.contains(&topic)).unwrap();
            answers.iter().any(|line| line.replace("{name}", "ann") == answer)
        };
        assert!(of(&answer("Oh, HELLO there"), "hello"));
        assert!(!of(&answer("this is a hill"), "hi"));
        assert!(answer("is it?").contains("ann"));
    }
}
