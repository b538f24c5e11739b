//! A new migration must build the shop anew: `sqlx::migrate!` alone only sees changes of those that it knows.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
