"""What a Dockerfile says, as far as ours goes: its stages, their instructions, and what its COPY lines put where."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT_FOLDER = PurePosixPath("/")


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction, its continuation lines joined."""

    keyword: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    name: str
    base: str
    instructions: Sequence[Instruction]

    def values(self, keyword: str) -> list[str]:
        return [each.value for each in self.instructions if each.keyword == keyword]

    def environment(self) -> dict[str, str]:
        pairs = (pair.partition("=") for value in self.values("ENV") for pair in value.split())
        return {name: value for name, _, value in pairs}


def stages(text: str) -> list[Stage]:
    found: list[Stage] = []
    for instruction in _instructions(text):
        if instruction.keyword == "FROM":
            base, _, name = instruction.value.partition(" AS ")
            found.append(Stage(name=name, base=base, instructions=[]))
        else:
            stage = found.pop()
            found.append(Stage(name=stage.name, base=stage.base, instructions=[*stage.instructions, instruction]))
    return found


def _instructions(text: str) -> Iterator[Instruction]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        if line.strip():
            keyword, _, value = line.strip().partition(" ")
            yield Instruction(keyword=keyword.upper(), value=value.strip())


def is_ignored(path: str, patterns: Sequence[str]) -> bool:
    """What .dockerignore's lines say of a path: the last that fits it, or a folder that it is in, decides."""
    ignored = False
    places = [path, *(str(parent) for parent in PurePosixPath(path).parents)]
    for line in patterns:
        pattern = line.removeprefix("!").strip("/")
        if any(_fits(place, pattern) for place in places):
            ignored = not line.startswith("!")
    return ignored


def _fits(path: str, pattern: str) -> bool:
    """`*` stays within a folder's name, `**` stands for any number of folders."""
    words = re.split(r"(\*\*/|\*)", pattern)
    expression = "".join({"**/": "(?:.*/)?", "*": "[^/]*"}.get(word, re.escape(word)) for word in words)
    return re.fullmatch(expression, path) is not None


@dataclass(frozen=True, kw_only=True)
class Build:
    """Lays the stages' files out under a folder, each stage in one of its own, as if that were its root."""

    context: Path
    ignored: Sequence[str]
    folder: Path

    def root_of(self, stage: Stage) -> Path:
        return self.folder / (stage.name or "image")

    def place(self, stage: Stage, path: str) -> Path:
        """Where an absolute path of the stage stands here."""
        return self.root_of(stage) / PurePosixPath(path).relative_to(ROOT_FOLDER)

    def copy(self, stage: Stage, value: str, workdir: str, others: Mapping[str, Stage]) -> None:
        """Carries out one COPY. Raises FileNotFoundError where a source is not there, or is ignored."""
        *sources, target = (word for word in value.split() if not word.startswith("--"))
        into = self.place(stage, str(PurePosixPath(workdir) / target))
        origin = re.search(r"--from=(\S+)", value)
        for source in sources:
            if origin is not None:
                _copy(self.place(others[origin[1]], source), into, is_folder=target.endswith("/"))
            else:
                self._copy_from_context(source, into, is_folder=target.endswith(("/", ".")))

    def _copy_from_context(self, source: str, into: Path, *, is_folder: bool) -> None:
        names = [path.relative_to(self.context).as_posix() for path in self.context.glob(source)]
        wanted = [name for name in names if not is_ignored(name, self.ignored)]
        if not wanted:
            raise FileNotFoundError(f"COPY {source}: nothing that .dockerignore lets through")
        for name in wanted:
            if (self.context / name).is_file():
                _copy(self.context / name, into, is_folder=is_folder or "*" in source)
                continue
            for path in sorted((self.context / name).rglob("*")):
                inner = path.relative_to(self.context).as_posix()
                if path.is_file() and not is_ignored(inner, self.ignored):
                    _copy(path, into / path.relative_to(self.context / name), is_folder=False)


def _copy(source: Path, into: Path, *, is_folder: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, into, dirs_exist_ok=True)
        return
    target = into / source.name if is_folder else into
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
