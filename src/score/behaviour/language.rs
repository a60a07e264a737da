//! Which language a text is in, cheaply: its script, and for Latin letters the small words that each language lives on.
//!
//! It is a facet of habit, not a translation: what matters is that the same kind of text gets the same answer. Texts too
//! short to tell get none.

use std::collections::HashMap;
use std::sync::LazyLock;

use foldhash::fast::FixedState;

/// A language or, where a script has one large language or we cannot tell, the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::score) struct Language(&'static str);

impl Language {
    /// Its name in English.
    pub(in crate::score) fn name(self) -> &'static str {
        self.0
    }
}

/// Words of a text that are looked at.
const WORDS_MAX: usize = 150;
/// Letters that a script must have, and small words that a language must have, before it is believed.
const LETTERS_MIN: u32 = 24;
const SMALL_WORDS_MIN: u32 = 3;

/// Scripts with the ranges of their letters. Kana stands before Han: Japanese has both.
const SCRIPTS: [(&str, &[(char, char)]); 10] = [
    ("Japanese", &[('\u{3040}', '\u{30ff}')]),
    ("Korean", &[('\u{ac00}', '\u{d7af}'), ('\u{1100}', '\u{11ff}')]),
    ("Chinese", &[('\u{3400}', '\u{9fff}')]),
    ("Cyrillic", &[('\u{400}', '\u{52f}')]),
    ("Greek", &[('\u{370}', '\u{3ff}')]),
    ("Arabic", &[('\u{600}', '\u{6ff}'), ('\u{750}', '\u{77f}')]),
    ("Hebrew", &[('\u{590}', '\u{5ff}')]),
    ("Thai", &[('\u{e00}', '\u{e7f}')]),
    ("Devanagari", &[('\u{900}', '\u{97f}')]),
    ("Latin", &[('a', 'z'), ('\u{df}', '\u{24f}')]),
];

/// Frequent words that few other languages have.
const SMALL_WORDS: [(&str, &[&str]); 16] = [
    (
        "English",
        &[
            "the", "and", "you", "your", "is", "for", "with", "this", "we", "have", "are", "not", "that", "from", "to",
            "it",
        ],
    ),
    (
        "German",
        &[
            "der", "die", "und", "ist", "nicht", "sie", "ich", "wir", "mit", "für", "das", "ein", "eine", "auf", "den",
            "ihre",
        ],
    ),
    (
        "French",
        &[
            "le", "les", "et", "est", "vous", "nous", "pour", "dans", "votre", "une", "des", "pas", "je", "avec", "du",
            "sur",
        ],
    ),
    (
        "Spanish",
        &[
            "el", "los", "y", "es", "usted", "para", "su", "una", "por", "con", "las", "del", "se", "como", "más",
            "está",
        ],
    ),
    (
        "Italian",
        &[
            "il", "gli", "che", "è", "non", "per", "della", "di", "sono", "con", "una", "del", "le", "nel", "più",
            "questo",
        ],
    ),
    (
        "Portuguese",
        &["o", "os", "não", "você", "uma", "para", "do", "da", "em", "com", "seu", "sua", "são", "mais", "ou", "dos"],
    ),
    (
        "Dutch",
        &[
            "het", "een", "en", "van", "niet", "ik", "je", "wij", "voor", "met", "zijn", "aan", "dat", "uw", "naar",
            "ook",
        ],
    ),
    (
        "Polish",
        &["i", "w", "nie", "się", "na", "jest", "do", "że", "jak", "dla", "oraz", "od", "przez", "są", "czy", "po"],
    ),
    (
        "Swedish",
        &["och", "att", "det", "är", "som", "inte", "jag", "vi", "för", "på", "till", "av", "har", "din", "ett", "om"],
    ),
    (
        "Danish",
        &["og", "det", "er", "ikke", "jeg", "vi", "på", "til", "af", "har", "din", "et", "med", "som", "den", "så"],
    ),
    (
        "Czech",
        &[
            "a", "je", "se", "na", "že", "není", "jsem", "pro", "jako", "ale", "vás", "jsme", "aby", "nebo", "které",
            "už",
        ],
    ),
    (
        "Turkish",
        &[
            "ve", "bir", "bu", "için", "ile", "değil", "çok", "olarak", "daha", "size", "var", "ne", "olan", "gibi",
            "kadar", "sizin",
        ],
    ),
    (
        "Romanian",
        &["și", "este", "nu", "la", "cu", "pentru", "sunt", "din", "care", "că", "o", "pe", "vă", "mai", "sau", "fi"],
    ),
    (
        "Hungarian",
        &["és", "a", "az", "nem", "hogy", "egy", "is", "van", "meg", "de", "csak", "már", "vagy", "ön", "ha", "még"],
    ),
    (
        "Finnish",
        &[
            "ja", "on", "ei", "se", "että", "joka", "kun", "olen", "mutta", "tai", "voit", "sinun", "myös", "ovat",
            "niin", "tämä",
        ],
    ),
    (
        "Indonesian",
        &[
            "dan", "yang", "di", "untuk", "dengan", "ini", "anda", "dari", "tidak", "akan", "atau", "kami", "pada",
            "adalah", "itu", "saya",
        ],
    ),
];

/// For each small word the languages that have it, a bit each.
static LANGUAGES_OF: LazyLock<HashMap<&str, u16, FixedState>> = LazyLock::new(|| {
    let mut languages: HashMap<&str, u16, FixedState> = HashMap::default();
    for (nth, (_, words)) in SMALL_WORDS.iter().enumerate() {
        for word in *words {
            *languages.entry(*word).or_default() |= 1 << nth;
        }
    }
    languages
});

/// Counts what tells languages apart, word by word; the words come lower-cased from the one pass over the text.
#[derive(Debug, Default)]
pub(in crate::score) struct Listener {
    words: usize,
    scripts: [u32; SCRIPTS.len()],
    small: [u32; SMALL_WORDS.len()],
}

impl Listener {
    /// Hears one word.
    pub(in crate::score) fn hear(&mut self, word: &str) {
        if self.words >= WORDS_MAX {
            return;
        }
        self.words += 1;
        if word.is_ascii() {
            self.scripts[SCRIPTS.len() - 1] += u32::try_from(word.len()).unwrap_or(0);
        } else {
            for letter in word.chars().take(40) {
                let script =
                    SCRIPTS.iter().position(|(_, ranges)| ranges.iter().any(|(a, z)| (*a..=*z).contains(&letter)));
                if let Some(script) = script {
                    self.scripts[script] += 1;
                }
            }
        }
        if let Some(languages) = LANGUAGES_OF.get(word) {
            for (nth, count) in self.small.iter_mut().enumerate() {
                *count += u32::from(languages >> nth & 1);
            }
        }
    }

    /// The language of what was heard.
    pub(in crate::score) fn language(&self) -> Option<Language> {
        let letters: u32 = self.scripts.iter().sum();
        if letters < LETTERS_MIN {
            return None;
        }
        // Kana among Han is Japanese; else the script with most letters.
        let kana = self.scripts[0] * 10 > letters;
        let most = (0..SCRIPTS.len()).max_by_key(|script| self.scripts[*script])?;
        let script = if kana { 0 } else { most };
        if SCRIPTS[script].0 != "Latin" {
            return Some(Language(SCRIPTS[script].0));
        }
        let (best, count) = self.small.iter().enumerate().max_by_key(|(_, count)| **count)?;
        (*count >= SMALL_WORDS_MIN).then_some(Language(SMALL_WORDS[best].0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages() {
        let cases = [
            ("Hello, we have sent you the invoice for this month with the details", Some("English")),
            ("Guten Tag, wir haben Ihre Rechnung und die Lieferung ist nicht vergessen", Some("German")),
            ("Bonjour, nous avons bien reçu votre commande et vous en remercions pour la livraison", Some("French")),
            ("Estimado cliente, su pedido está listo para la entrega y se envía por correo", Some("Spanish")),
            ("Уважаемый клиент, ваш заказ готов к отправке и будет доставлен", Some("Cyrillic")),
            ("您的订单已经准备好发货我们将尽快为您送达请注意查收谢谢您的支持", Some("Chinese")),
            ("ご注文ありがとうございます。商品の発送準備が整いましたのでお知らせします", Some("Japanese")),
            ("ok", None),
            ("Rechnung 4711", None),
            ("xqzt vrrk plomb grnd tkkt wppt zzrk mmnt", None), // letters that are no language
        ];
        for (text, expected) in cases {
            let mut listener = Listener::default();
            for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                listener.hear(&word.to_lowercase());
            }
            assert_eq!(listener.language().map(Language::name), expected, "{text}");
        }
    }
}
