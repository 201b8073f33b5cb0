// A batch with the plain SDK: create, poll, read results, list, cancel.
//
//     npm install
//     ANTHROPIC_API_KEY=… node batch.mjs
//
// Against the emulator nothing but the environment changes: set what `batchspec emulator` prints.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import Anthropic from '@anthropic-ai/sdk';

const here = (path) => new URL(path, import.meta.url);
const pollSeconds = Number(process.env.POLL_SECONDS ?? 60);
const client = new Anthropic(); // takes the key and the base URL from the environment

const requests = readFileSync(here('data/questions.jsonl'), 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line) => JSON.parse(line))
  .map(({ id, question }) => ({
    custom_id: id,
    params: {
      model: 'claude-haiku-4-5',
      max_tokens: 64,
      system: 'Answer in one short sentence.',
      messages: [{ role: 'user', content: question }],
    },
  }));

// Create. If the answer is lost on the way, the SDK sends the batch again, and both are paid.
let batch = await client.messages.batches.create({ requests });
console.log(`created ${batch.id}`);

// Poll. If this process is killed here, the next run creates, and pays, the batch again.
for (;;) {
  batch = await client.messages.batches.retrieve(batch.id);
  if (batch.processing_status === 'ended') break;
  console.log(`${batch.request_counts.processing} requests are being processed`);
  await sleep(pollSeconds * 1000);
}

// Results come in any order; the custom_id says which is which.
const answers = new Map();
for await (const { custom_id: id, result } of await client.messages.batches.results(batch.id)) {
  switch (result.type) {
    case 'succeeded':
      if (result.message.stop_reason === 'refusal') console.log(`${id}: refused`);
      else answers.set(id, result.message.content.map((block) => block.text ?? '').join(''));
      break;
    case 'errored': {
      const { type } = result.error.error;
      console.log(`${id}: ${type}, ${type === 'invalid_request_error' ? 'fix it' : 'ask again'}`);
      break;
    }
    default:
      console.log(`${id}: ${result.type}, ask again`);
  }
}

const lines = [...answers.keys()].sort().map((key) => `{"key":"${key}","result":${JSON.stringify(answers.get(key))}}\n`);
mkdirSync(here('out/'), { recursive: true });
writeFileSync(here('out/answers.jsonl'), lines.join(''));
console.log(`${answers.size} answers in out/answers.jsonl`);

// List, newest first; the SDK fetches further pages by itself.
let listed = 0;
for await (const _ of client.messages.batches.list({ limit: 20 })) listed += 1;
console.log(`${listed} batches in this workspace`);

// Cancel: what was not processed yet is not paid.
const other = await client.messages.batches.create({ requests: requests.slice(0, 1) });
const canceled = await client.messages.batches.cancel(other.id);
console.log(`second batch: ${canceled.processing_status}`);
