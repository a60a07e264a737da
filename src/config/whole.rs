//! The whole configuration: all sections of one file, read together.

use std::path::Path;

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::log::{self, LogSettings};
use super::reader::{Purpose, Reading, key};
use super::record::Record;
use super::source::{CONFIG_BYTES_MAX, Source};
use super::surroundings::{Machine, Surroundings};
use super::{
    account, align, api, delivery, dispatch, intake, limits, named, ovh, own_reports, review, score, scorers, store,
};
use crate::account::AccountSettings;
use crate::align::AlignSettings;
use crate::align::settings::Judge;
use crate::api::ApiSettings;
use crate::delivery::settings::DeliverySettings;
use crate::dispatch::DispatchSettings;
use crate::intake::IntakeSettings;
use crate::limits::{LimitSettings, PaceSettings};
use crate::ovh::OvhSettings;
use crate::review::ReviewSettings;
use crate::score::ScoreSettings;
use crate::score::behaviour::BehaviourSettings;
use crate::score::other::OtherSettings;
use crate::store::settings::StoreSettings;

/// What the daemon runs with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `user`: whose rights the daemon keeps when it is started as root.
    pub user: Option<String>,
    /// `store`, `[disk]`, `[journal]`.
    pub store: StoreSettings,
    /// `[[listen]]`, `[trust]`, `[tls]`, `[auth]`, `[intake]`.
    pub intake: IntakeSettings,
    /// `[[egress]]`, `[[route]]`, `[delivery]`, `[dsn]`, `[dns]`.
    pub delivery: DeliverySettings,
    /// `[limits]`.
    pub limits: LimitSettings,
    /// `[pace]`.
    pub pace: PaceSettings,
    /// `[dispatch]`, `[retry]`, `[waiting]`.
    pub dispatch: DispatchSettings,
    /// `[score]`.
    pub score: ScoreSettings,
    /// `[score.behaviour]`.
    pub behaviour: BehaviourSettings,
    /// `[scorers]`.
    pub scorers: OtherSettings,
    /// `[align]`, `[signing]`, `[[dkim]]`.
    pub align: AlignSettings,
    /// `[account]`.
    pub account: AccountSettings,
    /// `[control]`.
    pub api: ApiSettings,
    /// `[review]`; `None`: pages on the control socket alone.
    pub review: Option<ReviewSettings>,
    /// `[ovh]`; `None`: OVHcloud is not asked.
    pub ovh: Option<OvhSettings>,
    /// `[log]`.
    pub log: LogSettings,
}

/// A configuration that can be used, with what the operator should know about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Every option with its value and origin.
    pub record: Record,
    /// Warnings only.
    pub warnings: Diagnostics,
}

impl Config {
    /// Reads the file at `path` on this machine.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once; warnings among them.
    pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
        let name = path.to_string_lossy();
        let text = read_file(path).map_err(|sentence| {
            Diagnostics::new(vec![Diagnostic {
                severity: Severity::Error,
                file: name.clone().into_owned(),
                position: None,
                key: String::new(),
                value: None,
                sentence,
            }])
        })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::parse(&text, &name, &Machine::new(folder))
    }

    /// Reads `text`, which the diagnostics call `name`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, name: &str, surroundings: &dyn Surroundings) -> Result<Loaded, Diagnostics> {
        let source = Source::new(name, text);
        let tree = source.tree();
        let reading = Reading::new(&source, surroundings, Purpose::Run);
        let config = Self::read(&reading, &tree);
        let (diagnostics, record) = reading.finish();
        let diagnostics = Diagnostics::new(diagnostics);
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        Ok(Loaded { config, record, warnings: diagnostics })
    }

    /// Every option there is, as it stands where nothing is written.
    pub fn options(surroundings: &dyn Surroundings) -> Record {
        let source = Source::new("", "");
        let tree = source.tree();
        let reading = Reading::new(&source, surroundings, Purpose::Reference);
        Self::read(&reading, &tree);
        reading.finish().1
    }

    /// One line for each section, in the order of the reference.
    fn read<'r>(reading: &'r Reading<'r>, tree: &'r toml::Spanned<toml::de::DeTable<'r>>) -> Self {
        let mut root = reading.root(tree);
        let user = root.optional(
            key(
                "user",
                "The user that the daemon becomes when it is started as root. Absent: it stays who it is. A change needs a \
                 restart.",
            )
            .example("\"outguard\""),
        );
        let store = store::read(&mut root);
        let intake = intake::read(&mut root);
        let (limits, overrides) = limits::read(&mut root, store.attempts_keep);
        let pace = dispatch::read_pace(&mut root);
        let dispatch = dispatch::read(&mut root);
        let (delivery, dsn_from) = delivery::read(&mut root);
        let (judging, behaviour) = score::read(&mut root);
        let servers = delivery.dns.servers.clone();
        let (scorers, scorers_at) = scorers::read(&mut root);
        let align_at = root.place("align");
        let config = Self {
            user,
            intake,
            limits,
            pace,
            dispatch,
            delivery,
            score: judging,
            behaviour,
            scorers,
            align: align::read(&mut root, &servers),
            account: account::read(&mut root),
            api: api::read(&mut root),
            review: review::read(&mut root),
            ovh: ovh::read(&mut root),
            log: log::read(&mut root),
            store,
        };
        let limits = &config.limits.overrides;
        let (answer, enabled) = (config.intake.timeouts.answer, config.score.enabled);
        if config.align.judge == Judge::All {
            scorers::check_time(reading, &align_at, config.align.time_limit, answer);
        }
        scorers::check(reading, &config.scorers, &scorers_at, answer, enabled);
        limits::check_names(reading, limits, &overrides, &config.delivery);
        own_reports::check(reading, &dsn_from, &config.intake, &config.delivery);
        named::check(reading, config.account.local_part, &config.delivery);
        config
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|e| format!("cannot be opened: {e}"))?;
    let mut bytes = Vec::new();
    let limit = CONFIG_BYTES_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|e| format!("cannot be read: {e}"))?;
    if bytes.len() > CONFIG_BYTES_MAX {
        return Err(format!("longer than {} KiB; is this the right file?", CONFIG_BYTES_MAX >> 10));
    }
    String::from_utf8(bytes).map_err(|e| {
        let line = memchr::memchr_iter(b'\n', &e.as_bytes()[..e.utf8_error().valid_up_to()]).count() + 1;
        format!("line {line} is not UTF-8; save the file as UTF-8")
    })
}
