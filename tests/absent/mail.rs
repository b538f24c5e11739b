use twelve::prelude::*;

#[derive(Mail)]
#[mail(subject = "Your order", text = "receipt.txt")]
struct Receipt {
    #[mail(to)]
    email: String,
    #[mail(attach)]
    invoice: Option<Attachment>,
}

impl Preview for Receipt {
    fn preview() -> Self {
        Self {
            email: String::new(),
            invoice: None,
        }
    }
}

fn main() {}
