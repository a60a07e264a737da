//! Letters of professions against all that scores what a message says, as shipped: notaries, banks, investors and clinics
//! write of money, deaths and accounts all day. And letters of fraud, which the rules still know.
#![cfg(test)]

use super::scorer::Scorer;
use super::{Rules, ScoreSettings, Submission};
use crate::clock::WallMs;
use crate::mail::{Address, BodyType, Envelope, Recipient, ReversePath};
use crate::message::{Bounds, Message};
use crate::reason::Reason;

/// Points that a first letter stays under, and an answer. All but one answer here are under 60; a solicitor's reads to the
/// model like spam, and no rule adds to it.
const LETTER: i32 = 100;
const ANSWER: i32 = 70;
/// What the rules alone give a letter of fraud at least.
const FRAUD: i32 = 60;

/// What the rules alone may give a club's excited letter; a hold begins at 150.
const HIDDEN_READERS: i32 = 140;

/// Who writes, subject, text.
const ORDINARY: [(&str, &str, &str); 30] = [
    (
        "notary fr",
        "Règlement de la succession Lefèvre",
        "Madame,\n\nà la suite du décès de votre tante, survenu le 14 mai, j'ai été chargé du règlement de sa succession. Vous êtes héritière pour un tiers. Après paiement des droits, la somme de 164.300 € vous sera versée par virement sur votre compte bancaire, dès que la banque aura libéré les fonds.\n\nMerci de m'adresser un RIB et une copie de votre pièce d'identité. Ce courrier est confidentiel.\n\nMaître Hélène Caron\nNotaire à Angers",
    ),
    (
        "bank fr",
        "Votre demande de prêt immobilier",
        "Monsieur,\n\nnous avons le plaisir de vous confirmer l'accord de la banque pour votre prêt. Montant du prêt : 240.000 €, durée de remboursement : 20 ans, taux d'intérêt : 3,4 %. Les fonds seront versés par virement au notaire le jour de la signature.\n\nMerci de nous retourner l'offre de prêt signée sous dix jours ; c'est urgent si vous voulez conserver ce taux.\n\nVotre conseillère, Julie Morel",
    ),
    (
        "charity fr",
        "Merci pour votre don",
        "Chère Madame,\n\ngrâce à votre don, 120 enfants touchés par la maladie ont été soignés cette année au Togo et au Bénin. Vous pouvez faire un don en ligne ou par virement. Que Dieu vous garde !\n\nL'équipe de l'association",
    ),
    (
        "lawyer fr",
        "Dossier Petit c/ Roux",
        "Cher Monsieur,\n\nl'adversaire propose de payer la somme de 32.000 € pour mettre fin au litige. Votre avocat vous conseille d'accepter. Les fonds seront versés sur le compte de notre cabinet. Merci de me répondre avant vendredi.\n\nMaître Paul Girard",
    ),
    (
        "investor fr",
        "Levée de fonds : prochaines étapes",
        "Bonjour Marc,\n\nnotre fonds souhaite investir 2.000.000 € dans votre société. L'investissement se ferait en deux fois. Peux-tu m'envoyer les comptes et le pacte d'associés ? Tout reste confidentiel jusqu'à la signature.\n\nSophie",
    ),
    (
        "sale of a house fr",
        "Vente de la maison de Vannes",
        "Bonjour,\n\nles acquéreurs ont obtenu leur prêt. La signature aura lieu chez le notaire le 12 janvier ; le prix de 415.000 € passera par son compte. Pensez à résilier l'eau et l'électricité.\n\nAgence du Port",
    ),
    (
        "clinic fr",
        "Votre rendez-vous du 3 décembre",
        "Madame,\n\nvotre consultation est confirmée pour le 3 décembre à 9 h 15. Apportez la liste de vos médicaments et votre carte Vitale. En cas d'empêchement, prévenez-nous.\n\nLe secrétariat de la clinique",
    ),
    (
        "notary de",
        "Nachlass Ihrer Mutter, UR 318/26",
        "Sehr geehrter Herr Brandt,\n\nnach dem Testament Ihrer verstorbenen Mutter sind Sie und Ihr Bruder Erben zu gleichen Teilen. Zur Erbschaft gehören ein Haus und Konten über die Summe von 380.000 EUR. Sobald der Erbschein erteilt ist, wird die Bank Ihren Anteil auf Ihr Konto überweisen.\n\nBitte behandeln Sie den Entwurf vertraulich.\n\nDr. Ute Kern, Notarin",
    ),
    (
        "bank de",
        "Ihr Baudarlehen",
        "Guten Tag Frau Jansen,\n\nanbei unser Kreditangebot: Kreditbetrag 310.000 EUR, Zinssatz 3,2 %, Laufzeit 15 Jahre. Die Auszahlung erfolgt auf Ihr Konto, sobald die Grundschuld eingetragen ist. Wir bitten um Rückgabe bis Monatsende.\n\nIhre Bank am Markt",
    ),
    (
        "settlement de",
        "Abrechnung Ihres Kaufs",
        "Guten Tag,\n\nwir haben für Sie gekauft: 15 Stück, WKN 723610, ISIN DE0007236101, Kurs 181,42 EUR, Handelsplatz Frankfurt. Aktueller Kurs am Abend: 180,90 EUR. Der Betrag wird am 25. November Ihrem Konto belastet.\n\nIhre Depotbank",
    ),
    (
        "charity de",
        "Unser Hospiz im Winter",
        "Liebe Freundinnen und Freunde,\n\nIhre Spende hilft Menschen mit Krebs und ihren Familien. Im letzten Jahr kamen 310.000 Euro zusammen. Mit Ihrer Hilfe bauen wir im Frühjahr das Kinderzimmer um. Gott segne Sie und Ihre Lieben.\n\nSchwester Monika",
    ),
    (
        "lawyer de",
        "Ihr Pflichtteil",
        "Sehr geehrte Frau Albers,\n\nals Ihr Rechtsanwalt habe ich die Erben Ihres Vaters angeschrieben. Sie bieten die Summe von 75.000 EUR. Ich rate, das Angebot anzunehmen. Bitte geben Sie mir Ihre Bankverbindung.\n\nMit freundlichen Grüßen\nJörg Thoma",
    ),
    (
        "quotation de",
        "Angebot 2026-204",
        "Sehr geehrter Herr Otto,\n\nvielen Dank für Ihre Anfrage. Wir bieten 500 Gehäuse zu 12,40 EUR an; Lieferzeit vier Wochen, hohe Qualität aus eigener Fertigung, Mindestbestellmenge 100 Stück.\n\nVertrieb, Metallbau Krug",
    ),
    (
        "clinic de",
        "Aufnahme am 8. Dezember",
        "Sehr geehrte Frau Lenz,\n\nbitte kommen Sie am 8. Dezember um 7.30 Uhr nüchtern zur Aufnahme. Bringen Sie Befunde zu Ihrer Krankheit und eine Liste Ihrer Medikamente mit.\n\nKlinik am See",
    ),
    (
        "notary es",
        "Escritura de herencia de su tío",
        "Estimada señora Ruiz:\n\nle escribo para informarle de que la herencia de su tío, fallecido en enero, está lista para la firma. Como heredera le corresponde la suma de 96.000 euros, que se transferirá a su cuenta bancaria. Traiga su DNI a la notaría el lunes.\n\nCarlos Vega, notario",
    ),
    (
        "bank es",
        "Su préstamo hipotecario",
        "Estimado cliente:\n\nsu préstamo ha sido aprobado. Importe del préstamo: 180.000 euros, tipo de interés: 3,1 %, plazo: 25 años. Los fondos se abonarán en su cuenta tras la firma ante notario.\n\nUn saludo, su oficina",
    ),
    (
        "investor es",
        "Ronda de inversión",
        "Hola Elena:\n\nnuestros socios quieren invertir 1.200.000 euros. La inversión queda sujeta a la revisión del abogado. Te pido discreción y confidencialidad hasta el cierre.\n\nJavier",
    ),
    (
        "clinic es",
        "Su cita",
        "Estimado señor Mora:\n\nsu cita con la doctora Gil es el jueves a las 10:30. Si tiene informes de su enfermedad, tráigalos, por favor.\n\nClínica del Parque",
    ),
    (
        "solicitor en",
        "Your aunt's estate",
        "Dear Mrs Palmer,\n\nWe act for the executors of your late aunt, who died on 2 February. As a beneficiary under her will you will receive the sum of £118,500 from the funds held on deposit. Please provide me with your bank account details and a certified copy of your passport, so that the transaction can be made by bank transfer. Our letters are in strict confidentiality.\n\nHugh Marsh, Solicitor",
    ),
    (
        "bank en",
        "Your mortgage offer",
        "Dear Mr Ellis,\n\nYour loan is approved. Loan amount: £265,000; interest rate: 4.1% fixed for five years; repaid over 25 years. The funds go to your solicitor's account on the day of completion. Please sign the offer and return it by Friday.\n\nNorth Bank",
    ),
    (
        "investor en",
        "Next steps on the round",
        "Hi Priya,\n\nthe partners would like to invest USD 3,000,000 in the company. We would wire half on signing. Could you provide me with the cap table and the bank account for the transaction, and keep this between us until our lawyer has sent the documents?\n\nBest, Owen",
    ),
    (
        "charity en",
        "What your gift did",
        "Dear friends,\n\nwith your help US$240,000 reached orphans and refugee families in Syria and Ghana. May God bless you for every donation. We will donate the rest to the clinic in Accra.\n\nYours in Christ, Brother Luke",
    ),
    (
        "quotation en",
        "Quotation 8815 for 200 brackets",
        "Dear Sam,\n\nthank you for your enquiry. Please find our quotation attached. Lead time is five weeks, our products are ISO 9001 certified, and samples are available. A deposit of 30% is due with the order.\n\nSales department, Hale Works",
    ),
    (
        "booking en",
        "New booking 5521",
        "You have a new booking.\n\nName:\nCarla Rossi\n\nPhone:\n555 0199\n\nEmail:\nc.rossi@example.net\n\nCountry:\nItaly\n\nArrival:\n4 December\n",
    ),
    (
        "clinic en",
        "Before your operation",
        "Dear Mr Young,\n\nplease bring a list of your medication/s, and each medication's dose, to the ward on Monday. Ask your doctor about the prescription if you are unsure.\n\nThe ward sister",
    ),
    (
        "lawyer it",
        "Successione di Suo padre",
        "Gentile signora Conti,\n\ncome erede di Suo padre, deceduto a marzo, Le spetta la somma di 88.000 euro. L'eredità sarà versata sul Suo conto bancario con bonifico, dopo la firma davanti al notaio. La prego di inviarmi il Suo IBAN.\n\nAvvocato Franca Riva",
    ),
    (
        "bank it",
        "Il Suo mutuo",
        "Gentile cliente,\n\nil mutuo è stato approvato: importo del prestito 150.000 euro, tasso di interesse 3,3 %, durata 20 anni. I fondi saranno versati al notaio.\n\nLa Sua filiale",
    ),
    (
        "notary nl",
        "Nalatenschap van uw vader",
        "Geachte heer Visser,\n\nals erfgenaam van uw overleden vader ontvangt u een bedrag van 142.000 euro. De erfenis wordt door de bank op uw rekening gestort. Stuurt u mij een kopie van uw paspoort? Deze brief is vertrouwelijk.\n\nMr. A. Postma, notaris",
    ),
    (
        "museum nl",
        "De replica's",
        "Beste Wim,\n\nde replica's zijn klaar voor de tentoonstelling; we halen ze dinsdag op. De foto/shopbestanden volgen.\n\nGroet, Anneke",
    ),
    (
        "sale of a house de",
        "Kaufvertrag Lindenweg 4",
        "Guten Tag,\n\nder Notar hat den Entwurf geschickt. Der Kaufpreis von 498.000 EUR wird auf das Notaranderkonto überwiesen. Bitte prüfen Sie, ob Ihre Bank die Zusage schriftlich gibt.\n\nMakler Voss",
    ),
];

/// Letters of strangers with money, as they have gone around for decades.
const STRANGERS: [&str; 12] = [
    "Good day to you. I am the auditor of a bank here. Our late client died in a plane crash and left the sum of usd 10,500,000.00 without a next of kin. I want you to stand as the heir. It is risk free, and you keep 40% for your help. I await your urgent reply.",
    "Dearest one, I am Mrs. Grace, widow of late Dr. Peter. My late husband deposited the sum of $8,200,000. My doctor told me that I am dying of cancer. I need a God fearing person to give this money to the less privileged.",
    "ATTENTION BENEFICIARY, your overdue fund of US$2,700,000 will be paid by ATM card. Kindly contact the remittance department with your direct phone number.",
    "Compliments of the season. This will come to you as a surprise. I am a soldier on a peace keeping mission and found a huge amount, $12,000,000. I need an honest person to receive the consignment box for me.",
    "My dear, I am the only daughter of late Chief Musa. My late father left ten million united states dollars in a bank. I am looking for a foreign partner to help me to invest this money in your country.",
    "Sir, this is a business proposal of mutual benefit to both of us. An over-invoiced contract of US$21,500,000 waits. The transfer needs a foreign account. This deal is hitch free and top secret.",
    "The Bank of Africa has approved the release of your fund of $1,500,000. A diplomatic courier brings the trunk box. Send your full name and your direct phone number at once.",
    "Congratulations, you have won a lottery: your email address has won £850,000 pounds. Contact our claims agent to claim your prize.",
    "Beloved in the Lord, I am Mrs. Susan, a cancer patient. I have decided to donate the sum of $6,000,000 through you for the poor, since I trust in God that you are a reliable person.",
    "Bonjour cher bien aimé, je souffre d'un cancer en phase terminale et mes jours sont comptés. Mon défunt mari a laissé 3.500.000 EUR. Au nom de Dieu je cherche une personne honnête.",
    "Geliebte, ich kontaktiere Sie als Witwe. Mein verstorbener Mann hinterließ 4.800.000 EUR. Ich habe Krebs im Endstadium und suche eine gottesfürchtige, ehrliche Person.",
    "Querido amado en el Señor: mi difunto esposo dejó 5.200.000 USD. Tengo cáncer terminal y busco una persona honesta y temeroso de Dios para donar mi fortuna.",
];

fn read(subject: &str, text: &str, more: &str) -> Message {
    let mail = format!(
        "From: Ada Winter <ada@example.org>\r\nTo: Ben Sommer <ben@example.net>\r\nSubject: {subject}\r\n\
         Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <20261121.abc.1@example.org>\r\n{more}MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
        text.replace('\n', "\r\n")
    );
    Message::parse(mail.as_bytes(), &Bounds::default())
}

fn submission(message: &Message) -> Submission<'_> {
    Submission { message, envelope: None, account: None, source: None, client: None, at: WallMs(1_795_262_400_000) }
}

fn sum(reasons: &[Reason]) -> i32 {
    reasons.iter().map(|reason| reason.points).sum()
}

/// A table's loud ones, with what was seen.
fn loud(more: &str, below: i32) -> Vec<String> {
    let scorer = Scorer::new(ScoreSettings::default()).unwrap();
    let judged = ORDINARY.iter().map(|(who, subject, text)| {
        let message = read(subject, text, more);
        (who, scorer.content(&submission(&message), None).reasons)
    });
    let loud = judged.filter(|(_, reasons)| sum(reasons) >= below);
    loud.map(|(who, reasons)| format!("{who}: {} {reasons:?}\n", sum(&reasons))).collect()
}

#[test]
fn professions_write_of_money() {
    let loud = loud("", LETTER);
    assert!(loud.is_empty(), "{}", loud.concat());
}

#[test]
fn and_answer() {
    let loud = loud("In-Reply-To: <4711@example.net>\r\n", ANSWER);
    assert!(loud.is_empty(), "{}", loud.concat());
}

#[test]
fn strangers_with_money_are_known() {
    let rules = Rules::new(&ScoreSettings::default()).unwrap();
    let mut missed: Vec<String> = Vec::new();
    for text in STRANGERS {
        let seen = rules.evaluate(&submission(&read("Hello", text, "")));
        if sum(&seen) < FRAUD {
            missed.push(format!("{} {seen:?}\n{text}\n", sum(&seen)));
        }
    }
    assert!(missed.is_empty(), "{}", missed.concat());
}

/// What an excited secretary does, all at once: hidden readers, a drawing of Santa, exclamations, one link to the club's page
/// elsewhere, nothing said of leaving. `rules` alone, as if the text said nothing for it.
#[test]
fn a_club_with_hidden_readers_is_not_held() {
    let mail = "From: Skating club <club@example.org>\r\nTo: undisclosed-recipients:;\r\nSubject: Our party\r\n\
         Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <20261121.abc.1@example.org>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/related; boundary=r\r\n\r\n--r\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
         --a\r\nContent-Type: text/plain\r\n\r\nCome! Sing! Skate! Dance! Eat! Santa comes too! All about it is on our page.\r\n\
         --a\r\nContent-Type: text/html\r\n\r\n<p>Come! Sing! Skate! Dance! Eat! Santa comes too! All about it is on \
         <a href=\"https://www.facebook.com/skating.club\">our page</a>.</p><img src=\"cid:santa\">\r\n--a--\r\n\
         --r\r\nContent-Type: image/gif; name=santa.gif\r\nContent-ID: <santa>\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7\r\n--r--\r\n";
    let message = Message::parse(mail.as_bytes(), &Bounds::default());
    let members =
        (0..25).map(|n| Recipient::plain(Address::parse(format!("m{n}@club{n}.example").as_bytes()).unwrap()));
    let envelope = Envelope {
        reverse_path: ReversePath::parse(b"club@example.org").unwrap(),
        recipients: members.collect(),
        body: BodyType::SevenBit,
        smtputf8: false,
        ret: None,
        envid: None,
    };
    let rules = Rules::new(&ScoreSettings::default()).unwrap();
    let seen = rules.evaluate(&Submission { envelope: Some(&envelope), ..submission(&message) });
    let names: Vec<&str> = seen.iter().map(|reason| &*reason.name).collect();
    for name in [
        "to-names-nobody",
        "image-drawn-inside",
        "body-exclamations",
        "bulk-without-unsubscribe",
        "links-to-one-stranger",
    ] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert!(sum(&seen) <= HIDDEN_READERS, "{} {seen:?}", sum(&seen));
}
