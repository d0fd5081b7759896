"""Finds the dataset in folders that also hold a copy of it, or folders that are not classes."""

from collections.abc import Iterator, Mapping

from contract.errors import BadDataset
from media.archives.rejections import shown
from services.preprocess.split_names import is_beside, is_container, is_data, is_surely_beside, split_mentioned
from services.preprocess.tree import Tree


def without_strays(tree: Tree, wrapper: str) -> Mapping[str, str] | None:
    """Return the files without copies of the dataset, or those of the folder that holds it, or None if all are classes.

    A copy has the name of `wrapper`, the folder around the dataset, or holds it once more, as in `a/` and `b/a/`. The
    folder that holds the dataset is called `Dataset`, `images` or the like, beside examples or annotations. Raise
    BadDataset if a folder is doubtful as a class, because it holds folders with the names of the other classes.
    """
    if len(tree.inside) < 2:
        return None
    if copies := set(_copies(tree, wrapper)):
        return tree.without(copies)
    holder = _holder(tree)
    return tree.within(holder) if holder else None


def _copies(tree: Tree, wrapper: str) -> Iterator[str]:
    tops = set(tree.inside)
    for top, branches in tree.branches.items():
        others = tops - {top}
        alike = next((o for o in others if len(branches.names) > 1 and tree.branches[o].names == branches.names), None)
        if len(others) > 1 and branches.names >= others and not any(tree.branches[o].names & others for o in others):
            if top.casefold() != wrapper.casefold():
                raise BadDataset(_doubtful(top, min(others), split_mentioned(top) is not None))
            yield top
        elif alike and any(folder.casefold() == alike.casefold() for folder in branches.way):
            yield top


def _doubtful(folder: str, other: str, is_split: bool) -> str:
    what = "a split or a class" if is_split else "a class or a second set of the images"
    advice = "put the other folders into a folder called train" if is_split else "remove it or send it alone"
    return (
        f"{shown(folder)!r} beside {shown(other)!r} may be {what}, as it holds folders with the same names as those "
        f"beside it; if it is no class, {advice}; if it is one, rename it or the folders in it"
    )


def _holder(tree: Tree) -> str | None:
    """Return the only folder that holds the classes, if the names or contents of the others show that they do not."""
    branching = {top: branches.names for top, branches in tree.branches.items() if len(branches.names) > 1}
    holders = [top for top in branching if is_container(top)] or [top for top in branching if not is_surely_beside(top)]
    if len(holders) != 1:
        return None
    holder, classes = holders[0], branching[holders[0]]
    others = {top: branches.names for top, branches in tree.branches.items() if top != holder}
    if all(is_surely_beside(top) for top in others):
        return holder
    if is_container(holder):
        beside = {top for top in others if is_beside(top) or is_data(holder)}
        if all(names <= classes if names else top in beside for top, names in others.items()):
            return holder
    if is_data(holder) and not any(others.values()):
        return holder
    return None
