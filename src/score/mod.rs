//! What speaks for and against a message before it leaves: reasons with points, on the scale where ordinary mail is
//! under 50 and spam from 200.
//!
//! Rules, model and behaviour each look at a [`Submission`] and bring [`Reason`](crate::reason::Reason)s; the verdict
//! over them is the guard's, not ours. Judging one message changes nothing: what is learned comes by the events of the
//! queue. Start with [`submission`].

pub mod allow;
pub mod behaviour;
mod blanks;
pub mod combine;
mod files;
mod letters;
pub mod model;
pub mod other;
pub mod rules;
pub mod scorer;
pub mod settings;
pub mod similar;
pub mod submission;

pub use behaviour::Behaviour;
pub use rules::Rules;
pub use settings::ScoreSettings;
pub use submission::Submission;
