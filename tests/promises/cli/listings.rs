//! What the binary says about itself, without a database.

use super::run;

#[tokio::test]
async fn routes_are_listed_without_a_database() {
    let routes = run(["routes", "--json"])
        .await
        .expect_code(0)
        .expect_json()
        .to_string();
    for part in [
        "/orders",
        "/products",
        "/customers",
        "/charges",
        "GET",
        "POST",
    ] {
        assert!(routes.contains(part), "{part} is missing: {routes}");
    }
    let readable = run(["routes"]).await.expect_code(0).stdout;
    let line = readable
        .lines()
        .find(|line| line.contains("/orders") && line.contains("POST"));
    assert!(line.is_some(), "{readable}");
}

#[tokio::test]
async fn the_exported_procfile_is_the_one_in_the_repository() {
    let exported = run(["export", "procfile"]).await.expect_code(0).stdout;
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop/Procfile");
    assert_eq!(
        exported,
        std::fs::read_to_string(kept).expect("read the Procfile")
    );
    for process_type in ["web", "live", "worker", "compute", "payments", "release"] {
        assert!(
            exported
                .lines()
                .any(|line| line.starts_with(&format!("{process_type}:"))),
            "{exported}"
        );
    }
}
