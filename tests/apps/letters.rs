//! An app that sends mails, for the tests of the command line and for trying a server by hand.

use twelve::{clap, prelude::*};

#[derive(Mail)]
#[mail(
    subject = "Your order {{ number }}",
    text = "receipt.txt",
    html = "receipt.html"
)]
struct Receipt {
    #[mail(to)]
    email: String,
    number: u32,
    lines: Vec<String>,
    #[mail(attach)]
    invoice: Option<Attachment>,
}

impl Receipt {
    fn new(email: impl Into<String>, number: u32) -> Self {
        Self {
            email: email.into(),
            number,
            lines: vec!["1 lamp & shade".to_owned(), "2 größere Vasen".to_owned()],
            invoice: Some(Attachment::new("invoice.txt", "text/plain", "20 €\n")),
        }
    }
}

impl Preview for Receipt {
    fn preview() -> Self {
        Self::new("Ada <ada@example.org>", 7)
    }
}

#[derive(Mail)]
#[mail(
    name = "hint",
    subject = "A hint",
    text = "receipt.txt",
    from = "Hints <hints@shop.example>"
)]
struct Hint {
    #[mail(to)]
    email: Vec<String>,
    number: u32,
    lines: [&'static str; 1],
    invoice: Option<Attachment>,
}

impl Preview for Hint {
    fn preview() -> Self {
        Self {
            email: vec!["ada@example.org".to_owned(), "bob@example.org".to_owned()],
            number: 1,
            lines: ["Look again"],
            invoice: None,
        }
    }
}

/// `letters run deliver -- ADDRESS --count N`
#[derive(clap::Args)]
struct Deliver {
    address: Vec<String>,
    #[arg(long, default_value = "1")]
    count: u32,
}

async fn deliver(Args(what): Args<Deliver>, mut tx: Tx, mailer: Mailer) -> Result<()> {
    for number in 1..=what.count {
        for address in &what.address {
            let id = mailer
                .deliver_in(&mut tx, Receipt::new(address, number))
                .await?;
            println!("{id}");
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    App::new("letters")
        .mail::<Receipt>()
        .mail::<Hint>()
        .task("deliver", deliver)
        .main()
}
