-- 0002, undone: the triggers, then the functions, then the tables of the machinery.
--
-- The workers are forgotten, so that what they run goes back to pending, nothing charged. Should they still be
-- there when the machinery is made again, the attempts that they hold no longer count.

LOCK TABLE public.content_generation_tasks IN ACCESS EXCLUSIVE MODE;

UPDATE public.content_generation_tasks
SET status = CASE status WHEN 'processing' THEN 'pending' ELSE status END,
    worker_id = NULL
WHERE worker_id IS NOT NULL;

DROP TRIGGER content_generation_tasks_wake ON public.content_generation_tasks;
DROP TRIGGER content_generation_tasks_touch ON public.content_generation_tasks;

DROP FUNCTION contentq.backoff;
DROP FUNCTION contentq.cancel;
DROP FUNCTION contentq.choose_ready;
DROP FUNCTION contentq.claim;
DROP FUNCTION contentq.cleanup;
DROP FUNCTION contentq.complete;
DROP FUNCTION contentq.deregister_worker;
DROP FUNCTION contentq.drain_worker;
DROP FUNCTION contentq.end_cancelled_or_overdue;
DROP FUNCTION contentq.fail;
DROP FUNCTION contentq.forget_worker;
DROP FUNCTION contentq.heartbeat;
DROP FUNCTION contentq.maintain;
DROP FUNCTION contentq.next_claim_in;
DROP FUNCTION contentq.notify_ready;
DROP FUNCTION contentq.promote_scheduled;
DROP FUNCTION contentq.raise_not_registered;
DROP FUNCTION contentq.reconcile;
DROP FUNCTION contentq.record_failure;
DROP FUNCTION contentq.register_worker;
DROP FUNCTION contentq.release;
DROP FUNCTION contentq.requeue;
DROP FUNCTION contentq.rescue_dead_workers;
DROP FUNCTION contentq.rescue_silent;
DROP FUNCTION contentq.shorten;
DROP FUNCTION contentq.snooze;
DROP FUNCTION contentq.store;
DROP FUNCTION contentq.sweep_timeouts;
DROP FUNCTION contentq.touch_updated_at;
DROP FUNCTION contentq.wake_workers;

DROP TABLE contentq.maintenance;
DROP TABLE contentq.settings;
DROP TABLE contentq.workers;
