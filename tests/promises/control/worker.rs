//! The options of a worker.

use super::stoppable::Stoppable;

#[tokio::test]
async fn a_worker_takes_the_queues_that_it_is_told_and_no_others() {
    let app = Stoppable::released().await;
    // The option wins over the variable.
    let worker = app.launch(&["worker", "--queues", "mail,reports"]);
    let _worker = worker.var("TWELVE_WORKER_QUEUES", "default").spawn();
    let other = app.enqueue(&["quick"]).await.remove(0);
    let mine = app
        .enqueue(&["quick", "--queue", "reports"])
        .await
        .remove(0);
    app.until_state(&mine, "done").await;
    assert_eq!(app.why(&other).await, ["no_worker"]);
}

#[tokio::test]
async fn a_queue_of_another_process_type_is_refused_by_its_name() {
    let app = Stoppable::released().await;
    let flag = app.run(&["worker", "--queues", "default,compute"]).await;
    let flag = flag.expect_code(64);
    flag.expect_in_stderr("queue `compute` is not for `worker`: `compute` takes it");
    let none = app.run(&["worker", "--concurrency", "0"]).await;
    none.expect_code(64).expect_in_stderr("--concurrency");
    for (queues, fault) in [("Bad Q", "`Bad Q` is not a name"), ("", "--queues")] {
        let wrong = app.run(&["worker", "--queues", queues]).await;
        wrong.expect_code(64).expect_in_stderr(fault);
    }
    let worker = app.launch(&["worker"]);
    let worker = worker.var("TWELVE_WORKER_QUEUES", "Bad Q");
    let variable = worker.run(super::stoppable::SOON).await.expect_code(78);
    variable.expect_in_stderr("`Bad Q` is not a name");
    let worker = app.launch(&["worker"]);
    let worker = worker.var("TWELVE_WORKER_QUEUES", "compute");
    let variable = worker.run(super::stoppable::SOON).await.expect_code(78);
    variable.expect_in_stderr("TWELVE_WORKER_QUEUES");
}
