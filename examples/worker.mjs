#!/usr/bin/env node
// A worker in Node.js: claims tasks, requests each text from a provider, ten at a time, and stores it.
//
//   npm install pg
//   DATABASE_URL=postgresql://... PROVIDER_URL=https://api.example.com/draft node examples/worker.mjs [CATEGORY...]
//
// Gates and caps need no code: the worker claims, reports the provider's answers, and sleeps for the time that the
// database returns. Start any number, together with workers in other languages.
import os from "node:os";
import pg from "pg";

const slots = 10;
const provider = new URL(process.env.PROVIDER_URL);
const gate = provider.host; // shared by all workers of this provider
const categories = process.argv.length > 2 ? process.argv.slice(2) : null;

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 });
const query = async (text, values) => (await pool.query(text, values)).rows;

const [{ worker }] = await query(
  "SELECT contentq.register_worker($1, $2, $3, 'worker.mjs', gate => $4, categories => $5) AS worker",
  [os.hostname(), process.pid, slots, gate, categories],
);
console.error(`registered worker=${worker}`);

const running = new Map(); // by task id: the attempt and its AbortController
let stopping = false;
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => { stopping = true; wake(); });

// A notification or a report, which may make room, ends the current sleep early, or the next one.
let isWoken = false;
let wake = () => { isWoken = true; };
const sleep = (seconds) => new Promise((resolve) => {
  const timer = setTimeout(resolve, isWoken ? 0 : seconds * 1000);
  wake = () => { isWoken = true; clearTimeout(timer); resolve(); };
});
const listener = new pg.Client({ connectionString: process.env.DATABASE_URL });
await listener.connect();
listener.on("notification", () => wake());
await listener.query("LISTEN contentq_ready");

// Sends heartbeats, and stops tasks that are cancelled, overdue or no longer this worker's. After 10 seconds without a
// heartbeat its tasks go to other workers. A worker that is no longer registered exits. Also does a share of housekeeping.
const heartbeats = setInterval(async () => {
  const attempts = [...running.values()].map((task) => task.attempt);
  try {
    const stopped = await query(
      "SELECT id FROM contentq.heartbeat($1, NULL, $2::bigint[], $3::integer[])",
      [worker, [...running.keys()], attempts],
    );
    for (const { id } of stopped) running.get(id)?.stop.abort();
    await query("SELECT contentq.maintain()");
  } catch (error) {
    console.error(`heartbeat: ${error.message}`);
    if (error.code === "CQ001") process.exit(1);
  }
}, 2000);

async function ask(topic, signal) {
  try {
    const body = new URLSearchParams({ topic });
    const answer = await fetch(provider, { method: "POST", body, signal: AbortSignal.any([signal, AbortSignal.timeout(60_000)]) });
    return { status: answer.status, after: answer.headers.get("retry-after"), text: await answer.text() };
  } catch (error) {
    return { status: 0, text: String(error.cause ?? error) };
  }
}

async function run({ id, attempt, topic }, signal) {
  const { status, after, text } = await ask(topic ?? "", signal);
  if (signal.aborted) return;
  if (status === 200) {
    await query(
      "SELECT contentq.store($1, ARRAY[$2::bigint], ARRAY[$3::integer], ARRAY[$4], ARRAY[$5], ARRAY[$6::integer])",
      [worker, id, attempt, topic, text, text.split(/\s+/).filter(Boolean).length],
    );
  } else if (status === 429) {
    // Refused: the task is snoozed without a charged retry, and the gate learns the provider's rate.
    await query(
      `SELECT contentq.snooze($1, $2, $3, clock_timestamp() + make_interval(secs => $4), 'the provider is busy',
                              refused_by => $5)`,
      [worker, id, attempt, Number.isFinite(parseFloat(after)) ? parseFloat(after) : null, gate],
    );
  } else if ([0, 502, 503, 504].includes(status)) {
    // No answer: after several, the gate closes, and one task of all workers probes the provider.
    await query(
      "SELECT contentq.fail($1, $2, $3, $4, unanswered => true)",
      [worker, id, attempt, `no answer: ${status} ${text}`],
    );
  } else {
    await query(
      "SELECT contentq.fail($1, $2, $3, $4, permanent => true)",
      [worker, id, attempt, `the provider answered ${status}`],
    );
  }
}

function start(task) {
  const stop = new AbortController();
  const done = run(task, stop.signal)
    .catch((error) => console.error(`task ${task.id}: ${error.message}`))
    .finally(() => { running.delete(String(task.id)); wake(); });
  running.set(String(task.id), { attempt: task.attempt, stop, done });
}

while (!stopping) {
  const free = slots - running.size;
  if (free === 0) {
    await sleep(60);
    isWoken = false;
    continue;
  }
  isWoken = false;
  // One statement: the tasks, and in the last row the seconds to sleep if there are too few.
  const rows = await query(
    `SELECT id, attempt, topic, NULL AS seconds FROM contentq.claim($1, $2)
     UNION ALL
     SELECT NULL, NULL, NULL, extract(epoch FROM contentq.next_claim_in($1))::float8`,
    [worker, free],
  );
  const { seconds } = rows.pop();
  rows.forEach(start);
  // At least 20 milliseconds, and at most 5 seconds because a notification may be lost.
  if (rows.length < free) await sleep(Math.max(0.02, Math.min(seconds ?? 5, 5)));
}

await Promise.all([...running.values()].map((task) => task.done));
clearInterval(heartbeats);
await query("SELECT contentq.deregister_worker($1)", [worker]);
await listener.end();
await pool.end();
