#!/usr/bin/env node
// Waits in Node.js until a task, or every task of a batch, has ended; prints how many ended in which status.
//
//   npm install pg
//   DATABASE_URL=postgresql://... node examples/wait.mjs task post-2042
//   DATABASE_URL=postgresql://... node examples/wait.mjs batch spring
//
// A notification means only that something may have changed, so the program then reads the statuses.
import pg from "pg";

const [kind, name] = process.argv.slice(2);
if (!["task", "batch"].includes(kind) || !name) {
  console.error("usage: node wait.mjs task TASK_ID | batch NAME");
  process.exit(2);
}
const task = kind === "task" ? name : null;
const batch = kind === "batch" ? name : null;

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
let wake = () => {};
client.on("notification", () => wake());
const query = async (text, values) => (await client.query(text, values)).rows;
const ask = () => query("SELECT contentq.wait_channel($1, $2) AS channel", [task, batch]);

const [{ channel }] = await ask();
await client.query(`LISTEN ${channel}`);
for (;;) {
  const woken = new Promise((resolve) => { wake = resolve; });
  await ask();
  const found = await query("SELECT status, tasks FROM contentq.statuses_of($1, $2)", [task && [task], batch]);
  if (!found.some(({ status }) => status === "pending" || status === "processing")) {
    console.log(found.map(({ status, tasks }) => `${tasks} ${status}`).join(", "));
    break;
  }
  // Waits at most 10 seconds, because a notification may be lost.
  const timer = setTimeout(() => wake(), 10_000);
  await woken;
  clearTimeout(timer);
}
await client.end();
