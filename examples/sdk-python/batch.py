"""A batch with the plain SDK: create, poll, read results, list, cancel.

    pip install anthropic
    ANTHROPIC_API_KEY=… python batch.py

Against the emulator nothing but the environment changes: set what `batchspec emulator` prints.
"""

import json
import os
import time
from pathlib import Path

import anthropic

HERE = Path(__file__).parent
POLL_SECONDS = float(os.environ.get("POLL_SECONDS", "60"))

client = anthropic.Anthropic()  # takes the key and the base URL from the environment


def requests() -> list[dict]:
    """Return one request per line of the data."""
    rows = (HERE / "data/questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {
            "custom_id": row["id"],
            "params": {
                "model": "claude-haiku-4-5",
                "max_tokens": 64,
                "system": "Answer in one short sentence.",
                "messages": [{"role": "user", "content": row["question"]}],
            },
        }
        for row in map(json.loads, rows)
    ]


# Create. If the answer is lost on the way, the SDK sends the batch again, and both are paid.
batch = client.messages.batches.create(requests=requests())
print(f"created {batch.id}")

# Poll. If this process is killed here, the next run creates, and pays, the batch again.
while True:
    batch = client.messages.batches.retrieve(batch.id)
    if batch.processing_status == "ended":
        break
    print(f"{batch.request_counts.processing} requests are being processed")
    time.sleep(POLL_SECONDS)

# Results come in any order; the custom_id says which is which.
answers = {}
for entry in client.messages.batches.results(batch.id):
    match entry.result.type:
        case "succeeded" if entry.result.message.stop_reason == "refusal":
            print(f"{entry.custom_id}: refused")
        case "succeeded":
            text = "".join(b.text for b in entry.result.message.content if b.type == "text")
            answers[entry.custom_id] = text
        case "errored":
            kind = entry.result.error.error.type
            again = "fix it" if kind == "invalid_request_error" else "ask again"
            print(f"{entry.custom_id}: {kind}, {again}")
        case "expired" | "canceled":
            print(f"{entry.custom_id}: {entry.result.type}, ask again")

out = HERE / "out/answers.jsonl"
out.parent.mkdir(exist_ok=True)
lines = [json.dumps({"key": key, "result": answers[key]}) + "\n" for key in sorted(answers)]
out.write_text("".join(lines), encoding="utf-8")
print(f"{len(answers)} answers in {out.relative_to(HERE)}")

# List, newest first; the SDK fetches further pages by itself.
print(f"{sum(1 for _ in client.messages.batches.list(limit=20))} batches in this workspace")

# Cancel: what was not processed yet is not paid.
other = client.messages.batches.create(requests=requests()[:1])
print(f"second batch: {client.messages.batches.cancel(other.id).processing_status}")
