//! `docs/scoring.md`: what each rule means, made from the data. A test keeps the copy in `docs/` equal to this.

use std::fmt::Write;

use super::data::{Family, RuleData, RuleEntry};
use super::guide::ADVICE;

const HEAD: &str = "# Scoring by rules

This page is made from the program: `OUTGUARD_BLESS=1 cargo test --test scoring_page` writes it anew.

Every message that comes in is looked at by the rules below. Each one that sees something is a *reason*: a name, points and a
sentence, kept with the message and shown by `outguard queue show`. The points of all reasons (the model's and the account's
behaviour bring theirs, too) are the score. Ordinary mail stays under 50, commercial mail is near 100, spam begins at 200; from
`[score] hold` on (150) a message is held for a person.

Rules of one *family* speak of the same thing and must not add up as if each were news. A family adds at most its cap, or its
heaviest rule alone, whichever is more; the lighter reasons are still shown, with what is left for them.

*Soft* rules, so marked below and of 70 points at most, count by the text they stand in (`docs/model.md`). One that is
like ordinary mail's takes back up to 60 of their points, 12 for each unit of log-odds below even (`text-is-ordinary`); one that is
like spam adds to them, as much again where it has 30 points itself (`text-and-rules`), but not to those of the family `fraud`,
whose phrases the text's own points have counted already. Points that you set, rules of your own, and rules that saw something
done rather than said (most of those for files, programs, forged marks and borrowed names) count as they are.

**Other points**: `[score.points]` with `rule-name = 30`; 0 switches a rule off. For one account or domain the same stands in
`[[score.override]]`. **Other lists**: `[score.lists]` with `list-name = [\"added.example\", \"-taken-out.example\"]`; `-*` empties a
list first. **Rules of your own**: `[[score.rule]]`, see `docs/reference.md`.

To test a set-up, send GTUBE (see [`gtube`](#gtube)).
";

const GUIDE: &str = "
## What the provider advises

What OVHcloud's guides say of content, and which rules look at it.

| about | advice | looked at by |
|---|---|---|
";

const STEPS: &str = "
## How to add a rule

1. Say in one sentence what it sees, and to which family it belongs. If you cannot, it is two rules, or none.
2. If it looks for words, write a `[[rule]]` with `words`, `hits` and `misses` and its `[[words]]` into `config/rules.toml`; you
   are done but for steps 5 and 6.
3. Else write a function of the family's file in `src/score/rules/` (`fn(&Look) -> Sight`), add it to `RULES` there, and its
   `[[rule]]` to `config/rules.toml`. What is data (domains, endings, names) goes into a `[[list]]` there, not into code.
4. Add hits and near misses to the table of tests in that file, each with a reason. A rule without both fails the tests.
5. `outguard score --json FOLDER | jq -r '.reasons[].name' | sort | uniq -c` counts what each rule sees in mail of one label. Choose
   points by it: a soft rule 5 to 40, and 150 alone only if nobody can have a good reason to send this. Look at each ham message
   that it helps over 50.
6. `OUTGUARD_BLESS=1 cargo test --test scoring_page`, and read your rule on this page as an operator whose mail it has just held.
";

/// The page.
pub fn page(data: &RuleData) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n| family | cap | what it speaks of |\n|---|--:|---|\n");
    for family in &data.families {
        let cap = if family.points_min < 0 { family.points_min } else { family.points_max };
        let _ = writeln!(text, "| [{0}](#family-{0}) | {cap} | {1} |", family.name, family.sentence);
    }
    for family in &data.families {
        section(&mut text, data, family);
    }
    text.push_str("\n## Lists\n\nNames for `[score.lists]`.\n\n| list | entries | what stands in it | origin |\n|---|--:|---|---|\n");
    for list in &data.lists {
        let _ = writeln!(text, "| `{}` | {} | {} | {} |", list.name, list.entries.len(), list.sentence, list.origin);
    }
    for topic in &data.topics {
        let languages: Vec<&str> = topic.by_language.keys().map(String::as_str).collect();
        let words: usize = topic.by_language.values().map(Vec::len).sum();
        let _ = writeln!(
            text,
            "| `{}` | {words} | {} Words in {}. | {} |",
            topic.name,
            topic.sentence,
            languages.join(", "),
            topic.origin
        );
    }
    guide(&mut text);
    text.push_str(STEPS);
    text
}

fn section(text: &mut String, data: &RuleData, family: &Family) {
    let _ = writeln!(text, "\n## Family {}\n\n{}", family.name, family.sentence);
    for rule in data.rules.iter().filter(|rule| rule.family == family.name) {
        entry(text, rule);
    }
}

/// The provider's advice, with the rules that look at each point.
fn guide(text: &mut String) {
    text.push_str(GUIDE);
    for advice in &ADVICE {
        let rules: Vec<String> = advice.rules.iter().map(|name| format!("[`{name}`](#{name})")).collect();
        let beside = if rules.is_empty() || advice.beside.is_empty() { "" } else { "; " };
        let _ =
            writeln!(text, "| {} | {} | {}{beside}{} |", advice.topic, advice.says, rules.join(", "), advice.beside);
    }
}

fn entry(text: &mut String, rule: &RuleEntry) {
    let soft = if rule.is_soft() { ", soft" } else { "" };
    let _ = writeln!(text, "\n### {}\n\n**{:+}**{soft}: {}.", rule.name, rule.points, rule.sentence);
    let _ = writeln!(text, "{}", rule.why);
    if rule.words.is_some() {
        let _ = writeln!(text, "Sees “{}”, not “{}”.", rule.hits, rule.misses);
    }
    let _ = writeln!(text, "*Origin: {}.*", rule.origin.trim_end_matches('.'));
}
