//! The page about rules says what the data says.
//!
//! `OUTGUARD_BLESS=1 cargo test --test scoring_page` writes it anew.

use std::path::Path;

use outguard::score::rules::{data, page};

#[test]
fn the_page_is_up_to_date() {
    let made = page::page(data::embedded());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scoring.md");
    if std::env::var_os("OUTGUARD_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "docs/scoring.md is not what config/rules.toml says; run OUTGUARD_BLESS=1 cargo test --test scoring_page and \
         look at the difference"
    );
}
