"""Reads files of a git revision with the git program: `git:REV` in place of a file or folder."""

import io
import os
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from evtool.errors import UsageError

PREFIX = "git:"


class Revision(NamedTuple):
    """A commit of the repository that contains a folder; `name` is how the user wrote it."""

    name: str
    commit: str
    top: Path

    def label(self, file: Path) -> str:
        """The name of a file of this revision for messages, in the form that `git show` accepts."""
        return f"{self.name}:{self.locate(file)}"

    def locate(self, file: Path) -> str:
        """The path of a file or folder in the repository. Raises UsageError if it is outside."""
        resolved = Path(os.path.realpath(file))
        if not resolved.is_relative_to(self.top):
            raise UsageError(f"{PREFIX}{self.name}: {file} is outside the git repository {self.top}")
        return resolved.relative_to(self.top).as_posix()

    def has(self, path: str) -> bool:
        """Whether the revision has a file or folder at a path of the repository."""
        # `git ls-tree` lists nothing for the top folder itself.
        return path == "." or bool(_run_git(self.top, ["ls-tree", "-z", self.commit, "--", path]))

    def extract(self, paths: Sequence[str], folder: Path) -> None:
        """Writes files and folders of the revision into `folder`, each under its path of the repository."""
        archive = _run_git(self.top, ["archive", "--format=tar", self.commit, "--"] + list(paths))
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                # A link may lead out of the folder.
                if member.isreg() or member.isdir():
                    tar.extract(member, folder, filter="data")


def open_revision(text: str, folder: Path) -> Revision:
    """Finds the revision that `git:REV` names, in the repository of a folder.

    Raises UsageError without the git program, a repository or such a revision.
    """
    name = text.removeprefix(PREFIX)
    # Git would take a name that begins with a dash for an option.
    if not name or name.startswith("-"):
        raise UsageError(f"{text}: name a revision, such as {PREFIX}main or {PREFIX}HEAD~1")
    try:
        top = _run_git(folder, ["rev-parse", "--show-toplevel"]).decode(errors="surrogateescape").rstrip("\n")
    except UsageError as error:
        if "not a git repository" in str(error):
            raise UsageError(f"{text}: {folder} is not in a git repository") from None
        raise
    # `^{commit}` makes git follow an annotated tag to its commit, and refuse a file or a folder.
    try:
        commit = _run_git(folder, ["rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]).decode().strip()
    except UsageError:
        hint = "`git log` lists the revisions; in CI, fetch them first (fetch-depth: 0)"
        raise UsageError(f"{text}: the repository {top} has no revision {name}; {hint}") from None
    return Revision(name, commit, Path(os.path.realpath(top)))


def _run_git(folder: Path, arguments: Sequence[str]) -> bytes:
    # A variable such as GIT_DIR, which git sets for hooks, would name another repository.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    # `open_revision` reads git's messages, so git must not translate them.
    environment["LC_ALL"] = "C"
    command = ["git", "-C", str(folder), "--literal-pathspecs"] + list(arguments)
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=environment)
    except FileNotFoundError:
        raise UsageError(f"{PREFIX}REV needs the git program, which is not on PATH; install git") from None
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().split("\n")[0] or f"exit code {done.returncode}"
        raise UsageError(f"git {arguments[0]} failed: {reason}")
    return done.stdout
