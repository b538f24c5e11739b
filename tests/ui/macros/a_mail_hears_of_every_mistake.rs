use twelve::prelude::*;

#[derive(Mail)]
#[mail(html = "receipt.html", from = "the shop", name = "A receipt", reply = "x")]
struct Receipt {
    #[mail(recipient)]
    email: String,
    #[mail(cc = "sales@example.org")]
    sales: String,
}

fn main() {}
