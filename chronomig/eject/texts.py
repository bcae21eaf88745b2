"""
A file of the timeline -> the text of one of Django's migrations: its own text, edited where it has to be.

Nothing is serialised: functions, imports and comments stay as they were written.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence, Set
from importlib.util import resolve_name
from itertools import accumulate, takewhile

from chronomig.code.origins import Key
from chronomig.errors import ChronomigError

OURS = ("ORIGIN", "REPLACES", "TABLES")
"""The literals that only chronomig reads."""


class CannotRewrite(ChronomigError):
    """A file of the timeline is written in a way that cannot be turned into a migration of Django's."""


class Text:
    """The text of a file, and edits to it that are made all at once."""

    def __init__(self, source: str) -> None:
        self.source = source.encode()
        self.tree = ast.parse(self.source)
        self.lines = self.source.splitlines(keepends=True)
        self.starts = [0, *accumulate(map(len, self.lines))]
        self.edits: list[tuple[int, int, str]] = []

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        return self.starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def between(self, start: int, end: int) -> str:
        return self.source[start:end].decode()

    def of(self, node: ast.expr | ast.stmt) -> str:
        return self.between(self.start(node), self.end(node))

    def replace(self, node: ast.expr | ast.stmt, text: str) -> None:
        self.edits.append((self.start(node), self.end(node), text))

    def insert_before(self, node: ast.stmt, text: str) -> None:
        """Insert lines above a statement."""
        place = self.starts[first_line(node) - 1]
        self.edits.append((place, place, text))

    def insert_after(self, node: ast.stmt, text: str) -> None:
        """Insert lines below a statement."""
        place = self.starts[node.end_lineno or node.lineno]
        ended = self.source[:place].endswith((b"\n", b"\r"))
        self.edits.append((place, place, text if ended else f"\n{text}"))

    def remove(self, node: ast.stmt, *, comment: bool = False) -> None:
        """Remove the lines of a statement; the comment right above it, too, if wanted."""
        first, last = first_line(node) - 1, node.end_lineno or node.lineno
        while comment and first and self.lines[first - 1].startswith(b"#"):
            first -= 1
        above, below = blank(reversed(self.lines[:first])), blank(self.lines[last:])
        if above < below:  # of the blank lines on both sides, the longer row stays
            first -= above
        else:
            last += below
        self.edits.append((self.starts[first], self.starts[last], ""))

    def result(self) -> str:
        found = self.source
        for start, end, text in sorted(self.edits, key=lambda edit: edit[:2], reverse=True):
            found = found[:start] + text.encode() + found[end:]
        return found.decode().rstrip() + "\n"


def blank(lines: Iterable[bytes]) -> int:
    """Return how many blank lines there are before the first that is not."""
    return sum(1 for _ in takewhile(lambda line: not line.strip(), lines))


def first_line(node: ast.stmt) -> int:
    """Return the line on which a statement begins, its decorators included."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
    return min(node.lineno, *(one.lineno for one in decorators)) if decorators else node.lineno


def migration_class(text: Text) -> ast.ClassDef:
    """Return the statement that defines the Migration; raise CannotRewrite."""
    found = [one for one in text.tree.body if isinstance(one, ast.ClassDef) and one.name == "Migration"]
    if not found:
        raise CannotRewrite("it defines no class Migration of its own")
    if found[-1].body[0].lineno == found[-1].lineno:
        raise CannotRewrite("its class stands in one line")
    return found[-1]


def attribute(kind: ast.ClassDef, name: str) -> ast.Assign | ast.AnnAssign | None:
    """Return the statement of a class that gives an attribute its value."""
    for one in kind.body:
        targets = (
            one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            assert isinstance(one, ast.Assign | ast.AnnAssign)
            return one
    return None


# -- files of chronomig's own ---------------------------------------------------------------------------------------


def rewritten(
    source: str, places: Sequence[int], count: int, *, needs: Sequence[Key], before: Sequence[Key], initial: bool
) -> str:
    """
    Return the migration of Django's that does the operations at *places* of a file that has *count* of them.

    *needs* are its dependencies, *before* what has to come after it; raise CannotRewrite.
    """
    text = Text(source)
    kind = migration_class(text)
    replace_base(text, kind)
    declare(text, kind, needs, before, initial=initial)
    if statement := attribute(kind, "touches"):
        text.remove(statement)
    choose_operations(text, kind, places, count)
    remove_literals(text)
    import_migrations(text)
    return without_unused(text.result(), ours_only=len(places) == count)


def replace_base(text: Text, kind: ast.ClassDef) -> None:
    """Let the class subclass Django's Migration in place of ours."""
    names = set(names_of_base(text.tree))
    bases = [base for base in kind.bases if ast.unparse(base) in names]
    if not bases:
        raise CannotRewrite("its class does not subclass chronomig.Migration itself")
    text.replace(bases[0], "migrations.Migration")


def names_of_base(tree: ast.Module) -> Iterator[str]:
    """Yield what ``chronomig.Migration`` is called in a file."""
    for one in tree.body:
        if isinstance(one, ast.Import):
            ours = [alias for alias in one.names if is_ours(alias.name)]
            yield from (f"{alias.asname or 'chronomig'}.Migration" for alias in ours)
        elif isinstance(one, ast.ImportFrom) and one.module in ("chronomig", "chronomig.migration"):
            yield from (alias.asname or alias.name for alias in one.names if alias.name == "Migration")


def is_ours(module: str) -> bool:
    return module.partition(".")[0] == "chronomig"


def declare(text: Text, kind: ast.ClassDef, needs: Sequence[Key], before: Sequence[Key], *, initial: bool) -> None:
    """Write what Django's graph needs to know at the beginning of the class."""
    docstring = ast.get_docstring(kind, clean=False) is not None
    first = kind.body[1 if docstring and len(kind.body) > 1 else 0]
    indent = " " * first.col_offset
    lines = [f"{indent}initial = True\n\n"] * initial
    lines += [f"{indent}{name} = {keys(found, indent)}\n\n" for name, found in named(needs, before)]
    text.insert_before(first, "".join(lines))


def named(needs: Sequence[Key], before: Sequence[Key]) -> Iterator[tuple[str, Sequence[Key]]]:
    yield "dependencies", needs
    if before:
        yield "run_before", before


def keys(found: Sequence[Key], indent: str) -> str:
    lines = "".join(f'{indent}    ("{label}", "{name}"),\n' for label, name in found)
    return f"[\n{lines}{indent}]" if found else "[]"


def choose_operations(text: Text, kind: ast.ClassDef, places: Sequence[int], count: int) -> None:
    """Leave the operations at *places*, without their labels."""
    statement = attribute(kind, "operations")
    if statement is None or statement.value is None:
        raise CannotRewrite("its operations are not in the class")
    found = written_out(text, statement.value)
    if found is not None and len(found) == count:
        text.replace(statement.value, chosen(text, statement.value, found, places))
        return
    every = len(places) == count
    wanted = "for _, operation in operations" if every else (
        f"for number, (_, operation) in enumerate(operations) if number in {tuple(places)!r}"
    )  # fmt: skip
    text.insert_after(kind.body[-1], f"{' ' * statement.col_offset}operations = [operation {wanted}]\n")


def written_out(text: Text, value: ast.expr) -> list[tuple[ast.Tuple, ast.expr]] | None:
    """Return [(entry, its operation)] of a list that is written out entry by entry; None for any other."""
    entries = value.elts if isinstance(value, ast.List) else [value]
    found = [(one, one.elts[1]) for one in entries if isinstance(one, ast.Tuple) and is_entry(text, one)]
    return found if len(found) == len(entries) else None


def is_entry(text: Text, one: ast.Tuple) -> bool:
    """Whether a tuple is a label and an operation, with no comment beside the label that would be lost."""
    if len(one.elts) != 2 or not isinstance(one.elts[0], ast.Constant) or isinstance(one.elts[1], ast.Starred):
        return False
    around = text.between(text.start(one), text.start(one.elts[1])) + text.between(
        text.end(one.elts[1]), text.end(one)
    )
    return "#" not in around


def chosen(text: Text, value: ast.expr, found: Sequence[tuple[ast.Tuple, ast.expr]], places: Sequence[int]) -> str:
    """Return the list of the operations at *places*, with the comments above each."""
    parts = []
    before = text.start(value) + 1
    for number, (entry, operation) in enumerate(found):
        if number in places:
            parts.append(f"{gap(text, before, text.start(entry))}{dedented(text, entry, operation)},")
        before = text.end(entry)
    return f"[{''.join(parts)}{gap(text, before, text.end(value) - 1)}]"


def gap(text: Text, start: int, end: int) -> str:
    """Return what stands between two entries, without the comma of the first."""
    head, comma, rest = text.between(start, end).partition(",")
    return rest if comma and not head.strip() else f"{head}{comma}{rest}"


def dedented(text: Text, entry: ast.Tuple, operation: ast.expr) -> str:
    """Return the text of an operation, moved to where its entry stood; not where that would change a string."""
    lines = text.of(operation).splitlines(keepends=True)
    margin = operation.col_offset - entry.col_offset if operation.lineno > entry.lineno else 0
    if margin <= 0 or any(spans_lines(one) for one in ast.walk(operation)):
        return "".join(lines)
    return lines[0] + "".join(line.removeprefix(" " * margin) for line in lines[1:])


def spans_lines(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno


def remove_literals(text: Text) -> None:
    for one in text.tree.body:
        if isinstance(one, ast.Assign) and any(
            isinstance(name, ast.Name) and name.id in OURS for name in one.targets
        ):
            text.remove(one, comment=True)


def import_migrations(text: Text) -> None:
    """Import Django's ``migrations`` where the file does not."""
    imports = [one for one in text.tree.body if isinstance(one, ast.Import | ast.ImportFrom)]
    named_there = {alias.asname or alias.name for one in imports for alias in one.names}
    if "migrations" not in named_there:
        first = next(one for one in imports if getattr(one, "module", "") != "__future__")
        text.insert_before(first, "from django.db import migrations\n")


def without_unused(source: str, *, ours_only: bool) -> str:
    """Return a text without the imports and functions that nothing in it names; only imports of ours, if wanted."""
    while True:
        text = Text(source)
        used = set(used_names(text.tree))
        for one in text.tree.body:
            if isinstance(one, ast.Import | ast.ImportFrom):
                drop_imports(text, one, used, ours_only=ours_only)
            elif isinstance(one, ast.FunctionDef) and not ours_only and one.name not in used:
                text.remove(one, comment=True)
        if not text.edits:
            return source
        source = text.result()


def used_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a text uses; the first of a dotted one only where no import says more of it."""
    dotted = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    modules = {
        alias.name for one in tree.body if isinstance(one, ast.Import) for alias in one.names if not alias.asname
    }
    reached = {module for module in modules if "." in module and module in dotted}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    yield from reached
    yield from names - {module.partition(".")[0] for module in reached}
    yield from names & modules


def drop_imports(text: Text, statement: ast.Import | ast.ImportFrom, used: Set[str], *, ours_only: bool) -> None:
    """Remove from an import what nothing uses."""
    module = (statement.module or "") if isinstance(statement, ast.ImportFrom) else ""
    if module == "__future__":
        return
    kept = [
        alias
        for alias in statement.names
        if alias.name == "*"
        or not used.isdisjoint(bound_by(alias))
        or (ours_only and not is_ours(module or alias.name))
    ]
    if not kept:
        text.remove(statement)
    elif len(kept) < len(statement.names):
        statement.names = kept
        text.replace(statement, ast.unparse(statement))


def bound_by(alias: ast.alias) -> set[str]:
    """Return the names by which a text can reach what is imported."""
    return {alias.asname} if alias.asname else {alias.name, alias.name.partition(".")[0]}


def uses_chronomig(source: str) -> bool:
    """Whether a text still imports chronomig."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        if any(map(is_ours, names)):
            return True
    return False


# -- vendored files -------------------------------------------------------------------------------------------------


def copied(source: str, needs: Sequence[Key], package: str, target: str) -> str:
    """
    Return the upstream text of a vendored file, with further dependencies.

    Where it moves from *package* to another one, *target*, its relative imports are made absolute.
    """
    text = Text(source)
    remove_literals(text)
    if needs:
        need_more(text, migration_class(text), needs)
    if package != target:
        for one in ast.walk(text.tree):
            if isinstance(one, ast.ImportFrom) and one.level:
                one.module = resolve_name("." * one.level + (one.module or ""), package).rstrip(".")
                one.level = 0
                text.replace(one, ast.unparse(one))
    return text.result()


def need_more(text: Text, kind: ast.ClassDef, needs: Sequence[Key]) -> None:
    """Add to the dependencies of a class."""
    there = attribute(kind, "dependencies")
    if there is None:
        declare(text, kind, needs, (), initial=False)
        return
    added = ", ".join(f'("{label}", "{name}")' for label, name in needs)
    text.insert_after(there, f"{' ' * there.col_offset}dependencies = [*dependencies, {added}]\n")
