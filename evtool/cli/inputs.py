"""Finds the files and samples that a command line names, reads their events, and refuses an input without events."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from evtool.cli.session import open_stdin
from evtool.errors import EXIT_FINDINGS, EXIT_USAGE, UsageError
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.paths import display_path
from evtool.readers.files import MAX_BYTES, STDIN, SourceText, read_texts
from evtool.readers.json_lines import Prover
from evtool.routes.project import Project
from evtool.schemas.validation import ValidationResult
from evtool.terminal.screen import format_count

# Events of more bytes are not stored in one batch: a batch is in memory as a whole.
BATCH_BYTES = 1 << 20
_SEARCHED = "searched for *.json, *.jsonl, *.ndjson, also with .gz, in it and the folders in it"


class EventInputs:
    """The files, folders and standard input that a command reads events from.

    `allow_empty` is None for a command that has no such option.
    """

    def __init__(self, paths: Sequence[str], *, unwrap: bool = False, allow_empty: bool | None = None):
        # The files that were read, or that could not be read.
        self.files: set[str] = set()
        self._paths, self._unwrap, self._allow_empty = paths, unwrap, allow_empty
        # The files of each path of the command line.
        self._files_of: defaultdict[str, set[str]] = defaultdict(set)
        self._exit_code = 0

    def read(
        self,
        *,
        max_bytes: int = MAX_BYTES,
        on_bytes: Callable[[int], None] | None = None,
        prover: Prover | None = None,
    ) -> Iterator[SourceText | Finding]:
        """Yields the texts of the events, without those that `prover` proves valid.

        With `unwrap` it yields the events inside the records of queues and streams.
        """
        # A prover knows events, but not the records that contain them.
        if self._unwrap:
            prover = None
        texts = read_texts(
            self._paths,
            max_bytes=max_bytes,
            stdin=open_stdin(),
            on_bytes=on_bytes,
            on_file=self._add_file,
            prover=prover,
        )
        if not self._unwrap:
            return texts
        # Few inputs have wrappers, and `validate` must start fast.
        from evtool.events.wrappers import unwrap_texts  # noqa: PLC0415

        return unwrap_texts(texts)

    def check(self, results: Iterable[ValidationResult]) -> Iterator[ValidationResult]:
        """Yields the results. Raises UsageError at the end of an empty input: a check of nothing must not succeed."""
        is_empty = True
        for result in results:
            is_empty = False
            self.files.add(result.file)
            self._note_exit_code(result)
            yield result
        if is_empty and not self._allow_empty:
            reasons = ", ".join(map(self._describe, self._paths))
            hint = "; with --allow-empty that is not an error"
            if self._allow_empty is None:
                hint = ""
            raise UsageError(f"no event was found: {reasons}{hint}")

    def follow(self, results: Iterable[ValidationResult]) -> Iterator[ValidationResult]:
        """Yields the results of another source, such as a bus, so that they count for the exit code, too."""
        for result in results:
            self._note_exit_code(result)
            yield result

    def worst_exit_code(self, code: int) -> int:
        """Returns the larger of a command's exit code and that of the results."""
        return max(code, self._exit_code)

    def _note_exit_code(self, result: ValidationResult) -> None:
        if result.is_unreadable:
            self._exit_code = EXIT_USAGE
        elif not result.is_valid:
            self._exit_code = self._exit_code or EXIT_FINDINGS

    def _add_file(self, path: str, file: str) -> None:
        self.files.add(file)
        self._files_of[path].add(file)

    def _describe(self, path: str) -> str:
        if path == STDIN:
            return "standard input has none"
        if not Path(path).is_dir():
            return f"{path} has none"
        files = self._files_of[path]
        if files:
            return f"the {format_count(len(files), 'event file')} in {path} have none"
        return f"{path} has no event file ({_SEARCHED})"


def resolve_path(name: str, project: Project) -> str | None:
    """Returns the path that a name means: an existing path, or the path of a sample; else None.

    `order-created`, or its event type `order.created`, is the sample order-created.json.
    """
    return _find_path(name, project.list_samples())


def resolve_paths(names: Sequence[str], project: Project, *, not_found: str = "no file and no sample") -> list[str]:
    """Returns the paths that names mean. A name that looks like a path is one, even if it does not exist.

    Raises UsageError with the most similar name for any other name; `not_found` is what the name should be.
    """
    samples = project.list_samples()
    paths = []
    for name in names:
        path = _find_path(name, samples)
        # The readers report a missing file as a finding, with its path.
        if path is None and _looks_like_a_path(name):
            path = name
        if path is None:
            hint = did_you_mean(name, samples) or f"the samples are {', '.join(samples) or 'none'}"
            raise UsageError(f"there is {not_found} {name}; {hint}")
        paths.append(path)
    return paths


def _find_path(name: str, samples: Mapping[str, Path]) -> str | None:
    # Path.exists() raises for a name that no file can have.
    if name == "-" or os.path.exists(name):  # noqa: PTH110
        return name
    sample = samples.get(name) or samples.get(name.replace(".", "-"))
    if sample:
        return display_path(sample)
    return None


def _looks_like_a_path(name: str) -> bool:
    return "/" in name or name.endswith((".json", ".jsonl", ".ndjson", ".gz"))


def group_results(
    results: Iterable[ValidationResult], max_events: int, *, stream: bool
) -> Iterator[list[ValidationResult]]:
    """Yields results in lists of at most `max_events`, and of about BATCH_BYTES.

    A list of a stream ends with the last event that has arrived already: the next one may take hours.
    """
    batch: list[ValidationResult] = []
    size = 0
    for result in results:
        batch.append(result)
        if result.event:
            size += len(result.event.raw)
        if len(batch) >= max_events or size >= BATCH_BYTES or (stream and not result.is_next_buffered):
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
