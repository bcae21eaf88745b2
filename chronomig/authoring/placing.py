"""Where a template in chronomig's own format goes: where its stamp has it, or behind everything."""

from __future__ import annotations

from collections.abc import Mapping

from chronomig.authoring.templates import is_own_format
from chronomig.code.folding import fold
from chronomig.code.loading import Loaded
from chronomig.code.origins import origins_in
from chronomig.effects import meetings
from chronomig.effects.order import operations_of
from chronomig.errors import in_words
from chronomig.sets import MigrationSet
from chronomig.state import ProjectState
from chronomig.state.references import references_of
from chronomig.timeline import Entry


def lacks(state: ProjectState, loaded: Loaded) -> str:
    """Return what a migration needs and *state* does not have, or an empty text."""
    try:
        after = fold(state, loaded)
    except Exception as error:  # the operations of others raise what they like
        return in_words(error)
    for key, model in after.models.items():
        if state.models.get(key) is not model:
            for reference in references_of(model):
                if reference.target not in after.models:
                    return ".".join(reference.target)
    return ""


def can_keep_its_place(migration_set: MigrationSet, entries: Mapping[str, Entry], wanted: Entry) -> bool:
    """
    Whether a template may stand where its stamp has it, among *entries*.

    All that it needs has to be there at that point, what came from its app before has to stand before, and it has to
    commute with all that comes after.
    """
    loaded = migration_set.loader.load(wanted)
    names = sorted(entries)
    later = [name for name in names if name > wanted.name]
    if wanted.name in entries or any(came_before(entries[name], loaded) for name in later):
        return False
    states = migration_set.states(names, entries)
    state = states.before(later[0]) if later else states.current
    if lacks(state, loaded):
        return False
    mine, _ = operations_of(loaded, state)
    for name in later:
        theirs, state = operations_of(migration_set.loader.load(entries[name]), state)
        if next(meetings(mine, theirs), None):
            return False
    return True


def came_before(entry: Entry, loaded: Loaded) -> bool:
    """Whether an entry is a template of the same app."""
    found = origins_in([entry]).get(entry.name)
    return found is not None and loaded.origin is not None and found.app == loaded.origin.app and is_own_format(found)
