//! What was right the last time: so that it is told when something goes wrong, and when it is right again. Pure.

use std::collections::BTreeMap;

use super::{Finding, Grade};

/// What names a finding from one time to the next.
pub type FindingKey = (String, String, String);

/// The last certain grade of each finding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    known: BTreeMap<FindingKey, Grade>,
}

/// A finding that is no more what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which way it went.
    pub turn: Turn,
    /// As it is now.
    pub finding: Finding,
}

/// Which way a finding went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It was right, or less bad.
    Worse,
    /// It was wrong and is right.
    Better,
}

impl Finding {
    /// What names it from one time to the next.
    pub fn key(&self) -> FindingKey {
        (self.subject.clone(), self.check.clone().into_owned(), self.about.clone())
    }
}

impl Standing {
    /// What an earlier run knew of one finding.
    pub fn recall(&mut self, key: FindingKey, grade: Grade) {
        if grade != Grade::Unknown {
            self.known.insert(key, grade);
        }
    }

    /// What is known of a finding: as it is now, or as it was when something certain was last found.
    pub fn grade_of(&self, finding: &Finding) -> Grade {
        self.known.get(&finding.key()).copied().unwrap_or(Grade::Unknown)
    }

    /// Whether something in these findings is worse than it was. It is worth a second look before it is told.
    pub fn is_worse(&self, findings: &[Finding]) -> bool {
        findings.iter().any(|finding| self.turn_of(finding) == Some(Turn::Worse))
    }

    /// Takes new findings over, and tells what changed. What could not be found out stays as it was known; what is not
    /// examined any more is forgotten; what is seen for the first time is no change.
    pub fn take(&mut self, findings: &[Finding]) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut known = BTreeMap::new();
        for finding in findings {
            if let Some(turn) = self.turn_of(finding) {
                changes.push(Change { turn, finding: finding.clone() });
            }
            let grade = if finding.grade == Grade::Unknown { self.grade_of(finding) } else { finding.grade };
            if grade != Grade::Unknown {
                known.insert(finding.key(), grade);
            }
        }
        self.known = known;
        changes
    }

    fn turn_of(&self, finding: &Finding) -> Option<Turn> {
        let before = *self.known.get(&finding.key())?;
        match finding.grade {
            Grade::Unknown => None,
            Grade::Right => (before > Grade::Right).then_some(Turn::Better),
            Grade::Warning | Grade::Fault => (finding.grade > before).then_some(Turn::Worse),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(about: &str, grade: Grade) -> Finding {
        Finding {
            subject: "example.com".into(),
            check: "spf".into(),
            about: about.into(),
            grade,
            found: String::new(),
            why: "".into(),
            mend: String::new(),
        }
    }

    #[test]
    fn what_is_told_of_one_finding_over_time() {
        use Grade::{Fault, Right, Unknown, Warning};
        // What is found, one time after the other, and what is told each time.
        let (worse, better) = (Some(Turn::Worse), Some(Turn::Better));
        let cases: [&[(Grade, Option<Turn>)]; 7] = [
            &[(Fault, None), (Fault, None), (Right, better), (Right, None)], // first sight is no change
            &[(Right, None), (Fault, worse), (Fault, None), (Right, better)], // once, not each time
            &[(Right, None), (Unknown, None), (Fault, worse), (Unknown, None), (Right, better)], // DNS trouble is no news
            &[(Fault, None), (Unknown, None), (Fault, None)],
            &[(Right, None), (Warning, worse), (Fault, worse), (Warning, None), (Fault, worse), (Right, better)],
            &[(Unknown, None), (Right, None), (Warning, worse)],
            &[(Unknown, None), (Fault, None)],
        ];
        for case in cases {
            let mut standing = Standing::default();
            for (at, (grade, expected)) in case.iter().enumerate() {
                let found = [finding("one", *grade), finding("other", Right)];
                assert_eq!(standing.is_worse(&found), *expected == worse, "{case:?} at {at}");
                let told: Vec<Turn> = standing.take(&found).iter().map(|change| change.turn).collect();
                assert_eq!(told, expected.iter().copied().collect::<Vec<_>>(), "{case:?} at {at}");
            }
        }
    }

    #[test]
    fn what_is_not_examined_any_more_is_forgotten() {
        let mut standing = Standing::default();
        standing.take(&[finding("one", Grade::Right)]);
        assert!(standing.take(&[]).is_empty());
        assert!(standing.take(&[finding("one", Grade::Fault)]).is_empty());

        let mut recalled = Standing::default();
        recalled.recall(finding("one", Grade::Right).key(), Grade::Right);
        assert_eq!(recalled.take(&[finding("one", Grade::Fault)]).len(), 1, "a restart forgets nothing");
    }
}
