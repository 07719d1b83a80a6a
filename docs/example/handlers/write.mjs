#!/usr/bin/env node
// Drafts an article. Replace the text below with a call of your model.
import { readFileSync } from "node:fs";

const task = JSON.parse(readFileSync(0, "utf8"));

if (!task.topic) {
  console.error("a task needs a topic");
  process.exitCode = 1;
} else if (task.topic === "busy" && task.attempt === 1) {
  // After a 429 from the provider, ask for another attempt in this many seconds. No retry is charged.
  console.log(JSON.stringify({ rate_limited: true, retry_after: 0.2 }));
  process.exitCode = 75;
} else {
  console.error("contentq:progress 0.5 writing");
  const sections = task.keyword_list.map((word) => `\n## ${word}\n\nWhat a reader has to know.\n`);
  const body = `# ${task.topic}\n${sections.join("")}`;
  console.log(JSON.stringify({ title: task.topic, body, model: "none", cost: 0 }));
}
