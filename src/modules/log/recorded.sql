-- name: recorded_await
select log.await_recorded($tenant_id, $instant::timestamptz);
