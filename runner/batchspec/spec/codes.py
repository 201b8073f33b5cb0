"""Every code of a problem that reading a spec can give, for `docs/reference/problems.md`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from batchspec.records import frozen


@frozen
class Code:
    """One kind of mistake."""

    code: str
    """Stable; tools may depend on it."""
    means: str
    """What is wrong, in one sentence."""
    remedy: str
    """What to do, in one sentence."""
    warning: bool = False
    """The command goes on."""


@frozen
class Theme:
    """Codes that belong together, under one heading."""

    title: str
    codes: tuple[Code, ...]
    later: bool = False
    """Found with the inputs at hand: by `plan`, `run` and `validate --inputs`, not by loading."""


def _theme(title: str, *rows: tuple[str, str, str], later: bool = False) -> Theme:
    """Return a theme from rows of code, meaning and remedy; a code with ``?`` is a warning."""
    codes = tuple(
        Code(code=code.rstrip("?"), means=means, remedy=remedy, warning=code.endswith("?"))
        for code, means, remedy in rows
    )
    return Theme(title=title, codes=codes, later=later)


THEMES: tuple[Theme, ...] = (
    _theme(
        "Reading YAML",
        ("unreadable-file", "The file cannot be opened.", "Check its name and permissions."),
        ("not-utf8", "The file is not UTF-8 text.", "Save it as UTF-8."),
        ("bad-character", "A character that nobody sees, or that JSON cannot carry.",
         "Delete it, or write it as an escape."),
        ("yaml-syntax", "The text is not valid YAML.", "The detail says what was expected."),
        ("yaml-tab", "A tab indents a line.", "Use spaces."),
        ("yaml-feature", "An anchor, alias, merge key, tag or directive is used.",
         "Write the value out, or share it through `defaults`."),
        ("yaml-many-documents", "A second document begins in the file.", "One file is one spec."),
        ("yaml-too-large", "The file is larger than a spec can be.",
         "Put data into files of its own."),
        ("yaml-too-deep", "Values are nested deeper than 50.", "Put data into files of its own."),
        ("unquoted-template", "A value begins with `{{` without quotes.",
         "Quote the value, or begin it with `|`."),
        ("duplicate-key", "A key is given twice in one mapping.", "Remove one."),
        ("bad-key", "A key is not text.", "Quote it."),
        ("bad-number", "A number is infinite, not a number, or beyond 64 bits.",
         "Quote it, or write a smaller one."),
    ),
    _theme(
        "Keys and values",
        ("not-a-mapping", "The file holds no keys.", "Begin with `version: 1`."),
        ("unknown-key", "A key does not exist at its place.", "Correct it; nothing is ignored."),
        ("missing-key", "A key that must be there is not.", "Add it."),
        ("conflicting-keys", "Keys exclude each other.", "Keep one of them."),
        ("wrong-type", "A value has another type than its key needs.", "Write such a value."),
        ("bad-value", "A value is outside of what its key allows.", "Write one that is allowed."),
        ("secret-in-spec", "An API key stands in the file.",
         "Revoke it, remove it, and use the environment."),
        ("no-effect?", "A setting changes nothing where it stands.", "Remove it."),
    ),
    _theme(
        "The project",
        ("misnamed-project-file?", "There is a `batchspec.yml`, which is not read.",
         "Call it `batchspec.yaml`."),
        ("bad-environment", "An environment variable has a value that its setting does not allow.",
         "Correct or unset it."),
        ("bad-base-url", "The base URL is no address, unencrypted, or holds credentials.",
         "Use `https://host/path`."),
        ("bad-header", "A header of `api.headers` is batchspec's own, or cannot be sent.",
         "Remove it, or use its setting."),
        ("secret-header", "A value of `api.headers` looks like a secret.",
         "Write `{env: VARIABLE}`."),
        ("bad-state-address", "An address of the state is incomplete, or of an unknown kind.",
         "Write `postgresql://…`, and `s3://`, `gs://`, `az://` or `file:///`."),
        ("secret-in-state", "An address of the shared state holds a password.",
         "Change it, and give the new one in the environment."),
        ("half-shared-state", "Only one of `state.ledger` and `state.segments` is given.",
         "Give both, or neither."),
        ("unknown-api-version?", "The `anthropic_version` is none of the known ones.",
         "Use a known one."),
        ("specs-match-nothing?", "A pattern of `specs` matches no file.",
         "Correct or remove it."),
        ("bad-models-file", "The project's list of models cannot be used.",
         "Write it anew with `batchspec models --refresh`."),
        ("unknown-environment", "`--env` or `BATCHSPEC_ENV` names no environment of the project.",
         "Correct the name."),
        ("environment-overlap", "Two environments share a state or a folder of outputs.",
         "Give each its own."),
        ("bad-name", "The file's name gives no valid name for the spec.", "Add `name:`."),
        ("duplicate-name", "Two specs have one name.", "Rename one."),
        ("unknown-spec", "The command line names a spec that is not there.", "Correct the name."),
        ("unknown-need", "`needs` names a spec that is not there.", "Correct the name."),
        ("broken-need", "A spec that is needed has problems of its own.", "Correct them."),
        ("database-need", "A spec that is needed writes a database first.",
         "Let it write a `.parquet` or `.jsonl` file first."),
        ("reserved-need", "A spec that is needed has the name of a table that is always there.",
         "Rename it."),
        ("needs-circle", "Specs need each other in a circle.", "Remove one of the needs."),
    ),
    _theme(
        "The model and its parameters",
        ("unknown-model?", "The catalogue does not know the model.",
         "Check the spelling, or add its price."),
        ("model-retiring?", "The model's retirement is announced.", "Move to a newer one."),
        ("model-overdue?", "The announced day has passed.", "Move to a newer one."),
        ("model-retired", "The model answers no more.", "Move to a newer one."),
        ("batch-not-supported", "The model cannot be asked in batches.", "Use another one."),
        ("max-tokens-too-large", "`max_tokens` is above the model's limit.", "Lower it."),
        ("sampling-refused", "The API version or the model takes no sampling parameters.",
         "Remove them."),
        ("thinking-refused", "The model does not think in that way.", "Use a way it has."),
        ("effort-refused", "The model does not take the effort.", "Remove it, or use one it has."),
        ("ability-missing", "The model lacks vision, citations or a tool that is asked for.",
         "Use another model."),
        ("geo-refused", "The model takes no region.", "Remove `inference_geo`."),
        ("bad-param", "A parameter has a value that the API does not take.",
         "Write one that it takes."),
        ("bad-tool", "A tool, or the choice among tools, is not one the API takes.",
         "The detail says what is missing."),
        ("tool-choice-refused", "The model cannot be forced to use a tool.", "Write `auto`."),
        ("stop-doubtful?", "A stop sequence has no visible character.",
         "Stop at a word or a mark."),
        ("tool-choice-doubtful?", "A tool is forced on a model that thinks.", "Write `auto`."),
        ("misplaced-param", "A parameter has a place of its own in the spec.", "Write it there."),
        ("not-in-batches", "No batch takes the parameter.", "Remove it."),
        ("beta-missing", "A parameter that only a beta has is set without one.",
         "Add the beta to `betas`."),
        ("unknown-beta?", "The beta is not on record.", "Check the spelling."),
        ("not-a-param", "It is a header or an argument of the SDK.", "Remove it from `params`."),
        ("unknown-param?", "The parameter is not known, and is passed through.",
         "Check the spelling."),
    ),
    _theme(
        "The prompt",
        ("block-not-allowed", "A block is of a kind that its speaker cannot say.",
         "Move it into a message of the user."),
        ("unknown-block?", "The type of a block is not known, and is passed through.",
         "Check the spelling."),
        ("citations-with-schema", "Citations are asked for beside a response schema.",
         "Remove one of them."),
        ("first-turn", "A conversation does not begin with the user.", "Begin with the user."),
        ("prefill-refused", "The last message is the assistant's, and cannot be continued.",
         "End with the user."),
        ("citations-of-some?", "Some documents are cited and others not.",
         "Ask for citations of all or none."),
        ("tool-turns", "A tool's call and its result do not follow each other.",
         "Answer each call in the next message."),
        ("citations-in-text", "A text of the user has citations.", "Remove them."),
    ),
    _theme(
        "The response",
        ("bad-pattern", "`response.pattern` is not a regular expression of RE2.", "Correct it."),
        ("unknown-tool", "`parse: tool` does not name a tool of `params.tools`.",
         "Correct `response.tool`."),
        ("tool-answers-unread?", "Answers may call a tool, and only their text is read.",
         "Set `response.parse: tool`."),
        ("schema-not-supported", "The model has no structured outputs.", "Use a newer model."),
        ("bad-schema-file", "The schema's file is not a JSON object.", "Correct the file."),
        ("schema-invalid", "It is not a JSON Schema.", "Correct it."),
        ("schema-keyword", "It uses what structured outputs do not have.",
         "Remove it, or set `response.send: subset`."),
        ("schema-open-object", "An object allows further properties.",
         'Add `"additionalProperties": false`.'),
        ("schema-required", "It requires a property that it does not have.", "Correct the name."),
        ("schema-never-met", "Answers are read as texts, and it allows none.",
         "Set `response.parse: json`, or remove it."),
        ("schema-reference", "A reference leads outside, nowhere, or in a circle.",
         "Write out what is meant."),
        ("schema-too-complex", "It has too many optional or several-typed properties.",
         "Ask for less at once."),
    ),
    _theme(
        "Files, checks and budgets",
        ("path-outside-project", "A path leads out of the project.", "Use a path inside."),
        ("reserved-path", "A path lies in `.batchspec` or `.git`.", "Choose another folder."),
        ("missing-file", "A `{file: …}` is not there.", "Create it, or correct the path."),
        ("output-format", "An output's ending names no format.",
         "Use `.jsonl`, `.json`, `.csv`, `.parquet`, `.duckdb`, or a template."),
        ("output-collision", "Two outputs have one path.", "Change one."),
        ("output-over-input", "An output would replace what the spec reads.", "Change its path."),
        ("duplicate-check", "Two checks have one name.", "Rename one."),
        ("check-option", "An option does not fit the kind of its check.", "Remove it."),
        ("check-bounds", "No value, or every value, is within the bounds.", "Correct them."),
        ("empty-budget?", "A ceiling is 0.", "Raise it, unless that is meant."),
        ("budget-above-project?", "A ceiling is above the project's.", "Lower it."),
    ),
    _theme(
        "The policy",
        ("missing-policy", "The file that `policy` names is not there.", "Correct the path."),
        ("misnamed-policy-file?", "There is a `policy.yml`, which is not read.",
         "Call it `policy.yaml`."),
        ("duplicate-rule", "Two rules have one name.", "Rename one."),
        ("policy-model", "The policy does not allow the model.", "Use one that it allows."),
        ("policy-max-tokens", "`max_tokens` is above what the policy allows.", "Lower it."),
        ("policy-check", "A check that the policy requires is missing, or only warns.", "Add it."),
        ("policy-schema", "The policy requires a response schema.", "Add `response.schema`."),
        ("policy-param", "The policy forbids a parameter.", "Remove it."),
        ("policy-budget", "The policy requires a budget in dollars.", "Add `budget.max_usd`."),
        ("waiver-expiring?", "A waiver ends within 14 days.", "Mend the spec before."),
        ("waiver-unused?", "A waiver names no rule or spec that is there.", "Remove it."),
    ),
    _theme(
        "Inputs",
        ("bad-sql", "A statement is not SQL, or not one that can be used here.", "Correct it."),
        ("unstable-sql?", "A statement may give other rows each time.", "Make it deterministic."),
        ("json-text?", "A column of an output takes a field of the answer as JSON.",
         "Write `result->>'label'`, or `answer.label`."),
        ("input-file-refused", "An input file is missing, a link, or outside of the project.",
         "Change the path or the file."),
        ("no-input-files", "No file matches a pattern.", "Correct the pattern."),
        ("table-format", "A table's file is of no known format.",
         "Use CSV, TSV, JSON, JSONL or Parquet."),
        ("empty-table?", "A table's file has no rows.", "Check the file."),
        ("empty-inputs?", "The inputs have no rows.", "Check the filter and the files."),
        ("unread-inputs?", "A spec that is needed has no output yet.", "Run that one first."),
        ("inputs-unreadable", "A row cannot be read.", "Correct the data or the query."),
        ("unstable-inputs", "Two readings during one plan gave different rows.",
         "Make the query deterministic, and leave the files alone."),
        ("mixed-types", "A column of `rows` has values of several types.", "Use one type."),
        ("duplicate-column", "Two columns have one name.", "Rename one with `AS`."),
        ("unknown-key-column", "The key names a column that is not there.", "Correct the name."),
        ("key-type", "The key's column is of a type that names nothing.",
         "Cast it, or choose another."),
        ("key-not-unique", "Several rows have one key.", "Add a column to the key."),
        ("null-key", "A row has no key.", "Leave the row out, or give it a key."),
        later=True,
    ),
    _theme(
        "Templates and files of the prompt",
        ("prompt-file-refused", "A template's file cannot be read.", "Correct the path."),
        ("template-syntax", "A template cannot be understood.", "Correct it."),
        ("template-too-complex", "A template is nested too deeply.", "Take it apart."),
        ("undefined-name", "A template uses a name that does not exist.", "Correct the name."),
        ("dynamic-include", "A template computes the name of what it includes.",
         "Write the name as text."),
        ("include-missing", "An included file cannot be read.", "Correct the name."),
        ("include-cycle", "Templates include each other in a circle.", "Break the circle."),
        ("name-clash", "A variable is named like a column.", "Rename the variable."),
        ("size-unknown?", "The plan does not know how large pictures or documents are.",
         "Say it in `assume`, use files of the project, or `plan --count-tokens`."),
        ("cost-unbounded?", "The highest price leaves out what tools of the API read.",
         "Limit them with `max_uses`; answers make the estimate."),
        ("null-in-prompt?", "A missing value stands in prompts as the word None.",
         'Write `{{ column or "" }}`, or leave such items out.'),
        ("render-failed", "A template fails for an item, or writes nothing.",
         "Leave the item out, or handle it in the template."),
        ("bad-turns-file", "A line of a file of turns is no turn.", "Correct the line."),
        ("content-missing", "A file that a block names cannot be read.",
         "Correct the path, or leave the item out."),
        ("content-type", "A file is of no kind that its block can send.", "Convert it."),
        ("content-too-large", "A file has too many bytes, pixels or pages.",
         "Make it smaller, or split it."),
        ("too-many-images", "A request has more images than the model takes.",
         "Ask about fewer at once."),
        ("too-many-breakpoints", "A request has more than four cache breakpoints.",
         "Remove `cache` from some blocks."),
        ("cache-order", "A breakpoint of 1h stands after one of 5m.", "Change the lifetimes."),
        ("request-too-large", "One request is larger than a batch can be.",
         "Shorten what the template takes, or set `files_api: true`."),
        later=True,
    ),
    _theme(
        "Outputs",
        ("output-path-field", "An output's template uses a name that it does not have.",
         "Correct the name."),
        ("output-path-unsafe", "An item's output path leads somewhere it must not.",
         "Change the template or the data."),
        ("output-path-collision", "Two items have one output path.", "Use more of the key."),
        ("output-content", "The query of a per-item output gives no column `content`.",
         "Select one."),
        ("check-column", "A check names a column that its table does not have.",
         "Correct the name."),
        ("check-key", "A check's rows cannot be matched with the inputs.", "Select the key."),
        ("output-edited?", "An output was changed by hand and is left alone.",
         "Move it away to have it written anew."),
        later=True,
    ),
    _theme(
        "Money and the policy",
        ("policy-usd", "A run of the spec may cost more than the policy allows.",
         "Ask for less, or have the rule changed."),
        ("policy-usd-day", "The rule's specs may cost more on this day than it allows.",
         "Wait for the next day in UTC, or ask for less."),
        ("policy-usd-month", "The rule's specs may cost more in this month than it allows.",
         "Ask for less, or have the rule changed."),
        later=True,
    ),
)  # fmt: skip

CODES: dict[str, Code] = {code.code: code for theme in THEMES for code in theme.codes}


def problems_page(themes: Iterable[Theme] = THEMES) -> str:
    """Return the reference page of all codes, as Markdown."""
    return "\n".join(_lines(themes)) + "\n"


def _lines(themes: Iterable[Theme]) -> Iterator[str]:
    yield "# Problems in specs"
    yield ""
    yield "Mistakes in specs and project files, by the code that stands in their messages."
    yield "Errors stop a command before anything is sent; warnings do not. The sections on inputs,"
    yield "on templates and on outputs are checked once the inputs are read: by `plan`, by `run`,"
    yield "and by `validate --inputs`."
    for theme in themes:
        yield ""
        yield f"## {theme.title}"
        yield ""
        yield "| code | | what is wrong | what to do |"
        yield "|---|---|---|---|"
        for code in theme.codes:
            severity = "warning" if code.warning else "error"
            remedy = code.remedy.replace("|", "\\|")
            yield f"| `{code.code}` | {severity} | {code.means} | {remedy} |"
