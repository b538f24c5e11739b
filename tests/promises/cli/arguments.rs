//! What may stand behind `shop`.

use super::run;

#[tokio::test]
async fn an_unknown_word_is_64_with_the_nearest_match() {
    for (word, nearest) in [
        ("wrker", "worker"),
        ("paymnts", "payments"),
        ("relaese", "release"),
        ("route", "routes"),
    ] {
        let ended = run([word]).await.expect_code(64);
        assert!(ended.stdout.is_empty(), "{}", ended.stdout);
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
        assert!(ended.stderr.contains(nearest), "{}", ended.stderr);
    }
    run(["run", "ad-customer"])
        .await
        .expect_code(64)
        .expect_in_stderr("add-customer");
}

#[tokio::test]
async fn bad_arguments_are_64_and_start_nothing() {
    run([]).await.expect_code(64);
    run(["web", "--no-such-option"]).await.expect_code(64);
    run(["web", "surplus"]).await.expect_code(64);
    run(["run"]).await.expect_code(64);
    run(["run", "add-customer"]).await.expect_code(64);
    run(["run", "add-customer", "--", "a@example.com", "surplus"])
        .await
        .expect_code(64);
    run(["jobs"]).await.expect_code(64);
    run(["jobs", "show", "not-an-id"]).await.expect_code(64);
    run(["jobs", "show"]).await.expect_code(64);
    run(["export", "procfiel"])
        .await
        .expect_code(64)
        .expect_in_stderr("procfile");
}

#[tokio::test]
async fn help_lists_the_apps_own_process_types_with_their_kind() {
    let help = run(["--help"]).await.expect_code(0).stdout;
    let kind_of = |word: &str| {
        let mut lines = help
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line = lines.find(|line| line.first() == Some(&word));
        let line = line.unwrap_or_else(|| panic!("{word} is missing:\n{help}"));
        line.get(1).map(ToString::to_string)
    };
    assert_eq!(kind_of("web").as_deref(), Some("http"));
    assert_eq!(kind_of("payments").as_deref(), Some("http"));
    assert_eq!(kind_of("worker").as_deref(), Some("worker"));
    for word in [
        "release", "run", "routes", "jobs", "config", "health", "export",
    ] {
        assert!(kind_of(word).is_some(), "{word} is not explained:\n{help}");
    }
}
