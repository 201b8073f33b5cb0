// The official Node SDK's own calls; prints what it saw as one JSON object.
import Anthropic, { toFile } from '@anthropic-ai/sdk';

const client = new Anthropic({ apiKey: 'canary', baseURL: process.argv[2] });
const seen = {};
const row = (n) => ({
  custom_id: `row-${n}`,
  params: {
    model: 'claude-haiku-4-5',
    max_tokens: 64,
    messages: [{ role: 'user', content: `text ${n}` }],
  },
});

const made = [];
for (let n = 0; n < 5; n += 1) {
  const batch = await client.messages.batches.create({ requests: [row(0), row(1), row(2)] });
  made.unshift(batch.id);
  seen.created = batch.processing_status;
}
const id = made[0];
const batch = await client.messages.batches.retrieve(id);
seen.retrieved = [batch.processing_status, batch.request_counts.succeeded];
seen.texts = {};
for await (const entry of await client.messages.batches.results(id)) {
  seen.texts[entry.custom_id] = entry.result.message.content[0].text;
}
const listed = [];
for await (const other of client.messages.batches.list({ limit: 2 })) listed.push(other.id);
seen.listed = JSON.stringify(listed) === JSON.stringify(made);
const newer = [];
for await (const other of client.messages.batches.list({ limit: 2, before_id: made[4] })) {
  newer.push(other.id);
}
seen.newer = JSON.stringify(newer.sort()) === JSON.stringify(made.slice(0, 4).sort());
seen.cancelled = (await client.messages.batches.cancel(id)).processing_status;
seen.deleted = (await client.messages.batches.delete(id)).type;
try {
  await client.messages.batches.retrieve(id);
} catch (error) {
  seen.missing = [error.status, error.type ?? error.error?.error?.type, Boolean(error.requestID)];
}
seen.tokens = (
  await client.messages.countTokens({
    model: 'claude-haiku-4-5',
    messages: [{ role: 'user', content: 'x'.repeat(40) }],
  })
).input_tokens;
let models = 0;
for await (const model of client.models.list({ limit: 4 })) models += model.id ? 1 : 0;
seen.models = models > 15;
seen.model = (await client.models.retrieve('claude-haiku-4-5')).id;

const file = await client.files.upload({
  file: await toFile(Buffer.from('hello'), 'a.txt', { type: 'text/plain' }),
});
seen.file = [file.filename, file.size_bytes, file.mime_type];
const files = [];
for await (const other of client.files.list({ limit: 1 })) files.push(other.id);
seen.files = files.length;
seen.content = await (await client.files.download(file.id)).text();
seen.file_deleted = (await client.files.delete(file.id)).type;
console.log(JSON.stringify(seen));
