//! The page, as far as no browser is needed to see it.

use twelve::test::TestApp;

#[twelve::test(shop::app)]
async fn the_page_may_talk_to_us_and_to_live_and_to_nobody_else(mut app: TestApp) {
    for (variable, allowed) in [
        ("", "connect-src 'self' ;"),
        (
            "http://localhost:5200",
            "connect-src 'self' ws://localhost:5200;",
        ),
        (
            "https://shop.example/",
            "connect-src 'self' wss://shop.example;",
        ),
    ] {
        app = app.with_var("LIVE_URL", variable);
        let page = app.get("/").await.assert_status(200);
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(policy.contains(allowed), "{policy}");
    }
    for file in ["/style.css", "/shop.js"] {
        app.get(file).await.assert_status(200);
        assert!(app.get("/").await.text().contains(file));
    }
}
