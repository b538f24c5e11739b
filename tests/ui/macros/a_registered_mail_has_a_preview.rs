use twelve::prelude::*;

#[derive(Mail)]
#[mail(subject = "Your receipt")]
enum Receipt {
    Paid,
}

fn main() {
    App::new("shop").mail::<Receipt>();
}
