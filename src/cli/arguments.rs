//! What can be written behind `outguard`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::store::DeliveryState;

/// Where the configuration is if nothing else is said.
pub const CONFIG_PATH: &str = "/etc/outguard/outguard.toml";

/// A local guard for outgoing mail: keeps hourly limits exactly and loses nothing.
#[derive(Debug, Parser)]
#[command(name = "outguard", version, propagate_version = true, after_help = super::exit::EXIT_CODES)]
pub struct Arguments {
    /// The configuration file [default: /etc/outguard/outguard.toml].
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The daemon's control socket, if not the one of the configuration.
    #[arg(long, value_name = "PATH", global = true)]
    pub socket: Option<PathBuf>,
    /// For scripts: one JSON object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Whom the answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// People at a terminal.
    People,
    /// Scripts.
    Json,
}

impl Arguments {
    /// Whom the answer is for.
    pub fn look(&self) -> Look {
        if self.json { Look::Json } else { Look::People }
    }
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground, until SIGTERM. SIGHUP reads the configuration again.
    Run,
    /// Read the configuration, say what is wrong with it, and print what holds.
    Check(CheckArguments),
    /// What the daemon does, how much waits, what is held.
    Status,
    /// Look at waiting and held mail, and change it.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Hold mail: nothing of it leaves until it is resumed.
    Hold(HoldArguments),
    /// Let held mail go on.
    Resume(GateArguments),
    /// Who used how much of which limit, and when the next slot comes free.
    Limits,
    /// What became of a message.
    Trace(TraceArguments),
    /// Score messages as they would be at the final dot, without a daemon: no habit and no lesson is known.
    Score(ScoreArguments),
    /// Say what messages were, for the model to learn.
    #[command(subcommand)]
    Teach(TeachCommand),
    /// Let mail pass that would be held: up to 300 points are taken off it.
    #[command(subcommand)]
    Allow(AllowCommand),
    /// Look at reverse DNS, SPF, DKIM, DMARC and block lists of this server, and say what mends them.
    Doctor(DoctorArguments),
    /// Keys that sign outgoing mail.
    #[command(subcommand)]
    Dkim(DkimCommand),
    /// Make a line of the password file for AUTH; the password is read from standard input.
    Password(PasswordArguments),
    /// Make a model for the scoring of text from labelled mail, or measure one.
    Train(Box<super::train::TrainArguments>),
    /// See it at work: a relay, three senders and a next hop in this process; nothing leaves the machine.
    Demo(DemoArguments),
}

/// `outguard check`.
#[derive(Debug, Clone, Copy, Args)]
pub struct CheckArguments {
    /// Say only what is wrong.
    #[arg(long)]
    pub quiet: bool,
}

/// `outguard queue`.
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List messages, oldest first.
    List(ListArguments),
    /// Show one message, why it waits, and when it is expected to leave.
    Show {
        /// Queue id.
        id: String,
    },
    /// Try waiting mail now instead of at its time. Limits hold as ever.
    Flush(FlushArguments),
    /// Take messages out of the queue. They are not delivered, and nobody is told.
    Remove(RemoveArguments),
    /// Let messages go that the guard held. It learns that they were wanted.
    Release {
        /// Queue ids.
        #[arg(required = true)]
        ids: Vec<String>,
        /// For so long, let more pass of the same account and list (or template).
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        allow: Option<std::time::Duration>,
    },
}

/// `outguard allow`.
#[derive(Debug, Subcommand)]
pub enum AllowCommand {
    /// Let mail pass that would be held: up to 300 points are taken off it. What has a virus or is a test string never passes.
    Add {
        /// Mail of this account.
        #[arg(long, required_unless_present_any = ["list", "like"])]
        account: Option<String>,
        /// Mail with this List-Id. Anybody can write one: better together with an account.
        #[arg(long)]
        list: Option<String>,
        /// More mail like this message of the queue: of its account and its list or template.
        #[arg(long, value_name = "QUEUE ID", conflicts_with_all = ["account", "list"])]
        like: Option<String>,
        /// For so long.
        #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30d")]
        duration: std::time::Duration,
        /// Why, for colleagues.
        #[arg(long, default_value = "", hide_default_value = true)]
        why: String,
    },
    /// What passes, until when and why.
    List,
    /// End a rule.
    Remove {
        /// Its number.
        id: u64,
    },
}

/// `outguard teach`.
#[derive(Debug, Subcommand)]
pub enum TeachCommand {
    /// These messages were wanted.
    Ham(TaughtMessages),
    /// These were spam: as an operator saw it, or the provider's notice says.
    Spam(TaughtMessages),
    /// What OVHcloud flagged was spam: takes the answer of its API (/ip/{ip}/spam/{ipSpamming}/stats), a notice, or
    /// Message-IDs, one a line.
    Flagged {
        /// Where it stands; none or - is standard input.
        list: Option<PathBuf>,
    },
    /// What was taught, by whom and when.
    List,
    /// Take a lesson back.
    Undo {
        /// The queue id that the list shows.
        message: String,
    },
    /// Write all lessons to standard output, one a line.
    Export,
    /// Take lessons from standard input, as exported.
    Import,
}

/// The messages of `outguard teach ham` and `spam`.
#[derive(Debug, Args)]
pub struct TaughtMessages {
    /// Queue ids or Message-IDs of mail of the last days.
    #[arg(required = true)]
    pub messages: Vec<String>,
    /// They are named by files instead: messages, mbox files or Maildirs.
    #[arg(long)]
    pub files: bool,
}

/// `outguard score`.
#[derive(Debug, Args)]
pub struct ScoreArguments {
    /// Messages, mbox files or Maildirs; none or - is standard input.
    pub files: Vec<PathBuf>,
    /// Judge as a message of this account.
    #[arg(long)]
    pub account: Option<String>,
    /// Judge text by this model in place of the configured one.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
}

/// `outguard queue list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only of this account.
    #[arg(long)]
    pub account: Option<String>,
    /// Only to this address, or with @example.org to this domain.
    #[arg(long)]
    pub to: Option<String>,
    /// Only with deliveries in this state.
    #[arg(long)]
    pub state: Option<State>,
    /// At most so many messages.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// `outguard queue flush`.
#[derive(Debug, Args)]
pub struct FlushArguments {
    /// Only this message.
    #[arg(value_name = "QUEUE ID")]
    pub id: Option<String>,
    /// Only of this account.
    #[arg(long)]
    pub account: Option<String>,
    /// Only to this address, or with @example.org to this domain.
    #[arg(long)]
    pub to: Option<String>,
}

/// What is taken out of the queue.
#[derive(Debug, Args)]
pub struct RemoveArguments {
    /// Queue ids.
    #[arg(value_name = "QUEUE ID", required_unless_present = "account")]
    pub ids: Vec<String>,
    /// All that waits or is held of this account. Hold it first, so that no more of it leaves or comes to wait.
    #[arg(long, conflicts_with = "ids")]
    pub account: Option<String>,
    /// They were spam: the model learns it.
    #[arg(long)]
    pub spam: bool,
}

/// What stands in the way of leaving, as a word of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Leaves by itself when its time, turn and slot come.
    Waiting,
    /// Waits for a person: to release it, or to open the gate before it.
    Held,
    /// With a next hop now.
    UnderWay,
}

impl From<State> for DeliveryState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Held => Self::Held,
            State::UnderWay => Self::UnderWay,
        }
    }
}

/// What is held.
#[derive(Debug, Args)]
pub struct GateArguments {
    /// What to stop or let go.
    pub kind: Gated,
    /// The account's or egress's name.
    #[arg(default_value = "", hide_default_value = true)]
    pub name: String,
}

/// `outguard hold`.
#[derive(Debug, Args)]
pub struct HoldArguments {
    /// What to hold.
    #[command(flatten)]
    pub gate: GateArguments,
    /// Why, for the journal and for colleagues.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub reason: String,
}

/// What a hold stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Gated {
    /// Everything.
    All,
    /// The mail of one account.
    Account,
    /// What leaves from one egress.
    Egress,
}

impl From<Gated> for crate::store::GateKind {
    fn from(gated: Gated) -> Self {
        match gated {
            Gated::All => Self::All,
            Gated::Account => Self::Account,
            Gated::Egress => Self::Egress,
        }
    }
}

/// `outguard trace`.
#[derive(Debug, Args)]
pub struct TraceArguments {
    /// A Message-ID, a queue id, the MTA's queue id, or an address (sender, account or recipient).
    pub term: String,
    /// At most so many messages, newest first.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: usize,
}

/// `outguard password`.
#[derive(Debug, Args)]
pub struct PasswordArguments {
    /// The name that clients log in with.
    pub user: String,
}

/// `outguard doctor`.
#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Only these sending domains [default: those that the configuration names, and the 20 that sent most].
    pub domains: Vec<String>,
    /// Say what is right too.
    #[arg(long)]
    pub all: bool,
    /// Look at nothing: say what the daemon found when it last looked by itself.
    #[arg(long, conflicts_with = "domains")]
    pub last: bool,
}

/// `outguard dkim`.
#[derive(Debug, Subcommand)]
pub enum DkimCommand {
    /// Make a key, and print the record to publish and the lines for the configuration.
    Keygen(KeygenArguments),
    /// Print the records of the keys in the configuration.
    Record {
        /// Only of this domain.
        domain: Option<String>,
    },
}

/// `outguard dkim keygen`.
#[derive(Debug, Args)]
pub struct KeygenArguments {
    /// The domain that signs.
    pub domain: String,
    /// The name under which the key is published [default: og and this month, such as og202611].
    #[arg(long)]
    pub selector: Option<String>,
    /// What kind of key. Not all receivers know Ed25519: use it beside RSA.
    #[arg(long, default_value = "rsa")]
    pub kind: DkimKind,
    /// Where the key is written to.
    #[arg(long, value_name = "FOLDER", default_value = "/etc/outguard/dkim")]
    pub folder: PathBuf,
}

/// A kind of key, as a word of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DkimKind {
    /// RSA with 2048 bits.
    Rsa,
    /// Ed25519.
    Ed25519,
    /// One of each, under two selectors.
    Both,
}

/// `outguard demo`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// About half a minute instead of two.
    #[arg(long)]
    pub fast: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_do_not_contradict_themselves() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
